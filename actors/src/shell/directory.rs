//! A shard's directory: starts the actors of its warm entities, holds their only addresses, fires their timers,
//! reloads them after a crash and lets them go when they are idle.
//!
//! An entity leaves only with nothing outstanding, and only when everything that it handed to the log can be read back
//! (S11). So there are never two incarnations that know different things.

mod passivation;

use crate::cart::Cart;
use crate::ids::EntityId;
use crate::mutant::Mutant;
use crate::order::placing::{PlaceRefusal, RefusedLine, Wanted};
use crate::order::{self, Order};
use crate::record::Position;
use crate::shell::address::Address;
use crate::shell::fabric::{Parcel, Shard};
use crate::shell::lane::Lane;
use crate::shell::loader::Loaded;
use crate::shell::message::{Envelope, Failure, Question, ReplyTo};
use crate::shell::post::{Arm, Arrived, Batch, Crashed, LetGo, Requeue, ShardState, Shared, Stays};
use crate::shell::stats::{bump, kind};
use crate::shell::vital::Vital;
use crate::shop::Shop;
use crate::sku::{self, MAX_UNITS, Sku};
use crate::time::Span;
use crate::{cart, shell::stats::Stats};
use actix::{Actor, Addr, AsyncContext, Context, Handler};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often timers fire and idle entities are looked for.
const TICK: Duration = Duration::from_millis(20);

/// A timer whose entity cannot take it comes back after this.
const TICK_AGAIN: Span = Span::seconds(1);

/// Crashes are forgotten, and quarantine is lifted, after so many ticks (a minute).
const FORGIVE_AFTER: u64 = 60_000 / TICK.as_millis() as u64;

enum Entry {
    /// Being read back; its commands wait here, a bounded number of them.
    Loading { parked: Vec<Envelope>, at_least: Position },
    /// Its actor is running.
    Warm { address: Address, cell: Rc<Shared> },
    /// It crashed too often.
    Quarantined { until: u64, last: Position },
    /// It could not be read back with everything that it had handed to the log up to here; the next question tries
    /// again, and with nothing less (S1).
    Unreadable { last: Position },
}

/// One shard's directory.
pub struct Directory {
    shard: Shard,
    state: Rc<ShardState>,
    entries: HashMap<EntityId, Entry, FixedState>,
    /// Warm entities that stay, in the order in which they are looked at for passivation.
    ring: VecDeque<EntityId>,
    loading: usize,
    crashes: HashMap<EntityId, (u32, u64), FixedState>,
    tick: u64,
    _vital: Vital,
}

impl Actor for Directory {
    type Context = Context<Directory>;

    fn started(&mut self, context: &mut Self::Context) {
        // Its entities' actors hold the shard's state and it holds theirs: they end together, when the thread does.
        let _ = self.state.directory.set(context.address());
        context.run_interval(TICK, |directory, _| directory.on_tick());
    }
}

impl Directory {
    pub(crate) fn start(shard: Shard, lane: &Rc<Lane>) -> Addr<Directory> {
        let state = ShardState {
            shard,
            timers: RefCell::default(),
            rounds: Cell::new(0),
            releasing: Cell::new(0),
            began: Cell::new(None),
            unread: RefCell::default(),
            directory: OnceCell::new(),
            lane: Rc::clone(lane),
            fabric: Arc::clone(lane.fabric()),
        };
        Actor::start(Directory {
            shard,
            state: Rc::new(state),
            entries: HashMap::default(),
            ring: VecDeque::new(),
            loading: 0,
            crashes: HashMap::default(),
            tick: 0,
            _vital: Vital::new(lane.fabric(), lane.id(), format!("the directory of shard {}", shard.0)),
        })
    }

    fn stats(&self) -> &Stats {
        &self.state.fabric.stats
    }

    fn route(&mut self, envelope: Envelope) {
        if Mutant::KeyBeforeFlag.is_off()
            && let Some(refusal) = self.sold_out(&envelope.question)
        {
            return envelope.reply.fail(refusal.into());
        }
        match self.entries.get_mut(&envelope.to) {
            Some(Entry::Warm { address, cell }) if address.connected() => {
                cell.used.set(self.tick);
                address.deliver(cell, envelope);
            }
            // The actor is gone without saying so: as after a crash.
            Some(Entry::Warm { .. }) => {
                self.crashed(envelope.to.clone());
                self.route(envelope);
            }
            Some(Entry::Loading { parked, .. }) => {
                if parked.len() < self.state.fabric.settings.parked_per_entity {
                    parked.push(envelope);
                } else {
                    bump(&self.state.fabric.stats.refused_full);
                    self.refuse(envelope, Failure::Overloaded);
                }
            }
            Some(Entry::Quarantined { .. }) => self.refuse(envelope, Failure::Quarantined),
            Some(Entry::Unreadable { last }) => {
                let last = *last;
                self.load(envelope.to.clone(), last, vec![envelope]);
            }
            None => self.activate(envelope),
        }
    }

