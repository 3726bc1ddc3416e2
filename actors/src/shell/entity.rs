//! The thin shell around an aggregate: decide, apply, hand to the log, answer. No business rule lives here, and nothing
//! here waits: the answer says on which position it rests, and the asker's lane holds it back until that is committed.

use crate::cart::{self, Cart};
use crate::ids::EntityId;
use crate::journal::{Class, NoRoom};
use crate::order::{self, Order};
use crate::record::{Entry, Event, Position, Record, Version};
use crate::shell::message::{Done, Envelope, Failure, Question, Reply, ReplyTo, View};
use crate::shell::post::{Crashed, Deliver, LetGo, Requeue, ShardState, Shared, Stays};
use crate::shell::stats::kind;
use crate::shell::timers::HORIZON;
use crate::shop::{self, Shop};
use crate::sku::{self, Remembered, RememberedKey, Sku};
use crate::time::{Moment, Timestamp};
use crate::trace::TraceLink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use tokio::time::Instant;

/// What the shell needs of an aggregate.
pub(crate) trait Aggregate: Default + Unpin + 'static {
    type Command;
    type Event;
    type Refusal: Into<Failure>;

    fn decide(
        &self,
        entity: &EntityId,
        command: &Self::Command,
        at: Moment,
        state: &ShardState,
    ) -> Result<Option<Vec<Self::Event>>, Self::Refusal>;
    fn apply(&mut self, event: &Self::Event);
    fn deadline(&self) -> Option<Timestamp>;
    fn wrap(event: Self::Event) -> Event;
    /// Who may use the last room in the log.
    fn class(command: &Self::Command) -> Class;
    /// Where its records belong in a trace.
    fn trace(&self) -> Option<TraceLink> {
        None
    }
    /// Ids that outlive this event, asked for before it is applied.
    fn remembers(&self, _: &Self::Event) -> Vec<(RememberedKey, Remembered)> {
        Vec::new()
    }
}

impl Aggregate for Sku {
    type Command = sku::Command;
    type Event = sku::Event;
    type Refusal = sku::Refusal;

    fn decide(
        &self,
        entity: &EntityId,
        command: &sku::Command,
        at: Moment,
        state: &ShardState,
    ) -> Result<Option<Vec<sku::Event>>, sku::Refusal> {
        let settings = &state.fabric.settings;
        let known = match (entity, self.unsure_of(command, at, &settings.sku)) {
            (EntityId::Sku(sku), Some(key)) => {
                let unread = state.unread.borrow().get(sku, key);
                unread.or_else(|| state.fabric.loader.remembered(sku, key))
            }
            _ => None,
        };
        let events = Sku::decide(self, command, at, &settings.sku, known.as_ref())?;
        // A hold that was granted before is answered as before.
        if events.is_some() && matches!(command, sku::Command::Hold { .. }) && state.fabric.paused() {
            return Err(sku::Refusal::SalePaused);
        }
        Ok(events)
    }

    fn apply(&mut self, event: &sku::Event) {
        Sku::apply(self, event);
    }

    fn deadline(&self) -> Option<Timestamp> {
        Sku::deadline(self)
    }

    fn wrap(event: sku::Event) -> Event {
        Event::Sku(event)
    }

    fn remembers(&self, event: &sku::Event) -> Vec<(RememberedKey, Remembered)> {
        Sku::remembers(self, event)
    }

    fn class(command: &sku::Command) -> Class {
        match command {
            sku::Command::List(_)
            | sku::Command::SetLocation { .. }
            | sku::Command::Receive { .. }
            | sku::Command::Adjust { .. }
            | sku::Command::Hold { .. } => Class::Intake,
            sku::Command::Extend { .. }
            | sku::Command::Release { .. }
            | sku::Command::Tick
            | sku::Command::Allocate { .. }
            | sku::Command::Ship { .. }
            | sku::Command::ReduceAllocation { .. }
            | sku::Command::CancelAllocation { .. }
            | sku::Command::Return { .. }
            | sku::Command::Pause
            | sku::Command::Resume => Class::Settle,
        }
    }
}

impl Aggregate for Cart {
    type Command = cart::Command;
    type Event = cart::Event;
    type Refusal = cart::Refusal;

    fn decide(
        &self,
        _: &EntityId,
        command: &cart::Command,
        at: Moment,
        _: &ShardState,
    ) -> Result<Option<Vec<cart::Event>>, cart::Refusal> {
        Cart::decide(self, command, at)
    }

