//! Bytes of events. Stored for good: add tags, never change one.

use super::{ListingMessage, read_listing, write_listing};
use crate::codec::Error;
use crate::codec::wire::{self, Bits, parts, read_bits, read_parts, read_text};
use crate::ids::{HoldId, OpId, OrderId};
use crate::sku::{End, Event, Reason};
use crate::time::Timestamp;
use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
struct EventMessage {
    /// Zero for the kinds that have none of their own: their record has one.
    #[prost(int64, tag = "1")]
    at: i64,
    #[prost(oneof = "Kind", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Kind {
    #[prost(message, tag = "2")]
    Held(HeldMessage),
    #[prost(message, tag = "3")]
    Ended(EndedMessage),
    #[prost(message, tag = "4")]
    Allocated(ForOrder),
    #[prost(message, tag = "5")]
    Shipped(Taken),
    #[prost(message, tag = "6")]
    Extended(ExtendedMessage),
    #[prost(message, tag = "7")]
    Adopted(ForOrder),
    /// The hold.
    #[prost(message, tag = "8")]
    AllocationCancelled(Bits),
    #[prost(message, tag = "9")]
    AllocationReduced(Taken),
    #[prost(message, tag = "10")]
    Returned(ReturnedMessage),
    #[prost(message, tag = "11")]
    Received(ReceivedMessage),
    #[prost(message, tag = "12")]
    Adjusted(AdjustedMessage),
    #[prost(message, tag = "13")]
    Listed(ListingMessage),
    #[prost(message, tag = "14")]
    LocationSet(LocationSetMessage),
    #[prost(message, tag = "15")]
    Paused(Nothing),
    #[prost(message, tag = "16")]
    Resumed(Nothing),
}

#[derive(Clone, PartialEq, Message)]
struct HeldMessage {
    #[prost(message, optional, tag = "1")]
    hold: Option<Bits>,
    #[prost(string, tag = "2")]
    buyer: String,
    #[prost(message, optional, tag = "3")]
    order: Option<Bits>,
    #[prost(message, repeated, tag = "4")]
    parts: Vec<wire::Part>,
    #[prost(int64, tag = "5")]
    expires_at: i64,
    #[prost(bool, tag = "6")]
    tentative: bool,
}

#[derive(Clone, PartialEq, Message)]
struct EndedMessage {
    #[prost(message, optional, tag = "1")]
    hold: Option<Bits>,
    /// 1 released, 2 expired.
    #[prost(uint32, tag = "2")]
    how: u32,
}

#[derive(Clone, PartialEq, Message)]
struct ForOrder {
    #[prost(message, optional, tag = "1")]
    hold: Option<Bits>,
    #[prost(message, optional, tag = "2")]
    order: Option<Bits>,
}

