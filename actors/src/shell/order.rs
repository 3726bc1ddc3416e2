//! The actor of one order. It collects the holds, all SKUs asked at once, and places the order from granted holds
//! only; a cart's end goes into the same record. Whoever repeats the request meanwhile waits for the first answer.

use crate::ids::{EntityId, HoldId, OrderId, SkuId};
use crate::order::placing::{HoldAnswer, Next, PlaceRequest, Placing};
use crate::order::{self, Order};
use crate::record::{Entry, Event, Position};
use crate::shell::entity::{Executed, Shell, misrouted};
use crate::shell::lane::{self, REPEAT_WAITS};
use crate::shell::message::{Address, CartHalf, Done, Envelope, Failure, Question, ReplyTo, View};
use crate::shell::pieces::{self, Piece, Traced, What};
use crate::shell::post::Deliver;
use crate::shell::releasing::{Answered, Releases};
use crate::sku;
use crate::time::Span;
use crate::trace::TraceLink;
use actix::{Actor, AsyncContext, Context, Handler, SpawnHandle};
use std::time::Duration;
use tokio::time::Instant;

/// Most repeats that wait at once.
const MAX_REPEATS: usize = 256;

/// A placement on its way.
struct Underway {
    placing: Placing<Failure>,
    fingerprint: u64,
    reply: ReplyTo,
    repeats: Vec<ReplyTo>,
    repeats_timer: Option<SpawnHandle>,
    cart: Option<CartHalf>,
    /// The highest position that a granted hold rests on.
    rests_on: Position,
    /// Tells answers of an earlier round from those of this one.
    round: u32,
    began: Instant,
    /// Of a request that is traced.
    traced: Option<Box<Traced>>,
}

/// The actor of one order.
pub(crate) struct OrderActor {
    shell: Shell<Order>,
    underway: Option<Box<Underway>>,
    /// What a replay rests on: the record of the placement. Zero when it was read back: it is committed then.
    placed_by: Position,
    releases: Releases,
}

impl OrderActor {
    pub fn new(shell: Shell<Order>) -> OrderActor {
        OrderActor { shell, underway: None, placed_by: Position(0), releases: Releases::default() }
    }

    fn id(&self) -> OrderId {
        match self.shell.entity {
            EntityId::Order(id) => id,
            _ => OrderId(0),
        }
    }
}

impl OrderActor {
    /// Express or cart: starts to place the order, joins the one that is being placed, or repeats the placed one.
    /// `rests_on`: the last that happened to the cart.
    fn place(
        &mut self,
        request: PlaceRequest,
        cart: Option<CartHalf>,
        rests_on: Position,
        reply: ReplyTo,
        context: &mut Context<Self>,
    ) {
        if let Some(placement) = self.shell.aggregate.placement() {
            // A cart's order answers whoever asks for it; whether that key may ask so, the edge knows.
            if placement.fingerprint == request.fingerprint || cart.is_some() {
                return self.replay(reply);
            }
            return reply.fail(order::Refusal::Reused.into());
        }
        if let Some(underway) = &mut self.underway {
            return underway.join(request.fingerprint, reply, context);
        }
        let fingerprint = request.fingerprint;
        let traced = request.trace.as_deref().map(|link| Traced::new(*link));
        let mut placing = match Placing::new(self.id(), request) {
            Ok(placing) => placing,
            Err(refusal) => return reply.fail(refusal.into()),
        };
        let next = placing.start();
        self.underway = Some(Box::new(Underway {
            placing,
            fingerprint,
            reply,
            repeats: Vec::new(),
            repeats_timer: None,
            cart,
            rests_on,
            round: self.next_round(),
            began: Instant::now(),
            traced,
        }));
        self.waits_for_one_more();
        self.go_on(next, context);
    }

    /// It stays until that has come (S11).
    fn waits_for_one_more(&self) {
        self.shell.cell.outstanding.set(self.shell.cell.outstanding.get() + 1);
    }

    fn waits_for_one_less(&self) {
        self.shell.cell.outstanding.set(self.shell.cell.outstanding.get().saturating_sub(1));
    }

    fn next_round(&self) -> u32 {
        let rounds = &self.shell.state.rounds;
        rounds.set(rounds.get().wrapping_add(1));
        rounds.get()
    }

