//! Ids that outlive what they named, so that a late repeat has no second effect (S17). Bounded: the newest
//! [`CAPACITY`] are here, all of them for their time in the store.

use super::command::Part;
use crate::ids::{HoldId, OpId, OrderId};
use crate::time::{Span, Timestamp};

/// How many ids of one SKU are remembered in memory; each takes some 100 bytes. A snapshot holds them all and is written
/// anew while the SKU sells, so that more of them cost every later order: docs/performance. Older ones are looked up in the
/// store.
pub const CAPACITY: usize = 16;

/// What is remembered under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RememberedKey {
    /// Units that came in.
    Receipt(OpId),
    /// A correction.
    Adjustment(OpId),
    /// A shipment's units of one hold.
    Shipment(HoldId, OpId),
    /// A reduction of one allocation.
    Reduction(HoldId, OpId),
    /// A return's units of one hold.
    Return(HoldId, OpId),
    /// A hold that has ended.
    Hold(HoldId),
}

/// What is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// When it happened.
    pub at: Timestamp,
    /// What it was.
    pub what: What,
}

/// The content behind a remembered key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// An operation with content of this fingerprint.
    Operation {
        /// A repeat with another one is refused.
        fingerprint: u64,
    },
    /// A hold, and how it ended.
    Hold {
        /// How.
        closed: Closed,
        /// Whose it was.
        order: Option<OrderId>,
    },
}

/// How a remembered hold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Given back or run out: remembered only if its client named it, since an order may claim it afresh (S15).
    Lapsed,
    /// Allocated, and the last of its units shipped.
    Shipped,
    /// Allocated, and the last of its units given back.
    Cancelled,
}

/// Kinds that are dropped and asked for apart, so that a rush of lapsed holds does not make orders look ids up.
#[derive(Clone, Copy)]
enum Kind {
    Operation = 0,
    Lapsed = 1,
    Sold = 2,
}

impl Remembered {
    fn kind(&self) -> Kind {
        match self.what {
            What::Operation { .. } => Kind::Operation,
            What::Hold { closed: Closed::Lapsed, .. } => Kind::Lapsed,
            What::Hold { closed: Closed::Shipped | Closed::Cancelled, .. } => Kind::Sold,
        }
    }

    /// Is it still to be acted upon at `now`?
    pub(super) fn counts(&self, now: Timestamp, remember: Span) -> bool {
        now < self.at.plus(remember)
    }
}

/// The ids in memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Memory {
    /// The oldest first, at most [`CAPACITY`].
    ids: Vec<(RememberedKey, Remembered)>,
    /// Nothing at all while there was room for all of them.
    dropped: Option<Box<Dropped>>,
}

/// Per kind, the youngest that was dropped for want of room.
pub(super) type Dropped = [Option<Timestamp>; 3];

impl Memory {
    pub(super) fn get(&self, key: &RememberedKey) -> Option<&Remembered> {
        self.ids.iter().find(|(known, _)| known == key).map(|(_, remembered)| remembered)
    }

    pub(super) fn insert(&mut self, key: RememberedKey, remembered: Remembered) {
        self.ids.retain(|(known, _)| *known != key);
        if self.ids.len() == CAPACITY {
            let (_, dropped) = self.ids.remove(0);
            let latest = &mut self.dropped.get_or_insert_default()[dropped.kind() as usize];
            *latest = (*latest).max(Some(dropped.at));
        }
        // Most SKUs have one or two.
        if self.ids.len() < CAPACITY / 4 {
            self.ids.reserve_exact(1);
        }
        self.ids.push((key, remembered));
    }

    /// Oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RememberedKey, Remembered)> {
        self.ids.iter().copied()
    }

    pub(super) fn dropped(&self) -> Dropped {
        self.dropped.as_deref().copied().unwrap_or_default()
    }

    pub(super) fn set_dropped(&mut self, dropped: Dropped) {
        self.dropped = (dropped != Dropped::default()).then(|| Box::new(dropped));
    }

    /// May an operation that still counts have been dropped?
    pub(super) fn dropped_operations(&self, now: Timestamp, remember: Span) -> bool {
        self.dropped_kind(Kind::Operation, now, remember)
    }

    /// May a hold that still counts have been dropped; only a sold one, if `sold_only`?
    pub(super) fn dropped_holds(&self, sold_only: bool, now: Timestamp, remember: Span) -> bool {
        self.dropped_kind(Kind::Sold, now, remember) || (!sold_only && self.dropped_kind(Kind::Lapsed, now, remember))
    }

    fn dropped_kind(&self, kind: Kind, now: Timestamp, remember: Span) -> bool {
        self.dropped()[kind as usize].is_some_and(|at| now < at.plus(remember))
    }
}

/// Fingerprint of an operation's content, whatever the order of its parts. Stable for good: it is stored.
pub(super) fn fingerprint(parts: &[Part], restock: bool) -> u64 {
    let mut sorted: Vec<&Part> = parts.iter().collect();
    sorted.sort_by(|a, b| a.location.cmp(&b.location));
    let mut bytes = vec![u8::from(restock)];
    for part in sorted {
        bytes.extend_from_slice(part.location.as_str().as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&part.units.to_le_bytes());
    }
    xxhash_rust::xxh3::xxh3_64(&bytes)
}
