//! The simulated payment provider.

use super::books::Books;
use super::fault::FaultBoard;
use super::recent::Recent;
use super::script::{Effect, Hears, Script};
use crate::clock::Clock;
use crate::workflows::provider::{Call, Callback, Found, PaymentProvider};
use crate::workflows::run::duration;
use foldhash::fast::FixedState;
use futures_util::future::BoxFuture;
use hashbrown::HashSet;
use parking_lot::Mutex;
use stampede_actors::ids::Reference;
use stampede_actors::order::Answer;
use stampede_actors::time::{Span, Timestamp};
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc;

/// How the provider behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderConfig {
    /// Of its chances.
    pub seed: u64,
    /// An answer takes at least, and at most, so long.
    pub latency: (Span, Span),
    /// When callers give up: late things happen after it.
    pub timeout: Span,
    /// When the answer to `tok_timeout_30s` comes, unasked.
    pub slow_answer: Span,
    /// How long it knows a key.
    pub key_lifetime: Span,
    /// What else goes wrong.
    pub faults: FaultBoard,
}

impl Default for ProviderConfig {
    fn default() -> ProviderConfig {
        ProviderConfig {
            seed: 0,
            latency: (Span::millis(5), Span::millis(50)),
            timeout: Span::seconds(5),
            slow_answer: Span::seconds(30),
            key_lifetime: Span::hours(24),
            faults: FaultBoard::default(),
        }
    }
}

/// What the provider makes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The answer, and how long it takes; `None`: none.
    pub answer: Option<(Span, Answer)>,
    /// What is said unasked, and when.
    pub callbacks: Vec<(Span, Answer)>,
    /// The deed is done this much later ([`Desk::perform_late`]), and said then.
    pub late: Option<Span>,
}

/// The provider without its clock and its waiting: a simulator can step it.
#[derive(Debug)]
pub struct Desk {
    config: ProviderConfig,
    books: Books,
    /// How often a call with this reference came to no plain answer. Forgotten in the end, as nothing depends on it for
    /// long.
    troubles: Recent,
    /// Calls whose deed is still to be done: soon, so they are few.
    in_progress: HashSet<Reference, FixedState>,
}

impl Desk {
    /// Opens with the books it has.
    #[must_use]
    pub fn new(config: ProviderConfig, books: Books) -> Desk {
        let in_progress = HashSet::with_hasher(FixedState::default());
        Desk { config, books, troubles: Recent::default(), in_progress }
    }

    /// What it did so far.
    #[must_use]
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Takes a call.
    pub fn receive(&mut self, call: &Call, now: Timestamp) -> Received {
        let nth = self.troubles.count(call.reference.as_str());
        let script = Script::of(&self.config, call, nth);
        let latency = self.latency(&call.reference, nth);
        if script != Script::PLAIN || latency >= self.config.timeout {
            self.troubles.add(call.reference.as_str());
        }
        let truth = match (self.recall(call, now), script.effect) {
            (Ok(Some(answer)), _) => answer,
            (Err(error), _) => unknown(&error),
            (Ok(None), _) if self.in_progress.contains(&call.reference) => Answer::Unknown,
            (Ok(None), Effect::AtOnce) => self.perform(call, &script, now),
            (Ok(None), Effect::Late(after)) => {
                self.in_progress.insert(call.reference.clone());
                return Received { answer: None, callbacks: Vec::new(), late: Some(after) };
            }
            (Ok(None), Effect::Never) => Answer::Unknown,
        };
        let callbacks = match truth {
            Answer::Unknown => Vec::new(),
            _ => script.callbacks.iter().map(|after| (Span(latency.0 + after.0), truth.clone())).collect(),
        };
        let answer = match script.hears {
            Hears::Truth => Some((latency, truth)),
            Hears::CannotSay => Some((latency, Answer::Unknown)),
            Hears::Nothing => None,
        };
        Received { answer, callbacks, late: None }
    }

