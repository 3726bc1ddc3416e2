//! One message on its way: read the order, do the step if it is still open, report what became of it.

use super::batch::{Batch, Batched, Want};
use super::errand::Errand;
use super::provider::{Call, Found};
use super::warehouse::{CallOff, Request};
use super::{Terms, fulfilment, payment, stock};
use crate::feed::{Message, Queue};
use stampede_actors::ids::{EntityId, Reference};
use stampede_actors::order::{Answer, Order};
use stampede_actors::shell::{Done, Failure, Question, View};
use stampede_actors::time::{Span, Timestamp};

/// What a job asks.
#[derive(Debug)]
pub enum Ask {
    /// One of our own entities; the reply comes when it is committed.
    Entity(EntityId, Question),
    /// The provider, to do something.
    Pay(Call),
    /// The provider, what it knows.
    LookUp(Reference),
    /// The warehouse, to ship.
    Request(Request),
    /// The warehouse, not to ship.
    CallOff(CallOff),
}

/// What came back.
#[derive(Debug)]
pub enum Reply {
    /// From an entity.
    Entity(Result<Done, Failure>),
    /// From provider or warehouse; `Unknown` at the time-out.
    Answer(Answer),
    /// From the provider's books.
    Found(Found),
}

/// What a job does next.
#[derive(Debug)]
pub enum Turn {
    /// Asks all of these at once, and is resumed with as many replies in the same order.
    Ask(Vec<Ask>),
    /// Is resumed after this, without replies.
    Pause(Span),
    /// Is over, and its message is to be acknowledged.
    Over(End),
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The order has the definite answer, committed.
    Reported,
    /// The step was not open any more: nothing was done.
    NotOpen,
    /// Provider or warehouse did not say; the order asks again.
    Unknown,
    /// One of our own entities could not take it; the order asks again.
    LeftToOrder,
}

/// A message being worked on.
#[derive(Debug)]
pub struct Job {
    message: Message,
    terms: Terms,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Reading(Batch),
    Paying(payment::Payment),
    Shipping(fulfilment::Fulfilment),
    Stocking(stock::Stock),
    Reporting(Batch),
    Over,
}

/// What a stage wants.
#[derive(Debug)]
pub(super) enum Progress {
    Turn(Turn),
    Report(Answer),
}

impl Job {
    /// Starts on a message: always with the question whether its step is still open.
    #[must_use]
    pub fn start(message: Message, terms: Terms) -> (Job, Turn) {
        let mut reading = Batch::of_order(message.order, Want::ReadOrder);
        let turn = reading.ask();
        (Job { message, terms, stage: Stage::Reading(reading) }, turn)
    }

    /// Goes on where another process has asked our own entities all there is to ask before.
    #[must_use]
    pub fn outside(message: Message, terms: Terms, errand: Errand) -> (Job, Turn) {
        let (stage, progress) = match errand {
            Errand::Pay(errand) => {
                let (payment, progress) = payment::Payment::outside(errand);
                (Stage::Paying(payment), progress)
            }
            Errand::Ship(requests) => {
                let asks = requests.into_iter().map(Ask::Request).collect();
                (Stage::Shipping(fulfilment::Fulfilment), Progress::Turn(Turn::Ask(asks)))
            }
            Errand::CallOff(call_off) => {
                (Stage::Shipping(fulfilment::Fulfilment), Progress::Turn(Turn::Ask(vec![Ask::CallOff(call_off)])))
            }
        };
        let mut job = Job { message, terms, stage };
        let turn = job.advance(progress);
        (job, turn)
    }

    /// What is left to do of this turn when only outside parties are left to be asked.
    #[must_use]
    pub fn errand(&self, turn: &Turn) -> Option<Errand> {
        let Turn::Ask(asks) = turn else { return None };
        match (&self.stage, asks.first()?) {
            (Stage::Paying(payment), _) => payment.errand().cloned().map(Errand::Pay),
            (Stage::Shipping(_), Ask::CallOff(call_off)) => Some(Errand::CallOff(call_off.clone())),
            (Stage::Shipping(_), _) => {
                let requests = asks.iter().filter_map(|ask| match ask {
                    Ask::Request(request) => Some(request.clone()),
                    _ => None,
                });
                Some(Errand::Ship(requests.collect()))
            }
            _ => None,
        }
    }

    /// Goes on with the replies to what it asked last.
    pub fn resume(&mut self, replies: Vec<Reply>, now: Timestamp) -> Turn {
        let progress = match &mut self.stage {
            Stage::Over => return Turn::Over(End::LeftToOrder),
            Stage::Reading(batch) => match batch.resume(replies, &self.terms) {
                Batched::Again(turn) => return turn,
                Batched::GivenUp => Progress::Turn(Turn::Over(End::LeftToOrder)),
                Batched::Settled(results) => self.begin(results, now),
            },
            Stage::Paying(payment) => payment.resume(replies, &self.terms),
            Stage::Shipping(fulfilment) => fulfilment.resume(replies),
            Stage::Stocking(stock) => stock.resume(replies, &self.terms),
            Stage::Reporting(batch) => match batch.resume(replies, &self.terms) {
                Batched::Again(turn) => return turn,
                Batched::GivenUp => Progress::Turn(Turn::Over(End::LeftToOrder)),
                // A report is never refused but by an order that is not there; then there is nobody to tell.
                Batched::Settled(_) => Progress::Turn(Turn::Over(End::Reported)),
            },
        };
        self.advance(progress)
    }

    fn begin(&mut self, results: Vec<Result<Done, Failure>>, now: Timestamp) -> Progress {
        let Some(Ok(Done { view: View::Order(order), .. })) = results.into_iter().next() else {
            return Progress::Turn(Turn::Over(End::NotOpen));
        };
        if !order.is_open(self.message.step) {
            return Progress::Turn(Turn::Over(End::NotOpen));
        }
        self.do_step(&order, now)
    }

    fn do_step(&mut self, order: &Order, now: Timestamp) -> Progress {
        let Message { order: id, step, .. } = self.message;
        let (stage, progress) = match Queue::of(step) {
            Queue::Payment => match payment::Payment::begin(&self.message, order, now, &self.terms) {
                Some((payment, progress)) => (Stage::Paying(payment), progress),
                None => return no_such_operation(),
            },
            Queue::Fulfilment => match fulfilment::Fulfilment::begin(id, order, step) {
                Some((fulfilment, progress)) => (Stage::Shipping(fulfilment), progress),
                None => return no_such_operation(),
            },
            Queue::Stock => {
                let (stock, progress) = stock::Stock::begin(id, order, step);
                (Stage::Stocking(stock), progress)
            }
        };
        self.stage = stage;
        progress
    }

    fn advance(&mut self, progress: Progress) -> Turn {
        match progress {
            Progress::Turn(Turn::Over(end)) => {
                self.stage = Stage::Over;
                Turn::Over(end)
            }
            Progress::Turn(turn) => turn,
            Progress::Report(Answer::Unknown) => {
                self.stage = Stage::Over;
                Turn::Over(End::Unknown)
            }
            Progress::Report(answer) => {
                let mut reporting = Batch::of_order(self.message.order, Want::Report(self.message.step, answer));
                let turn = reporting.ask();
                self.stage = Stage::Reporting(reporting);
                turn
            }
        }
    }
}

/// The order has opened a step for an attempt, refund or shipment that it does not have.
fn no_such_operation() -> Progress {
    Progress::Report(Answer::Refused { code: "unknown_operation".to_owned() })
}
