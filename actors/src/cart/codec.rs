//! Bytes of a cart's events and of its snapshot.

use super::{Cart, Event, Line, State};
use crate::codec::Error;
use crate::codec::wire::{self, Bits, read_all, read_bits, read_money, read_optional_text, read_text, required};
use crate::ids::OrderId;
use crate::time::{Span, Timestamp};
use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
struct LineMessage {
    #[prost(string, tag = "1")]
    sku: String,
    #[prost(string, tag = "2")]
    seller: String,
    #[prost(uint32, tag = "3")]
    units: u32,
    #[prost(message, optional, tag = "4")]
    unit_price: Option<wire::Money>,
}

#[derive(Clone, PartialEq, Message)]
struct EventMessage {
    /// Every event of a cart has a time.
    #[prost(int64, tag = "1")]
    at: i64,
    #[prost(oneof = "Kind", tags = "2, 3, 4, 5, 6")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Kind {
    #[prost(message, tag = "2")]
    Opened(OpenedMessage),
    #[prost(message, tag = "3")]
    LineSet(LineMessage),
    /// The SKU whose line is gone.
    #[prost(string, tag = "4")]
    LineRemoved(String),
    /// The order.
    #[prost(message, tag = "5")]
    CheckedOut(Bits),
    #[prost(message, tag = "6")]
    Abandoned(Nothing),
}

#[derive(Clone, PartialEq, Message)]
struct OpenedMessage {
    #[prost(string, tag = "1")]
    buyer: String,
    #[prost(int64, tag = "2")]
    ttl: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

#[derive(Clone, PartialEq, Message)]
struct StateMessage {
    /// 0 unopened, 1 open, 2 checked out, 3 abandoned.
    #[prost(uint32, tag = "1")]
    state: u32,
    #[prost(string, tag = "2")]
    buyer: String,
    #[prost(int64, tag = "3")]
    ttl: i64,
    #[prost(int64, tag = "4")]
    changed_at: i64,
    #[prost(message, repeated, tag = "5")]
    lines: Vec<LineMessage>,
    #[prost(message, optional, tag = "6")]
    order: Option<Bits>,
}

/// The event's bytes.
#[must_use]
pub fn encode_event(event: &Event) -> Vec<u8> {
    let (at, kind) = match event {
        Event::Opened { buyer, ttl, at } => (at, Kind::Opened(OpenedMessage { buyer: buyer.to_string(), ttl: ttl.0 })),
        Event::LineSet { line, at } => (at, Kind::LineSet(write_line(line))),
        Event::LineRemoved { sku, at } => (at, Kind::LineRemoved(sku.to_string())),
        Event::CheckedOut { order, at } => (at, Kind::CheckedOut(order.0.into())),
        Event::Abandoned { at } => (at, Kind::Abandoned(Nothing {})),
    };
    EventMessage { at: at.0, kind: Some(kind) }.encode_to_vec()
}

/// The event of these bytes.
///
/// # Errors
/// [`Error`] when they are none that this version knows.
pub fn decode_event(bytes: &[u8]) -> Result<Event, Error> {
    let EventMessage { at, kind } = EventMessage::decode(bytes)?;
    let at = Timestamp(at);
    Ok(match kind.ok_or(Error::UnknownEvent("cart"))? {
        Kind::Opened(opened) => Event::Opened { buyer: read_text(&opened.buyer, "buyer")?, ttl: Span(opened.ttl), at },
        Kind::LineSet(line) => Event::LineSet { line: read_line(&line)?, at },
        Kind::LineRemoved(sku) => Event::LineRemoved { sku: read_text(&sku, "sku")?, at },
        Kind::CheckedOut(order) => Event::CheckedOut { order: OrderId(order.into()), at },
        Kind::Abandoned(Nothing {}) => Event::Abandoned { at },
    })
}

/// The snapshot's bytes.
#[must_use]
pub fn encode_state(cart: &Cart) -> Vec<u8> {
    let state = match cart.state {
        State::Unopened => 0,
        State::Open => 1,
        State::CheckedOut(_) => 2,
        State::Abandoned => 3,
    };
    StateMessage {
        state,
        buyer: cart.buyer.as_ref().map(ToString::to_string).unwrap_or_default(),
        ttl: cart.ttl.0,
        changed_at: cart.changed_at.0,
        lines: cart.lines.iter().map(write_line).collect(),
        order: cart.order().map(|order| order.0.into()),
    }
    .encode_to_vec()
}

/// The cart of a snapshot's bytes.
///
/// # Errors
/// [`Error`] when they are none that this version knows.
pub fn decode_state(bytes: &[u8]) -> Result<Cart, Error> {
    let message = StateMessage::decode(bytes)?;
    let state = match message.state {
        0 => State::Unopened,
        1 => State::Open,
        2 => State::CheckedOut(OrderId(read_bits(message.order, "order")?)),
        3 => State::Abandoned,
        _ => return Err(Error::Invalid("state")),
    };
    let buyer = read_optional_text(&message.buyer, "buyer")?;
    if state != State::Unopened {
        required(buyer.as_ref(), "buyer")?;
    }
    Ok(Cart {
        state,
        buyer,
        ttl: Span(message.ttl),
        changed_at: Timestamp(message.changed_at),
        lines: read_all(&message.lines, read_line)?,
    })
}

fn write_line(line: &Line) -> LineMessage {
    LineMessage {
        sku: line.sku.to_string(),
        seller: line.seller.to_string(),
        units: line.units,
        unit_price: Some(line.unit_price.into()),
    }
}

fn read_line(line: &LineMessage) -> Result<Line, Error> {
    Ok(Line {
        sku: read_text(&line.sku, "sku")?,
        seller: read_text(&line.seller, "seller")?,
        units: line.units,
        unit_price: read_money(line.unit_price, "unit_price")?,
    })
}