    fn apply(&mut self, event: &cart::Event) {
        Cart::apply(self, event);
    }

    fn deadline(&self) -> Option<Timestamp> {
        Cart::deadline(self)
    }

    fn wrap(event: cart::Event) -> Event {
        Event::Cart(event)
    }

    fn class(command: &cart::Command) -> Class {
        if matches!(command, cart::Command::Tick) { Class::Settle } else { Class::Intake }
    }
}

impl Aggregate for Order {
    type Command = order::Command;
    type Event = order::Event;
    type Refusal = order::Refusal;

    fn decide(
        &self,
        _: &EntityId,
        command: &order::Command,
        at: Moment,
        state: &ShardState,
    ) -> Result<Option<Vec<order::Event>>, order::Refusal> {
        Order::decide(self, command, at, &state.fabric.settings.order)
    }

    fn apply(&mut self, event: &order::Event) {
        Order::apply(self, event);
    }

    fn deadline(&self) -> Option<Timestamp> {
        Order::deadline(self)
    }

    fn wrap(event: order::Event) -> Event {
        Event::Order(event)
    }

    fn class(command: &order::Command) -> Class {
        if matches!(command, order::Command::Place(_)) { Class::Intake } else { Class::Settle }
    }

    fn trace(&self) -> Option<TraceLink> {
        Order::trace(self)
    }
}

impl Aggregate for Shop {
    type Command = shop::Command;
    type Event = shop::Event;
    type Refusal = shop::Refusal;

    fn decide(
        &self,
        _: &EntityId,
        command: &shop::Command,
        at: Moment,
        _: &ShardState,
    ) -> Result<Option<Vec<shop::Event>>, shop::Refusal> {
        Shop::decide(self, command, at)
    }

    fn apply(&mut self, event: &shop::Event) {
        Shop::apply(self, event);
    }

    fn deadline(&self) -> Option<Timestamp> {
        None
    }

    fn wrap(event: shop::Event) -> Event {
        Event::Shop(event)
    }

    // A shop must be pausable when the log is nearly full; what else is noted must not take the room of settlement.
    fn class(shop::Command::Act(deed): &shop::Command) -> Class {
        match deed.what {
            shop::What::PauseShop | shop::What::ResumeShop => Class::Settle,
            _ => Class::Intake,
        }
    }
}

/// What became of a command.
pub(crate) struct Executed {
    /// Nothing changed: it had happened already.
    pub replayed: bool,
    /// What the answer rests on.
    pub rests_on: Position,
}

/// An aggregate with its place in the log.
pub(crate) struct Shell<A> {
    pub entity: EntityId,
    pub aggregate: A,
    pub version: Version,
    pub state: Rc<ShardState>,
    pub cell: Rc<Shared>,
}

impl<A: Aggregate> Shell<A> {
    pub fn new(entity: EntityId, aggregate: A, version: Version, state: Rc<ShardState>, cell: Rc<Shared>) -> Shell<A> {
        let shell = Shell { entity, aggregate, version, state, cell };
        shell.arm();
        shell
    }

    /// Decides and applies `command` and hands its events to the log, in one record with `companions`. `follows` is the
    /// highest position that the command rests on (S10).
    ///
    /// # Errors
    /// The refusal, no room, or a crash; in each case nothing reached the log.
    pub fn execute(
        &mut self,
        command: &A::Command,
        companions: Vec<Entry>,
        follows: Position,
    ) -> Result<Executed, Failure> {
        if let Err(no_room) = self.room(A::class(command)) {
            // It may have been a timer, which still has to come back.
            self.arm();
            return Err(no_room.into());
        }
        let at = self.state.fabric.clock.moment();
        let decided = self.guarded(|shell| {
            let events = shell.aggregate.decide(&shell.entity, command, at, &shell.state).map_err(Into::into)?;
            let mut remembered = Vec::new();
            for event in events.iter().flatten() {
                remembered.append(&mut shell.aggregate.remembers(event));
                shell.aggregate.apply(event);
            }
            Ok::<_, Failure>(events.map(|events| (events, remembered)))
        })?;
        let Some((events, remembered)) = decided? else {
            // A timer that found nothing due yet still has to come back.
            self.arm();
            return Ok(Executed { replayed: true, rests_on: self.cell.last.get() });
        };
        if self.version == 0 {
            self.state.tell(Stays(self.entity.clone()));
        }
        let mut entries = Vec::with_capacity(events.len() + companions.len());
        for event in events {
            self.version += 1;
            entries.push(Entry { entity: self.entity.clone(), version: self.version, event: A::wrap(event) });
        }
        entries.extend(companions);
        let record = Record { at: at.now, entries, trace: self.aggregate.trace() };
        let follows = follows.max(self.cell.last.get());
        let rests_on = self.guarded(|shell| shell.state.fabric.journal.append(record, follows))?;
        self.cell.last.set(rests_on);
        if let (EntityId::Sku(sku), false) = (&self.entity, remembered.is_empty()) {
            let readable = self.state.fabric.loader.readable();
            self.state.unread.borrow_mut().note(sku, remembered, rests_on, readable);
        }
        self.state.lane.appended();
        self.arm();
        Ok(Executed { replayed: false, rests_on })
    }

