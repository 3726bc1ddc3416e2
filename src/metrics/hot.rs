//! How much of the holds goes to the few most wanted SKUs, without a series per SKU: a Space-Saving sketch whose counts
//! fade, so that it speaks of the last half minute or so and takes the same memory for any number of SKUs.

use crate::metrics::catalogue;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use stampede_actors::ids::SkuId;
use stampede_actors::time::{Span, Timestamp};

/// SKUs that are counted at once.
pub const SLOTS: usize = 64;
/// Ranks that are shown.
pub(super) const RANKS: usize = catalogue::RANKS.len();
/// So often all counts are halved.
const HALVED_EVERY: Span = Span::seconds(10);
/// What one hold counts, so that halving does not lose it at once.
const WEIGHT: u64 = 1 << 10;
/// Halved so often, nothing is left of any count.
const GONE_AFTER: i64 = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Sketch {
    slots: Vec<Slot>,
    places: HashMap<SkuId, usize, FixedState>,
    total: u64,
    halved_at: Timestamp,
}

#[derive(Debug)]
struct Slot {
    sku: SkuId,
    count: u64,
    /// How much of the count may be others' that had the slot before.
    inherited: u64,
}

impl Sketch {
    /// A hold was granted. `at`: engine time.
    pub fn held(&mut self, sku: &SkuId, at: Timestamp) {
        self.fade(at);
        self.total += WEIGHT;
        if let Some(&place) = self.places.get(sku) {
            self.slots[place].count += WEIGHT;
        } else if self.slots.len() < SLOTS {
            self.places.insert(sku.clone(), self.slots.len());
            self.slots.push(Slot { sku: sku.clone(), count: WEIGHT, inherited: 0 });
        } else if let Some((place, slot)) = self.slots.iter_mut().enumerate().min_by_key(|(_, slot)| slot.count) {
            self.places.remove(&slot.sku);
            self.places.insert(sku.clone(), place);
            *slot = Slot { sku: sku.clone(), count: slot.count + WEIGHT, inherited: slot.count };
        }
    }

    /// Shares of the most wanted SKUs, 0 to 1, the greatest first. Each is a least value: what may be others' is left out.
    pub fn shares(&mut self, now: Timestamp) -> [f64; RANKS] {
        let mut shares = [0.0; RANKS];
        shares.iter_mut().zip(self.top(now, RANKS)).for_each(|(share, (_, most))| *share = most);
        shares
    }

    /// The most wanted SKUs and their shares, as [`Sketch::shares`] counts them.
    pub fn top(&mut self, now: Timestamp, limit: usize) -> Vec<(SkuId, f64)> {
        self.fade(now);
        let sure = |slot: &Slot| slot.count - slot.inherited;
        let mut slots: Vec<&Slot> = self.slots.iter().filter(|slot| sure(slot) > 0).collect();
        slots.sort_unstable_by(|a, b| sure(b).cmp(&sure(a)).then_with(|| a.sku.cmp(&b.sku)));
        slots.into_iter().take(limit).map(|slot| (slot.sku.clone(), sure(slot) as f64 / self.total as f64)).collect()
    }

    fn fade(&mut self, now: Timestamp) {
        let halvings = now.since(self.halved_at).0 / HALVED_EVERY.0;
        if halvings <= 0 {
            return;
        }
        self.halved_at = self.halved_at.plus(Span(halvings.saturating_mul(HALVED_EVERY.0)));
        let halve = |count: u64| if halvings >= GONE_AFTER { 0 } else { count >> halvings };
        self.total = halve(self.total);
        for slot in &mut self.slots {
            // Rounded up, so that no share is shown greater than it was.
            (slot.count, slot.inherited) = (halve(slot.count), halve(slot.inherited + (1 << halvings.min(10)) - 1));
            slot.inherited = slot.inherited.min(slot.count);
        }
        if self.total == 0 {
            self.slots.clear();
            self.places.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed step fails the test
    use super::*;

    const T0: Timestamp = Timestamp(1_750_000_000_000_000);

    fn sku(n: usize) -> SkuId {
        SkuId::new(&format!("sku-{n}")).unwrap()
    }

    #[test]
    fn nothing_held_has_no_share() {
        assert_eq!(Sketch::default().shares(T0), [0.0; RANKS]);
    }

    #[test]
    fn shares_are_exact_while_there_is_a_slot_for_each() {
        let mut sketch = Sketch::default();
        for n in 0..1_000 {
            let wanted = if n % 10 < 6 { 0 } else { 1 + n % 4 };
            sketch.held(&sku(wanted), T0);
        }
        let shares = sketch.shares(T0);
        assert!((shares[0] - 0.6).abs() < 1e-9, "{shares:?}");
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{shares:?}");
    }

    /// Ten thousand SKUs, one of which takes a third: it is seen, and the memory stays what it was.
    #[test]
    fn one_hot_sku_among_many_is_seen_and_nothing_grows() {
        let mut sketch = Sketch::default();
        for n in 0..30_000_usize {
            let wanted = if n % 3 == 0 { 0 } else { 1 + n.wrapping_mul(2_654_435_761) % 10_000 };
            sketch.held(&sku(wanted), T0);
        }
        let shares = sketch.shares(T0);
        assert!((0.3..=0.334).contains(&shares[0]), "{shares:?}");
        assert!(shares[1] < 0.02, "the others are all alike: {shares:?}");
        assert_eq!((sketch.slots.len(), sketch.places.len()), (SLOTS, SLOTS));
    }

    #[test]
    fn names_come_with_their_shares_the_greatest_first() {
        let mut sketch = Sketch::default();
        (0..10).for_each(|n| sketch.held(&sku(if n < 7 { 5 } else { n }), T0));
        let top = sketch.top(T0, 2);
        assert_eq!(top, [(sku(5), 0.7), (sku(7), 0.1)]);
        assert!(sketch.top(T0.plus(Span::hours(1)), 2).is_empty());
    }

    #[test]
    fn no_sku_among_equals_is_called_hot() {
        let mut sketch = Sketch::default();
        (0..50_000).for_each(|n| sketch.held(&sku(n % 5_000), T0));
        assert!(sketch.shares(T0)[0] < 0.02, "{:?}", sketch.shares(T0));
    }

    #[test]
    fn what_was_hot_fades_and_makes_room() {
        let mut sketch = Sketch::default();
        (0..1_000).for_each(|_| sketch.held(&sku(1), T0));
        let later = T0.plus(Span::seconds(40));
        (0..1_000).for_each(|_| sketch.held(&sku(2), later));
        let shares = sketch.shares(later);
        assert!(shares[0] > 0.9 && shares[1] < 0.1, "{shares:?}");
        assert_eq!(sketch.shares(later.plus(Span::hours(1))), [0.0; RANKS], "nobody wants anything now");
        assert!(sketch.slots.is_empty() && sketch.places.is_empty());
        sketch.held(&sku(3), later);
        assert_eq!(sketch.shares(later)[0], 1.0, "a clock that comes late changes nothing");
    }
}
