//! Bytes of an order's snapshot.

use super::parts::{
    PlacementMessage, StepMessage, read_attention, read_placement, read_step, write_attention, write_placement,
    write_step,
};
use super::tables::{
    AttemptMessage, HappeningMessage, MovedMessage, OpenMessage, RefundMessage, read_attempt, read_happening,
    read_open, read_refund, read_return, read_shipment, write_attempt, write_happening, write_open, write_refund,
    write_return, write_shipment,
};
use crate::codec::Error;
use crate::codec::wire::{Bits, read_all, read_bits};
use crate::ids::OpId;
use crate::order::Order;
use crate::order::aftersales::Aftersales;
use crate::order::state::{Allocation, Concern, End, Fulfilment, GiveBack, Placed, Wish};
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
    cancels: Vec<OperationMessage>,
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
    #[prost(message, repeated, tag = "19")]
    acknowledgements: Vec<OperationMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct WishMessage {
    #[prost(message, optional, tag = "1")]
    cancel: Option<Bits>,
    #[prost(string, tag = "2")]
    reason: String,
}

/// An operation of which only its request matters any more.
#[derive(Clone, PartialEq, Message)]
struct OperationMessage {
    #[prost(message, optional, tag = "1")]
    id: Option<Bits>,
    #[prost(fixed64, tag = "2")]
    fingerprint: u64,
}

#[derive(Clone, PartialEq, Message)]
struct AttentionMessage {
    #[prost(uint32, tag = "1")]
    reason: u32,
    #[prost(message, optional, tag = "2")]
    step: Option<StepMessage>,
    #[prost(bool, tag = "3")]
    acknowledged: bool,
}

fn write_concern(concern: &Concern) -> AttentionMessage {
    let Concern { reason, step, acknowledged } = *concern;
    AttentionMessage { reason: write_attention(reason), step: step.map(write_step), acknowledged }
}

fn read_concern(entry: &AttentionMessage) -> Result<Concern, Error> {
    let step = entry.step.map(|step| read_step(Some(step))).transpose()?;
    Ok(Concern { reason: read_attention(entry.reason)?, step, acknowledged: entry.acknowledged })
}

fn write_operations(operations: &[(OpId, u64)]) -> Vec<OperationMessage> {
    let write = |(id, fingerprint): &(OpId, u64)| OperationMessage { id: Some(id.0.into()), fingerprint: *fingerprint };
    operations.iter().map(write).collect()
}

fn read_operations(operations: &[OperationMessage], what: &'static str) -> Result<Vec<(OpId, u64)>, Error> {
    let read = |message: &OperationMessage| Ok((OpId(read_bits(message.id, what)?), message.fingerprint));
    operations.iter().map(read).collect()
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
            .aftersales
            .wish
            .as_ref()
            .map(|wish| WishMessage { cancel: Some(wish.cancel.0.into()), reason: wish.reason.to_string() }),
        cancels: write_operations(&order.aftersales.cancels),
        ended: match order.ended {
            None => 0,
            Some(End::Cancelled) => 1,
            Some(End::Expired) => 2,
        },
        refunds: order.aftersales.refunds.iter().map(write_refund).collect(),
        shipments: order.aftersales.shipments.iter().map(write_shipment).collect(),
        returns: order.aftersales.returns.iter().map(write_return).collect(),
        fulfil_due: order.fulfil_due.map(|due| due.0),
        attention: order.aftersales.concerns.iter().map(write_concern).collect(),
        timeline: order.timeline.iter().map(|entry| write_happening(entry, placed_at)).collect(),
        acknowledgements: write_operations(&order.aftersales.acknowledgements),
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
    let aftersales = Aftersales {
        wish: match message.wish {
            None => None,
            Some(wish) => {
                Some(Wish { cancel: OpId(read_bits(wish.cancel, "cancel")?), reason: CompactString::from(wish.reason) })
            }
        },
        cancels: read_operations(&message.cancels, "cancel")?,
        refunds: read_all(&message.refunds, |refund| read_refund(refund, currency))?,
        shipments: read_all(&message.shipments, read_shipment)?,
        returns: read_all(&message.returns, read_return)?,
        concerns: read_all(&message.attention, read_concern)?,
        acknowledgements: read_operations(&message.acknowledgements, "acknowledgement")?,
    };
    Ok(Order {
        aftersales: aftersales.into(),
        placed: placed.map(Arc::new),
        open: read_all(&message.open, read_open)?,
        attempts: read_all(message.attempts, read_attempt)?,
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
        ended: match message.ended {
            0 => None,
            1 => Some(End::Cancelled),
            2 => Some(End::Expired),
            _ => return Err(Error::Invalid("ended")),
        },
        fulfil_due: message.fulfil_due.map(Timestamp),
        timeline: Arc::new(read_all(message.timeline, |entry| read_happening(entry, at))?),
    })
}
