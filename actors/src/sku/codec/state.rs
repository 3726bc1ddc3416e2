//! Bytes of snapshots. What follows from the claims (held and allocated units, deadlines, buyers' claimed units) is not
//! written: it is counted again when it is read.

use super::remembered::{RememberedMessage, read_remembered, write_remembered};
use super::{ListingMessage, read_listing, write_listing};
use crate::codec::Error;
use crate::codec::wire::{self, Bits, parts, read_all, read_bits, read_parts, read_text, required};
use crate::ids::{HoldId, OrderId};
use crate::sku::HoldView;
use crate::sku::MAX_UNITS;
use crate::sku::memory::{Memory, RememberedKey};
use crate::sku::state::{Claim, LocationStock, Sku, Totals};
use crate::time::Timestamp;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct StateMessage {
    #[prost(message, optional, tag = "1")]
    listing: Option<ListingMessage>,
    #[prost(bool, tag = "2")]
    paused: bool,
    #[prost(message, repeated, tag = "3")]
    locations: Vec<LocationMessage>,
    /// By id, so that equal states have equal bytes.
    #[prost(message, repeated, tag = "4")]
    claims: Vec<ClaimMessage>,
    /// By buyer.
    #[prost(message, repeated, tag = "5")]
    shipped: Vec<ShippedMessage>,
    #[prost(message, repeated, tag = "6")]
    tentative: Vec<TentativeMessage>,
    #[prost(message, repeated, tag = "7")]
    memory: Vec<MemoryMessage>,
    /// The youngest that was dropped of operations, lapsed holds and sold holds; one more than its time, 0 for none.
    #[prost(int64, repeated, tag = "8")]
    dropped: Vec<i64>,
    #[prost(message, optional, tag = "9")]
    totals: Option<TotalsMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct LocationMessage {
    #[prost(string, tag = "1")]
    location: String,
    #[prost(uint32, tag = "2")]
    priority: u32,
    #[prost(uint32, tag = "3")]
    on_hand: u32,
    #[prost(uint32, tag = "4")]
    safety_stock: u32,
}

#[derive(Clone, PartialEq, Message)]
struct ClaimMessage {
    #[prost(message, optional, tag = "1")]
    hold: Option<Bits>,
    #[prost(string, tag = "2")]
    buyer: String,
    #[prost(message, optional, tag = "3")]
    order: Option<Bits>,
    #[prost(uint32, tag = "4")]
    units: u32,
    #[prost(message, repeated, tag = "5")]
    parts: Vec<wire::Part>,
    #[prost(int64, tag = "6")]
    created_at: i64,
    #[prost(int64, tag = "7")]
    expires_at: i64,
    #[prost(bool, tag = "8")]
    firm: bool,
    #[prost(bool, tag = "9")]
    tentative: bool,
    #[prost(bool, tag = "10")]
    named: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ShippedMessage {
    #[prost(string, tag = "1")]
    buyer: String,
    #[prost(uint32, tag = "2")]
    units: u32,
}

#[derive(Clone, PartialEq, Message)]
struct TentativeMessage {
    #[prost(int64, tag = "1")]
    made_at: i64,
    #[prost(message, optional, tag = "2")]
    hold: Option<Bits>,
}

#[derive(Clone, PartialEq, Message)]
struct MemoryMessage {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    remembered: Option<RememberedMessage>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct TotalsMessage {
    #[prost(uint64, tag = "1")]
    received: u64,
    #[prost(sint64, tag = "2")]
    adjusted: i64,
    #[prost(uint64, tag = "3")]
    shipped: u64,
    #[prost(uint64, tag = "4")]
    returned: u64,
    #[prost(uint64, tag = "5")]
    restocked: u64,
    #[prost(uint64, tag = "6")]
    written_off: u64,
}

/// The snapshot's bytes; equal states have equal bytes.
#[must_use]
pub fn encode_state(sku: &Sku) -> Vec<u8> {
    let mut claims: Vec<_> = sku.claims.iter().collect();
    claims.sort_unstable_by_key(|(hold, _)| **hold);
    encode(sku, claims.into_iter().map(|(hold, claim)| write_claim(*hold, claim)).collect())
}

/// The snapshot's bytes without the claims: a SKU may have a million of them, and few change at a time, so whoever
/// writes snapshots again and again gives each claim a row of its own ([`encode_claim`]).
#[must_use]
pub fn encode_without_claims(sku: &Sku) -> Vec<u8> {
    encode(sku, Vec::new())
}

/// The bytes of one claim; `None` when there is no such hold or allocation now.
#[must_use]
pub fn encode_claim(sku: &Sku, hold: HoldId) -> Option<Vec<u8>> {
    sku.claims.get(&hold).map(|claim| write_claim(hold, claim).encode_to_vec())
}

/// Gives a SKU that was read without its claims one of them back, and says which.
///
/// # Errors
/// [`Error`] when the bytes are none that this version knows, or claim what is not there or claimed already.
pub fn add_claim(sku: &mut Sku, bytes: &[u8]) -> Result<HoldId, Error> {
    let (hold, claim) = read_claim(&ClaimMessage::decode(bytes)?)?;
    if sku.claims.contains_key(&hold) {
        return Err(Error::Invalid("claim"));
    }
    count(sku, hold, &claim)?;
    sku.claims.insert(hold, Box::new(claim));
    Ok(hold)
}

/// A claim by itself, for whoever lists them.
///
/// # Errors
/// [`Error`] when the bytes are none that this version knows.
pub fn decode_claim(bytes: &[u8]) -> Result<(HoldId, HoldView), Error> {
    let (hold, claim) = read_claim(&ClaimMessage::decode(bytes)?)?;
    Ok((hold, claim.view()))
}

fn encode(sku: &Sku, claims: Vec<ClaimMessage>) -> Vec<u8> {
    let mut shipped: Vec<_> = sku.buyers.iter().filter(|(_, tally)| tally.shipped > 0).collect();
    shipped.sort_unstable_by_key(|(buyer, _)| *buyer);
    let Totals { received, adjusted, shipped: left, returned, restocked, written_off } = sku.totals;
    StateMessage {
        listing: sku.listing.as_ref().map(write_listing),
        paused: sku.paused,
        locations: sku.locations.iter().map(write_location).collect(),
        claims,
        shipped: shipped
            .into_iter()
            .map(|(buyer, tally)| ShippedMessage { buyer: buyer.to_string(), units: tally.shipped })
            .collect(),
        tentative: sku
            .tentative
            .iter()
            .map(|(made_at, hold)| TentativeMessage { made_at: made_at.0, hold: Some(hold.0.into()) })
            .collect(),
        memory: sku
            .memory
            .iter()
            .map(|(key, value)| MemoryMessage { key: key.to_bytes(), remembered: Some(write_remembered(&value)) })
            .collect(),
        dropped: sku.memory.dropped().iter().map(|at| at.map_or(0, |at| at.0.saturating_add(1))).collect(),
        totals: Some(TotalsMessage { received, adjusted, shipped: left, returned, restocked, written_off }),
    }
    .encode_to_vec()
}

/// The SKU of a snapshot's bytes.
///
/// # Errors
/// [`Error`] when they are none that this version knows, or claim more than there is.
pub fn decode_state(bytes: &[u8]) -> Result<Sku, Error> {
    let message = StateMessage::decode(bytes)?;
    let TotalsMessage { received, adjusted, shipped, returned, restocked, written_off } =
        required(message.totals, "totals")?;
    let mut sku = Sku {
        listing: message.listing.as_ref().map(read_listing).transpose()?,
        paused: message.paused,
        locations: read_all(&message.locations, read_location)?,
        totals: Totals { received, adjusted, shipped, returned, restocked, written_off },
        memory: read_memory(&message)?,
        ..Sku::default()
    };
    if sku.locations.iter().map(|stock| u64::from(stock.on_hand)).sum::<u64>() > u64::from(MAX_UNITS) {
        return Err(Error::Invalid("on_hand"));
    }
    for claim in &message.claims {
        let (hold, claim) = read_claim(claim)?;
        count(&mut sku, hold, &claim)?;
        sku.claims.insert(hold, Box::new(claim));
    }
    for shipped in &message.shipped {
        let buyer = read_text(&shipped.buyer, "buyer")?;
        sku.buyers.of(&buyer).shipped = shipped.units;
    }
    for tentative in &message.tentative {
        let hold = HoldId(read_bits(tentative.hold, "hold")?);
        sku.tentative.push_back((Timestamp(tentative.made_at), hold));
    }
    Ok(sku)
}

/// Counts what follows from a claim.
fn count(sku: &mut Sku, hold: HoldId, claim: &Claim) -> Result<(), Error> {
    for part in &claim.parts {
        let stock = sku.locations.iter_mut().find(|stock| stock.location == part.location);
        let stock = stock.ok_or(Error::Invalid("claim"))?;
        let claimed = if claim.firm { &mut stock.allocated } else { &mut stock.held };
        *claimed = claimed.checked_add(part.units).ok_or(Error::Invalid("claim"))?;
        if stock.held.checked_add(stock.allocated).is_none_or(|claimed| claimed > stock.on_hand) {
            return Err(Error::Invalid("claim"));
        }
    }
    sku.buyers.of(&claim.buyer).claimed += claim.left();
    if !claim.firm {
        sku.expiries.insert((claim.expires_at, hold));
    }
    Ok(())
}

fn write_location(stock: &LocationStock) -> LocationMessage {
    LocationMessage {
        location: stock.location.to_string(),
        priority: stock.priority,
        on_hand: stock.on_hand,
        safety_stock: stock.safety_stock,
    }
}

fn read_location(message: &LocationMessage) -> Result<LocationStock, Error> {
    Ok(LocationStock {
        location: read_text(&message.location, "location")?,
        priority: message.priority,
        on_hand: message.on_hand,
        held: 0,
        allocated: 0,
        safety_stock: message.safety_stock,
    })
}

fn write_claim(hold: HoldId, claim: &Claim) -> ClaimMessage {
    ClaimMessage {
        hold: Some(hold.0.into()),
        buyer: claim.buyer.to_string(),
        order: claim.order.map(|order| order.0.into()),
        units: claim.units,
        parts: parts(&claim.parts),
        created_at: claim.created_at.0,
        expires_at: claim.expires_at.0,
        firm: claim.firm,
        tentative: claim.tentative,
        named: claim.named,
    }
}

fn read_claim(message: &ClaimMessage) -> Result<(HoldId, Claim), Error> {
    let claim = Claim {
        buyer: read_text(&message.buyer, "buyer")?,
        order: message.order.map(|order| OrderId(order.into())),
        units: message.units,
        parts: read_parts(&message.parts, "parts")?,
        created_at: Timestamp(message.created_at),
        expires_at: Timestamp(message.expires_at),
        firm: message.firm,
        tentative: message.tentative,
        named: message.named,
    };
    Ok((HoldId(read_bits(message.hold, "hold")?), claim))
}

fn read_memory(message: &StateMessage) -> Result<Memory, Error> {
    let mut memory = Memory::default();
    for entry in &message.memory {
        let key = RememberedKey::from_bytes(&entry.key).ok_or(Error::Invalid("key"))?;
        memory.insert(key, read_remembered(required(entry.remembered.as_ref(), "remembered")?)?);
    }
    // There may be more of them than there is room for now: an earlier build kept more.
    let mut dropped = memory.dropped();
    for (dropped, &at) in dropped.iter_mut().zip(&message.dropped) {
        *dropped = (*dropped).max((at != 0).then(|| Timestamp(at.saturating_sub(1))));
    }
    memory.set_dropped(dropped);
    Ok(memory)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed step fails the test
    use super::*;
    use crate::ids::OpId;
    use crate::sku::{Remembered, What};

    #[test]
    fn s17_what_an_earlier_build_kept_and_this_one_does_not_is_known_to_be_dropped() {
        let receipt = |number: u128| {
            let remembered = Remembered { at: Timestamp(number as i64), what: What::Operation { fingerprint: 1 } };
            let key = RememberedKey::Receipt(OpId(number)).to_bytes();
            MemoryMessage { key, remembered: Some(write_remembered(&remembered)) }
        };
        let room = crate::sku::REMEMBERED_IN_MEMORY as u128;
        let mut message = StateMessage { memory: (1..=room + 2).map(receipt).collect(), ..StateMessage::default() };
        for (said, dropped) in [(vec![], 2), (vec![0, 0, 0], 2), (vec![2, 0, 0], 2), (vec![8, 0, 0], 7)] {
            message.dropped = said;
            let memory = read_memory(&message).unwrap();
            assert_eq!(memory.iter().count() as u128, room);
            assert_eq!(memory.dropped(), [Some(Timestamp(dropped)), None, None]);
        }
    }
}