    /// Answers with the order as it was placed, which does not wait for what has happened to it since.
    fn replay(&mut self, reply: ReplyTo) {
        let executed = Ok(Executed { replayed: true, rests_on: self.placed_by });
        self.shell.answer(reply, executed, |order| View::Order(Box::new(order.clone())));
    }

    /// Does what the placement wants next.
    fn go_on(&mut self, next: Next<Failure>, context: &mut Context<Self>) {
        match next {
            Next::Hold(requests) => {
                let order = self.id();
                let Some(underway) = &mut self.underway else { return };
                if let Some(traced) = &mut underway.traced {
                    traced.asks(&requests);
                }
                let round = underway.round;
                for _ in 0..self.releases.overtaken(order, &requests) {
                    self.waits_for_one_less();
                }
                let ttl = self.shell.state.fabric.settings.hold_ttl;
                for request in requests {
                    let address = Address::Placing { order, round, hold: request.hold };
                    let hold = sku::Command::Hold {
                        hold: request.hold,
                        units: request.units,
                        buyer: request.buyer,
                        order: Some(order),
                        ttl,
                        tentative: request.tentative,
                    };
                    let (to, reply) = (EntityId::Sku(request.sku), ReplyTo::new(address));
                    lane::send(Envelope::new(to, Question::Sku(hold), reply, Position(0)));
                }
            }
            Next::Wait => {}
            Next::Place(placement) => self.placed(placement),
            Next::RetryAfter { release, after } => {
                self.release(release);
                context.run_later(to_duration(after), |actor, context| {
                    let round = actor.next_round();
                    let Some(underway) = &mut actor.underway else { return };
                    underway.round = round;
                    let next = underway.placing.start();
                    actor.go_on(next, context);
                });
            }
            Next::Refuse { release, refusal } => {
                self.release(release);
                self.reserved(refusal.code());
                self.end(Err(refusal.into()));
            }
            Next::Fail { release, failure } => {
                self.release(release);
                self.reserved("failed");
                self.end(Err(failure));
            }
        }
    }
}

impl OrderActor {
    /// All holds are granted: the order and its cart's end, in one record.
    fn placed(&mut self, placement: order::Placement) {
        self.reserved("granted");
        let Some(underway) = &mut self.underway else { return };
        self.shell.state.fabric.stats.reserving.record(underway.began.elapsed());
        let granted_at = underway.rests_on;
        let cart = underway.cart.take();
        let companions = cart.iter().map(|half| Entry {
            entity: EntityId::Cart(half.promise.cart()),
            version: half.version,
            event: Event::Cart(half.event.clone()),
        });
        let companions = companions.collect();
        let executed = self.shell.execute(&order::Command::Place(placement), companions, granted_at);
        let executed = executed.map(|mut executed| {
            if let Some(half) = cart {
                half.promise.placed(executed.rests_on);
            }
            executed.replayed = false;
            executed
        });
        if let Ok(executed) = &executed {
            self.placed_by = executed.rests_on;
        }
        if executed.is_err() {
            // Nothing was written: the holds are given back like after a refusal.
            let release = self.underway.as_ref().map(|underway| underway.placing.granted()).unwrap_or_default();
            self.release(release);
        }
        self.end(executed.map(|executed| executed.rests_on));
    }

    /// All SKUs have answered for good.
    fn reserved(&self, outcome: &'static str) {
        let Some(underway) = &self.underway else { return };
        if let Some(traced) = &underway.traced {
            self.tell(traced.link, What::Reserve, outcome, underway.began);
        }
    }

    fn tell(&self, link: TraceLink, what: What<'_>, outcome: &'static str, began: Instant) {
        let piece = Piece { link, order: self.id(), what, outcome, began, ended: Instant::now() };
        self.shell.state.fabric.piece_done(&piece);
    }

    /// Answers everybody who waits.
    fn end(&mut self, outcome: Result<Position, Failure>) {
        let Some(underway) = self.underway.take() else { return };
        self.waits_for_one_less();
        let view = |order: &Order| View::Order(Box::new(order.clone()));
        let executed = |replayed: bool| match &outcome {
            Ok(rests_on) => Ok(Executed { replayed, rests_on: *rests_on }),
            Err(failure) => Err(failure.clone()),
        };
        let Underway { reply, repeats, .. } = *underway;
        self.shell.answer(reply, executed(false), view);
        for repeat in repeats {
            self.shell.answer(repeat, executed(true), view);
        }
    }

