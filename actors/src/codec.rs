//! Bytes of events and snapshots: protocol-buffer messages, so that fields can be added.
//!
//! Each aggregate encodes its own events and state (`sku/codec.rs`, `cart/codec.rs`, `order/codec.rs`,
//! `shop/codec.rs`); what they
//! share is in [`wire`]. The rules that keep old logs readable: a tag is never used for something else, a field is
//! never taken away, and a new field's default means what its absence meant. `tests/golden` holds one file for every
//! kind of event ever written.

pub mod wire;

use crate::ids::EntityId;
use crate::record::{Entry, Event, Record};
use crate::time::Timestamp;
use crate::{cart, order, shop, sku};
use prost::Message;

/// Why bytes are no event, record or snapshot. In a frame whose checksum is right, this is a bug or a newer version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a protocol-buffer message of this kind.
    #[error("not a message: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// A field that every version writes is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field holds what no version writes.
    #[error("{0} is out of range")]
    Invalid(&'static str),
    /// An event that a newer version has added.
    #[error("an unknown kind of {0} event: written by a newer version?")]
    UnknownEvent(&'static str),
}

#[derive(Clone, PartialEq, Message)]
struct RecordMessage {
    #[prost(int64, tag = "1")]
    at: i64,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<EntryMessage>,
    /// As in an order's placement; empty: none.
    #[prost(bytes = "vec", tag = "3")]
    trace: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct EntryMessage {
    /// [`EntityId::key`]; it says whose kind of event follows.
    #[prost(bytes = "vec", tag = "1")]
    entity: Vec<u8>,
    #[prost(uint64, tag = "2")]
    version: u64,
    #[prost(bytes = "vec", tag = "3")]
    event: Vec<u8>,
}

/// Appends the record's bytes.
///
/// # Panics
/// When an event is of another kind than its entity: a bug.
pub fn encode_record(record: &Record, bytes: &mut Vec<u8>) {
    let entries = record.entries.iter().map(write_entry).collect();
    let trace = record.trace.map(|link| link.to_bytes().to_vec()).unwrap_or_default();
    let message = RecordMessage { at: record.at.0, entries, trace };
    bytes.reserve(message.encoded_len());
    message.encode_raw(bytes);
}

fn write_entry(entry: &Entry) -> EntryMessage {
    let event = match (&entry.entity, &entry.event) {
        (EntityId::Sku(_), Event::Sku(event)) => sku::codec::encode_event(event),
        (EntityId::Cart(_), Event::Cart(event)) => cart::codec::encode_event(event),
        (EntityId::Order(_), Event::Order(event)) => order::codec::encode_event(event),
        (EntityId::Shop, Event::Shop(event)) => shop::codec::encode_event(event),
        (entity, event) => panic!("{event:?} cannot happen to {entity}"),
    };
    EntryMessage { entity: entry.entity.key(), version: entry.version, event }
}

/// The record of these bytes.
///
/// # Errors
/// [`Error`] when they are none that this version knows.
pub fn decode_record(bytes: &[u8]) -> Result<Record, Error> {
    let message = RecordMessage::decode(bytes)?;
    let entries: Vec<Entry> = message.entries.iter().map(read_entry).collect::<Result<_, _>>()?;
    if entries.is_empty() {
        return Err(Error::Missing("entries"));
    }
    Ok(Record { at: Timestamp(message.at), entries, trace: wire::read_trace(&message.trace)? })
}

fn read_entry(message: &EntryMessage) -> Result<Entry, Error> {
    let entity = EntityId::from_key(&message.entity).ok_or(Error::Invalid("entity"))?;
    let event = match &entity {
        EntityId::Sku(_) => Event::Sku(sku::codec::decode_event(&message.event)?),
        EntityId::Cart(_) => Event::Cart(cart::codec::decode_event(&message.event)?),
        EntityId::Order(_) => Event::Order(order::codec::decode_event(&message.event)?),
        EntityId::Shop => Event::Shop(shop::codec::decode_event(&message.event)?),
    };
    Ok(Entry { entity, version: message.version, event })
}
