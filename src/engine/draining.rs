//! A server that takes no new purchases: until an operator says otherwise, or for good.

use super::Engine;
use std::sync::atomic::Ordering;

impl Engine {
    /// From now on new purchases are refused and readiness fails; what is in progress goes on.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
    }

    /// Drains for good: the process ends.
    pub fn go_down(&self) {
        self.0.going_down.store(true, Ordering::SeqCst);
        self.drain();
    }

    /// Is it draining for good?
    #[must_use]
    pub fn going_down(&self) -> bool {
        self.0.going_down.load(Ordering::SeqCst)
    }

    /// Takes new purchases again. `false`: it is going down for good.
    #[must_use]
    pub fn undrain(&self) -> bool {
        self.0.draining.store(false, Ordering::SeqCst);
        let goes = self.going_down();
        if goes {
            // It may have been said between the two.
            self.drain();
        }
        !goes
    }

    /// Is it draining?
    #[must_use]
    pub fn draining(&self) -> bool {
        self.0.draining.load(Ordering::SeqCst)
    }
}
