//! Rows of the movement ledger: several movements of a SKU in one row, under the version of the oldest.
//!
//! A hot SKU moves hundreds of times between two flushes; a row for each would cost more than all else together.

use super::keys;
use crate::store::{Batch, Table};
use prost::Message;
use stampede_actors::ids::{HoldId, LocationId, OpId, OrderId, Reference, SkuId};
use stampede_actors::record::Version;
use stampede_actors::sku::{Delta, Movement, MovementReason, MovementReference, Reason};
use stampede_actors::time::Timestamp;

/// Movements in one row, at most.
const IN_A_ROW: usize = 128;

#[derive(Clone, PartialEq, Message)]
struct RowMessage {
    #[prost(message, repeated, tag = "1")]
    movements: Vec<MovementMessage>,
}

/// As much of a row as says which movements it has.
#[derive(Clone, PartialEq, Message)]
struct VersionsMessage {
    #[prost(message, repeated, tag = "1")]
    movements: Vec<VersionMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct VersionMessage {
    #[prost(uint64, tag = "1")]
    version: u64,
}

#[derive(Clone, PartialEq, Message)]
struct MovementMessage {
    #[prost(uint64, tag = "1")]
    version: u64,
    #[prost(uint32, tag = "2")]
    reason: u32,
    #[prost(uint32, tag = "3")]
    units: u32,
    #[prost(int64, tag = "4")]
    at: i64,
    #[prost(message, repeated, tag = "5")]
    deltas: Vec<DeltaMessage>,
    #[prost(bytes, optional, tag = "6")]
    operation: Option<Vec<u8>>,
    #[prost(bytes, optional, tag = "7")]
    hold: Option<Vec<u8>>,
    #[prost(bytes, optional, tag = "8")]
    order: Option<Vec<u8>>,
    #[prost(string, optional, tag = "9")]
    note: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct DeltaMessage {
    #[prost(string, tag = "1")]
    location: String,
    #[prost(sint64, tag = "2")]
    on_hand: i64,
    #[prost(sint64, tag = "3")]
    held: i64,
    #[prost(sint64, tag = "4")]
    allocated: i64,
}

/// Numbers of the reasons on disk: never change or reuse one.
const REASONS: [MovementReason; 14] = [
    MovementReason::Received,
    MovementReason::Adjusted(Reason::Count),
    MovementReason::Adjusted(Reason::Damage),
    MovementReason::Adjusted(Reason::Loss),
    MovementReason::Adjusted(Reason::Found),
    MovementReason::Adjusted(Reason::Other),
    MovementReason::Held,
    MovementReason::Released,
    MovementReason::Expired,
    MovementReason::Allocated,
    MovementReason::Shipped,
    MovementReason::AllocationCancelled,
    MovementReason::Returned,
    MovementReason::WrittenOff,
];

/// Writes movements, oldest first.
pub fn put(batch: &mut Batch, sku: &SkuId, movements: &[(Version, Movement)]) {
    for row in movements.chunks(IN_A_ROW) {
        let message = RowMessage { movements: row.iter().map(write).collect() };
        batch.put(Table::Movements, &keys::movements(sku, row[0].0), message.encode_to_vec());
    }
}

/// The movements of a row, oldest first.
pub fn read(bytes: &[u8]) -> Option<Vec<(Version, Movement)>> {
    RowMessage::decode(bytes).ok()?.movements.into_iter().map(read_one).collect()
}

/// The versions of a row's movements, oldest first.
pub fn versions(bytes: &[u8]) -> Option<Vec<Version>> {
    let row = VersionsMessage::decode(bytes).ok()?;
    Some(row.movements.into_iter().map(|movement| movement.version).collect())
}

fn write((version, movement): &(Version, Movement)) -> MovementMessage {
    let MovementReference { operation, hold, order, note } = &movement.reference;
    let reason = REASONS.iter().position(|&reason| reason == movement.reason);
    let delta = |delta: &Delta| DeltaMessage {
        location: delta.location.to_string(),
        on_hand: delta.on_hand,
        held: delta.held,
        allocated: delta.allocated,
    };
    MovementMessage {
        version: *version,
        reason: reason.map_or(u32::MAX, |reason| reason as u32),
        units: movement.units,
        at: movement.at.0,
        deltas: movement.deltas.iter().map(delta).collect(),
        operation: operation.map(|id| id.0.to_be_bytes().to_vec()),
        hold: hold.map(|id| id.0.to_be_bytes().to_vec()),
        order: order.map(|id| id.0.to_be_bytes().to_vec()),
        note: note.as_ref().map(ToString::to_string),
    }
}

fn read_one(message: MovementMessage) -> Option<(Version, Movement)> {
    let bits = |bytes: Option<Vec<u8>>| match bytes {
        None => Some(None),
        Some(bytes) => Some(Some(u128::from_be_bytes(bytes.try_into().ok()?))),
    };
    let note = match message.note {
        None => None,
        Some(text) => Some(Reference::new(&text).ok()?),
    };
    let reference = MovementReference {
        operation: bits(message.operation)?.map(OpId),
        hold: bits(message.hold)?.map(HoldId),
        order: bits(message.order)?.map(OrderId),
        note,
    };
    let delta = |delta: DeltaMessage| {
        let location = LocationId::new(&delta.location).ok()?;
        Some(Delta { location, on_hand: delta.on_hand, held: delta.held, allocated: delta.allocated })
    };
    let movement = Movement {
        reason: *REASONS.get(message.reason as usize)?,
        reference,
        units: message.units,
        deltas: message.deltas.into_iter().map(delta).collect::<Option<_>>()?,
        at: Timestamp(message.at),
    };
    Some((message.version, movement))
}
