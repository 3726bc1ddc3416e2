//! Messages of a snapshot: open steps, attempts, refunds, shipments, returns and the timeline.

use super::parts::{
    PartMessage, StepMessage, UnitsMessage, read_line_parts, read_lines, read_step, write_line_parts, write_lines,
    write_step,
};
use crate::codec::Error;
use crate::codec::wire::{Bits, read_bits, read_optional_text, read_text};
use crate::ids::OpId;
use crate::money::Money;
use crate::order::{Attempt, AttemptState, Happening, OpenStep, Refund, RefundState, Return, Shipment, timeline};
use crate::time::Timestamp;
use compact_str::CompactString;
use iso_currency::Currency;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct OpenMessage {
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
pub(super) struct AttemptMessage {
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
pub(super) struct RefundMessage {
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
pub(super) struct MovedMessage {
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
pub(super) struct HappeningMessage {
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

pub(super) fn write_open(open: &OpenStep) -> OpenMessage {
    OpenMessage {
        step: Some(write_step(open.step)),
        opened_at: open.opened_at.0,
        tries: open.tries,
        ask_at: open.ask_at.0,
        flagged: open.flagged,
    }
}

pub(super) fn read_open(open: &OpenMessage) -> Result<OpenStep, Error> {
    Ok(OpenStep {
        step: read_step(open.step)?,
        opened_at: Timestamp(open.opened_at),
        tries: open.tries,
        ask_at: Timestamp(open.ask_at),
        flagged: open.flagged,
    })
}

pub(super) fn write_attempt(attempt: &Attempt) -> AttemptMessage {
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

pub(super) fn read_attempt(attempt: AttemptMessage) -> Result<Attempt, Error> {
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

pub(super) fn write_refund(refund: &Refund) -> RefundMessage {
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

pub(super) fn read_refund(refund: &RefundMessage, currency: Currency) -> Result<Refund, Error> {
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

pub(super) fn write_shipment(shipment: &Shipment) -> MovedMessage {
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

pub(super) fn read_shipment(shipment: &MovedMessage) -> Result<Shipment, Error> {
    Ok(Shipment {
        id: OpId(read_bits(shipment.id, "shipment")?),
        fingerprint: shipment.fingerprint,
        location: read_text(&shipment.location, "location")?,
        lines: read_lines(&shipment.lines),
        tracking: read_optional_text(&shipment.tracking, "tracking")?,
        at: Timestamp(shipment.at),
    })
}

pub(super) fn write_return(back: &Return) -> MovedMessage {
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

pub(super) fn read_return(back: &MovedMessage) -> Result<Return, Error> {
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

pub(super) fn write_happening(entry: &Happening, placed_at: Timestamp) -> HappeningMessage {
    HappeningMessage {
        after: entry.at.0.wrapping_sub(placed_at.0),
        word: timeline::number(entry.word),
        detail: entry.detail.to_string(),
        more: entry.times.saturating_sub(1),
    }
}

pub(super) fn read_happening(entry: HappeningMessage, placed_at: Timestamp) -> Result<Happening, Error> {
    Ok(Happening {
        at: Timestamp(placed_at.0.wrapping_add(entry.after)),
        word: timeline::word(entry.word).ok_or(Error::Invalid("timeline"))?,
        detail: CompactString::from(entry.detail),
        times: entry.more.saturating_add(1),
    })
}