    /// Says no. A timer must not be lost: it comes back a little later (S5).
    fn refuse(&self, envelope: Envelope, failure: Failure) {
        if is_tick(&envelope.question) {
            let later = self.state.fabric.clock.moment().now.plus(TICK_AGAIN);
            self.state.timers.borrow_mut().arm(later, envelope.to.clone());
        }
        envelope.reply.fail(failure);
    }

    /// Starts an entity that is not warm: at once if it is new, else when it has been read back.
    fn activate(&mut self, envelope: Envelope) {
        let entity = envelope.to.clone();
        let may_be_new = matches!(envelope.question, Question::Place(_) | Question::PlaceCart(..));
        if may_be_new && (Mutant::OrderLookUp.is_off() || self.state.fabric.loader.absent(&entity)) {
            // Its key is new, then (S16).
            if let Some(refusal) = self.sold_out(&envelope.question) {
                return envelope.reply.fail(refusal.into());
            }
            self.warm(&entity, Loaded::Absent, vec![envelope]);
            return;
        }
        if self.loading >= self.state.fabric.settings.loads_per_shard {
            bump(&self.stats().refused_full);
            return self.refuse(envelope, Failure::Overloaded);
        }
        // It left, if it ever was here, only when its last version could be read.
        self.load(entity, Position(0), vec![envelope]);
    }

    /// The answer to an order that wants nothing but units of one SKU which is known to be sold out.
    fn sold_out(&self, question: &Question) -> Option<PlaceRefusal> {
        let Question::Place(request) = question else { return None };
        let [Wanted { sku, units: 1..=MAX_UNITS, hold: None, .. }] = &request.wanted[..] else { return None };
        let (units, now) = (request.wanted[0].units, self.state.fabric.clock.moment().now);
        let refusal = self.state.fabric.sold_out.refusal(sku, units, now)?;
        Some(PlaceRefusal { lines: vec![RefusedLine { sku: sku.clone(), why: refusal.into() }] })
    }

    fn load(&mut self, entity: EntityId, at_least: Position, parked: Vec<Envelope>) {
        self.loading += 1;
        self.entries.insert(entity.clone(), Entry::Loading { parked, at_least });
        let (fabric, shard) = (Arc::clone(&self.state.fabric), self.shard);
        let loaded = entity.clone();
        self.state.fabric.loader.load(
            entity,
            at_least,
            Box::new(move |outcome| {
                let lane = fabric.lane_of(shard);
                fabric.mail(lane, std::iter::once(Parcel::Loaded(shard, loaded, outcome)));
            }),
        );
    }

    fn warm(&mut self, entity: &EntityId, loaded: Loaded, parked: Vec<Envelope>) {
        let cell = Rc::new(Shared::default());
        cell.used.set(self.tick);
        let state = Rc::clone(&self.state);
        // One that nothing has happened to yet goes at once ([`LetGo`]), or says that it stays.
        let is_new = matches!(loaded, Loaded::Absent);
        let address = match (entity, loaded) {
            (EntityId::Sku(_), Loaded::Sku(sku, version)) => Address::sku(entity, *sku, version, state, &cell),
            (EntityId::Sku(_), Loaded::Absent) => Address::sku(entity, Sku::default(), 0, state, &cell),
            (EntityId::Cart(_), Loaded::Cart(cart, version)) => Address::cart(entity, *cart, version, state, &cell),
            (EntityId::Cart(_), Loaded::Absent) => Address::cart(entity, Cart::default(), 0, state, &cell),
            (EntityId::Order(_), Loaded::Order(order, version)) => {
                Address::order(entity, *order, version, state, &cell)
            }
            (EntityId::Order(_), Loaded::Absent) => Address::order(entity, Order::default(), 0, state, &cell),
            (EntityId::Shop, Loaded::Shop(shop, version)) => Address::shop(entity, *shop, version, state, &cell),
            (EntityId::Shop, Loaded::Absent) => Address::shop(entity, Shop::default(), 0, state, &cell),
            (_, other) => {
                tracing::error!(%entity, ?other, "the loader answered with another kind of entity");
                for envelope in parked {
                    envelope.reply.fail(Failure::NotLoaded);
                }
                return;
            }
        };
        bump(&self.stats().activations[kind(entity)]);
        bump(&self.stats().warm[kind(entity)]);
        for envelope in parked {
            address.deliver(&cell, envelope);
        }
        self.entries.insert(entity.clone(), Entry::Warm { address, cell });
        if !is_new {
            self.ring.push_back(entity.clone());
        }
    }

    /// Reloads a crashed entity when everything that it handed to the log is committed (S1); or gives it up.
    fn crashed(&mut self, entity: EntityId) {
        let Some(Entry::Warm { cell, .. }) = self.entries.get(&entity) else { return };
        let last = cell.last.get();
        self.entries.remove(&entity);
        bump(&self.stats().crashes[kind(&entity)]);
        self.stats().warm[kind(&entity)].fetch_sub(1, Ordering::Relaxed);
        let (count, since) = self.crashes.entry(entity.clone()).or_insert((0, self.tick));
        *count += 1;
        *since = self.tick;
        let until = self.tick + FORGIVE_AFTER;
        if *count >= self.state.fabric.settings.crashes_until_quarantine {
            tracing::error!(%entity, crashes = *count, "quarantined after repeated crashes");
            bump(&self.state.fabric.stats.quarantined);
            self.entries.insert(entity, Entry::Quarantined { until, last });
        } else {
            tracing::error!(%entity, crashes = *count, "crashed; reloading");
            self.load(entity, last, Vec::new());
        }
    }

