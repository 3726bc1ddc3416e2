//! The deadlines of a shard that come up soon. Later ones rest in the store, which survives us (S5).

use crate::ids::EntityId;
use crate::time::{Span, Timestamp};
use std::collections::BTreeSet;

/// Deadlines further away than this are left to the store, whose rows are read well before they are due.
pub const HORIZON: Span = Span::minutes(3);

/// A queue of deadlines. An entity may stand in it at several times: a tick that finds nothing due does nothing. At one
/// time it stands once, however often that is read from the store.
#[derive(Debug, Default)]
pub struct Timers {
    queue: BTreeSet<(Timestamp, EntityId)>,
}

impl Timers {
    /// Fires for `entity` at `at`.
    pub fn arm(&mut self, at: Timestamp, entity: EntityId) {
        self.queue.insert((at, entity));
    }

    /// The next entity whose deadline is not after `now`.
    pub fn due(&mut self, now: Timestamp) -> Option<EntityId> {
        let (at, _) = self.queue.first()?;
        if *at > now {
            return None;
        }
        self.queue.pop_first().map(|(_, entity)| entity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::OrderId;

    #[test]
    fn timers_fire_in_order_and_not_early() {
        let entity = |n| EntityId::Order(OrderId(n));
        let mut timers = Timers::default();
        timers.arm(Timestamp(20), entity(2));
        timers.arm(Timestamp(10), entity(1));
        assert_eq!(timers.due(Timestamp(9)), None);
        assert_eq!(timers.due(Timestamp(20)), Some(entity(1)));
        assert_eq!(timers.due(Timestamp(20)), Some(entity(2)));
        assert_eq!(timers.due(Timestamp(i64::MAX)), None);
    }

    #[test]
    fn a_deadline_that_is_read_again_fires_once() {
        let mut timers = Timers::default();
        (0..8).for_each(|_| timers.arm(Timestamp(10), EntityId::Order(OrderId(1))));
        assert!(timers.due(Timestamp(10)).is_some());
        assert_eq!(timers.due(Timestamp(10)), None);
    }
}