    /// Is there room for one more record, and of a SKU for what it remembers?
    fn room(&self, class: Class) -> Result<(), NoRoom> {
        let fabric = &self.state.fabric;
        fabric.journal.room(class)?;
        let is_sku = matches!(self.entity, EntityId::Sku(_));
        if is_sku && self.state.unread.borrow_mut().is_full(fabric.loader.readable()) {
            return Err(NoRoom::Busy);
        }
        Ok(())
    }

    /// Runs what may panic on a broken invariant. A panic poisons this entity alone.
    ///
    /// # Errors
    /// [`Failure::Crashed`] after a panic.
    pub fn guarded<T>(&mut self, run: impl FnOnce(&mut Self) -> T) -> Result<T, Failure> {
        catch_unwind(AssertUnwindSafe(|| run(self))).map_err(|_| {
            self.cell.poisoned.set(true);
            self.state.tell(Crashed(self.entity.clone()));
            Failure::Crashed
        })
    }

    /// Arms the next deadline if it comes up soon and nothing earlier is armed.
    fn arm(&self) {
        let Some(deadline) = self.aggregate.deadline() else { return };
        let soon = deadline <= self.state.fabric.clock.moment().now.plus(HORIZON);
        if soon && self.cell.armed.get().is_none_or(|armed| deadline < armed) {
            self.cell.armed.set(Some(deadline));
            self.state.timers.borrow_mut().arm(deadline, self.entity.clone());
        }
    }

    /// Takes a message from the mailbox; a poisoned entity passes it back to be parked until the reload.
    pub fn take(&mut self, Deliver(mut envelope): Deliver) -> Option<Envelope> {
        self.cell.outstanding.set(self.cell.outstanding.get().saturating_sub(1));
        if self.cell.poisoned.get() {
            self.state.tell(Requeue(envelope));
            return None;
        }
        // One that waits again, for the end of a checkout, is not timed twice.
        self.state.began.set(envelope.sent.take().map(|sent| {
            let now = Instant::now();
            self.state.fabric.stats.waits_of(self.state.shard.0).record(now.duration_since(sent));
            now
        }));
        Some(envelope)
    }

    /// After a message: an entity without a single event has nothing to stay for. A rush of refused orders, or of reads
    /// of ids that never were, would else fill the memory.
    pub fn after(&mut self) {
        if let Some(began) = self.state.began.take() {
            self.state.fabric.stats.handling[kind(&self.entity)].record(began.elapsed());
        }
        if self.version == 0 && self.cell.outstanding.get() == 0 && !self.cell.poisoned.get() {
            self.state.tell(LetGo(self.entity.clone()));
        }
    }

    /// Answers a command with what the entity shows now.
    pub fn answer(&mut self, reply: ReplyTo, executed: Result<Executed, Failure>, view: impl FnOnce(&A) -> View) {
        match executed {
            Ok(Executed { replayed, rests_on }) => {
                let done = Done { version: self.version, replayed, view: view(&self.aggregate) };
                reply.answer(Reply { rests_on, result: Ok(done) });
            }
            Err(failure) => reply.fail(failure),
        }
    }

    /// Answers a read: it waits for the version that it shows.
    pub fn show(&mut self, reply: ReplyTo, view: Result<View, Failure>) {
        match view {
            Ok(view) => {
                let done = Done { version: self.version, replayed: false, view };
                reply.answer(Reply { rests_on: self.cell.last.get(), result: Ok(done) });
            }
            Err(failure) => reply.fail(failure),
        }
    }
}

/// Says that a question came to the wrong kind of entity: a bug of the caller, answered all the same.
pub(crate) fn misrouted(entity: &EntityId, question: &Question, reply: ReplyTo) {
    tracing::error!(%entity, ?question, "a question for another kind of entity");
    reply.fail(Failure::Crashed);
}
