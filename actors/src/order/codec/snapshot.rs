//! Bytes of an order's snapshot.

use super::parts::{
    PartMessage, PlacementMessage, StepMessage, UnitsMessage, read_attention, read_line_parts, read_lines,
    read_placement, read_step, write_attention, write_line_parts, write_lines, write_placement, write_step,
};
use crate::codec::Error;
use crate::codec::wire::{Bits, read_bits, read_optional_text, read_text};
use crate::ids::OpId;
use crate::money::Money;
use crate::order::state::{Allocation, End, Fulfilment, GiveBack, Placed, Wish};
use crate::order::{
    Attempt, AttemptState, Happening, OpenStep, Order, Refund, RefundState, Return, Shipment, timeline,
};
use crate::time::Timestamp;
use compact_str::CompactString;
use iso_currency::Currency;
use prost::Message;
use std::sync::Arc;

#[derive(Clone, PartialEq, Message)]
struct StateMessage {
    #[prost(message, optional, tag = "1")]
    placement: Option<PlacementMessage>,
    #[prost(int64, tag = "2")]
    placed_at: i64,
    #[prost(message, repeated, tag = "3")]
    open: Vec<OpenMessage>,
    #[prost(message, repeated, tag = "4")]
    attempts: Vec<AttemptMessage>,
    /// 0 held, 1 firm, 2 refused.
    #[prost(uint32, tag = "5")]
    allocation: u32,
    /// 0 not asked, 1 asked, 2 accepted, 3 refused.
    #[prost(uint32, tag = "6")]
    fulfilment: u32,
    /// 0 no, 1 asked, 2 done.
    #[prost(uint32, tag = "7")]
    give_back: u32,
    #[prost(bool, tag = "8")]
    paid: bool,
    #[prost(bool, tag = "9")]
    capture_refused: bool,
    #[prost(message, optional, tag = "10")]
    wish: Option<WishMessage>,
    #[prost(message, repeated, tag = "11")]
    cancels: Vec<CancelMessage>,
    /// 0 no, 1 cancelled, 2 expired.
    #[prost(uint32, tag = "12")]
    ended: u32,
    #[prost(message, repeated, tag = "13")]
    refunds: Vec<RefundMessage>,
    #[prost(message, repeated, tag = "14")]
    shipments: Vec<MovedMessage>,
    #[prost(message, repeated, tag = "15")]
    returns: Vec<MovedMessage>,
    #[prost(int64, optional, tag = "16")]
    fulfil_due: Option<i64>,
    #[prost(message, repeated, tag = "17")]
    attention: Vec<AttentionMessage>,
    #[prost(message, repeated, tag = "18")]
    timeline: Vec<HappeningMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct OpenMessage {
    #[prost(message, optional, tag = "1")]
    step: Option<StepMessage>,
    #[prost(int64, tag = "2")]
    opened_at: i64,
    #[prost(uint32, tag = "3")]
    tries: u32,
    #[prost(int64, tag = "4")]
    ask_at: i64,
    #[prost(bool, tag = "5")]
    flagged: bool,
}

#[derive(Clone, PartialEq, Message)]
struct AttemptMessage {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(message, optional, tag = "2")]
    payment: Option<Bits>,
    #[prost(fixed64, tag = "3")]
    fingerprint: u64,
    #[prost(string, tag = "4")]
    token: String,
    #[prost(uint32, tag = "5")]
    state: u32,
    #[prost(string, tag = "6")]
    reference: String,
    #[prost(string, optional, tag = "7")]
    declined: Option<String>,
    #[prost(int64, tag = "8")]
    opened_at: i64,
}

#[derive(Clone, PartialEq, Message)]
struct WishMessage {
    #[prost(message, optional, tag = "1")]
    cancel: Option<Bits>,
    #[prost(string, tag = "2")]
    reason: String,
}

#[derive(Clone, PartialEq, Message)]
struct CancelMessage {
    #[prost(message, optional, tag = "1")]
    cancel: Option<Bits>,
    #[prost(fixed64, tag = "2")]
    fingerprint: u64,
}

