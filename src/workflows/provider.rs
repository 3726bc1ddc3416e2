//! The port to a payment provider.

use futures_util::future::BoxFuture;
use stampede_actors::ids::{OrderId, Reference};
use stampede_actors::money::Money;
use stampede_actors::order::{Answer, Step};
use stampede_actors::time::Span;
use tokio::sync::mpsc;

/// What is asked of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Reserve the amount.
    Authorize,
    /// Take what was reserved.
    Capture,
    /// Give up what was reserved.
    Void,
    /// Give back what was taken.
    Refund,
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 4] = [Operation::Authorize, Operation::Capture, Operation::Void, Operation::Refund];

    /// Stable name: metric label and word in the provider's ledger.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Operation::Authorize => "authorize",
            Operation::Capture => "capture",
            Operation::Void => "void",
            Operation::Refund => "refund",
        }
    }
}

/// One call. Every repeat of it is equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Our name for it, derived from order and step: the idempotency key, and what [`PaymentProvider::lookup`] finds.
    pub reference: Reference,
    /// For whom.
    pub order: OrderId,
    /// The step that it serves.
    pub step: Step,
    /// What to do.
    pub operation: Operation,
    /// How much.
    pub amount: Money,
    /// What pays.
    pub token: Reference,
    /// The provider's own reference of what is captured, voided or refunded.
    pub on: Option<Reference>,
}

/// What the provider has under a reference of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A definite answer: `Done` or `Refused`.
    Known(Answer),
    /// Nothing so far. A call that is still on its way may yet arrive.
    Nothing,
    /// It did not say.
    Unknown,
}

/// The provider's own word on a call, unasked: late, perhaps twice, perhaps never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// Whose.
    pub order: OrderId,
    /// Which step.
    pub step: Step,
    /// What became of it.
    pub answer: Answer,
}

/// Somebody who moves money for us.
pub trait PaymentProvider: Send + Sync {
    /// Makes a call. `Unknown` when the provider does not say; the future may also be dropped at the time-out, which
    /// takes nothing back.
    fn call(&self, call: Call) -> BoxFuture<'static, Answer>;

    /// What became of the call with this reference. Never does anything.
    fn lookup(&self, reference: Reference) -> BoxFuture<'static, Found>;

    /// A repeated call is recognised for this long after the first.
    fn key_lifetime(&self) -> Span;

    /// Where callbacks go from now on. When the channel is full they are dropped: the order asks by itself.
    fn listen(&self, callbacks: mpsc::Sender<Callback>);
}
