//! Runs jobs: asks entities through the thread's lane or, in a worker's process, the server; provider and warehouse with a
//! time-out.

use super::drawn;
use super::errand::Opened;
use super::job::{Ask, End, Job, Reply, Turn};
use super::provider::{Found, PaymentProvider};
use super::vitals::{PaymentOutcome, Vitals};
use super::warehouse::{Dispatched, Warehouse};
use super::{Callback, Terms};
use crate::broker::{Receipt, Verdict};
use crate::clock::Clock;
use crate::feed::{Message, Queue};
use crate::metrics;
use crate::traces::{self, Span};
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, join_all};
use stampede_actors::ids::{EntityId, OrderId};
use stampede_actors::order::{self, Answer, Refusal};
use stampede_actors::shell::{Done, Failure, Question, lane};
use stampede_actors::time;
use stampede_actors::trace::TraceLink;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Our own entities, from wherever a job runs.
#[derive(Clone)]
pub enum Entities {
    /// Through the lane of this thread.
    OfThisLane,
    /// In another process.
    Elsewhere(Rc<dyn Elsewhere>),
}

/// The entities of another process.
pub trait Elsewhere {
    /// The half of a step that is theirs. `None`: they cannot be asked now.
    fn open(&self, message: Message) -> LocalBoxFuture<'_, Option<Opened>>;

    /// Asks one; the reply comes when it is committed. `trace`: what it belongs to.
    fn ask(
        &self,
        entity: EntityId,
        question: Question,
        trace: Option<TraceLink>,
    ) -> LocalBoxFuture<'_, Result<Done, Failure>>;
}

impl Entities {
    async fn ask(
        &self,
        entity: EntityId,
        question: Question,
        within: Duration,
        trace: Option<TraceLink>,
    ) -> Result<Done, Failure> {
        match self {
            Entities::OfThisLane => lane::ask(entity, question, within).await,
            Entities::Elsewhere(elsewhere) => elsewhere.ask(entity, question, trace).await,
        }
    }
}

/// What jobs reach the world with.
#[derive(Clone)]
pub struct World {
    /// Our own.
    pub entities: Entities,
    /// Who moves money.
    pub provider: Arc<dyn PaymentProvider>,
    /// Who ships.
    pub warehouse: Arc<dyn Warehouse>,
    /// Engine time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub vitals: Arc<Vitals>,
    /// Pace and patience.
    pub terms: Terms,
}

impl World {
    /// Works on a message until it is to be acknowledged.
    pub async fn work(&self, message: Message) -> End {
        let (message, span) = drawn::consuming(message);
        let (job, turn) = Job::start(message, self.terms);
        let end = self.go_on(message, job, turn).await;
        drawn::ended(span, end);
        end
    }

    /// Works on a message that came over a broker, and gives it back there. `None`: that panicked, and it comes again.
    pub async fn deliver(&self, message: Message, receipt: Receipt) -> Option<End> {
        let end = AssertUnwindSafe(self.work_wherever(message)).catch_unwind().await.ok();
        let verdict = match (end, &self.entities) {
            // Here the order asks again by itself; a server elsewhere may have been away for as long as it took.
            (Some(End::LeftToOrder), Entities::Elsewhere(_)) | (None, _) => Verdict::Again,
            (Some(_), _) => Verdict::Done,
        };
        receipt.settle(verdict).await;
        end
    }

    async fn work_wherever(&self, message: Message) -> End {
        let Entities::Elsewhere(elsewhere) = &self.entities else { return self.work(message).await };
        let (message, span) = drawn::consuming(message);
        let end = match elsewhere.open(message).await {
            None => End::LeftToOrder,
            Some(Opened::Over(end)) => end,
            Some(Opened::Errand(errand)) => {
                let (job, turn) = Job::outside(message, self.terms, errand);
                self.go_on(message, job, turn).await
            }
        };
        drawn::ended(span, end);
        end
    }

    async fn go_on(&self, message: Message, mut job: Job, mut turn: Turn) -> End {
        loop {
            let replies = match turn {
                Turn::Over(end) => {
                    if end == End::Unknown {
                        let (order, step, trace) = (message.order, message.step.word(), traces::shown(message.trace));
                        tracing::warn!(%order, step, trace, "nobody says what became of a step: its order asks again");
                    }
                    if end == End::Reported {
                        metrics::step(Queue::of(message.step), duration(self.clock.now().since(message.at)));
                    }
                    return end;
                }
                Turn::Pause(span) => {
                    tokio::time::sleep(duration(span)).await;
                    Vec::new()
                }
                Turn::Ask(asks) => join_all(asks.into_iter().map(|ask| self.ask(ask, message.trace))).await,
            };
            turn = job.resume(replies, self.clock.now());
        }
    }