#[derive(Clone, PartialEq, Message)]
struct RefundMessage {
    #[prost(message, optional, tag = "1")]
    id: Option<Bits>,
    #[prost(fixed64, tag = "2")]
    fingerprint: u64,
    #[prost(message, repeated, tag = "3")]
    lines: Vec<UnitsMessage>,
    /// In the order's currency.
    #[prost(sint64, tag = "4")]
    amount: i64,
    #[prost(bool, tag = "5")]
    restock: bool,
    #[prost(message, repeated, tag = "6")]
    withheld: Vec<PartMessage>,
    #[prost(uint32, tag = "7")]
    state: u32,
    #[prost(bool, tag = "8")]
    called_off: bool,
    #[prost(bool, tag = "9")]
    given_back: bool,
    #[prost(string, tag = "10")]
    reference: String,
    #[prost(int64, tag = "11")]
    requested_at: i64,
}

/// A shipment or a return.
#[derive(Clone, PartialEq, Message)]
struct MovedMessage {
    #[prost(message, optional, tag = "1")]
    id: Option<Bits>,
    #[prost(fixed64, tag = "2")]
    fingerprint: u64,
    #[prost(string, tag = "3")]
    location: String,
    #[prost(message, repeated, tag = "4")]
    lines: Vec<UnitsMessage>,
    #[prost(string, tag = "5")]
    tracking: String,
    #[prost(bool, tag = "6")]
    restock: bool,
    #[prost(bool, tag = "7")]
    opened: bool,
    #[prost(int64, tag = "8")]
    at: i64,
}

