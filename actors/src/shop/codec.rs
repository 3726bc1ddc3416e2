//! Bytes of the shop's events and of its snapshot.

use super::{Action, Deed, Event, Known, Shop, What, Words};
use crate::codec::Error;
use crate::codec::wire::{Bits, read_all, read_bits, read_text};
use crate::ids::OpId;
use crate::time::Timestamp;
use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
struct ActionMessage {
    #[prost(int64, tag = "1")]
    at: i64,
    #[prost(message, optional, tag = "2")]
    id: Option<Bits>,
    #[prost(fixed64, tag = "3")]
    fingerprint: u64,
    #[prost(string, tag = "4")]
    by: String,
    /// Its place in [`What::ALL`], from 1.
    #[prost(uint32, tag = "5")]
    what: u32,
    /// Empty: nothing.
    #[prost(string, tag = "6")]
    subject: String,
    #[prost(string, tag = "7")]
    reason: String,
}

#[derive(Clone, PartialEq, Message)]
struct EventMessage {
    #[prost(oneof = "Kind", tags = "1")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Kind {
    #[prost(message, tag = "1")]
    Acted(ActionMessage),
}

#[derive(Clone, PartialEq, Message)]
struct StateMessage {
    #[prost(int64, optional, tag = "1")]
    paused_at: Option<i64>,
    #[prost(message, repeated, tag = "2")]
    actions: Vec<ActionMessage>,
    #[prost(message, repeated, tag = "3")]
    known: Vec<KnownMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct KnownMessage {
    #[prost(message, optional, tag = "1")]
    id: Option<Bits>,
    #[prost(fixed64, tag = "2")]
    fingerprint: u64,
    #[prost(int64, tag = "3")]
    at: i64,
}

/// The event's bytes.
#[must_use]
pub fn encode_event(event: &Event) -> Vec<u8> {
    let Event::Acted(action) = event;
    EventMessage { kind: Some(Kind::Acted(write(action))) }.encode_to_vec()
}

/// The event of these bytes.
///
/// # Errors
/// [`Error`] when they are none that this version knows.
pub fn decode_event(bytes: &[u8]) -> Result<Event, Error> {
    match EventMessage::decode(bytes)?.kind.ok_or(Error::UnknownEvent("shop"))? {
        Kind::Acted(action) => Ok(Event::Acted(read(&action)?)),
    }
}

/// The snapshot's bytes.
#[must_use]
pub fn encode_state(shop: &Shop) -> Vec<u8> {
    let paused_at = shop.paused_at.map(|at| at.0);
    let known =
        |known: &Known| KnownMessage { id: Some(known.id.0.into()), fingerprint: known.fingerprint, at: known.at.0 };
    let known = shop.known.iter().map(known).collect();
    StateMessage { paused_at, actions: shop.actions.iter().map(write).collect(), known }.encode_to_vec()
}

/// The shop of a snapshot's bytes.
///
/// # Errors
/// [`Error`] when they are none that this version knows.
pub fn decode_state(bytes: &[u8]) -> Result<Shop, Error> {
    let StateMessage { paused_at, actions, known } = StateMessage::decode(bytes)?;
    let known = read_all(&known, |known| {
        let (id, at) = (OpId(read_bits(known.id, "id")?), Timestamp(known.at));
        Ok(Known { id, fingerprint: known.fingerprint, at })
    })?;
    let (actions, known) = (read_all(&actions, read)?.into(), known.into());
    Ok(Shop { paused_at: paused_at.map(Timestamp), actions, known })
}

fn write(action: &Action) -> ActionMessage {
    let Action { deed, at } = action;
    ActionMessage {
        at: at.0,
        id: Some(deed.id.0.into()),
        fingerprint: deed.fingerprint,
        by: deed.by.to_string(),
        what: What::ALL.iter().position(|what| *what == deed.what).map_or(0, |place| place as u32 + 1),
        subject: deed.subject.as_ref().map(Words::to_string).unwrap_or_default(),
        reason: deed.reason.to_string(),
    }
}

fn read(message: &ActionMessage) -> Result<Action, Error> {
    let place = (message.what as usize).checked_sub(1);
    let what = place.and_then(|place| What::ALL.get(place)).ok_or(Error::Invalid("what"))?;
    let words = |text: &str, name| Words::new(text).map_err(|_| Error::Invalid(name));
    let subject = if message.subject.is_empty() { None } else { Some(words(&message.subject, "subject")?) };
    let deed = Deed {
        id: OpId(read_bits(message.id, "id")?),
        fingerprint: message.fingerprint,
        by: read_text(&message.by, "by")?,
        what: *what,
        subject,
        reason: words(&message.reason, "reason")?,
    };
    Ok(Action { deed, at: Timestamp(message.at) })
}
