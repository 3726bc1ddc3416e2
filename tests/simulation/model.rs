//! The reference: what the committed log adds up to, in plain maps and sums. It knows nothing of the aggregates, and is
//! kept so simple that it can be believed.

use stampede::journal::Committed;
use stampede_actors::cart;
use stampede_actors::ids::{BuyerRef, CartId, EntityId, HoldId, LocationId, OpId, OrderId, SkuId};
use stampede_actors::money::Money;
use stampede_actors::order::{self, Answer, Placement, Step};
use stampede_actors::record::{Entry, Event, Record, Version};
use stampede_actors::sku::{self, Part};
use stampede_actors::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Units at one location.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    pub on_hand: i64,
    pub held: i64,
    pub allocated: i64,
}

/// One SKU.
#[derive(Debug, Default)]
pub struct Shelf {
    pub places: BTreeMap<LocationId, Place>,
    pub claims: BTreeMap<HoldId, Claim>,
    /// Operations that moved units: each once.
    operations: BTreeSet<Operation>,
    /// Units that came in from outside.
    pub received: i64,
}

type Operation = (&'static str, HoldId, OpId);

/// One hold, through all its lives.
#[derive(Debug)]
pub struct Claim {
    pub buyer: BuyerRef,
    pub units: i64,
    /// Where what is left of it is.
    pub left: BTreeMap<LocationId, i64>,
    pub is_firm: bool,
    pub grants: u32,
    pub ends: u32,
}

/// One order.
#[derive(Debug)]
pub struct Bought {
    pub placement: Placement,
    pub total: Money,
    pub at: Timestamp,
    pub operations: BTreeSet<OpId>,
    pub captured: i64,
    pub refunded: i64,
    refunds: BTreeMap<OpId, i64>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Model {
    pub versions: BTreeMap<EntityId, Version>,
    pub skus: BTreeMap<SkuId, Shelf>,
    pub orders: BTreeMap<OrderId, Bought>,
    pub carts: BTreeMap<CartId, OrderId>,
    /// What cannot be, in the words of this file.
    pub wrong: Vec<String>,
}

impl Model {
    /// Takes in a committed frame.
    pub fn frame(&mut self, frame: &Committed) {
        frame.records.iter().for_each(|record| self.record(record));
    }

    fn record(&mut self, record: &Record) {
        for Entry { entity, version, event } in &record.entries {
            let before = self.versions.insert(entity.clone(), *version).unwrap_or_default();
            if *version != before + 1 {
                self.wrong.push(format!("version {version} of {entity} follows version {before}"));
            }
            match (entity, event) {
                (EntityId::Sku(sku), Event::Sku(event)) => {
                    let broken = self.skus.entry(sku.clone()).or_default().event(event);
                    self.wrong.extend(broken.map(|what| format!("{sku}: {what}")));
                }
                (EntityId::Order(order), Event::Order(event)) => {
                    let broken = self.order(*order, event);
                    self.wrong.extend(broken.map(|what| format!("{order}: {what}")));
                }
                (EntityId::Cart(cart), Event::Cart(cart::Event::CheckedOut { order, .. })) => {
                    // The order's half of the record comes first.
                    let is_its = self.orders.get(order).is_some_and(|bought| bought.placement.cart == Some(*cart));
                    if self.carts.insert(*cart, *order).is_some() || !is_its {
                        self.wrong.push(format!("{cart} is checked out as {order}, twice or without it"));
                    }
                }
                (EntityId::Cart(_), Event::Cart(_)) | (EntityId::Shop, Event::Shop(_)) => {}
                (entity, _) => self.wrong.push(format!("{entity} has an event of another kind")),
            }
        }
    }

    fn order(&mut self, id: OrderId, event: &order::Event) -> Option<String> {
        use order::Event;
        if let Event::Placed { placement, total, at, .. } = event {
            for line in &placement.lines {
                let claim = self.skus.get(&line.sku).and_then(|shelf| shelf.claims.get(&line.hold));
                let parts: BTreeMap<_, _> =
                    line.parts.iter().map(|part| (part.location.clone(), i64::from(part.units))).collect();
                if !claim.is_some_and(|claim| claim.left == parts && claim.buyer == placement.buyer) {
                    return Some(format!("placed without the units of {}", line.sku));
                }
            }
            let bought = Bought {
                placement: placement.clone(),
                total: *total,
                at: *at,
                operations: BTreeSet::new(),
                captured: 0,
                refunded: 0,
                refunds: BTreeMap::new(),
            };
            let before = self.orders.insert(id, bought);
            return before.map(|_| "placed a second time".to_owned());
        }
        let Some(bought) = self.orders.get_mut(&id) else { return Some("not placed".to_owned()) };
        let operation = match event {
            Event::PaymentRetried { payment, .. } => Some(*payment),
            Event::CancelRequested { cancel, .. } => Some(*cancel),
            Event::RefundRequested { refund, amount, .. } => {
                bought.refunds.insert(*refund, amount.minor);
                Some(*refund)
            }
            Event::Shipped { shipment, .. } => Some(*shipment),
            Event::Returned { return_id, .. } => Some(*return_id),
            Event::Answered { step: Step::Capture { .. }, answer: Answer::Done { .. }, .. } => {
                bought.captured += bought.total.minor;
                if bought.captured > bought.total.minor {
                    return Some("paid twice".to_owned());
                }
                None
            }
            Event::Answered { step: Step::Refund { refund }, answer: Answer::Done { .. }, .. } => {
                bought.refunded += bought.refunds.get(refund).copied().unwrap_or(i64::MAX / 2);
                if bought.refunded > bought.captured {
                    return Some("more went back than was paid".to_owned());
                }
                None
            }
            _ => None,
        };
        // A cancellation's refund bears its id.
        let again = operation.filter(|operation| !bought.operations.insert(*operation));
        again.filter(|_| !matches!(event, Event::RefundRequested { .. })).map(|id| format!("{id} is done twice"))
    }

    /// Holds and allocations that stand.
    pub fn standing(&self) -> impl Iterator<Item = (&SkuId, &HoldId, &Claim)> {
        let claims = self.skus.iter().flat_map(|(sku, shelf)| shelf.claims.iter().map(move |(id, c)| (sku, id, c)));
        claims.filter(|(_, _, claim)| claim.grants != claim.ends)
    }
}

impl Shelf {
    fn event(&mut self, event: &sku::Event) -> Option<String> {
        use sku::Event;
        let broken = match event {
            Event::Received { receipt, location, units, .. } => {
                self.place(location).on_hand += i64::from(*units);
                self.received += i64::from(*units);
                self.once(("receipt", HoldId(0), *receipt))
            }
            Event::Adjusted { adjustment, location, delta, .. } => {
                self.place(location).on_hand += delta;
                self.once(("adjustment", HoldId(0), *adjustment))
            }
            Event::Held { hold, buyer, parts, .. } => self.held(*hold, buyer, parts),
            Event::Adopted { hold, .. } | Event::Extended { hold, .. } => self.stands(*hold, false),
            Event::Ended { hold, .. } => self.stands(*hold, false).or_else(|| self.end(*hold)),
            Event::Allocated { hold, .. } => self.stands(*hold, false).or_else(|| {
                let claim = self.claims.get_mut(hold)?;
                claim.is_firm = true;
                for (location, units) in claim.left.clone() {
                    let place = self.place(&location);
                    place.held -= units;
                    place.allocated += units;
                }
                None
            }),
            Event::Shipped { hold, shipment, parts, .. } => {
                let again = self.once(("shipment", *hold, *shipment));
                again.or_else(|| self.take_out(*hold, parts, false))
            }
            Event::AllocationReduced { hold, reduction, parts, restock, .. } => {
                let again = self.once(("reduction", *hold, *reduction));
                again.or_else(|| self.take_out(*hold, parts, *restock))
            }
            Event::AllocationCancelled { hold, .. } => self.stands(*hold, true).or_else(|| self.end(*hold)),
            Event::Returned { hold, return_id, location, units, restock, .. } => {
                self.place(location).on_hand += if *restock { i64::from(*units) } else { 0 };
                self.once(("return", *hold, *return_id))
            }
            Event::Listed(_) | Event::LocationSet { .. } | Event::Paused | Event::Resumed => None,
        };
        broken.or_else(|| self.oversold())
    }

    fn place(&mut self, location: &LocationId) -> &mut Place {
        self.places.entry(location.clone()).or_default()
    }

    fn once(&mut self, operation: Operation) -> Option<String> {
        let again = !self.operations.insert(operation);
        again.then(|| format!("{} {} {} is done twice", operation.0, operation.1, operation.2))
    }

    fn held(&mut self, hold: HoldId, buyer: &BuyerRef, parts: &[Part]) -> Option<String> {
        for part in parts {
            self.place(&part.location).held += i64::from(part.units);
        }
        let left: BTreeMap<_, _> = parts.iter().map(|part| (part.location.clone(), i64::from(part.units))).collect();
        let units = left.values().sum();
        let before = self.claims.remove(&hold);
        let (grants, ends) = before.as_ref().map_or((0, 0), |claim| (claim.grants, claim.ends));
        let sold = before.is_some_and(|claim| claim.is_firm);
        self.claims.insert(hold, Claim { buyer: buyer.clone(), units, left, is_firm: false, grants: grants + 1, ends });
        (sold || grants != ends).then(|| format!("{hold} is granted while it stands, or after it was sold"))
    }

    fn stands(&self, hold: HoldId, firm: bool) -> Option<String> {
        let claim = self.claims.get(&hold).filter(|claim| claim.grants == claim.ends + 1);
        let stands = claim.is_some_and(|claim| claim.is_firm == firm);
        (!stands).then(|| format!("{hold} does not stand, or not as {}", if firm { "an allocation" } else { "a hold" }))
    }

    /// Gives back what is left.
    fn end(&mut self, hold: HoldId) -> Option<String> {
        let claim = self.claims.get_mut(&hold)?;
        claim.ends += 1;
        let (left, is_firm) = (std::mem::take(&mut claim.left), claim.is_firm);
        for (location, units) in left {
            let place = self.place(&location);
            *(if is_firm { &mut place.allocated } else { &mut place.held }) -= units;
        }
        None
    }

    fn take_out(&mut self, hold: HoldId, parts: &[Part], stays: bool) -> Option<String> {
        let broken = self.stands(hold, true);
        for part in parts {
            let units = i64::from(part.units);
            let place = self.place(&part.location);
            place.allocated -= units;
            place.on_hand -= if stays { 0 } else { units };
            let left = self.claims.get_mut(&hold)?.left.get_mut(&part.location)?;
            *left -= units;
            if *left < 0 {
                return Some(format!("{hold} has fewer units than leave it"));
            }
        }
        let claim = self.claims.get_mut(&hold)?;
        claim.ends += u32::from(claim.left.values().all(|units| *units == 0));
        broken
    }

    fn oversold(&self) -> Option<String> {
        let sound =
            |place: &Place| place.held >= 0 && place.allocated >= 0 && place.held + place.allocated <= place.on_hand;
        let (location, place) = self.places.iter().find(|(_, place)| !sound(place))?;
        Some(format!("oversold at {location}: {place:?}"))
    }
}

impl Shelf {
    /// Did this delivery come in?
    pub fn has_received(&self, receipt: OpId) -> bool {
        self.operations.contains(&("receipt", HoldId(0), receipt))
    }
}
