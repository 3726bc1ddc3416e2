//! The engine in miniature: entities, the log, and the messages between them and the world.

mod buying;
mod laws;
mod messages;

use crate::outside::{Attempt, Provider, Warehouse, done, refused};
use crate::{Act, Fate};
use stampede_actors::cart::{self, Cart};
use stampede_actors::ids::{BuyerRef, CartId, HoldId, LocationId, OpId, OrderId, Reference, SellerId, SkuId};
use stampede_actors::money::Money;
use stampede_actors::order::placing::{HoldAnswer, HoldRequest, Next, PlaceRequest, Placing, Wanted};
use stampede_actors::order::{self, Answer, Line, LinePart, LineUnits, Order, RefundState, State, Step};
use stampede_actors::sku::{self, Part, Sku, Units};
use stampede_actors::time::{Moment, Span, Timestamp};
use std::collections::BTreeMap;

const T0: Timestamp = Timestamp(1_750_000_000_000_000);
const HOLD: Span = Span::seconds(60);

/// On its way to somebody.
#[derive(Debug, Clone)]
enum Message {
    /// An order asks a SKU.
    Hold { order: OrderId, round: u32, request: HoldRequest },
    /// A SKU answers an order.
    Held { order: OrderId, round: u32, hold: HoldId, answer: HoldAnswer<()> },
    /// An order that came to nothing gives back.
    Release { order: OrderId, sku: SkuId, hold: HoldId },
    /// It is time to ask for the holds again.
    TryAgain { order: OrderId, round: u32 },
    /// A step that an event has opened.
    Step { order: OrderId, step: Step },
    /// A worker's answer.
    Report { order: OrderId, step: Step, answer: Answer },
}

struct Underway {
    placing: Placing<()>,
    round: u32,
}

pub struct World {
    now: Timestamp,
    skus: BTreeMap<SkuId, Sku>,
    carts: BTreeMap<CartId, Cart>,
    orders: BTreeMap<OrderId, Order>,
    underway: BTreeMap<OrderId, Underway>,
    messages: Vec<Message>,
    log: Vec<(OrderId, order::Event)>,
    provider: Provider,
    warehouse: Warehouse,
    receipts: u128,
    /// Tells answers to one round of asking from those to any other.
    rounds: u32,
}

fn order_terms() -> order::Terms {
    order::Terms {
        ask_again: Span::seconds(10),
        ask_stock_again: Span::seconds(2),
        attention_after: 4,
        fulfil_within: Span::hours(48),
        payment_attempts: 3,
    }
}

fn sku_id(n: u8) -> SkuId {
    SkuId::new(["mug", "pen", "bag"][usize::from(n % 3)]).unwrap()
}

fn order_id(n: u8) -> OrderId {
    OrderId(u128::from(n) + 1)
}

fn buyer(order: OrderId) -> BuyerRef {
    BuyerRef::new(&format!("buyer-{}", order.0 % 4)).unwrap()
}

fn location(name: &str) -> LocationId {
    LocationId::new(name).unwrap()
}

fn units(lines: &[(u32, u32)]) -> Vec<LineUnits> {
    lines.iter().map(|&(line, units)| LineUnits { line, units }).collect()
}

fn fingerprint(lines: &[(u32, u32)]) -> u64 {
    lines.iter().fold(1, |print, (line, units)| print * 31 + u64::from(line * 10 + units))
}

fn nth<T>(mut these: Vec<T>, which: usize) -> Option<T> {
    if these.is_empty() { None } else { Some(these.swap_remove(which % these.len())) }
}

impl World {
    pub fn new() -> World {
        let mut world = World {
            now: T0,
            skus: BTreeMap::new(),
            carts: BTreeMap::new(),
            orders: BTreeMap::new(),
            underway: BTreeMap::new(),
            messages: Vec::new(),
            log: Vec::new(),
            provider: Provider::default(),
            warehouse: Warehouse::default(),
            receipts: 0,
            rounds: 0,
        };
        for n in 0..3 {
            world.list(n, 100 + i64::from(n));
            world.receive(n, "berlin", 3);
            world.receive(n, "hamburg", 2);
        }
        world
    }

    fn list(&mut self, n: u8, minor: i64) {
        let price = Money { minor, currency: stampede_actors::money::currency("EUR").unwrap() };
        let seller = SellerId::new("acme").unwrap();
        let buyer_limit = (n == 1).then_some(6);
        let _ = self.sku(&sku_id(n), &sku::Command::List(sku::Listing { seller, price, buyer_limit }));
    }

    fn receive(&mut self, n: u8, to: &str, units: Units) {
        self.receipts += 1;
        let (receipt, location) = (OpId(self.receipts), location(to));
        let _ = self.sku(&sku_id(n), &sku::Command::Receive { receipt, fingerprint: 1, location, units });
    }

