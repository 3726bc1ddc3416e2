//! An outside party that this process does not talk to: another one does, and takes its work out of the broker.

use super::provider::{Call, Callback, Found, PaymentProvider};
use super::warehouse::{CallOff, Dispatched, Request, Warehouse};
use futures_util::future::{BoxFuture, ready};
use stampede_actors::ids::{OpId, Reference};
use stampede_actors::order::Answer;
use stampede_actors::time::Span;
use tokio::sync::mpsc;

/// Knows nothing, does nothing, and says so.
#[derive(Debug, Clone, Copy)]
pub struct NotHere;

impl PaymentProvider for NotHere {
    fn call(&self, _: Call) -> BoxFuture<'static, Answer> {
        Box::pin(ready(Answer::Unknown))
    }

    fn lookup(&self, _: Reference) -> BoxFuture<'static, Found> {
        Box::pin(ready(Found::Unknown))
    }

    fn key_lifetime(&self) -> Span {
        // Whoever does talk to it has the setting.
        Span(i64::MAX)
    }

    fn listen(&self, _: mpsc::Sender<Callback>) {}
}

impl Warehouse for NotHere {
    fn request(&self, _: Request) -> BoxFuture<'static, Answer> {
        Box::pin(ready(Answer::Unknown))
    }

    fn call_off(&self, _: CallOff) -> BoxFuture<'static, Answer> {
        Box::pin(ready(Answer::Unknown))
    }

    fn listen(&self, _: mpsc::Sender<Dispatched>) {}

    fn confirmed(&self, _: OpId) {}
}
