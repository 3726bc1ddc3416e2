//! The engine in miniature: entities, the log, and the messages between them and the world.

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
    Release { sku: SkuId, hold: HoldId },
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

/// Buying.
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
                self.to_one(which, &order::Command::Pay { payment, fingerprint: 1, token });
            }
            Act::Cancel { which, cancel } => {
                let (cancel, reason) = (OpId(200 + u128::from(cancel)), "no".to_owned());
                self.to_one(which, &order::Command::Cancel { cancel, fingerprint: 1, reason });
            }
            Act::Refund { which, refund, lines, restock } => {
                let (refund, fingerprint) = (OpId(300 + u128::from(refund)), fingerprint(&lines));
                let lines = units(&lines);
                self.to_one(which, &order::Command::Refund { refund, fingerprint, lines, restock });
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
    fn to_one(&mut self, which: usize, command: &order::Command) {
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

    fn buy(&mut self, id: OrderId, wanted: &[(u8, u32)], by_cart: bool, own_hold: bool) {
        if self.orders.contains_key(&id) || self.underway.contains_key(&id) {
            return;
        }
        let mut lines: Vec<Wanted> = Vec::new();
        let mut cart_id = None;
        if by_cart {
            let cart = CartId(id.0);
            cart_id = Some(cart);
            self.fill(cart, id, wanted);
            lines.extend(self.carts[&cart].lines().iter().map(|line| Wanted {
                sku: line.sku.clone(),
                units: line.units,
                expected_price: None,
                cart_price: Some(line.unit_price),
                hold: None,
            }));
        } else {
            for &(n, units) in wanted {
                lines.push(Wanted { sku: sku_id(n), units, expected_price: None, cart_price: None, hold: None });
            }
            if own_hold {
                let (hold, ttl) = (HoldId(7_000 + id.0), HOLD);
                let first = lines[0].clone();
                let (units, buyer) = (first.units, buyer(id));
                let command = sku::Command::Hold { hold, units, buyer, order: None, ttl, tentative: false };
                let _ = self.sku(&first.sku, &command);
                lines[0].hold = Some(hold);
            }
        }
        let request = PlaceRequest {
            cart: cart_id,
            buyer: Some(buyer(id)),
            delivery: None,
            token: Reference::new("tok_ok").unwrap(),
            fingerprint: 1,
            currency: None,
            wanted: lines,
        };
        let Ok(mut placing) = Placing::new(id, request) else { return };
        let next = placing.start();
        self.rounds += 1;
        self.underway.insert(id, Underway { placing, round: self.rounds });
        self.go_on(id, next);
    }

    fn fill(&mut self, id: CartId, order: OrderId, wanted: &[(u8, u32)]) {
        let at = Moment::at(self.now);
        let cart = self.carts.entry(id).or_default();
        let mut commands = vec![cart::Command::Open { buyer: buyer(order), ttl: Span::hours(1) }];
        for &(n, units) in wanted {
            let listing = self.skus[&sku_id(n)].listing().unwrap();
            let (sku, seller, unit_price) = (sku_id(n), listing.seller.clone(), listing.price);
            commands.push(cart::Command::SetLine(cart::Line { sku, seller, units, unit_price }));
        }
        for command in commands {
            if let Ok(Some(events)) = cart.decide(&command, at) {
                events.iter().for_each(|event| cart.apply(event));
            }
        }
    }

    fn go_on(&mut self, id: OrderId, next: Next<()>) {
        let round = self.underway[&id].round;
        match next {
            Next::Hold(requests) => {
                let ask = |request| Message::Hold { order: id, round, request };
                self.messages.extend(requests.into_iter().map(ask));
            }
            Next::Wait => {}
            Next::RetryAfter { release, .. } => {
                self.release(release);
                self.messages.push(Message::TryAgain { order: id, round });
            }
            Next::Refuse { release, .. } | Next::Fail { release, .. } => {
                self.release(release);
                self.underway.remove(&id);
            }
            Next::Place(placement) => self.place(id, placement),
        }
    }

    fn release(&mut self, holds: Vec<(SkuId, HoldId)>) {
        self.messages.extend(holds.into_iter().map(|(sku, hold)| Message::Release { sku, hold }));
    }

    /// The order and its cart's end are one record.
    fn place(&mut self, id: OrderId, placement: order::Placement) {
        let underway = self.underway.remove(&id).unwrap();
        if let Some(cart) = placement.cart {
            let cart = self.carts.get_mut(&cart).unwrap();
            match cart.decide(&cart::Command::CheckOut { order: id }, Moment::at(self.now)) {
                Ok(Some(events)) => events.iter().for_each(|event| cart.apply(event)),
                other => {
                    assert!(!matches!(other, Ok(None)), "checked out before, but there is no such order");
                    return self.release(underway.placing.granted());
                }
            }
        }
        let changed = self.order(id, &order::Command::Place(placement));
        assert_eq!(changed, Ok(true), "granted holds are a valid order");
    }
}

/// Messages.
impl World {
    fn message(&mut self, message: Message, fate: Fate) {
        if fate == Fate::Twice {
            self.messages.push(message.clone());
        }
        match message {
            Message::Hold { order, round, request } => self.ask_to_hold(order, round, request, fate),
            Message::Held { order, round, hold, answer } => {
                let answer = if fate == Fate::Lost { HoldAnswer::Failed(()) } else { answer };
                let Some(underway) = self.underway.get_mut(&order).filter(|u| u.round == round) else { return };
                let next = underway.placing.answered(hold, answer);
                self.go_on(order, next);
            }
            Message::Release { sku, hold } => {
                if fate != Fate::Lost {
                    let _ = self.sku(&sku, &sku::Command::Release { hold });
                }
            }
            Message::TryAgain { order, round } => {
                let Some(underway) = self.underway.get_mut(&order).filter(|u| u.round == round) else { return };
                self.rounds += 1;
                underway.round = self.rounds;
                let next = underway.placing.start();
                self.go_on(order, next);
            }
            Message::Step { order, step } => {
                if fate != Fate::Lost {
                    self.work(order, step, fate);
                }
            }
            Message::Report { order, step, answer } => {
                if fate != Fate::Lost {
                    let _ = self.order(order, &order::Command::Report { step, answer });
                }
            }
        }
    }

    fn ask_to_hold(&mut self, order: OrderId, round: u32, request: HoldRequest, fate: Fate) {
        // A hold that arrives after its round is over would be given back: lanes keep messages in order.
        let current = self.underway.get(&order).is_some_and(|underway| underway.round == round);
        let HoldRequest { sku, hold, units, buyer, tentative } = request;
        if !current {
            return;
        }
        let answer = if fate == Fate::Lost {
            HoldAnswer::Failed(())
        } else {
            let command = sku::Command::Hold { hold, units, buyer, order: Some(order), ttl: HOLD, tentative };
            match self.sku(&sku, &command) {
                Ok(_) => {
                    let (view, listing) = (self.skus[&sku].hold(hold).unwrap(), self.skus[&sku].listing().unwrap());
                    HoldAnswer::Granted {
                        parts: view.parts,
                        expires_at: view.expires_at,
                        unit_price: listing.price,
                        seller: listing.seller.clone(),
                    }
                }
                Err(refusal) => HoldAnswer::Refused(refusal),
            }
        };
        self.messages.push(Message::Held { order, round, hold, answer });
    }

    /// A worker takes a step. It asks the order first (S20).
    fn work(&mut self, id: OrderId, step: Step, fate: Fate) {
        let order = &self.orders[&id];
        if !order.is_open(step) {
            return;
        }
        let answer = match step {
            Step::Authorize { .. } => {
                let lines = order.placement().unwrap().lines.clone();
                let until = self.now.plus(HOLD);
                for line in lines {
                    let _ = self.sku(&line.sku, &sku::Command::Extend { hold: line.hold, until });
                }
                self.provider.call(id, &self.orders[&id], step, fate)
            }
            Step::Capture { .. } | Step::Void { .. } | Step::Refund { .. } => self.provider.call(id, order, step, fate),
            Step::Fulfil | Step::CallOff { .. } => self.warehouse.call(id, order, step, fate),
            Step::Allocate
            | Step::GiveBack
            | Step::GiveBackUnits { .. }
            | Step::ShipStock { .. }
            | Step::ReturnStock { .. } => match self.stock(id, step, fate) {
                Some(answer) => answer,
                None => return,
            },
        };
        let answer = if fate == Fate::HalfDone { Answer::Unknown } else { answer };
        self.messages.push(Message::Report { order: id, step, answer });
    }

    /// Our own SKUs; `None`: died in the middle.
    fn stock(&mut self, id: OrderId, step: Step, fate: Fate) -> Option<Answer> {
        let commands = commands(id, &self.orders[&id], step);
        let survives = if fate == Fate::HalfDone { commands.len() / 2 } else { usize::MAX };
        for (n, (sku, command)) in commands.into_iter().enumerate() {
            if n >= survives {
                return None;
            }
            match self.sku(&sku, &command) {
                Ok(_) => {}
                Err(sku::Refusal::HoldAllocated) if step == Step::GiveBack => {
                    let sku::Command::Release { hold } = command else { unreachable!() };
                    let cancelled = self.sku(&sku, &sku::Command::CancelAllocation { hold });
                    assert!(cancelled.is_ok(), "{cancelled:?}");
                }
                Err(refusal) => {
                    assert_eq!(step, Step::Allocate, "{refusal:?} to {command:?}");
                    return Some(refused(refusal.code()));
                }
            }
        }
        Some(done())
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

/// What must hold.
impl World {
    /// At every step.
    pub fn check(&self) {
        for (id, sku) in &self.skus {
            let stock = sku.availability();
            assert_eq!(i64::from(stock.on_hand), sku.totals().on_hand(), "units of {id} came or went by themselves");
            assert!(stock.held + stock.allocated <= stock.on_hand, "{id} is oversold");
        }
        for (id, order) in &self.orders {
            let state = order.state().unwrap();
            assert!(state.is_terminal() || order.deadline().is_some(), "{id} waits in {state:?} without a deadline");
            let captured = order.captured().unwrap().minor - order.refunded().unwrap().minor;
            assert!(self.provider.net(*id) >= 0 && captured >= 0, "{id} gave back more than it took");
        }
        for (id, cart) in &self.carts {
            if let Some(order) = cart.order() {
                assert!(self.orders.contains_key(&order), "{id} became an order that does not exist");
            }
        }
    }

    /// No more faults: messages arrive, timers fire, the warehouse sends off what it has.
    pub fn come_to_rest(&mut self) {
        for _ in 0..10_000 {
            if let Some(message) = self.messages.pop() {
                self.message(message, Fate::Arrives);
                continue;
            }
            for id in self.warehouse.orders() {
                self.warehouse.send_off(id, Units::MAX);
                // A person sees to what the warehouse will not do.
                let undone = self.orders[&id].state() == Some(State::Captured);
                if undone && self.warehouse.refuses(id) {
                    let cancel = order::Command::Cancel { cancel: OpId(999), fingerprint: 1, reason: "no".to_owned() };
                    let _ = self.order(id, &cancel);
                }
            }
            self.report_parcels();
            let deadlines = self.orders.values().filter_map(Order::deadline);
            let next = deadlines.chain(self.skus.values().filter_map(Sku::deadline)).min();
            match next {
                Some(next) => {
                    self.now = self.now.max(next);
                    self.timers();
                }
                None if self.messages.is_empty() && self.provider.admits.is_empty() => return,
                None => self.timers(),
            }
        }
        let waiting: Vec<_> = self
            .orders
            .iter()
            .filter(|(_, order)| order.deadline().is_some())
            .map(|(id, o)| (id, o.state(), o.open_steps()))
            .collect();
        panic!("it never comes to rest: {waiting:?}, {:?}", self.messages);
    }

    /// Once all is quiet.
    pub fn check_at_rest(&self) {
        assert!(self.underway.is_empty(), "an order is neither placed nor refused");
        assert!(self.warehouse.parcels.iter().all(|parcel| parcel.reported), "units left and no order knows");
        let mut left: BTreeMap<&SkuId, Units> = BTreeMap::new();
        for (id, order) in &self.orders {
            let state = order.state().unwrap();
            assert!(state.is_terminal(), "{id} rests in {state:?}");
            assert_eq!(order.open_steps(), [], "{id} in {state:?}");
            let lines = &order.placement().unwrap().lines;
            let mut kept = 0;
            for (line, tally) in lines.iter().zip(order.tallies()) {
                *left.entry(&line.sku).or_default() += tally.shipped;
                kept += i64::from(tally.to_refund()) * line.unit_price.minor;
                if state == State::Fulfilled {
                    assert_eq!(tally.to_ship(), 0);
                } else {
                    assert_eq!(tally.shipped, 0, "{id}: units left without money");
                }
            }
            let net = self.provider.net(*id);
            assert_eq!(
                net,
                order.captured().unwrap().minor - order.refunded().unwrap().minor,
                "{id}: the books differ"
            );
            assert_eq!(net, if state == State::Fulfilled { kept } else { 0 }, "{id} in {state:?}: money and units");
            assert!(order.refunds().iter().all(|r| matches!(r.state, RefundState::Done | RefundState::Lapsed)));
        }
        for ((id, attempt), (state, _)) in &self.provider.attempts {
            assert_ne!(*state, Attempt::Reserved, "attempt {attempt} of {id}: money stays reserved");
        }
        for (id, sku) in &self.skus {
            let stock = sku.availability();
            assert_eq!((stock.held, stock.allocated, sku.claims()), (0, 0, 0), "units of {id} are left behind");
            let shipped = left.get(id).copied().unwrap_or_default();
            assert_eq!(sku.totals().shipped, u64::from(shipped), "{id}: stock and orders differ");
        }
    }
}

fn commands(id: OrderId, order: &Order, step: Step) -> Vec<(SkuId, sku::Command)> {
    let placement = order.placement().unwrap();
    let line = |index: u32| &placement.lines[index as usize];
    let each = |command: &dyn Fn(&Line) -> sku::Command| {
        placement.lines.iter().map(|line| (line.sku.clone(), command(line))).collect()
    };
    match step {
        Step::Allocate => each(&|line| sku::Command::Allocate { hold: line.hold, order: id }),
        Step::GiveBack => each(&|line| sku::Command::Release { hold: line.hold }),
        Step::GiveBackUnits { refund } => {
            let mut by_line: BTreeMap<u32, Vec<Part>> = BTreeMap::new();
            for LinePart { line, location, units } in order.units_to_give_back(refund).iter().cloned() {
                by_line.entry(line).or_default().push(Part { location, units });
            }
            let restock = order.refund(refund).unwrap().restock;
            let reduce = |(index, parts): (u32, Vec<Part>)| {
                let hold = line(index).hold;
                (line(index).sku.clone(), sku::Command::ReduceAllocation { hold, reduction: refund, parts, restock })
            };
            by_line.into_iter().map(reduce).collect()
        }
        Step::ShipStock { shipment } => {
            let shipment = order.shipment(shipment).unwrap();
            let ship = |of: &LineUnits| {
                let (hold, location) = (line(of.line).hold, shipment.location.clone());
                let parts = vec![Part { location, units: of.units }];
                (line(of.line).sku.clone(), sku::Command::Ship { hold, shipment: shipment.id, parts })
            };
            shipment.lines.iter().map(ship).collect()
        }
        Step::ReturnStock { return_id } => {
            let back = order.return_of(return_id).unwrap();
            let take = |of: &LineUnits| {
                let (hold, buyer, location) = (line(of.line).hold, placement.buyer.clone(), back.location.clone());
                let (units, restock) = (of.units, back.restock);
                (line(of.line).sku.clone(), sku::Command::Return { hold, buyer, return_id, location, units, restock })
            };
            back.lines.iter().map(take).collect()
        }
        other => panic!("{other:?} is no work of the SKUs"),
    }
}