    pub fn act(&mut self, act: Act) {
        match act {
            Act::Buy { order, lines, cart, own_hold } => self.buy(order_id(order), &lines, cart, own_hold),
            Act::Message { which, fate } => {
                if !self.messages.is_empty() {
                    let message = self.messages.remove(which % self.messages.len());
                    self.now = self.now.plus(Span::millis(7));
                    self.message(message, fate);
                }
            }
            Act::Wait { seconds } => {
                self.now = self.now.plus(Span::seconds(seconds));
                self.timers();
            }
            Act::Pay { which, payment } => {
                let (payment, token) = (OpId(100 + u128::from(payment)), Reference::new("tok_2").unwrap());
                self.command_one(which, &order::Command::Pay { payment, fingerprint: 1, token });
            }
            Act::Cancel { which, cancel } => {
                let (cancel, reason) = (OpId(200 + u128::from(cancel)), "no".to_owned());
                self.command_one(which, &order::Command::Cancel { cancel, fingerprint: 1, reason });
            }
            Act::Refund { which, refund, lines, restock } => {
                let (refund, fingerprint) = (OpId(300 + u128::from(refund)), fingerprint(&lines));
                let lines = units(&lines);
                self.command_one(which, &order::Command::Refund { refund, fingerprint, lines, restock });
            }
            Act::SendOff { which, most } => {
                if let Some(order) = nth(self.warehouse.orders(), which) {
                    self.warehouse.send_off(order, most);
                    self.report_parcels();
                }
            }
            Act::Return { which, id, most, restock } => self.return_some(which, id, most, restock),
            Act::Reprice { sku, minor } => self.list(sku, minor),
            Act::Receive { sku, units } => self.receive(sku, "berlin", units),
            Act::Crash => self.crash(),
        }
    }

    /// A command to one of the orders, which may refuse it.
    fn command_one(&mut self, which: usize, command: &order::Command) {
        if let Some(order) = nth(self.orders.keys().copied().collect(), which) {
            let _ = self.order(order, command);
        }
    }

    fn return_some(&mut self, which: usize, id: u8, most: Units, restock: bool) {
        let tallies = |order: &Order| (0..).zip(order.tallies()).find(|(_, tally)| tally.to_return() > 0);
        let returnable = self.orders.iter().filter_map(|(order, state)| Some((*order, tallies(state)?)));
        let Some((order, (line, tally))) = nth(returnable.collect(), which) else { return };
        let lines = vec![LineUnits { line, units: tally.to_return().min(most) }];
        let (return_id, fingerprint, location) = (OpId(500 + u128::from(id)), 1, location("berlin"));
        let _ = self.order(order, &order::Command::Return { return_id, fingerprint, location, lines, restock });
    }

    /// Memory is gone: entities come back from the log, and nobody works on anything.
    fn crash(&mut self) {
        self.messages.clear();
        self.underway.clear();
        let mut rebuilt: BTreeMap<OrderId, Order> = BTreeMap::new();
        for (id, event) in &self.log {
            rebuilt.entry(*id).or_default().apply(event);
        }
        assert_eq!(rebuilt, self.orders);
    }

    fn report_parcels(&mut self) {
        for n in 0..self.warehouse.parcels.len() {
            let parcel = self.warehouse.parcels[n].clone();
            if !parcel.reported {
                let (shipment, location, lines) = (parcel.id, parcel.location, parcel.lines);
                let command = order::Command::Ship { shipment, fingerprint: 1, location, lines, tracking: None };
                match self.order(parcel.order, &command) {
                    Ok(_) => self.warehouse.parcels[n].reported = true,
                    Err(refusal) => assert_eq!(refusal, order::Refusal::BeingCalledOff, "units left without an order"),
                }
            }
        }
    }

    /// Timers fire, and the outside tells what it has not told yet.
    fn timers(&mut self) {
        for (order, step) in std::mem::take(&mut self.provider.admits) {
            let _ = self.order(order, &order::Command::Report { step, answer: done() });
        }
        let now = self.now;
        let due = |deadline: Option<Timestamp>| deadline.is_some_and(|deadline| deadline <= now);
        let skus: Vec<SkuId> =
            self.skus.iter().filter(|(_, sku)| due(sku.deadline())).map(|(id, _)| id.clone()).collect();
        let orders: Vec<OrderId> =
            self.orders.iter().filter(|(_, order)| due(order.deadline())).map(|(id, _)| *id).collect();
        for sku in skus {
            let _ = self.sku(&sku, &sku::Command::Tick);
        }
        for order in orders {
            let _ = self.order(order, &order::Command::Tick);
        }
        self.report_parcels();
    }

    /// Did it change anything?
    fn sku(&mut self, id: &SkuId, command: &sku::Command) -> Result<bool, sku::Refusal> {
        let sku = self.skus.entry(id.clone()).or_default();
        let events = sku.decide(command, Moment::at(self.now), &sku::Terms::default(), None)?;
        events.iter().flatten().for_each(|event| sku.apply(event));
        Ok(events.is_some())
    }

    /// Did it change anything?
    fn order(&mut self, id: OrderId, command: &order::Command) -> Result<bool, order::Refusal> {
        let unplaced = Order::default();
        let order = self.orders.get(&id).unwrap_or(&unplaced);
        let Some(events) = order.decide(command, Moment::at(self.now), &order_terms())? else { return Ok(false) };
        let order = self.orders.entry(id).or_default();
        for event in events {
            order.apply(&event);
            self.messages.extend(order::opens(&event).map(|step| Message::Step { order: id, step }));
            self.log.push((id, event));
        }
        Ok(true)
    }
}