#[derive(Clone, PartialEq, Message)]
struct AttentionMessage {
    #[prost(uint32, tag = "1")]
    reason: u32,
    #[prost(message, optional, tag = "2")]
    step: Option<StepMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct HappeningMessage {
    /// After the order was placed.
    #[prost(sint64, tag = "1")]
    after: i64,
    #[prost(uint32, tag = "2")]
    word: u32,
    #[prost(string, tag = "3")]
    detail: String,
    /// More than once, so often more.
    #[prost(uint32, tag = "4")]
    more: u32,
}

/// The snapshot's bytes.
#[must_use]
pub fn encode_state(order: &Order) -> Vec<u8> {
    let placed_at = order.placed_at().unwrap_or_default();
    StateMessage {
        placement: order.placed.as_ref().map(|p| write_placement(&p.placement, p.total, p.at)),
        placed_at: placed_at.0,
        open: order.open.iter().map(write_open).collect(),
        attempts: order.attempts.iter().map(write_attempt).collect(),
        allocation: match order.allocation {
            Allocation::Held => 0,
            Allocation::Firm => 1,
            Allocation::Refused => 2,
        },
        fulfilment: match order.fulfilment {
            Fulfilment::NotAsked => 0,
            Fulfilment::Asked => 1,
            Fulfilment::Accepted => 2,
            Fulfilment::Refused => 3,
        },
        give_back: match order.give_back {
            GiveBack::No => 0,
            GiveBack::Asked => 1,
            GiveBack::Done => 2,
        },
        paid: order.paid,
        capture_refused: order.capture_refused,
        wish: order
            .wish
            .as_ref()
            .map(|wish| WishMessage { cancel: Some(wish.cancel.0.into()), reason: wish.reason.to_string() }),
        cancels: order
            .cancels
            .iter()
            .map(|(cancel, fingerprint)| CancelMessage { cancel: Some(cancel.0.into()), fingerprint: *fingerprint })
            .collect(),
        ended: match order.ended {
            None => 0,
            Some(End::Cancelled) => 1,
            Some(End::Expired) => 2,
        },
        refunds: order.refunds.iter().map(write_refund).collect(),
        shipments: order.shipments.iter().map(write_shipment).collect(),
        returns: order.returns.iter().map(write_return).collect(),
        fulfil_due: order.fulfil_due.map(|due| due.0),
        attention: order
            .attention
            .iter()
            .map(|(reason, step)| AttentionMessage { reason: write_attention(*reason), step: step.map(write_step) })
            .collect(),
        timeline: order.timeline.iter().map(|entry| write_happening(entry, placed_at)).collect(),
    }
    .encode_to_vec()
}

/// The order of a snapshot's bytes.
///
/// # Errors
/// [`Error`] when they are none that this version knows.
pub fn decode_state(bytes: &[u8]) -> Result<Order, Error> {
    let message = StateMessage::decode(bytes)?;
    let at = Timestamp(message.placed_at);
    let placed = match message.placement {
        None => None,
        Some(placement) => {
            let (placement, total) = read_placement(placement, at)?;
            Some(Placed { placement, total, at })
        }
    };
    let currency = placed.as_ref().map_or(Currency::XXX, |placed| placed.total.currency);
    let attention = |entry: &AttentionMessage| {
        let step = entry.step.map(|step| read_step(Some(step))).transpose()?;
        Ok((read_attention(entry.reason)?, step))
    };
    Ok(Order {
        placed: placed.map(Arc::new),
        open: message.open.iter().map(read_open).collect::<Result<_, _>>()?,
        attempts: message.attempts.into_iter().map(read_attempt).collect::<Result<_, _>>()?,
        allocation: match message.allocation {
            0 => Allocation::Held,
            1 => Allocation::Firm,
            2 => Allocation::Refused,
            _ => return Err(Error::Invalid("allocation")),
        },
        fulfilment: match message.fulfilment {
            0 => Fulfilment::NotAsked,
            1 => Fulfilment::Asked,
            2 => Fulfilment::Accepted,
            3 => Fulfilment::Refused,
            _ => return Err(Error::Invalid("fulfilment")),
        },
        give_back: match message.give_back {
            0 => GiveBack::No,
            1 => GiveBack::Asked,
            2 => GiveBack::Done,
            _ => return Err(Error::Invalid("give_back")),
        },
        paid: message.paid,
        capture_refused: message.capture_refused,
        wish: match message.wish {
            None => None,
            Some(wish) => {
                Some(Wish { cancel: OpId(read_bits(wish.cancel, "cancel")?), reason: CompactString::from(wish.reason) })
            }
        },
        cancels: message
            .cancels
            .iter()
            .map(|cancel| Ok((OpId(read_bits(cancel.cancel, "cancel")?), cancel.fingerprint)))
            .collect::<Result<_, Error>>()?,
        ended: match message.ended {
            0 => None,
            1 => Some(End::Cancelled),
            2 => Some(End::Expired),
            _ => return Err(Error::Invalid("ended")),
        },
        refunds: message.refunds.iter().map(|refund| read_refund(refund, currency)).collect::<Result<_, _>>()?,
        shipments: message.shipments.iter().map(read_shipment).collect::<Result<_, _>>()?,
        returns: message.returns.iter().map(read_return).collect::<Result<_, _>>()?,
        fulfil_due: message.fulfil_due.map(Timestamp),
        attention: message.attention.iter().map(attention).collect::<Result<_, Error>>()?,
        timeline: Arc::new(
            message.timeline.into_iter().map(|entry| read_happening(entry, at)).collect::<Result<_, _>>()?,
        ),
    })
}

fn write_open(open: &OpenStep) -> OpenMessage {
    OpenMessage {
        step: Some(write_step(open.step)),
        opened_at: open.opened_at.0,
        tries: open.tries,
        ask_at: open.ask_at.0,
        flagged: open.flagged,
    }
}

fn read_open(open: &OpenMessage) -> Result<OpenStep, Error> {
    Ok(OpenStep {
        step: read_step(open.step)?,
        opened_at: Timestamp(open.opened_at),
        tries: open.tries,
        ask_at: Timestamp(open.ask_at),
        flagged: open.flagged,
    })
}

fn write_attempt(attempt: &Attempt) -> AttemptMessage {
    AttemptMessage {
        number: attempt.number,
        payment: attempt.payment.map(|payment| payment.0.into()),
        fingerprint: attempt.fingerprint,
        token: attempt.token.as_ref().map(ToString::to_string).unwrap_or_default(),
        state: match attempt.state {
            AttemptState::Open => 1,
            AttemptState::Declined => 2,
            AttemptState::Authorised => 3,
            AttemptState::Stray => 4,
            AttemptState::Voiding => 5,
            AttemptState::Voided => 6,
            AttemptState::VoidRefused => 7,
            AttemptState::Captured => 8,
        },
        reference: attempt.reference.as_ref().map(ToString::to_string).unwrap_or_default(),
        declined: attempt.declined.as_ref().map(ToString::to_string),
        opened_at: attempt.opened_at.0,
    }
}

fn read_attempt(attempt: AttemptMessage) -> Result<Attempt, Error> {
    Ok(Attempt {
        number: attempt.number,
        payment: attempt.payment.map(|payment| OpId(payment.into())),
        fingerprint: attempt.fingerprint,
        token: read_optional_text(&attempt.token, "token")?,
        state: match attempt.state {
            1 => AttemptState::Open,
            2 => AttemptState::Declined,
            3 => AttemptState::Authorised,
            4 => AttemptState::Stray,
            5 => AttemptState::Voiding,
            6 => AttemptState::Voided,
            7 => AttemptState::VoidRefused,
            8 => AttemptState::Captured,
            _ => return Err(Error::Invalid("attempt")),
        },
        reference: read_optional_text(&attempt.reference, "reference")?,
        declined: attempt.declined.map(CompactString::from),
        opened_at: Timestamp(attempt.opened_at),
    })
}

fn write_refund(refund: &Refund) -> RefundMessage {
    RefundMessage {
        id: Some(refund.id.0.into()),
        fingerprint: refund.fingerprint,
        lines: write_lines(&refund.lines),
        amount: refund.amount.minor,
        restock: refund.restock,
        withheld: write_line_parts(&refund.withheld),
        state: match refund.state {
            RefundState::Waiting => 1,
            RefundState::Open => 2,
            RefundState::Done => 3,
            RefundState::Refused => 4,
            RefundState::Lapsed => 5,
        },
        called_off: refund.called_off,
        given_back: refund.given_back,
        reference: refund.reference.as_ref().map(ToString::to_string).unwrap_or_default(),
        requested_at: refund.requested_at.0,
    }
}

fn read_refund(refund: &RefundMessage, currency: Currency) -> Result<Refund, Error> {
    Ok(Refund {
        id: OpId(read_bits(refund.id, "refund")?),
        fingerprint: refund.fingerprint,
        lines: read_lines(&refund.lines),
        amount: Money { minor: refund.amount, currency },
        restock: refund.restock,
        withheld: read_line_parts(&refund.withheld)?,
        state: match refund.state {
            1 => RefundState::Waiting,
            2 => RefundState::Open,
            3 => RefundState::Done,
            4 => RefundState::Refused,
            5 => RefundState::Lapsed,
            _ => return Err(Error::Invalid("refund")),
        },
        called_off: refund.called_off,
        given_back: refund.given_back,
        reference: read_optional_text(&refund.reference, "reference")?,
        requested_at: Timestamp(refund.requested_at),
    })
}

fn write_shipment(shipment: &Shipment) -> MovedMessage {
    MovedMessage {
        id: Some(shipment.id.0.into()),
        fingerprint: shipment.fingerprint,
        location: shipment.location.to_string(),
        lines: write_lines(&shipment.lines),
        tracking: shipment.tracking.as_ref().map(ToString::to_string).unwrap_or_default(),
        at: shipment.at.0,
        ..MovedMessage::default()
    }
}

fn read_shipment(shipment: &MovedMessage) -> Result<Shipment, Error> {
    Ok(Shipment {
        id: OpId(read_bits(shipment.id, "shipment")?),
        fingerprint: shipment.fingerprint,
        location: read_text(&shipment.location, "location")?,
        lines: read_lines(&shipment.lines),
        tracking: read_optional_text(&shipment.tracking, "tracking")?,
        at: Timestamp(shipment.at),
    })
}

fn write_return(back: &Return) -> MovedMessage {
    MovedMessage {
        id: Some(back.id.0.into()),
        fingerprint: back.fingerprint,
        location: back.location.to_string(),
        lines: write_lines(&back.lines),
        restock: back.restock,
        opened: back.opened,
        at: back.at.0,
        ..MovedMessage::default()
    }
}

fn read_return(back: &MovedMessage) -> Result<Return, Error> {
    Ok(Return {
        id: OpId(read_bits(back.id, "return")?),
        fingerprint: back.fingerprint,
        location: read_text(&back.location, "location")?,
        lines: read_lines(&back.lines),
        restock: back.restock,
        opened: back.opened,
        at: Timestamp(back.at),
    })
}

fn write_happening(entry: &Happening, placed_at: Timestamp) -> HappeningMessage {
    HappeningMessage {
        after: entry.at.0.wrapping_sub(placed_at.0),
        word: timeline::number(entry.word),
        detail: entry.detail.to_string(),
        more: entry.times.saturating_sub(1),
    }
}

fn read_happening(entry: HappeningMessage, placed_at: Timestamp) -> Result<Happening, Error> {
    Ok(Happening {
        at: Timestamp(placed_at.0.wrapping_add(entry.after)),
        word: timeline::word(entry.word).ok_or(Error::Invalid("timeline"))?,
        detail: CompactString::from(entry.detail),
        times: entry.more.saturating_add(1),
    })
}
