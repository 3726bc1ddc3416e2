//! What [`super::harbour`] is made of. A test puts primitives in their place whose every interleaving it can try.

pub(super) use futures_util::task::AtomicWaker;
pub(super) use parking_lot::Mutex;
pub(super) use std::sync::atomic::{AtomicBool, Ordering, fence};
