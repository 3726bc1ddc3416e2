//! What is known from outside about one run: what was committed, what clients were told, and what of it cannot be.

use crate::history::History;
use crate::model::Model;
use crate::plan::What;
use crate::request::{Promise, Request};
use crate::trace::Trace;
use stampede::feed::projection::{EntityState, Reader};
use stampede::journal::{Committed, Hash, Seq};
use stampede::verify::Ledger;
use stampede_actors::ids::{EntityId, OrderId};
use stampede_actors::money::Money;
use stampede_actors::order::{Order, Placement};
use stampede_actors::record::{Position, Version};
use stampede_actors::shell::{Done, View};
use stampede_actors::sku::{LocationStock, Sku};
use stampede_actors::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

/// What a run comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Processes that ended otherwise than by a clean stop, those that died while they started included.
    pub crashes: u64,
    /// Starts that went through after one of them.
    pub recoveries: u64,
    /// Requests that clients sent.
    pub operations: u64,
    /// Those that were acknowledged.
    pub acknowledged: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Operations whose history was found to be linearisable.
    pub linear: u64,
    /// Frames committed.
    pub frames: u64,
    /// Incomplete last frames that a start cut off.
    pub cuts: u64,
    /// Stores made afresh.
    pub rebuilt: u64,
    /// Bits flipped, and of those: noticed, without effect, and in the last frame before a crash.
    pub rotten: [u64; 4],
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        let Counts { crashes, recoveries, operations, acknowledged, refused, linear, frames, cuts, rebuilt, rotten } =
            other;
        self.crashes += crashes;
        self.recoveries += recoveries;
        self.operations += operations;
        self.acknowledged += acknowledged;
        self.refused += refused;
        self.linear += linear;
        self.frames += frames;
        self.cuts += cuts;
        self.rebuilt += rebuilt;
        self.rotten.iter_mut().zip(rotten).for_each(|(mine, other)| *mine += other);
    }
}

/// See the module.
#[derive(Default)]
pub struct Books {
    pub trace: Trace,
    pub counts: Counts,
    /// The first thing that cannot be.
    pub violation: Option<String>,
    pub model: Model,
    /// The server's own auditor, fed with the same frames.
    pub ledger: Ledger,
    /// Hashes of all frames that were published, by number.
    pub frames: Vec<Hash>,
    /// The last record that was published.
    pub head: Position,
    /// The highest version of each entity that a client was shown.
    shown: BTreeMap<EntityId, Version>,
    promises: BTreeSet<String>,
    /// Orders as they were first shown.
    orders: BTreeMap<OrderId, (Placement, Money, Timestamp)>,
    pub history: History,
    /// Asked, and never answered.
    pub unanswered: Vec<What>,
}

impl Books {
    /// This cannot be.
    pub fn violated(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.trace.line(format_args!("VIOLATION {what}"));
        self.violation.get_or_insert(what);
    }

    /// A frame is durable, and everybody is about to hear of it.
    pub fn published(&mut self, frame: &Committed) {
        self.trace.line(format_args!("frame {} {:02x?} {} records", frame.seq, &frame.hash[..4], frame.records.len()));
        self.counts.frames += 1;
        if frame.seq != self.frames.len() as Seq + 1 || frame.first.0 != self.head.0 + 1 {
            return self.violated(format!("frame {} is published after frame {}", frame.seq, self.frames.len()));
        }
        self.frames.push(frame.hash);
        self.head = frame.last();
        self.history.committed(frame);
        self.model.frame(frame);
        let wrong = std::mem::take(&mut self.model.wrong);
        wrong.into_iter().for_each(|what| self.violated(format!("reference: {what}")));
        for record in &frame.records {
            for violation in self.ledger.record(record) {
                self.violated(format!("ledger: {violation:?}"));
            }
        }
    }

    /// A client was told that it is done.
    pub fn acknowledged(&mut self, request: &Request, done: &Done) {
        self.counts.acknowledged += 1;
        let entity = match &request.promise {
            Promise::CheckedOut(_, order) => EntityId::Order(*order),
            _ => request.entity.clone(),
        };
        let version = match &request.promise {
            // A repeat shows the order as it was placed, and does not wait for what has happened to it since.
            Promise::Placed(_) | Promise::CheckedOut(..) if done.replayed => 1,
            _ => done.version,
        };
        let committed = self.model.versions.get(&entity).copied().unwrap_or_default();
        if version > committed {
            self.violated(format!("version {version} of {entity} is shown, and {committed} is committed"));
        }
        let shown = self.shown.entry(entity.clone()).or_default();
        *shown = version.max(*shown);
        if let Err(what) = self.check(&request.promise) {
            self.violated(format!("acknowledged, and not so: {what}"));
        }
        self.promises.insert(format!("{:?}", request.promise));
        match (&entity, &done.view) {
            (EntityId::Sku(sku), View::Sku(view)) if version == committed => {
                if let Err(what) = self.compare_stock(sku, &view.availability.locations) {
                    self.violated(format!("{sku} shows at version {version} what the reference does not: {what}"));
                }
            }
            (EntityId::Order(id), View::Order(order)) => self.order_shown(*id, order),
            _ => {}
        }
    }

