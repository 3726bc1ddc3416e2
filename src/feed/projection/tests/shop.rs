//! A shop without actors, disk or threads: drives the aggregates and writes down what happens as frames of a log.

use crate::feed::FrameSource;
use crate::journal::{self, Committed, Head, LogId};
use stampede_actors::cart::{self, Cart};
use stampede_actors::ids::{BuyerRef, CartId, EntityId, LocationId, OpId, OrderId, Reference, SellerId, SkuId};
use stampede_actors::money::{self, Money};
use stampede_actors::order::{self, Answer, Order, Placement, Step};
use stampede_actors::record::{Entry, Event, Position, Record, Version};
use stampede_actors::sku::{self, Command, Listing, Part, Sku, Units};
use stampede_actors::time::{Moment, Span, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

pub const LOG: LogId = LogId([7; 16]);

/// See the module.
#[derive(Default)]
pub struct Shop {
    pub skus: BTreeMap<SkuId, Sku>,
    pub carts: BTreeMap<CartId, Cart>,
    pub orders: BTreeMap<OrderId, Order>,
    pub versions: BTreeMap<EntityId, Version>,
    pub frames: Vec<Arc<Committed>>,
    pub now: Timestamp,
    records: Vec<Record>,
}

pub fn sku(code: &str) -> SkuId {
    SkuId::new(code).unwrap()
}

pub fn buyer(name: &str) -> BuyerRef {
    BuyerRef::new(name).unwrap()
}

pub fn depot() -> LocationId {
    LocationId::new("depot").unwrap()
}

pub fn eur(minor: i64) -> Money {
    Money { minor, currency: money::currency("EUR").unwrap() }
}

pub fn reference(text: &str) -> Reference {
    Reference::new(text).unwrap()
}

pub fn terms() -> order::Terms {
    order::Terms {
        ask_again: Span::seconds(30),
        ask_stock_again: Span::seconds(5),
        attention_after: 3,
        fulfil_within: Span::hours(48),
        payment_attempts: 3,
    }
}

impl Shop {
    pub fn new() -> Shop {
        Shop { now: Timestamp(1_750_000_000_000_000), ..Shop::default() }
    }

    /// A listed SKU with so many units, received in two deliveries.
    pub fn stocked(&mut self, code: &str, units: Units, limit: Option<Units>) {
        let listing = Listing { seller: SellerId::new("acme").unwrap(), price: eur(1_000), buyer_limit: limit };
        assert!(self.sku(code, Command::List(listing)));
        for (number, units) in [(1, units / 2), (2, units - units / 2)] {
            let receipt = OpId(u128::from(self.now.0 as u64) + number);
            let received = Command::Receive { receipt, fingerprint: number as u64, location: depot(), units };
            assert!(units == 0 || self.sku(code, received));
        }
    }

    /// Did it happen? `false`: refused, or it had happened before.
    pub fn sku(&mut self, code: &str, command: Command) -> bool {
        let (id, at) = (sku(code), Moment::at(self.now));
        let state = self.skus.entry(id.clone()).or_default();
        let Ok(Some(events)) = state.decide(&command, at, &sku::Terms::default(), None) else { return false };
        events.iter().for_each(|event| state.apply(event));
        self.record(EntityId::Sku(id), events.into_iter().map(Event::Sku))
    }

    pub fn cart(&mut self, id: CartId, command: cart::Command) -> bool {
        let state = self.carts.entry(id).or_default();
        let Ok(Some(events)) = state.decide(&command, Moment::at(self.now)) else { return false };
        events.iter().for_each(|event| state.apply(event));
        self.record(EntityId::Cart(id), events.into_iter().map(Event::Cart))
    }

    pub fn order(&mut self, id: OrderId, command: order::Command) -> bool {
        let state = self.orders.entry(id).or_default();
        let Ok(Some(events)) = state.decide(&command, Moment::at(self.now), &terms()) else { return false };
        events.iter().for_each(|event| state.apply(event));
        self.record(EntityId::Order(id), events.into_iter().map(Event::Order))
    }

    /// Holds the units and places the order, if there are enough.
    pub fn buy(&mut self, number: u128, who: &str, code: &str, units: Units) -> bool {
        let order = OrderId(number);
        let hold = Command::Hold {
            hold: order.hold(0),
            units,
            buyer: buyer(who),
            order: Some(order),
            ttl: Span::minutes(10),
            tentative: false,
        };
        self.sku(code, hold) && self.order(order, order::Command::Place(self.placement(order, who, code, units)))
    }

    pub fn placement(&self, order: OrderId, who: &str, code: &str, units: Units) -> Placement {
        let line = order::Line {
            sku: sku(code),
            seller: SellerId::new("acme").unwrap(),
            units,
            unit_price: eur(1_000),
            hold: order.hold(0),
            parts: vec![Part { location: depot(), units }],
        };
        Placement {
            cart: None,
            buyer: buyer(who),
            delivery: None,
            token: reference("tok_ok"),
            fingerprint: 42,
            lines: vec![line],
            hold_expires_at: self.now.plus(Span::minutes(10)),
            trace: None,
        }
    }

    /// Does every open step of the order, until none is open.
    pub fn work(&mut self, order: OrderId) {
        while let Some(step) =
            self.orders.get(&order).and_then(|order| order.open_steps().first()).map(|open| open.step)
        {
            self.stock_work(order, step);
            let done = Answer::Done { reference: None };
            assert!(self.order(order, order::Command::Report { step, answer: done }), "{step:?}");
        }
    }

    pub fn ship(&mut self, order: OrderId, shipment: u128, units: Units) -> bool {
        let (fingerprint, lines) = (shipment as u64, vec![order::LineUnits { line: 0, units }]);
        let location = depot();
        let command = order::Command::Ship { shipment: OpId(shipment), fingerprint, location, lines, tracking: None };
        self.order(order, command)
    }

    /// Does a step of our own SKUs; `false`: an allocation came too late.
    pub fn stock_work(&mut self, id: OrderId, step: Step) -> bool {
        let order = self.orders[&id].clone();
        let lines = order.placement().unwrap().lines.clone();
        let part = |units| vec![Part { location: depot(), units }];
        let mut firm = true;
        for (index, line) in lines.iter().enumerate() {
            let of_line = |lines: &[order::LineUnits]| -> Units {
                lines.iter().filter(|of| of.line as usize == index).map(|of| of.units).sum()
            };
            let (code, hold) = (line.sku.as_str(), line.hold);
            match step {
                Step::Allocate => {
                    self.sku(code, Command::Allocate { hold, order: id, parts: line.parts.clone() });
                    firm &= self.skus[&line.sku].hold(hold).is_some_and(|hold| hold.firm && hold.order == Some(id));
                }
                Step::GiveBack if !self.sku(code, Command::Release { hold, order: Some(id) }) => {
                    self.sku(code, Command::CancelAllocation { hold });
                }
                Step::GiveBackUnits { refund } => {
                    let restock = order.refund(refund).unwrap().restock;
                    let withheld = order.units_to_give_back(refund).iter().filter(|part| part.line as usize == index);
                    let parts = part(withheld.map(|part| part.units).sum());
                    self.sku(code, Command::ReduceAllocation { hold, reduction: refund, parts, restock });
                }
                Step::ShipStock { shipment } => {
                    let parts = part(of_line(&order.shipment(shipment).unwrap().lines));
                    self.sku(code, Command::Ship { hold, shipment, parts });
                }
                Step::ReturnStock { return_id } => {
                    let back = order.return_of(return_id).unwrap();
                    let (location, restock) = (back.location.clone(), back.restock);
                    let (buyer, units) = (order.placement().unwrap().buyer.clone(), of_line(&back.lines));
                    self.sku(code, Command::Return { hold, buyer, return_id, location, units, restock });
                }
                _ => {}
            }
        }
        firm
    }

    /// Writes events down that no aggregate decided.
    pub fn forge(&mut self, entries: Vec<(EntityId, Event)>) {
        for (entity, event) in entries {
            self.record(entity, std::iter::once(event));
        }
    }

    pub fn record(&mut self, entity: EntityId, events: impl Iterator<Item = Event>) -> bool {
        let version = self.versions.entry(entity.clone()).or_default();
        let entry = |event| {
            *version += 1;
            Entry { entity: entity.clone(), version: *version, event }
        };
        self.records.push(Record { at: self.now, entries: events.map(entry).collect(), trace: None });
        true
    }

    /// Closes the frame.
    pub fn frame(&mut self) {
        let (seq, first) = (self.frames.len() as u64 + 1, Position(self.head().position.0 + 1));
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&seq.to_le_bytes());
        let records = std::mem::take(&mut self.records);
        self.frames.push(Arc::new(Committed { seq, hash, at: self.now, first, records }));
    }

    pub fn head(&self) -> Head {
        self.frames.last().map_or_else(Head::default, |frame| Head {
            seq: frame.seq,
            hash: frame.hash,
            position: frame.last(),
            at: frame.at,
            epoch: 1,
        })
    }

    pub fn pass(&mut self, span: Span) {
        self.now = self.now.plus(span);
    }

    /// The whole log, or what is left of it from a frame on.
    pub fn log(&self, from_frame: usize) -> Log {
        Log(self.frames[from_frame..].to_vec())
    }

    /// What the projection must show of every entity.
    pub fn entities(&self) -> Vec<(EntityId, super::EntityState, Version)> {
        use super::EntityState::{Cart, Order, Sku};
        let skus = self.skus.iter().map(|(id, sku)| (EntityId::Sku(id.clone()), Sku(Box::new(sku.clone()))));
        let carts = self.carts.iter().map(|(id, cart)| (EntityId::Cart(*id), Cart(Box::new(cart.clone()))));
        let orders = self.orders.iter().map(|(id, order)| (EntityId::Order(*id), Order(Box::new(order.clone()))));
        let all = skus.chain(carts).chain(orders);
        all.filter_map(|(id, state)| Some((id.clone(), state, *self.versions.get(&id)?))).collect()
    }
}

/// Frames to be read.
pub struct Log(pub Vec<Arc<Committed>>);

impl FrameSource for Log {
    fn read(&self, from: Position, _: usize) -> Result<Vec<Arc<Committed>>, journal::Error> {
        let first = self.0.first().map_or(1, |frame| frame.first.0);
        if from.0 < first {
            return Err(journal::Error::Gone { wanted: from.0, first });
        }
        // A few at a time, so that readers have to come again.
        Ok(self.0.iter().filter(|frame| frame.last() >= from).take(3).cloned().collect())
    }
}