    /// Does at last what was put off, and says so.
    pub fn perform_late(&mut self, call: &Call, now: Timestamp) -> Answer {
        self.in_progress.remove(&call.reference);
        match self.recall(call, now) {
            Ok(known) => known.unwrap_or_else(|| self.perform(call, &Script::PLAIN, now)),
            Err(error) => unknown(&error),
        }
    }

    /// What it has under a reference, and how long the answer takes.
    #[must_use]
    pub fn look_up(&self, reference: &Reference) -> (Span, Found) {
        let found = self.books.look_up(reference).unwrap_or_else(|error| {
            unknown(&error);
            Found::Unknown
        });
        (self.latency(reference, u32::MAX), found)
    }

    fn recall(&self, call: &Call, now: Timestamp) -> io::Result<Option<Answer>> {
        self.books.recall(&call.reference, now, self.config.key_lifetime)
    }

    fn perform(&mut self, call: &Call, script: &Script, now: Timestamp) -> Answer {
        let done = self.books.perform(call, script.refused, script.forgets_key, now);
        done.unwrap_or_else(|error| unknown(&error))
    }

    fn latency(&self, reference: &Reference, nth: u32) -> Span {
        let (least, most) = self.config.latency;
        let range = (most.0 - least.0).max(0).unsigned_abs() + 1;
        Span(least.0 + (super::draw(self.config.seed, reference.as_str(), nth, 2) % range) as i64)
    }
}

fn unknown(error: &io::Error) -> Answer {
    tracing::error!(%error, "the simulated provider cannot read or write its books");
    Answer::Unknown
}

/// A payment provider in this process that plays an outside party.
#[derive(Clone)]
pub struct SimulatedProvider(Arc<Inner>);

struct Inner {
    desk: Mutex<Desk>,
    clock: Arc<dyn Clock>,
    key_lifetime: Span,
    callbacks: Mutex<Option<mpsc::Sender<Callback>>>,
}

impl SimulatedProvider {
    /// Opens for business, with the books it has.
    #[must_use]
    pub fn new(config: ProviderConfig, books: Books, clock: Arc<dyn Clock>) -> SimulatedProvider {
        let key_lifetime = config.key_lifetime;
        let desk = Mutex::new(Desk::new(config, books));
        SimulatedProvider(Arc::new(Inner { desk, clock, key_lifetime, callbacks: Mutex::new(None) }))
    }
}

impl Inner {
    fn say(&self, call: &Call, answer: Answer) {
        let callback = Callback { order: call.order, step: call.step, answer };
        if let Some(callbacks) = &*self.callbacks.lock()
            && callbacks.try_send(callback).is_err()
        {
            tracing::debug!(reference = %call.reference, "a callback was dropped");
        }
    }
}

impl PaymentProvider for SimulatedProvider {
    fn call(&self, call: Call) -> BoxFuture<'static, Answer> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let Received { answer, callbacks, late } = inner.desk.lock().receive(&call, inner.clock.now());
            // Tasks of their own: the caller may give up on this future, which takes nothing back.
            for (after, answer) in callbacks {
                let (inner, call) = (Arc::clone(&inner), call.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(duration(after)).await;
                    inner.say(&call, answer);
                });
            }
            if let Some(after) = late {
                let (inner, call) = (Arc::clone(&inner), call.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(duration(after)).await;
                    let answer = inner.desk.lock().perform_late(&call, inner.clock.now());
                    inner.say(&call, answer);
                });
            }
            match answer {
                Some((after, answer)) => {
                    tokio::time::sleep(duration(after)).await;
                    answer
                }
                None => std::future::pending().await,
            }
        })
    }

    fn lookup(&self, reference: Reference) -> BoxFuture<'static, Found> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let (after, found) = inner.desk.lock().look_up(&reference);
            tokio::time::sleep(duration(after)).await;
            found
        })
    }

    fn key_lifetime(&self) -> Span {
        self.0.key_lifetime
    }

    fn listen(&self, callbacks: mpsc::Sender<Callback>) {
        *self.0.callbacks.lock() = Some(callbacks);
    }
}

#[cfg(test)]
mod tests;
