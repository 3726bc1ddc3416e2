//! Runs jobs on the workflow thread: asks entities through the thread's lane, provider and warehouse with a time-out.

use super::job::{Ask, End, Job, Reply, Turn};
use super::provider::{Found, PaymentProvider};
use super::vitals::{PaymentOutcome, Vitals};
use super::warehouse::{Dispatched, Warehouse};
use super::{Callback, Terms};
use crate::clock::Clock;
use crate::feed::{Message, Queue};
use crate::metrics;
use futures_util::future::join_all;
use stampede_actors::ids::{EntityId, OrderId};
use stampede_actors::order::{self, Answer, Refusal};
use stampede_actors::shell::{Failure, Question, lane};
use stampede_actors::time::Span;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// What jobs reach the world with.
#[derive(Clone)]
pub(super) struct World {
    pub provider: Arc<dyn PaymentProvider>,
    pub warehouse: Arc<dyn Warehouse>,
    pub clock: Arc<dyn Clock>,
    pub vitals: Arc<Vitals>,
    pub terms: Terms,
}

impl World {
    /// Works on a message until it is to be acknowledged.
    pub async fn work(&self, message: Message) -> End {
        let (mut job, mut turn) = Job::start(message, self.terms);
        loop {
            let replies = match turn {
                Turn::Over(end) => {
                    if end == End::Reported {
                        metrics::step(Queue::of(message.step), duration(self.clock.now().since(message.at)));
                    }
                    return end;
                }
                Turn::Pause(span) => {
                    tokio::time::sleep(duration(span)).await;
                    Vec::new()
                }
                Turn::Ask(asks) => join_all(asks.into_iter().map(|ask| self.ask(ask))).await,
            };
            turn = job.resume(replies, self.clock.now());
        }
    }

    async fn ask(&self, ask: Ask) -> Reply {
        match ask {
            Ask::Entity(entity, question) => {
                Reply::Entity(lane::ask(entity, question, duration(self.terms.entity_timeout)).await)
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
            let question = Question::Order(Box::new(command()));
            match lane::ask(EntityId::Order(order), question, duration(self.terms.entity_timeout)).await {
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

async fn in_time<T>(timeout: Span, answer: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(duration(timeout), answer).await.ok()
}

pub(super) fn duration(span: Span) -> Duration {
    Duration::from_micros(span.0.max(0).unsigned_abs())
}