#[derive(Clone, PartialEq, Message)]
struct Taken {
    #[prost(message, optional, tag = "1")]
    hold: Option<Bits>,
    /// The shipment or reduction.
    #[prost(message, optional, tag = "2")]
    operation: Option<Bits>,
    #[prost(message, repeated, tag = "3")]
    parts: Vec<wire::Part>,
    /// Of a reduction.
    #[prost(bool, tag = "4")]
    restock: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ExtendedMessage {
    #[prost(message, optional, tag = "1")]
    hold: Option<Bits>,
    #[prost(int64, tag = "2")]
    expires_at: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ReturnedMessage {
    #[prost(message, optional, tag = "1")]
    hold: Option<Bits>,
    #[prost(string, tag = "2")]
    buyer: String,
    #[prost(message, optional, tag = "3")]
    return_id: Option<Bits>,
    #[prost(string, tag = "4")]
    location: String,
    #[prost(uint32, tag = "5")]
    units: u32,
    #[prost(bool, tag = "6")]
    restock: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ReceivedMessage {
    #[prost(message, optional, tag = "1")]
    receipt: Option<Bits>,
    #[prost(fixed64, tag = "2")]
    fingerprint: u64,
    #[prost(string, tag = "3")]
    location: String,
    #[prost(uint32, tag = "4")]
    units: u32,
}

#[derive(Clone, PartialEq, Message)]
struct AdjustedMessage {
    #[prost(message, optional, tag = "1")]
    adjustment: Option<Bits>,
    #[prost(fixed64, tag = "2")]
    fingerprint: u64,
    #[prost(string, tag = "3")]
    location: String,
    #[prost(sint64, tag = "4")]
    delta: i64,
    /// 1 count, 2 damage, 3 loss, 4 found, 5 other.
    #[prost(uint32, tag = "5")]
    reason: u32,
    #[prost(string, tag = "6")]
    reference: String,
}

#[derive(Clone, PartialEq, Message)]
struct LocationSetMessage {
    #[prost(string, tag = "1")]
    location: String,
    #[prost(uint32, tag = "2")]
    priority: u32,
    #[prost(uint32, tag = "3")]
    safety_stock: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

fn bits(id: u128) -> Option<Bits> {
    Some(id.into())
}

/// The event's bytes.
#[must_use]
pub fn encode_event(event: &Event) -> Vec<u8> {
    let (at, kind) = match event {
        Event::Held { hold, buyer, order, parts: places, at, expires_at, tentative } => (
            *at,
            Kind::Held(HeldMessage {
                hold: bits(hold.0),
                buyer: buyer.to_string(),
                order: order.and_then(|order| bits(order.0)),
                parts: parts(places),
                expires_at: expires_at.0,
                tentative: *tentative,
            }),
        ),
        Event::Ended { hold, how, at } => {
            let how = match how {
                End::Released => 1,
                End::Expired => 2,
            };
            (*at, Kind::Ended(EndedMessage { hold: bits(hold.0), how }))
        }
        Event::Allocated { hold, order, at } => {
            (*at, Kind::Allocated(ForOrder { hold: bits(hold.0), order: bits(order.0) }))
        }
        Event::Shipped { hold, shipment, parts: places, at } => {
            let (hold, operation) = (bits(hold.0), bits(shipment.0));
            let taken = Taken { hold, operation, parts: parts(places), restock: false };
            (*at, Kind::Shipped(taken))
        }
        Event::Extended { hold, expires_at } => {
            let extended = ExtendedMessage { hold: bits(hold.0), expires_at: expires_at.0 };
            (Timestamp::ZERO, Kind::Extended(extended))
        }
        Event::Adopted { hold, order } => {
            (Timestamp::ZERO, Kind::Adopted(ForOrder { hold: bits(hold.0), order: bits(order.0) }))
        }
        Event::AllocationCancelled { hold, at } => (*at, Kind::AllocationCancelled(hold.0.into())),
        Event::AllocationReduced { hold, reduction, parts: places, restock, at } => {
            let (hold, operation) = (bits(hold.0), bits(reduction.0));
            let taken = Taken { hold, operation, parts: parts(places), restock: *restock };
            (*at, Kind::AllocationReduced(taken))
        }
        Event::Returned { hold, buyer, return_id, location, units, restock, at } => (
            *at,
            Kind::Returned(ReturnedMessage {
                hold: bits(hold.0),
                buyer: buyer.to_string(),
                return_id: bits(return_id.0),
                location: location.to_string(),
                units: *units,
                restock: *restock,
            }),
        ),
        Event::Received { receipt, fingerprint, location, units, at } => (
            *at,
            Kind::Received(ReceivedMessage {
                receipt: bits(receipt.0),
                fingerprint: *fingerprint,
                location: location.to_string(),
                units: *units,
            }),
        ),
        Event::Adjusted { adjustment, fingerprint, location, delta, reason, reference, at } => (
            *at,
            Kind::Adjusted(AdjustedMessage {
                adjustment: bits(adjustment.0),
                fingerprint: *fingerprint,
                location: location.to_string(),
                delta: *delta,
                reason: match reason {
                    Reason::Count => 1,
                    Reason::Damage => 2,
                    Reason::Loss => 3,
                    Reason::Found => 4,
                    Reason::Other => 5,
                },
                reference: reference.to_string(),
            }),
        ),
        Event::Listed(listing) => (Timestamp::ZERO, Kind::Listed(write_listing(listing))),
        Event::LocationSet { location, priority, safety_stock } => {
            let (location, priority, safety_stock) = (location.to_string(), *priority, *safety_stock);
            (Timestamp::ZERO, Kind::LocationSet(LocationSetMessage { location, priority, safety_stock }))
        }
        Event::Paused => (Timestamp::ZERO, Kind::Paused(Nothing {})),
        Event::Resumed => (Timestamp::ZERO, Kind::Resumed(Nothing {})),
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
    let hold = |field| read_bits(field, "hold").map(HoldId);
    let order = |field| read_bits(field, "order").map(OrderId);
    let operation = |field, name| read_bits(field, name).map(OpId);
    Ok(match kind.ok_or(Error::UnknownEvent("sku"))? {
        Kind::Held(held) => Event::Held {
            hold: hold(held.hold)?,
            buyer: read_text(&held.buyer, "buyer")?,
            order: held.order.map(|order| OrderId(order.into())),
            parts: read_parts(&held.parts, "parts")?,
            at,
            expires_at: Timestamp(held.expires_at),
            tentative: held.tentative,
        },
        Kind::Ended(ended) => {
            let how = match ended.how {
                1 => End::Released,
                2 => End::Expired,
                _ => return Err(Error::Invalid("how")),
            };
            Event::Ended { hold: hold(ended.hold)?, how, at }
        }
        Kind::Allocated(who) => Event::Allocated { hold: hold(who.hold)?, order: order(who.order)?, at },
        Kind::Shipped(taken) => Event::Shipped {
            hold: hold(taken.hold)?,
            shipment: operation(taken.operation, "shipment")?,
            parts: read_parts(&taken.parts, "parts")?,
            at,
        },
        Kind::Extended(extended) => {
            Event::Extended { hold: hold(extended.hold)?, expires_at: Timestamp(extended.expires_at) }
        }
        Kind::Adopted(who) => Event::Adopted { hold: hold(who.hold)?, order: order(who.order)? },
        Kind::AllocationCancelled(id) => Event::AllocationCancelled { hold: HoldId(id.into()), at },
        Kind::AllocationReduced(taken) => Event::AllocationReduced {
            hold: hold(taken.hold)?,
            reduction: operation(taken.operation, "reduction")?,
            parts: read_parts(&taken.parts, "parts")?,
            restock: taken.restock,
            at,
        },
        Kind::Returned(returned) => Event::Returned {
            hold: hold(returned.hold)?,
            buyer: read_text(&returned.buyer, "buyer")?,
            return_id: operation(returned.return_id, "return_id")?,
            location: read_text(&returned.location, "location")?,
            units: returned.units,
            restock: returned.restock,
            at,
        },
        Kind::Received(received) => Event::Received {
            receipt: operation(received.receipt, "receipt")?,
            fingerprint: received.fingerprint,
            location: read_text(&received.location, "location")?,
            units: received.units,
            at,
        },
        Kind::Adjusted(adjusted) => Event::Adjusted {
            adjustment: operation(adjusted.adjustment, "adjustment")?,
            fingerprint: adjusted.fingerprint,
            location: read_text(&adjusted.location, "location")?,
            delta: adjusted.delta,
            reason: match adjusted.reason {
                1 => Reason::Count,
                2 => Reason::Damage,
                3 => Reason::Loss,
                4 => Reason::Found,
                5 => Reason::Other,
                _ => return Err(Error::Invalid("reason")),
            },
            reference: read_text(&adjusted.reference, "reference")?,
            at,
        },
        Kind::Listed(listing) => Event::Listed(read_listing(&listing)?),
        Kind::LocationSet(set) => Event::LocationSet {
            location: read_text(&set.location, "location")?,
            priority: set.priority,
            safety_stock: set.safety_stock,
        },
        Kind::Paused(Nothing {}) => Event::Paused,
        Kind::Resumed(Nothing {}) => Event::Resumed,
    })
}
