//! A step in two halves: what our own entities have to say is asked by the server, what is outside by a worker, which may
//! be another process.

use super::Terms;
use super::job::{Ask, End, Job, Reply, Turn};
use super::payment::PaymentErrand;
use super::run::duration;
use super::warehouse::{CallOff, Request};
use crate::feed::Message;
use futures_util::future::join_all;
use stampede_actors::shell::lane;
use stampede_actors::time::Timestamp;

/// What is left of a step for whoever talks to the outside party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// A call to the payment provider.
    Pay(PaymentErrand),
    /// Requests to the warehouse, one per location.
    Ship(Vec<Request>),
    /// A call-off.
    CallOff(CallOff),
}

/// What the server's half of a step led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// Nothing is left to do.
    Over(End),
    /// This is.
    Errand(Errand),
}

/// The server's half: asks the order whether the step is still open (S20), has its units kept past the provider's
/// time-out (S19), and says what is left. To be called on a lane.
pub async fn open(message: Message, terms: Terms, now: impl Fn() -> Timestamp) -> Opened {
    let (mut job, mut turn) = Job::start(message, terms);
    loop {
        if let Some(errand) = job.errand(&turn) {
            return Opened::Errand(errand);
        }
        let replies = match turn {
            Turn::Over(end) => return Opened::Over(end),
            Turn::Pause(span) => {
                tokio::time::sleep(duration(span)).await;
                Vec::new()
            }
            Turn::Ask(asks) => join_all(asks.into_iter().map(|ask| own(ask, &terms))).await,
        };
        turn = job.resume(replies, now());
    }
}

async fn own(ask: Ask, terms: &Terms) -> Reply {
    match ask {
        Ask::Entity(entity, question) => {
            Reply::Entity(lane::ask(entity, question, duration(terms.entity_timeout)).await)
        }
        // Never asked: an errand was left.
        Ask::Pay(_) | Ask::LookUp(_) | Ask::Request(_) | Ask::CallOff(_) => {
            Reply::Answer(stampede_actors::order::Answer::Unknown)
        }
    }
}
