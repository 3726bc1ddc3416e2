//! Which entities there may be. It is asked for every new order, by a thread that must not wait: while the store writes down
//! which files it has, and syncs that, whoever reads in it waits.
//!
//! Bloom filters, each for four times as many entities as the one before, so that memory grows with what there is: some two
//! bytes for each. One in several hundred answers is "maybe" for what is not there, and costs a look into the store.

use fastbloom::AtomicBloomFilter;
use foldhash::fast::FixedState;
use stampede_actors::ids::EntityId;
use std::hash::BuildHasher;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Entities of the first filter.
const FIRST: usize = 1 << 16;

/// How many filters there may be: together for 22 million entities. With more nobody knows, and the store is asked.
const FILTERS: usize = 5;

const BITS_PER_ENTITY: usize = 16;

/// Bits that are set for each.
const HASHES: u32 = 8;

/// See the module. One thread adds to it, any may ask.
#[derive(Default)]
pub struct Known {
    filters: [OnceLock<AtomicBloomFilter<FixedState>>; FILTERS],
    /// Entities in all of them.
    entities: AtomicUsize,
    /// All that the store has are among them.
    complete: AtomicBool,
}

impl Known {
    /// There is this entity.
    pub fn insert(&self, entity: &EntityId) {
        let hash = hash(entity);
        if self.may_have(hash) {
            return;
        }
        let mut before = self.entities.fetch_add(1, Ordering::Relaxed);
        for (number, filter) in self.filters.iter().enumerate() {
            let room = FIRST << (2 * number);
            if before < room {
                let bits = room * BITS_PER_ENTITY;
                let make = || AtomicBloomFilter::with_num_bits(bits).hasher(FixedState::default()).hashes(HASHES);
                filter.get_or_init(make).insert_hash(hash);
                return;
            }
            before -= room;
        }
        self.complete.store(false, Ordering::Release);
    }

    /// All entities of the store were inserted.
    pub fn complete(&self) {
        let room: usize = (0..FILTERS).map(|number| FIRST << (2 * number)).sum();
        self.complete.store(self.entities.load(Ordering::Relaxed) <= room, Ordering::Release);
    }

    /// Is there surely nothing of it? `None`: the store must be asked.
    pub fn lacks(&self, entity: &EntityId) -> Option<bool> {
        self.complete.load(Ordering::Acquire).then(|| !self.may_have(hash(entity)))
    }

    fn may_have(&self, hash: u64) -> bool {
        self.filters.iter().map_while(OnceLock::get).any(|filter| filter.contains_hash(hash))
    }
}

fn hash(entity: &EntityId) -> u64 {
    FixedState::default().hash_one(entity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stampede_actors::ids::OrderId;

    fn order(number: u128) -> EntityId {
        EntityId::Order(OrderId(number << 64 | number))
    }

    #[test]
    fn what_is_there_is_never_said_to_lack_and_what_is_not_seldom_to_be_there() {
        let known = Known::default();
        assert_eq!(known.lacks(&order(1)), None, "nobody has looked into the store yet");
        let many = FIRST as u128 * 3;
        (0..many).for_each(|number| known.insert(&order(number)));
        known.complete();
        assert!((0..many).all(|number| known.lacks(&order(number)) == Some(false)));
        let mistaken = (many..many * 2).filter(|number| known.lacks(&order(*number)) == Some(false)).count();
        assert!(mistaken < many as usize / 200, "{mistaken} of {many}");
        assert_eq!(known.filters.iter().filter(|filter| filter.get().is_some()).count(), 2);
    }

    #[test]
    fn with_more_entities_than_there_is_room_for_the_store_is_asked() {
        let known = Known::default();
        known.complete();
        assert_eq!(known.lacks(&order(1)), Some(true));
        known.entities.store(FIRST << (2 * FILTERS), Ordering::Relaxed);
        known.insert(&order(1));
        assert_eq!(known.lacks(&order(2)), None);
        known.complete();
        assert_eq!(known.lacks(&order(2)), None);
    }
}
