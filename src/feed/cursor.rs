//! The cursor as others see it: the log keeps what follows it (S6), and the next start reads from there.

use stampede_actors::record::Position;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Written by the workflow thread, read by checkpoint and metrics. Clones are the same cursor.
#[derive(Debug, Clone, Default)]
pub struct Cursor(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    position: AtomicU64,
    caught_up: AtomicBool,
}

impl Cursor {
    /// Its name in checkpoint files. Never change it.
    pub const NAME: &'static str = "workflows";

    /// A cursor that stands at `position`, as the last checkpoint says.
    #[must_use]
    pub fn at(position: Position) -> Cursor {
        Cursor(Arc::new(Shared { position: AtomicU64::new(position.0), caught_up: AtomicBool::new(false) }))
    }

    /// Every message up to here is finished.
    #[must_use]
    pub fn position(&self) -> Position {
        Position(self.0.position.load(Ordering::Acquire))
    }

    /// Is everything finished that was waiting at the start (S18)? Stays true from then on.
    #[must_use]
    pub fn caught_up(&self) -> bool {
        self.0.caught_up.load(Ordering::Acquire)
    }

    pub(crate) fn publish(&self, position: Position, caught_up: bool) {
        // What the position promises was committed by other threads before it is stored here.
        self.0.position.store(position.0, Ordering::Release);
        self.0.caught_up.fetch_or(caught_up, Ordering::AcqRel);
    }
}
