//! A small world on one thread, in simulated time: what happens next is decided by its seed alone (S14).

use crate::feed::{self, Feed, MessageId, Queue};
use crate::journal::{Committed, Hash};
use crate::workflows::simulated::{Books, Depot, Desk, Faults, ProviderConfig};
use crate::workflows::{Ask, Call, Dispatched, End, Found, Job, Reply, Terms, Turn};
use stampede_actors::ids::{BuyerRef, EntityId, LocationId, OpId, OrderId, Reference, SellerId, SkuId};
use stampede_actors::money::{Money, currency};
use stampede_actors::order::{self, Answer, Order, Placement, State, Step};
use stampede_actors::record::{Entry, Event, Position, Record};
use stampede_actors::shell::{Done, Failure, Question, View};
use stampede_actors::sku::{self, Listing, Sku, Units};
use stampede_actors::time::{Moment, Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

pub const T0: Timestamp = Timestamp(1_750_000_000_000_000);
pub const HOLDS: Span = Span::seconds(5);
const PRICE: i64 = 1999;
/// Nothing that is worth waiting for takes longer.
const FAR: Span = Span::hours(24 * 10);
/// Deadlines stay frozen no longer than this after a start (S18).
const FROZEN: Span = Span::seconds(30);

/// Something that will happen.
pub enum What {
    Replies(u64, Vec<Reply>),
    Callback(OrderId, Step, Answer),
    Late(Call),
    Ship(OrderId, LocationId),
    Report(Dispatched),
}

pub struct World {
    pub now: Timestamp,
    pub random: Random,
    pub orders: BTreeMap<OrderId, Order>,
    pub skus: BTreeMap<SkuId, Sku>,
    pub desk: Desk,
    pub depot: Depot,
    /// The provider says things unasked.
    pub callbacks: bool,
    /// The warehouse ships this long after a request.
    pub ships_after: Option<Span>,
    /// Of a thousand questions to our own entities, so many are refused for now, and as many answers are lost.
    pub entity_faults: u64,
    /// How jobs ended.
    pub ends: BTreeMap<End, u32>,
    pub agenda: BTreeMap<(Timestamp, u64), What>,
    terms: Terms,
    order_terms: order::Terms,
    sku_terms: sku::Terms,
    log: Vec<Committed>,
    feed: Feed,
    jobs: BTreeMap<u64, (Queue, MessageId, (OrderId, Step), Job)>,
    in_progress: BTreeSet<(OrderId, Step)>,
    started_at: Timestamp,
    overdue_at_start: Option<Timestamp>,
    counter: u64,
}

impl World {
    pub fn new(seed: u64, faults: &[&str]) -> World {
        let faults = Faults(faults.iter().map(|fault| fault.parse().unwrap()).collect());
        let provider = ProviderConfig { seed, faults: faults.into(), ..ProviderConfig::default() };
        World {
            now: T0,
            random: Random(seed),
            orders: BTreeMap::new(),
            skus: BTreeMap::new(),
            desk: Desk::new(provider, Books::default()),
            depot: Depot::default(),
            callbacks: true,
            ships_after: Some(Span::millis(200)),
            entity_faults: 0,
            ends: BTreeMap::new(),
            agenda: BTreeMap::new(),
            terms: Terms::default(),
            order_terms: order::Terms {
                ask_again: Span::seconds(2),
                ask_stock_again: Span::seconds(1),
                attention_after: 20,
                fulfil_within: Span::hours(24 * 100),
                payment_attempts: 3,
            },
            sku_terms: sku::Terms::default(),
            log: Vec::new(),
            feed: Feed::resume(&feed::Config::default(), Position(0), Position(0)),
            jobs: BTreeMap::new(),
            in_progress: BTreeSet::new(),
            started_at: T0,
            overdue_at_start: None,
            counter: 0,
        }
    }

    pub fn stock(&mut self, name: &str, units: Units) -> SkuId {
        let id = SkuId::new(name).unwrap();
        let price = Money { minor: PRICE, currency: currency("EUR").unwrap() };
        let seller = SellerId::new("seller").unwrap();
        self.sku(&id, &sku::Command::List(Listing { seller, price, buyer_limit: None })).unwrap();
        for (receipt, location, units) in [(1, "near", units - units / 2), (2, "far", units / 2)] {
            let location = LocationId::new(location).unwrap();
            let receive = sku::Command::Receive { receipt: OpId(receipt), fingerprint: 0, location, units };
            if units > 0 {
                self.sku(&id, &receive).unwrap();
            }
        }
        id
    }

    /// Places an order from holds, as the order's actor would. `None`: sold out.
    pub fn place(&mut self, order: OrderId, token: &str, wanted: &[(&SkuId, Units)]) -> Option<OrderId> {
        let buyer = BuyerRef::new(&format!("buyer-{}", order.0)).unwrap();
        let mut lines = Vec::new();
        for (index, (sku, units)) in wanted.iter().enumerate() {
            let hold = order.hold(index);
            let (buyer, order) = (buyer.clone(), Some(order));
            let wish =
                sku::Command::Hold { hold, units: *units, buyer, order, ttl: HOLDS, tentative: wanted.len() > 1 };
            if self.sku(sku, &wish).is_err() {
                for (index, (sku, _)) in wanted[..index].iter().enumerate() {
                    self.sku(sku, &sku::Command::Release { hold: order.unwrap().hold(index), order }).unwrap();
                }
                return None;
            }
            let stock = &self.skus[*sku];
            let listing = stock.listing().unwrap().clone();
            let parts = stock.hold(hold).unwrap().parts;
            let (sku, units, unit_price) = ((*sku).clone(), *units, listing.price);
            lines.push(order::Line { sku, seller: listing.seller, units, unit_price, hold, parts });
        }
        let placement = Placement {
            cart: None,
            buyer,
            delivery: None,
            token: Reference::new(token).unwrap(),
            fingerprint: 0,
            lines,
            hold_expires_at: self.now.plus(HOLDS),
            trace: None,
        };
        self.order(order, &order::Command::Place(placement)).unwrap();
        Some(order)
    }

    pub fn cancel(&mut self, order: OrderId) -> Result<(), Failure> {
        let cancel =
            order::Command::Cancel { cancel: OpId(1 << 70), fingerprint: 0, reason: "changed_mind".to_owned() };
        self.order(order, &cancel).map(|_| ())
    }

    pub fn state(&self, order: OrderId) -> State {
        self.orders[&order].state().unwrap()
    }

    /// A command to an order, decided, applied and committed.
    pub fn order(&mut self, id: OrderId, command: &order::Command) -> Result<Done, Failure> {
        let (at, terms) = (self.moment(), self.order_terms);
        let order = self.orders.entry(id).or_default();
        let events = order.decide(command, at, &terms)?;
        let replayed = events.is_none();
        events.iter().flatten().for_each(|event| order.apply(event));
        let view = View::Order(Box::new(order.clone()));
        self.commit(EntityId::Order(id), events.into_iter().flatten().map(Event::Order).collect());
        Ok(Done { version: 0, replayed, view })
    }

    pub fn sku(&mut self, id: &SkuId, command: &sku::Command) -> Result<Done, Failure> {
        let at = self.moment();
        let sku = self.skus.entry(id.clone()).or_default();
        let events = sku.decide(command, at, &self.sku_terms, None)?;
        let replayed = events.is_none();
        events.iter().flatten().for_each(|event| sku.apply(event));
        self.commit(EntityId::Sku(id.clone()), events.into_iter().flatten().map(Event::Sku).collect());
        Ok(Done { version: 0, replayed, view: View::Nothing })
    }

    fn commit(&mut self, entity: EntityId, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let n = self.log.len() as u64 + 1;
        let entries = events.into_iter().map(|event| Entry { entity: entity.clone(), version: 0, event }).collect();
        let records = vec![Record { at: self.now, entries, trace: None }];
        let frame = Committed { seq: n, hash: Hash::default(), at: self.now, first: Position(n), records };
        self.feed.ingest(&frame);
        self.log.push(frame);
        self.start_jobs();
    }

    fn start_jobs(&mut self) {
        while let Some(from) = self.feed.wanted() {
            self.log[from.0 as usize - 1..].iter().for_each(|frame| self.feed.ingest(frame));
        }
        for queue in Queue::ALL {
            while let Some(message) = self.feed.next(queue) {
                let subject = (message.order, message.step);
                if !self.in_progress.insert(subject) {
                    self.feed.acknowledge(queue, message.id);
                    continue;
                }
                let (job, turn) = Job::start(message, self.terms);
                let number = self.number();
                self.jobs.insert(number, (queue, message.id, subject, job));
                self.do_turn(number, turn);
            }
        }
    }

    fn do_turn(&mut self, number: u64, turn: Turn) {
        match turn {
            Turn::Over(end) => {
                let (queue, id, subject, _) = self.jobs.remove(&number).unwrap();
                self.in_progress.remove(&subject);
                assert!(self.feed.acknowledge(queue, id));
                *self.ends.entry(end).or_default() += 1;
            }
            Turn::Pause(span) => self.later(span, What::Replies(number, Vec::new())),
            Turn::Ask(asks) => {
                let mut replies = Vec::new();
                let mut longest = Span(0);
                for ask in asks {
                    let (after, reply) = self.ask(ask);
                    longest = longest.max(after);
                    replies.push(reply);
                }
                self.later(longest, What::Replies(number, replies));
            }
        }
    }

    /// What a question comes to, and when the answer is there.
    fn ask(&mut self, ask: Ask) -> (Span, Reply) {
        let soon = Span::millis(1 + self.random.below(3) as i64);
        match ask {
            Ask::Entity(..) if self.random.below(1000) < self.entity_faults => {
                (soon, Reply::Entity(Err(Failure::Overloaded)))
            }
            Ask::Entity(entity, question) => {
                let result = match (entity, question) {
                    (EntityId::Order(id), Question::ReadOrder) => {
                        let view = View::Order(Box::new(self.orders[&id].clone()));
                        Ok(Done { version: 0, replayed: false, view })
                    }
                    (EntityId::Order(id), Question::Order(command)) => self.order(id, &command),
                    (EntityId::Sku(id), Question::Sku(command)) => self.sku(&id, &command),
                    (entity, question) => panic!("{entity} is asked {question:?}"),
                };
                let lost = self.random.below(1000) < self.entity_faults;
                (soon, Reply::Entity(if lost { Err(Failure::OutcomeUnknown) } else { result }))
            }
            Ask::Pay(call) => {
                let received = self.desk.receive(&call, self.now);
                for (after, answer) in received.callbacks {
                    self.later(after, What::Callback(call.order, call.step, answer));
                }
                if let Some(after) = received.late {
                    self.later(after, What::Late(call));
                }
                let timeout = self.terms.provider_timeout;
                let (after, answer) =
                    received.answer.filter(|(after, _)| *after < timeout).unwrap_or((timeout, Answer::Unknown));
                (after, Reply::Answer(answer))
            }
            Ask::LookUp(reference) => {
                let (after, found) = self.desk.look_up(&reference);
                assert_ne!(found, Found::Unknown);
                (after, Reply::Found(found))
            }
            Ask::Request(request) => {
                if self.depot.request(&request).unwrap()
                    && let Some(after) = self.ships_after
                {
                    self.later(after, What::Ship(request.order, request.location));
                }
                (soon, Reply::Answer(Answer::Done { reference: None }))
            }
            Ask::CallOff(call_off) => (soon, Reply::Answer(self.depot.call_off(&call_off).unwrap())),
        }
    }

    pub fn later(&mut self, after: Span, what: What) {
        let number = self.number();
        self.agenda.insert((self.now.plus(after), number), what);
    }

    fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn moment(&self) -> Moment {
        let frozen =
            self.overdue_at_start.filter(|_| !self.feed.caught_up() && self.now < self.started_at.plus(FROZEN));
        Moment { now: self.now, overdue: frozen.unwrap_or(self.now) }
    }

    /// Whatever comes next happens. `false`: nothing does, for a long time.
    pub fn step(&mut self) -> bool {
        let due =
            self.orders.values().filter_map(Order::deadline).chain(self.skus.values().filter_map(Sku::deadline)).min();
        let frozen = self.moment().overdue < self.now;
        let due = due.map(|due| {
            if frozen && due > self.moment().overdue {
                due.max(self.now.plus(Span::millis(100)))
            } else {
                due.max(self.now)
            }
        });
        let next = self.agenda.first_key_value().map(|((at, _), _)| *at);
        match (next, due) {
            (Some(next), due) if due.is_none_or(|due| next <= due) => {
                let ((at, _), what) = self.agenda.pop_first().unwrap();
                self.now = at;
                self.happen(what);
            }
            (_, Some(due)) if due <= self.now.plus(FAR) => {
                self.now = due;
                self.tick();
            }
            _ => return false,
        }
        self.start_jobs();
        true
    }

    fn tick(&mut self) {
        let overdue = self.moment().overdue;
        let due = |deadline: Option<Timestamp>| deadline.is_some_and(|deadline| deadline <= overdue);
        let orders: Vec<_> = self.orders.iter().filter(|(_, o)| due(o.deadline())).map(|(id, _)| *id).collect();
        let skus: Vec<_> = self.skus.iter().filter(|(_, s)| due(s.deadline())).map(|(id, _)| id.clone()).collect();
        for id in orders {
            self.order(id, &order::Command::Tick).unwrap();
        }
        for id in skus {
            self.sku(&id, &sku::Command::Tick).unwrap();
        }
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Replies(number, replies) => {
                let now = self.now;
                let turn = self.jobs.get_mut(&number).unwrap().3.resume(replies, now);
                self.do_turn(number, turn);
            }
            What::Callback(order, step, answer) => {
                if self.callbacks {
                    self.order(order, &order::Command::Report { step, answer }).unwrap();
                }
            }
            What::Late(call) => {
                let answer = self.desk.perform_late(&call, self.now);
                self.later(Span(0), What::Callback(call.order, call.step, answer));
            }
            What::Ship(order, location) => {
                if let Some(dispatched) = self.depot.ship(order, &location).unwrap() {
                    self.later(Span::millis(5), What::Report(dispatched));
                }
            }
            What::Report(dispatched) => {
                let Dispatched { order, shipment, location, lines, tracking } = dispatched.clone();
                match self.order(order, &order::Command::Ship { shipment, fingerprint: 0, location, lines, tracking }) {
                    Ok(_) => self.depot.confirm(shipment).unwrap(),
                    Err(Failure::Order(order::Refusal::BeingCalledOff)) => {
                        self.later(Span::millis(500), What::Report(dispatched));
                    }
                    Err(failure) => panic!("a shipment that nobody takes in: {failure}"),
                }
            }
        }
    }

    /// Steps until this holds.
    pub fn run_until(&mut self, done: impl Fn(&World) -> bool) {
        for _ in 0..100_000 {
            if done(self) {
                return;
            }
            assert!(self.step(), "nothing happens any more, and it has not come to that");
        }
        panic!("it does not come to that");
    }

    /// Steps until nothing happens any more.
    pub fn settle(&mut self) {
        for _ in 0..1_000_000 {
            if !self.step() {
                assert!(self.jobs.is_empty());
                assert_eq!(self.feed.cursor(), Position(self.log.len() as u64), "all is finished");
                return;
            }
        }
        panic!("it never ends");
    }

    /// The process dies, and another starts from the log and a cursor that is up to `stale` records too old.
    pub fn crash(&mut self, stale: u64, down_for: Span) {
        self.jobs.clear();
        self.in_progress.clear();
        self.agenda.retain(|_, what| matches!(what, What::Late(_) | What::Ship(..)));
        let last_logged = self.now;
        self.now = self.now.plus(down_for);
        self.started_at = self.now;
        self.overdue_at_start = Some(last_logged);
        self.orders.clear();
        self.skus.clear();
        for entry in self.log.iter().flat_map(|frame| &frame.records).flat_map(|record| &record.entries) {
            match (&entry.entity, &entry.event) {
                (EntityId::Order(id), Event::Order(event)) => self.orders.entry(*id).or_default().apply(event),
                (EntityId::Sku(id), Event::Sku(event)) => self.skus.entry(id.clone()).or_default().apply(event),
                _ => {}
            }
        }
        let cursor = Position(self.feed.cursor().0.saturating_sub(stale));
        self.feed = Feed::resume(&feed::Config::default(), cursor, Position(self.log.len() as u64));
        // What fell due while nobody could act on it: the outside world went on by itself.
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 < self.now) {
            match entry.remove() {
                What::Late(call) => drop(self.desk.perform_late(&call, self.now)),
                What::Ship(order, location) => drop(self.depot.ship(order, &location).unwrap()),
                What::Replies(..) | What::Callback(..) | What::Report(_) => {}
            }
        }
        for dispatched in self.depot.unconfirmed() {
            self.later(Span::millis(5), What::Report(dispatched.unwrap()));
        }
        self.start_jobs();
    }

    /// Money and units are where they should be, now that nothing happens any more.
    pub fn check(&self) {
        let money = self.desk.books().by_order().unwrap();
        for (id, order) in self.orders.iter().filter(|(_, order)| order.state().is_some()) {
            let state = order.state().unwrap();
            let moved = money.get(id).copied().unwrap_or_default();
            let total = order.total().unwrap().minor;
            let context = format!("{id} is {state:?}, {moved:?}: {order:#?}");
            assert!(state.is_terminal(), "waits for ever: {context}");
            assert_eq!(order.attention(), None, "{context}");
            assert_eq!(order.open_steps(), [], "{context}");
            assert_eq!(moved.still_reserved(), 0, "money stays reserved: {context}");
            assert_eq!(moved.captured, order.captured().unwrap().minor, "{context}");
            assert_eq!(moved.refunded, order.refunded().unwrap().minor, "{context}");
            match state {
                State::Fulfilled => assert_eq!((moved.captures, moved.captured), (1, total), "{context}"),
                _ => assert_eq!(moved.captured, moved.refunded, "money without units: {context}"),
            }
            let shipped: Units = order.tallies().iter().map(|tally| tally.shipped).sum();
            assert_eq!(shipped > 0, state == State::Fulfilled, "{context}");
        }
        for (id, sku) in &self.skus {
            let (stock, totals) = (sku.availability(), sku.totals());
            assert_eq!((stock.held, stock.allocated), (0, 0), "{id}: stranded units, {stock:?}");
            assert_eq!(i64::from(stock.on_hand), totals.on_hand(), "{id}");
            let lines = |order: &Order| order.placement().unwrap().lines.clone();
            let of_sku = |order: &Order| -> u64 {
                let lines = lines(order);
                let tallies = order.tallies();
                lines.iter().zip(tallies).filter(|(line, _)| line.sku == *id).map(|(_, t)| u64::from(t.shipped)).sum()
            };
            let shipped: u64 = self.orders.values().filter(|order| order.state().is_some()).map(of_sku).sum();
            assert_eq!(shipped, totals.shipped, "{id}: SKU and orders disagree on what left");
        }
    }
}

/// A small generator that never changes.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}