    async fn ask(&self, ask: Ask, trace: Option<TraceLink>) -> Reply {
        let span = drawn::asking(&ask, trace);
        let trace = span.as_ref().map(Span::link).or(trace);
        let reply = self.reply(ask, trace).await;
        drawn::replied(span, &reply);
        reply
    }

    async fn reply(&self, ask: Ask, trace: Option<TraceLink>) -> Reply {
        match ask {
            Ask::Entity(entity, question) => {
                Reply::Entity(self.entities.ask(entity, question, duration(self.terms.entity_timeout), trace).await)
            }
            Ask::Pay(call) => {
                let operation = call.operation;
                let answer = in_time(self.terms.provider_timeout, self.provider.call(call)).await;
                self.vitals.called(operation, PaymentOutcome::of(answer.as_ref()));
                Reply::Answer(answer.unwrap_or(Answer::Unknown))
            }
            Ask::LookUp(reference) => {
                let found = in_time(self.terms.provider_timeout, self.provider.lookup(reference)).await;
                Reply::Found(found.unwrap_or(Found::Unknown))
            }
            Ask::Request(request) => {
                let answer = in_time(self.terms.warehouse_timeout, self.warehouse.request(request)).await;
                Reply::Answer(answer.unwrap_or(Answer::Unknown))
            }
            Ask::CallOff(call_off) => {
                let answer = in_time(self.terms.warehouse_timeout, self.warehouse.call_off(call_off)).await;
                Reply::Answer(answer.unwrap_or(Answer::Unknown))
            }
        }
    }

    /// Tells an order what the provider said unasked. Tried for a while; the order asks by itself anyway.
    pub async fn take_callback(&self, callback: Callback) {
        let Callback { order, step, answer } = callback;
        let report = || order::Command::Report { step, answer: answer.clone() };
        if self.tell(order, report).await.is_some() {
            self.vitals.callbacks.fetch_add(1, Relaxed);
        }
    }

    /// Tells an order that units left. A shipment that collides with a call-off is reported again once that is decided.
    pub async fn take_shipment(&self, shipped: Dispatched) {
        let Dispatched { order, shipment, location, lines, tracking } = shipped;
        let command = || order::Command::Ship {
            shipment,
            fingerprint: 0,
            location: location.clone(),
            lines: lines.clone(),
            tracking: tracking.clone(),
        };
        for round in 0..SHIPMENT_ROUNDS {
            match self.tell(order, command).await {
                Some(Ok(())) => {
                    self.vitals.shipments.fetch_add(1, Relaxed);
                    return self.warehouse.confirmed(shipment);
                }
                Some(Err(Failure::Order(Refusal::BeingCalledOff))) | None => {
                    tokio::time::sleep(SHIPMENT_PAUSE * (round + 1)).await;
                }
                Some(Err(failure)) => {
                    tracing::error!(%order, %shipment, %failure, "the order does not take in a shipment");
                    self.vitals.shipments_refused.fetch_add(1, Relaxed);
                    return self.warehouse.confirmed(shipment);
                }
            }
        }
        // Not confirmed: the warehouse reports it again after the next start.
        tracing::warn!(%order, %shipment, "a shipment could not be told to its order for a long time");
    }

    /// A command to an order, repeated while it cannot be taken. `None`: given up.
    async fn tell(&self, order: OrderId, command: impl Fn() -> order::Command) -> Option<Result<(), Failure>> {
        let mut pause = duration(self.terms.pause);
        for _ in 0..self.terms.tries {
            let (question, within) = (Question::Order(Box::new(command())), duration(self.terms.entity_timeout));
            match self.entities.ask(EntityId::Order(order), question, within, None).await {
                Ok(_) => return Some(Ok(())),
                Err(failure @ Failure::Order(_)) => return Some(Err(failure)),
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause *= 2;
        }
        None
    }
}

/// How often a shipment that an order cannot take in is reported again.
const SHIPMENT_ROUNDS: u32 = 30;
/// The first pause between those; grows by itself each time.
const SHIPMENT_PAUSE: Duration = Duration::from_millis(200);

async fn in_time<T>(timeout: time::Span, answer: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(duration(timeout), answer).await.ok()
}

pub(super) fn duration(span: time::Span) -> Duration {
    Duration::from_micros(span.0.max(0).unsigned_abs())
}