    fn order_shown(&mut self, id: OrderId, order: &Order) {
        let (Some(placement), Some(total), Some(at)) = (order.placement(), order.total(), order.placed_at()) else {
            return self.violated(format!("{id} is shown, and was never placed"));
        };
        let now = (placement.clone(), total, at);
        let before = self.orders.entry(id).or_insert_with(|| now.clone());
        if *before != now {
            let what = format!("{id} was shown as {before:?}, and now as {now:?}");
            self.violated(what);
        }
        let known = self.model.orders.get(&id);
        if !known.is_some_and(|known| (&known.placement, known.total, known.at) == (placement, total, at)) {
            self.violated(format!("{id} is shown otherwise than it was placed"));
        }
    }

    /// Is what was promised in the log?
    fn check(&self, promise: &Promise) -> Result<(), String> {
        let model = &self.model;
        let kept = match promise {
            Promise::Shown => true,
            Promise::Received(sku, receipt, _) => model.skus.get(sku).is_some_and(|shelf| shelf.has_received(*receipt)),
            Promise::Held(sku, hold, units) => {
                let claim = model.skus.get(sku).and_then(|shelf| shelf.claims.get(hold));
                claim.is_some_and(|claim| claim.units == i64::from(*units))
            }
            Promise::Placed(order) => model.orders.contains_key(order),
            Promise::CheckedOut(cart, order) => model.carts.get(cart) == Some(order),
            Promise::Operation(order, operation) => {
                model.orders.get(order).is_some_and(|bought| bought.operations.contains(operation))
            }
        };
        if kept { Ok(()) } else { Err(format!("{promise:?}")) }
    }

    fn compare_stock(&self, sku: &stampede_actors::ids::SkuId, shown: &[LocationStock]) -> Result<(), String> {
        let Some(shelf) = self.model.skus.get(sku) else { return Err("nothing is known of it".to_owned()) };
        let there = |stock: &&LocationStock| stock.on_hand + stock.held + stock.allocated > 0;
        let shown: BTreeMap<_, _> = shown
            .iter()
            .filter(there)
            .map(|stock| (stock.location.as_str(), [stock.on_hand, stock.held, stock.allocated].map(i64::from)))
            .collect();
        let known: BTreeMap<_, _> = shelf
            .places
            .iter()
            .map(|(location, place)| (location.as_str(), [place.on_hand, place.held, place.allocated]))
            .filter(|(_, units)| *units != [0; 3])
            .collect();
        if shown == known { Ok(()) } else { Err(format!("{shown:?}, {known:?}")) }
    }

    /// Compares what a server that has just started knows with what clients were told, and with the reference.
    pub fn compare(&mut self, reader: &Reader) {
        let known: Vec<_> = self.model.versions.iter().map(|(entity, version)| (entity.clone(), *version)).collect();
        for (entity, committed) in known {
            let (state, version) = match reader.current(&entity) {
                Ok(Some(current)) => current,
                Ok(None) => return self.violated(format!("{entity} is gone, {committed} events of it were committed")),
                Err(error) => return self.violated(format!("{entity} cannot be read: {error}")),
            };
            let shown = self.shown.get(&entity).copied().unwrap_or_default();
            if version < shown || version != committed {
                let what = format!("{entity} is at version {version}; clients saw {shown}, {committed} are committed");
                return self.violated(what);
            }
            let found = match (&entity, &state) {
                (EntityId::Sku(id), EntityState::Sku(sku)) => self.compare_sku(id, sku),
                (EntityId::Order(id), EntityState::Order(order)) => self.compare_order(*id, order),
                _ => Ok(()),
            };
            if let Err(what) = found {
                return self.violated(format!("{entity} is not what the reference says: {what}"));
            }
        }
    }

    fn compare_sku(&self, id: &stampede_actors::ids::SkuId, sku: &Sku) -> Result<(), String> {
        let Some(shelf) = self.model.skus.get(id) else { return Err("unknown".to_owned()) };
        self.compare_stock(id, &sku.availability().locations)?;
        let received = (sku.totals().received as i64, shelf.received);
        if received.0 != received.1 {
            return Err(format!("received {received:?}"));
        }
        let standing = shelf.claims.iter().filter(|(_, claim)| claim.grants != claim.ends);
        let mut count = 0;
        for (hold, claim) in standing {
            count += 1;
            let Some(view) = sku.hold(*hold) else { return Err(format!("{hold} is gone")) };
            if view.buyer != claim.buyer || view.firm != claim.is_firm || i64::from(view.units) != claim.units {
                return Err(format!("{hold}: {view:?}, {claim:?}"));
            }
        }
        if count == sku.claims() { Ok(()) } else { Err(format!("{} claims, and not {count}", sku.claims())) }
    }

    fn compare_order(&self, id: OrderId, order: &Order) -> Result<(), String> {
        let Some(bought) = self.model.orders.get(&id) else { return Err("unknown".to_owned()) };
        let captured = order.captured().map_or(0, |money| money.minor);
        if order.placement() != Some(&bought.placement) || captured != bought.captured {
            return Err(format!("{captured} captured, and not {}", bought.captured));
        }
        Ok(())
    }
}
