//! The work that orders open: payments, fulfilment, and what follows from both for the stock.
//!
//! A [`Job`] is one message of the feed on its way: it asks the order whether its step is still open (S20), does it, and
//! reports what became of it. Jobs are state machines without clock or I/O (S14): they say what they want to ask, and
//! are given the replies. [`WorkflowThread`] runs them in production, tests step them by hand.
//!
//! At least once, so everything is repeatable: SKU commands by their ids, provider and warehouse calls by a reference
//! that is the same at every repeat. Nothing retries here for long: what stays unknown is left to the order, whose own
//! logged timer asks again.

mod batch;
mod drawn;
mod errand;
mod fulfilment;
mod job;
mod not_here;
mod payment;
pub mod provider;
mod run;
pub mod simulated;
mod stock;
mod thread;
mod vitals;
pub mod warehouse;
pub mod wire;

pub use errand::{Errand, Opened, open};
pub use job::{Ask, End, Job, Reply, Turn};
pub use not_here::NotHere;
pub use payment::PaymentErrand;
pub use provider::{Call, Callback, Found, Operation, PaymentProvider};
pub use run::{Elsewhere, Entities, World};
pub use thread::{Parts, Stopped, WorkflowThread};
pub use vitals::{PaymentOutcome, QueueVitals, Vitals};
pub use warehouse::{CallOff, Dispatched, Request, RequestLine, Warehouse};

use crate::feed;
use stampede_actors::time::Span;

/// How the workers behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Config {
    /// Bounds of the queues.
    pub feed: feed::Config,
    /// Pace and patience of the workers.
    pub terms: Terms,
}

/// How long a job waits, and how often it tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The provider has this long to answer a call; then its outcome is unknown.
    pub provider_timeout: Span,
    /// The provider knows a key for this long: a call that may have been made is repeated only within it, less a tenth.
    pub key_lifetime: Span,
    /// The warehouse has this long to answer.
    pub warehouse_timeout: Span,
    /// One of our own entities has this long to answer.
    pub entity_timeout: Span,
    /// Holds outlive the provider's time-out by this much, so that their units can still be made firm.
    pub hold_margin: Span,
    /// Most times an entity is asked the same thing while it cannot take it; then the order's timer takes over.
    pub tries: u32,
    /// First pause between two of those; doubles.
    pub pause: Span,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms {
            provider_timeout: Span::seconds(5),
            key_lifetime: Span::hours(24),
            warehouse_timeout: Span::seconds(5),
            entity_timeout: Span::seconds(5),
            hold_margin: Span::seconds(5),
            tries: 6,
            pause: Span::millis(10),
        }
    }
}

#[cfg(test)]
mod tests;
