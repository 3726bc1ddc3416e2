//! The warehouse's own account: what it was asked to ship, what was called off, what left.

use super::rows::{self, Walk};
use crate::store::{Batch, Failure, MemoryStore, Store, Table};
use crate::workflows::warehouse::{CallOff, Dispatched, Request};
use serde::{Deserialize, Serialize};
use stampede_actors::ids::{LocationId, OpId, OrderId, Reference};
use stampede_actors::order::{Answer, LineUnits};
use stampede_actors::sku::Units;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

type Place = (OrderId, LocationId);

/// What is known of one request, which may come after its call-offs.
#[derive(Debug, Default, Serialize, Deserialize)]
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

    fn waits(&self) -> bool {
        self.accepted && !self.shipped && !self.left().is_empty()
    }
}

/// The warehouse without its clock and its waiting: a simulator can step it. Its account is in a store of its own, and
/// what it still has to do is in tables of their own.
pub struct Depot {
    store: Arc<dyn Store>,
}

impl Default for Depot {
    fn default() -> Depot {
        Depot::kept_in(Arc::new(MemoryStore::default()))
    }
}

impl Depot {
    /// Opens or begins the account in this directory. Reads nothing of it.
    ///
    /// # Errors
    /// When it cannot be read or written, or is in use.
    pub fn open(directory: &Path) -> io::Result<Depot> {
        Ok(Depot::kept_in(rows::open(directory)?))
    }

    /// Opens the account in this store.
    pub(super) fn kept_in(store: Arc<dyn Store>) -> Depot {
        Depot { store }
    }

    /// Tells when nothing can be written down any more.
    #[must_use]
    pub fn failure(&self) -> Failure {
        self.store.failure()
    }

    /// Accepts a request. Says whether it is new.
    ///
    /// # Errors
    /// When it cannot be written down: then it was not accepted.
    pub fn request(&mut self, request: &Request) -> io::Result<bool> {
        let place = (request.order, request.location.clone());
        let mut parcel = self.parcel(&place)?;
        if parcel.accepted {
            return Ok(false);
        }
        parcel.accepted = true;
        parcel.lines = request.lines.iter().map(|line| (line.line, line.units)).collect();
        let mut batch = Batch::default();
        rows::put(&mut batch, Table::Parcels, &key(&place), &parcel)?;
        if parcel.waits() {
            batch.put(Table::ToShip, &key(&place), Vec::new());
        }
        rows::keep(&*self.store, &batch)?;
        Ok(true)
    }

    /// Agrees not to ship these units, or does not, as a whole; for good.
    ///
    /// # Errors
    /// When it cannot be written down: then nothing is agreed.
    pub fn call_off(&mut self, call_off: &CallOff) -> io::Result<Answer> {
        let name = [call_off.order.0.to_be_bytes(), call_off.refund.0.to_be_bytes()].concat();
        let agreed = match rows::find(&*self.store, Table::CallOffs, &name)? {
            Some(agreed) => agreed,
            None => self.answer_call_off(&name, call_off)?,
        };
        Ok(match agreed {
            true => Answer::Done { reference: None },
            false => Answer::Refused { code: "already_shipped".to_owned() },
        })
    }

    fn answer_call_off(&mut self, name: &[u8], call_off: &CallOff) -> io::Result<bool> {
        let mut parcels: BTreeMap<Place, Parcel> = BTreeMap::new();
        for part in &call_off.parts {
            let place = (call_off.order, part.location.clone());
            if !parcels.contains_key(&place) {
                let parcel = self.parcel(&place)?;
                parcels.insert(place.clone(), parcel);
            }
            parcels.entry(place).or_default().called_off.push((part.line, part.units));
        }
        let agreed = parcels.values().all(|parcel| !parcel.shipped);
        let mut batch = Batch::default();
        rows::put(&mut batch, Table::CallOffs, name, &agreed)?;
        for (place, parcel) in parcels.iter().filter(|_| agreed) {
            rows::put(&mut batch, Table::Parcels, &key(place), parcel)?;
            if parcel.accepted && !parcel.waits() {
                batch.delete(Table::ToShip, &key(place));
            }
        }
        rows::keep(&*self.store, &batch)?;
        Ok(agreed)
    }

    /// Ships what is left of a request. `None`: nothing is.
    ///
    /// # Errors
    /// When it cannot be written down: then nothing left.
    pub fn ship(&mut self, order: OrderId, location: &LocationId) -> io::Result<Option<Dispatched>> {
        let place = (order, location.clone());
        let mut parcel = self.parcel(&place)?;
        if !parcel.waits() {
            return Ok(None);
        }
        parcel.shipped = true;
        let mut batch = Batch::default();
        rows::put(&mut batch, Table::Parcels, &key(&place), &parcel)?;
        batch.delete(Table::ToShip, &key(&place));
        batch.put(Table::Unconfirmed, &shipment_id(&place).0.to_be_bytes(), key(&place));
        rows::keep(&*self.store, &batch)?;
        Ok(Some(dispatched(&place, &parcel)))
    }

    /// The order has taken the shipment in: it need not be reported again.
    ///
    /// # Errors
    /// When it cannot be written down: then it will be.
    pub fn confirm(&mut self, shipment: OpId) -> io::Result<()> {
        let key = shipment.0.to_be_bytes();
        if !self.store.contains(Table::Unconfirmed, &key).map_err(io::Error::other)? {
            return Ok(());
        }
        let mut batch = Batch::default();
        batch.delete(Table::Unconfirmed, &key);
        rows::keep(&*self.store, &batch)
    }

    /// Requests that wait for being shipped now, in a fixed order, read as they are asked for.
    pub fn to_ship(&self) -> impl Iterator<Item = io::Result<(OrderId, LocationId)>> + use<> {
        Walk::of(&*self.store, Table::ToShip).map(|row| place(&row?.0))
    }

    /// Shipments that no order has confirmed yet, in a fixed order, read as they are asked for.
    pub fn unconfirmed(&self) -> impl Iterator<Item = io::Result<Dispatched>> + use<> {
        let store = Arc::clone(&self.store);
        Walk::of(&*self.store, Table::Unconfirmed).map(move |row| {
            let place = place(&row?.1)?;
            Ok(dispatched(&place, &parcel(&*store, &place)?))
        })
    }

    fn parcel(&self, place: &Place) -> io::Result<Parcel> {
        parcel(&*self.store, place)
    }
}

fn parcel(store: &dyn Store, place: &Place) -> io::Result<Parcel> {
    Ok(rows::find(store, Table::Parcels, &key(place))?.unwrap_or_default())
}

fn dispatched(place: &Place, parcel: &Parcel) -> Dispatched {
    let shipment = shipment_id(place);
    let tracking = Reference::new(&format!("track-{:016x}", shipment.0 as u64)).ok();
    Dispatched { order: place.0, shipment, location: place.1.clone(), lines: parcel.left(), tracking }
}

fn key((order, location): &Place) -> Vec<u8> {
    [&order.0.to_be_bytes()[..], location.as_str().as_bytes()].concat()
}

fn place(key: &[u8]) -> io::Result<Place> {
    let no_place = || io::Error::new(io::ErrorKind::InvalidData, "a key that names no order and location");
    let (order, location) = key.split_first_chunk().ok_or_else(no_place)?;
    let location = std::str::from_utf8(location).ok().and_then(|text| LocationId::new(text).ok());
    Ok((OrderId(u128::from_be_bytes(*order)), location.ok_or_else(no_place)?))
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