    fn release(&mut self, holds: Vec<(SkuId, HoldId)>) {
        for (sku, hold) in holds {
            let ticket = self.next_round();
            if self.releases.begin(self.id(), ticket, sku, hold, &self.shell.state) {
                self.waits_for_one_more();
            }
        }
    }

    fn release_answered(&mut self, ticket: u32, failure: Option<Failure>, context: &mut Context<Self>) {
        match self.releases.answered(self.id(), ticket, failure) {
            Answered::Stale => {}
            Answered::Ended => self.waits_for_one_less(),
            Answered::Again(after) => {
                context.run_later(after, move |actor, _| {
                    // After a crash another incarnation may want the hold.
                    if !actor.shell.cell.poisoned.get() {
                        actor.releases.again(actor.id(), ticket);
                    }
                });
            }
        }
    }

    fn hold_answered(
        &mut self,
        round: u32,
        hold: HoldId,
        result: Result<Done, Failure>,
        rests_on: Position,
        context: &mut Context<Self>,
    ) {
        let Some(underway) = self.underway.as_mut().filter(|underway| underway.round == round) else { return };
        underway.rests_on = underway.rests_on.max(rests_on);
        let told = underway.traced.as_mut().and_then(|traced| Some((traced.link, traced.answered(hold)?)));
        if let Some((link, (sku, since))) = told {
            self.tell(link, What::Hold(&sku), pieces::outcome(&result), since);
        }
        let Some(underway) = self.underway.as_mut() else { return };
        let answer = match result {
            Ok(Done { view: View::Hold(granted), .. }) => HoldAnswer::Granted {
                parts: granted.view.parts,
                expires_at: granted.view.expires_at,
                unit_price: granted.listing.price,
                seller: granted.listing.seller,
            },
            Ok(_) => HoldAnswer::Failed(Failure::Crashed),
            Err(Failure::Sku(refusal)) => HoldAnswer::Refused(refusal),
            Err(failure) => HoldAnswer::Failed(failure),
        };
        let next = underway.placing.answered(hold, answer);
        self.go_on(next, context);
    }
}

impl Underway {
    /// A repeat of the request that is being worked on: waits for its answer, but not for long.
    fn join(&mut self, fingerprint: u64, reply: ReplyTo, context: &mut Context<OrderActor>) {
        if fingerprint != self.fingerprint {
            return reply.fail(order::Refusal::Reused.into());
        }
        if self.repeats.len() >= MAX_REPEATS {
            return reply.fail(Failure::InFlight);
        }
        self.repeats.push(reply);
        self.repeats_timer.get_or_insert_with(|| {
            context.run_later(REPEAT_WAITS, |actor, _| {
                let Some(underway) = &mut actor.underway else { return };
                underway.repeats_timer = None;
                for repeat in std::mem::take(&mut underway.repeats) {
                    repeat.fail(Failure::InFlight);
                }
            })
        });
    }
}

impl Actor for OrderActor {
    type Context = Context<OrderActor>;
}

impl Handler<Deliver> for OrderActor {
    type Result = ();

    fn handle(&mut self, message: Deliver, context: &mut Self::Context) {
        let Some(Envelope { question, reply, rests_on, .. }) = self.shell.take(message) else { return };
        match question {
            Question::Place(request) => self.place(*request, None, rests_on, reply, context),
            Question::PlaceCart(request, half) => self.place(*request, Some(half), rests_on, reply, context),
            Question::HoldAnswered { round, hold, result } => {
                self.hold_answered(round, hold, result, rests_on, context);
            }
            Question::ReleaseAnswered { ticket, failure } => self.release_answered(ticket, failure, context),
            Question::Order(command) => {
                let executed = self.shell.execute(&command, Vec::new(), rests_on);
                self.shell.answer(reply, executed, |order| View::Order(Box::new(order.clone())));
            }
            Question::ReplayOrder => self.replay(reply),
            Question::ReadOrder => {
                let view = match self.shell.version {
                    0 => Err(order::Refusal::UnknownOrder.into()),
                    _ => Ok(View::Order(Box::new(self.shell.aggregate.clone()))),
                };
                self.shell.show(reply, view);
            }
            other => misrouted(&self.shell.entity, &other, reply),
        }
        self.shell.after();
    }
}

fn to_duration(span: Span) -> Duration {
    Duration::from_micros(u64::try_from(span.0).unwrap_or(0))
}