    fn on_tick(&mut self) {
        self.tick += 1;
        self.fire_timers();
        self.passivate();
        self.forgive();
    }

    fn fire_timers(&mut self) {
        let overdue = self.state.fabric.clock.moment().overdue;
        for _ in 0..self.state.fabric.settings.timers_per_tick {
            let Some(entity) = self.state.timers.borrow_mut().due(overdue) else { return };
            if let Some(Entry::Warm { cell, .. }) = self.entries.get(&entity) {
                cell.armed.set(None);
            }
            bump(&self.stats().timers_fired);
            let question = match &entity {
                EntityId::Sku(_) => Question::Sku(sku::Command::Tick),
                EntityId::Cart(_) => Question::Cart(cart::Command::Tick),
                EntityId::Order(_) => Question::Order(Box::new(order::Command::Tick)),
                // It has no deadline.
                EntityId::Shop => continue,
            };
            self.route(Envelope::new(entity, question, ReplyTo::nobody(), Position(0)));
        }
    }

    fn forgive(&mut self) {
        if !self.tick.is_multiple_of(50) || self.crashes.is_empty() {
            return;
        }
        let tick = self.tick;
        let entries = &mut self.entries;
        let quarantined = &self.state.fabric.stats.quarantined;
        self.crashes.retain(|entity, (_, since)| {
            let forgiven = tick >= *since + FORGIVE_AFTER;
            if forgiven
                && let Some(Entry::Quarantined { until, last }) = entries.get(entity)
                && tick >= *until
            {
                let last = *last;
                entries.insert(entity.clone(), Entry::Unreadable { last });
                quarantined.fetch_sub(1, Ordering::Relaxed);
            }
            !forgiven
        });
    }
}

fn is_tick(question: &Question) -> bool {
    match question {
        Question::Sku(sku::Command::Tick) | Question::Cart(cart::Command::Tick) => true,
        Question::Order(command) => matches!(**command, order::Command::Tick),
        _ => false,
    }
}

impl Handler<Batch> for Directory {
    type Result = ();

    fn handle(&mut self, Batch(envelopes): Batch, _: &mut Self::Context) {
        self.stats().questions[self.shard.0].fetch_add(envelopes.len() as u64, Ordering::Relaxed);
        let questions = envelopes.len();
        for envelope in envelopes {
            self.route(envelope);
        }
        let surplus = self.surplus();
        if surplus > 0 {
            self.let_go(surplus.min(questions));
        }
    }
}

impl Handler<Arrived> for Directory {
    type Result = ();

    fn handle(&mut self, Arrived { entity, outcome }: Arrived, _: &mut Self::Context) {
        self.loading = self.loading.saturating_sub(1);
        let Some(Entry::Loading { parked, at_least }) = self.entries.remove(&entity) else { return };
        match outcome {
            Ok(Loaded::Absent) if parked.is_empty() => {}
            Ok(loaded) => self.warm(&entity, loaded, parked),
            Err(error) => {
                tracing::error!(%entity, error, "could not be loaded");
                self.entries.insert(entity, Entry::Unreadable { last: at_least });
                for envelope in parked {
                    self.refuse(envelope, Failure::NotLoaded);
                }
            }
        }
    }
}

impl Handler<Arm> for Directory {
    type Result = ();

    fn handle(&mut self, Arm(timers): Arm, _: &mut Self::Context) {
        let mut armed = self.state.timers.borrow_mut();
        for (at, entity) in timers {
            armed.arm(at, entity);
        }
    }
}

impl Handler<Crashed> for Directory {
    type Result = ();

    fn handle(&mut self, Crashed(entity): Crashed, _: &mut Self::Context) {
        self.crashed(entity);
    }
}

impl Handler<Stays> for Directory {
    type Result = ();

    fn handle(&mut self, Stays(entity): Stays, _: &mut Self::Context) {
        self.ring.push_back(entity);
    }
}

impl Handler<LetGo> for Directory {
    type Result = ();

    fn handle(&mut self, LetGo(entity): LetGo, _: &mut Self::Context) {
        let nothing = |cell: &Shared| cell.outstanding.get() == 0 && cell.last.get() == Position(0);
        if matches!(self.entries.get(&entity), Some(Entry::Warm { cell, .. }) if nothing(cell)) {
            self.passivated(&entity);
        }
    }
}

impl Handler<Requeue> for Directory {
    type Result = ();

    fn handle(&mut self, Requeue(envelope): Requeue, _: &mut Self::Context) {
        self.route(envelope);
    }
}
