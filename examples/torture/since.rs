//! A moment, by both of this machine's clocks: a virtual machine that is paused loses time by one of them, and a server that
//! is started again has only the other.

use std::time::{Duration, Instant, SystemTime};

#[derive(Debug, Clone, Copy)]
pub struct Since(Instant, SystemTime);

impl Since {
    pub fn now() -> Since {
        Since(Instant::now(), SystemTime::now())
    }

    /// The longest time that may have passed.
    pub fn at_most(self) -> Duration {
        self.0.elapsed().max(self.1.elapsed().unwrap_or_default())
    }
}
