//! Bytes of remembered ids: keys and values of the store's table, and part of the snapshot.

use crate::codec::Error;
use crate::codec::wire::{Bits, required};
use crate::ids::{HoldId, OpId, OrderId};
use crate::sku::memory::{Closed, Remembered, RememberedKey, What};
use crate::time::Timestamp;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct RememberedMessage {
    #[prost(int64, tag = "1")]
    at: i64,
    /// Of an operation.
    #[prost(fixed64, optional, tag = "2")]
    fingerprint: Option<u64>,
    /// How a hold ended: 1 lapsed, 2 shipped, 3 cancelled.
    #[prost(uint32, optional, tag = "3")]
    closed: Option<u32>,
    #[prost(message, optional, tag = "4")]
    order: Option<Bits>,
}

impl RememberedKey {
    /// The key in the store, behind the SKU's own.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let one = |kind: u8, id: u128| [&[kind][..], &id.to_be_bytes()].concat();
        let two = |kind: u8, hold: HoldId, op: OpId| [&[kind][..], &hold.0.to_be_bytes(), &op.0.to_be_bytes()].concat();
        match *self {
            RememberedKey::Receipt(op) => one(1, op.0),
            RememberedKey::Adjustment(op) => one(2, op.0),
            RememberedKey::Shipment(hold, op) => two(3, hold, op),
            RememberedKey::Reduction(hold, op) => two(4, hold, op),
            RememberedKey::Return(hold, op) => two(5, hold, op),
            RememberedKey::Hold(hold) => one(6, hold.0),
        }
    }

    /// The key whose [`RememberedKey::to_bytes`] this is.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<RememberedKey> {
        let (kind, rest) = bytes.split_first()?;
        let (first, second) = rest.split_at_checked(16)?;
        let id = |bytes: &[u8]| bytes.try_into().ok().map(u128::from_be_bytes);
        let (first, second) = (id(first)?, if second.is_empty() { None } else { Some(id(second)?) });
        match (kind, second) {
            (1, None) => Some(RememberedKey::Receipt(OpId(first))),
            (2, None) => Some(RememberedKey::Adjustment(OpId(first))),
            (3, Some(op)) => Some(RememberedKey::Shipment(HoldId(first), OpId(op))),
            (4, Some(op)) => Some(RememberedKey::Reduction(HoldId(first), OpId(op))),
            (5, Some(op)) => Some(RememberedKey::Return(HoldId(first), OpId(op))),
            (6, None) => Some(RememberedKey::Hold(HoldId(first))),
            _ => None,
        }
    }
}

/// The value in the store.
#[must_use]
pub fn encode_remembered(remembered: &Remembered) -> Vec<u8> {
    write_remembered(remembered).encode_to_vec()
}

/// What the store's value says.
///
/// # Errors
/// [`Error`] when the bytes are none that this version knows.
pub fn decode_remembered(bytes: &[u8]) -> Result<Remembered, Error> {
    read_remembered(&RememberedMessage::decode(bytes)?)
}

pub(super) fn write_remembered(remembered: &Remembered) -> RememberedMessage {
    let at = remembered.at.0;
    match remembered.what {
        What::Operation { fingerprint } => {
            RememberedMessage { at, fingerprint: Some(fingerprint), closed: None, order: None }
        }
        What::Hold { closed, order } => {
            let closed = match closed {
                Closed::Lapsed => 1,
                Closed::Shipped => 2,
                Closed::Cancelled => 3,
            };
            let order = order.map(|order| order.0.into());
            RememberedMessage { at, fingerprint: None, closed: Some(closed), order }
        }
    }
}

pub(super) fn read_remembered(message: &RememberedMessage) -> Result<Remembered, Error> {
    let what = match message.fingerprint {
        Some(fingerprint) => What::Operation { fingerprint },
        None => What::Hold {
            closed: match required(message.closed, "closed")? {
                1 => Closed::Lapsed,
                2 => Closed::Shipped,
                3 => Closed::Cancelled,
                _ => return Err(Error::Invalid("closed")),
            },
            order: message.order.map(|order| OrderId(order.into())),
        },
    };
    Ok(Remembered { at: Timestamp(message.at), what })
}
