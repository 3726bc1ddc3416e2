//! The warehouse's own account: what it was asked to ship, what was called off, what left.

use super::lines::Lines;
use crate::workflows::warehouse::{CallOff, Dispatched, Request};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use stampede_actors::ids::{LocationId, OpId, OrderId, Reference};
use stampede_actors::order::{Answer, LineUnits};
use stampede_actors::sku::Units;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

type Place = (OrderId, LocationId);

/// One line of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
enum Entry {
    /// Accepted a request.
    Accepted { order: OrderId, location: LocationId, lines: Vec<(u32, Units)> },
    /// Answered a call-off; agreed or not.
    CalledOff { order: OrderId, refund: OpId, agreed: bool, parts: Vec<(u32, LocationId, Units)> },
    /// Units left.
    Shipped { order: OrderId, location: LocationId },
    /// The order has taken the shipment in.
    Confirmed { shipment: OpId },
}

#[derive(Debug, Default)]
struct Parcel {
    lines: Vec<(u32, Units)>,
    called_off: Vec<(u32, Units)>,
    accepted: bool,
    shipped: bool,
}

impl Parcel {
    fn left(&self) -> Vec<LineUnits> {
        let left = |&(line, units): &(u32, Units)| {
            let off: Units = self.called_off.iter().filter(|(of, _)| *of == line).map(|(_, units)| units).sum();
            LineUnits { line, units: units.saturating_sub(off) }
        };
        self.lines.iter().map(left).filter(|line| line.units > 0).collect()
    }
}

/// The warehouse without its clock and its waiting: a simulator can step it.
#[derive(Debug, Default)]
pub struct Depot {
    file: Option<Lines>,
    parcels: HashMap<Place, Parcel, FixedState>,
    to_ship: BTreeSet<Place>,
    /// Shipped, and no order has taken it in yet.
    unconfirmed: HashMap<OpId, Place, FixedState>,
    call_offs: HashMap<(OrderId, OpId), bool, FixedState>,
}

impl Depot {
    /// Opens or begins the account in this file.
    ///
    /// # Errors
    /// When it cannot be read or written, or makes no sense.
    pub fn open(path: &Path) -> io::Result<Depot> {
        let (file, entries) = Lines::open(path)?;
        let mut depot = Depot::default();
        entries.into_iter().for_each(|entry| depot.take_in(entry));
        depot.file = Some(file);
        Ok(depot)
    }

    /// Accepts a request. Says whether it is new.
    ///
    /// # Errors
    /// When it cannot be written down: then it was not accepted.
    pub fn request(&mut self, request: &Request) -> io::Result<bool> {
        let (order, location) = (request.order, request.location.clone());
        if self.parcels.get(&(order, location.clone())).is_some_and(|parcel| parcel.accepted) {
            return Ok(false);
        }
        let lines = request.lines.iter().map(|line| (line.line, line.units)).collect();
        self.record(Entry::Accepted { order, location, lines })?;
        Ok(true)
    }

    /// Agrees not to ship these units, or does not, as a whole; for good.
    ///
    /// # Errors
    /// When it cannot be written down: then nothing is agreed.
    pub fn call_off(&mut self, call_off: &CallOff) -> io::Result<Answer> {
        let (order, refund) = (call_off.order, call_off.refund);
        if !self.call_offs.contains_key(&(order, refund)) {
            let mut places = call_off.parts.iter().map(|part| (order, part.location.clone()));
            let agreed = !places.any(|place| self.parcels.get(&place).is_some_and(|parcel| parcel.shipped));
            let parts = call_off.parts.iter().map(|part| (part.line, part.location.clone(), part.units)).collect();
            self.record(Entry::CalledOff { order, refund, agreed, parts })?;
        }
        Ok(match self.call_offs.get(&(order, refund)) {
            Some(true) => Answer::Done { reference: None },
            _ => Answer::Refused { code: "already_shipped".to_owned() },
        })
    }

    /// Ships what is left of a request. `None`: nothing is.
    ///
    /// # Errors
    /// When it cannot be written down: then nothing left.
    pub fn ship(&mut self, order: OrderId, location: &LocationId) -> io::Result<Option<Dispatched>> {
        let place = (order, location.clone());
        if !self.to_ship.contains(&place) || self.parcels.get(&place).is_none_or(|parcel| parcel.left().is_empty()) {
            return Ok(None);
        }
        self.record(Entry::Shipped { order, location: location.clone() })?;
        Ok(self.dispatched(&place))
    }

    /// The order has taken the shipment in: it need not be reported again.
    ///
    /// # Errors
    /// When it cannot be written down: then it will be.
    pub fn confirm(&mut self, shipment: OpId) -> io::Result<()> {
        if self.unconfirmed.contains_key(&shipment) { self.record(Entry::Confirmed { shipment }) } else { Ok(()) }
    }

    /// Requests that have not been shipped, in a fixed order.
    pub fn to_ship(&self) -> impl Iterator<Item = &(OrderId, LocationId)> {
        self.to_ship.iter()
    }

    /// Shipments that no order has confirmed yet, in a fixed order.
    #[must_use]
    pub fn unconfirmed(&self) -> Vec<Dispatched> {
        let mut places: Vec<_> = self.unconfirmed.values().collect();
        places.sort();
        places.into_iter().filter_map(|place| self.dispatched(place)).collect()
    }

    fn dispatched(&self, place: &Place) -> Option<Dispatched> {
        let lines = self.parcels.get(place)?.left();
        let shipment = shipment_id(place);
        let tracking = Reference::new(&format!("track-{:016x}", shipment.0 as u64)).ok();
        Some(Dispatched { order: place.0, shipment, location: place.1.clone(), lines, tracking })
    }

    fn record(&mut self, entry: Entry) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.append(&entry)?;
        }
        self.take_in(entry);
        Ok(())
    }

    fn take_in(&mut self, entry: Entry) {
        match entry {
            Entry::Accepted { order, location, lines } => {
                let place = (order, location);
                let parcel = self.parcels.entry(place.clone()).or_default();
                parcel.accepted = true;
                parcel.lines = lines;
                self.to_ship.insert(place);
            }
            Entry::CalledOff { order, refund, agreed, parts } => {
                self.call_offs.insert((order, refund), agreed);
                for (line, location, units) in parts.into_iter().filter(|_| agreed) {
                    self.parcels.entry((order, location)).or_default().called_off.push((line, units));
                }
            }
            Entry::Shipped { order, location } => {
                let place = (order, location);
                self.to_ship.remove(&place);
                self.unconfirmed.insert(shipment_id(&place), place.clone());
                self.parcels.entry(place).or_default().shipped = true;
            }
            Entry::Confirmed { shipment } => {
                self.unconfirmed.remove(&shipment);
            }
        }
    }
}

/// The same for every report of the one shipment that an order gets from a location.
fn shipment_id((order, location): &Place) -> OpId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"simulated shipment");
    hasher.update(&order.0.to_be_bytes());
    hasher.update(location.as_str().as_bytes());
    let mut bits = [0; 16];
    bits.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    OpId(u128::from_be_bytes(bits))
}

#[cfg(test)]
mod tests;
