//! Which entities leave memory, and when: those that nobody has asked for a while, sooner when there are too many.

use super::{Directory, Entry, TICK};
use crate::ids::EntityId;
use crate::shell::stats::{bump, kind};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Entities looked at per tick, at most, when there are too many in memory.
const PASSIVATED_PER_TICK: usize = 256;

/// Places in the ring of entities that have left already, dropped at once.
const GONE_PER_TICK: usize = 8_192;

/// With too many entities in memory, one stays so long after its last message. A SKU is asked by ever new orders, and
/// reading it back means all its claims: it stays longer.
const CROWDED: Duration = Duration::from_secs(1);
const CROWDED_SKU: Duration = Duration::from_secs(10);

impl Directory {
    /// Lets a few idle entities go; dropping the address ends the actor, whose mailbox is empty. With too many in memory,
    /// sooner: a rush must not fill the memory with what nobody asks for any more. Then each batch of questions lets as
    /// many go as it may have brought, and a tick only some more: thousands at once would hold up every answer.
    pub(super) fn passivate(&mut self) {
        let few = self.state.fabric.settings.passivate_per_tick;
        self.let_go(few.max(self.surplus().min(PASSIVATED_PER_TICK)));
    }

    /// Entities in memory beyond what there should be.
    pub(super) fn surplus(&self) -> usize {
        self.entries.len().saturating_sub(self.state.fabric.settings.warm_per_shard)
    }

    /// Looks at so many entities.
    pub(super) fn let_go(&mut self, looks: usize) {
        let settings = &self.state.fabric.settings;
        let (sku_after, after) = match self.surplus() {
            0 => (settings.passivate_after, settings.passivate_after),
            _ => (CROWDED_SKU, CROWDED),
        };
        let ticks = |after: Duration| after.min(settings.passivate_after).as_millis() as u64 / TICK.as_millis() as u64;
        let (sku_ticks, other_ticks) = (ticks(sku_after), ticks(after));
        let readable = self.state.fabric.loader.readable();
        let mut gone = 0;
        let mut looked_at = 0;
        while looked_at < looks.min(self.ring.len()) && gone < GONE_PER_TICK {
            let Some(entity) = self.ring.pop_front() else { return };
            let Some(Entry::Warm { cell, .. }) = self.entries.get(&entity) else {
                gone += 1;
                continue;
            };
            looked_at += 1;
            let idle_ticks = if matches!(entity, EntityId::Sku(_)) { sku_ticks } else { other_ticks };
            let idle = self.tick.saturating_sub(cell.used.get()) >= idle_ticks;
            if idle && cell.outstanding.get() == 0 && cell.last.get() <= readable {
                self.passivated(&entity);
            } else {
                self.ring.push_back(entity);
            }
        }
    }

    /// Dropping the address ends the actor.
    pub(super) fn passivated(&mut self, entity: &EntityId) {
        self.entries.remove(entity);
        bump(&self.stats().passivations[kind(entity)]);
        self.stats().warm[kind(entity)].fetch_sub(1, Ordering::Relaxed);
    }
}
