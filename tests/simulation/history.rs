//! The history of each SKU, as its clients saw it, and whether it is linearisable.
//!
//! What clients did and were told counts with the moments at which they asked and were answered: a delivery, a hold, the
//! holds of an order, and every look at the stock, which must show on-hand, held and allocated units of one moment in
//! between. Of several tries with one key, the one counts that was under way when the record was handed to the log.
//!
//! What happens unasked (a hold runs out, an order's units become firm, leave, or are given back), and what was asked and
//! never answered, is taken from the committed log, under way from its being handed to the log until its commit. What never
//! was committed did not happen: nobody who was told of success may have seen it.
//!
//! A refusal is no part of the order: it may leave before what it rests on is committed, has no effect, and says nothing
//! about what follows (S10).

use crate::linear::{Operation, Spec, Verdict, linearise};
use stampede::journal::Committed;
use stampede_actors::ids::{EntityId, HoldId, OpId, OrderId, SkuId};
use stampede_actors::record::{Event, Position, Version};
use stampede_actors::shell::{Done, View};
use stampede_actors::sku::{self, Part};
use std::collections::BTreeMap;

/// What a client does is known by this, however often it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    Operation(OpId),
    Hold(HoldId),
    Order(OrderId),
}

/// One time that a deed was asked for, and the end of it, if it was acknowledged.
#[derive(Debug, Clone, Copy)]
struct Asked {
    invoked: u64,
    acknowledged: Option<u64>,
}

impl Asked {
    /// Was it under way then, and was that what was acknowledged?
    fn covers(&self, moment: u64) -> Option<(u64, u64)> {
        let acknowledged = self.acknowledged?;
        (self.invoked < moment && moment < acknowledged).then_some((self.invoked, acknowledged))
    }
}

/// A record of one SKU in the log.
struct Happened {
    sku: SkuId,
    acts: Vec<Act>,
    deed: Option<Deed>,
    version: Version,
    handed_over: u64,
    committed: u64,
}

/// Everything that clients did and saw, and what the log says.
#[derive(Default)]
pub struct History {
    moment: u64,
    deeds: BTreeMap<Deed, Vec<Asked>>,
    /// When each record was handed to the log; one that a crash has taken is overwritten by that which took its place.
    handed_over: BTreeMap<Position, u64>,
    happened: Vec<Happened>,
    looks: Vec<(SkuId, Operation<Vec<Act>>)>,
}

/// Something that happens to a SKU, or is seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Units come in or go, claimed by nobody.
    Move(i64),
    /// Units are claimed.
    Hold(HoldId, i64),
    /// A hold ends, or an allocation: what is left of it can be claimed again.
    End(HoldId),
    /// A hold becomes firm.
    Firm(HoldId),
    /// Units of an allocation leave; `stays`: they can be claimed again.
    TakeOut { hold: HoldId, units: i64, stays: bool },
    /// On hand, held and allocated.
    Look([i64; 3]),
}

/// A SKU as the history has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Shelf {
    on_hand: i64,
    claims: BTreeMap<HoldId, (i64, bool)>,
}

impl Shelf {
    fn claimed(&self, firm: bool) -> i64 {
        self.claims.values().filter(|(_, is_firm)| *is_firm == firm).map(|(units, _)| units).sum()
    }
}

impl Spec for Shelf {
    type Act = Vec<Act>;

    fn step(&self, acts: &Vec<Act>) -> Option<Shelf> {
        let mut shelf = self.clone();
        for act in acts {
            match act {
                Act::Move(units) => shelf.on_hand += units,
                Act::Hold(hold, units) => {
                    if shelf.claims.insert(*hold, (*units, false)).is_some() {
                        return None;
                    }
                }
                Act::End(hold) => drop(shelf.claims.remove(hold)?),
                Act::Firm(hold) => {
                    let (_, firm) = shelf.claims.get_mut(hold)?;
                    if std::mem::replace(firm, true) {
                        return None;
                    }
                }
                Act::TakeOut { hold, units, stays } => {
                    let (left, _) = shelf.claims.get_mut(hold).filter(|(left, firm)| *firm && left >= units)?;
                    *left -= units;
                    if *left == 0 {
                        shelf.claims.remove(hold);
                    }
                    shelf.on_hand -= if *stays { 0 } else { *units };
                }
                Act::Look(seen) => {
                    if *seen != [shelf.on_hand, shelf.claimed(false), shelf.claimed(true)] {
                        return None;
                    }
                }
            }
        }
        (shelf.claimed(false) + shelf.claimed(true) <= shelf.on_hand).then_some(shelf)
    }
}

impl History {
    fn next(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    /// A client asks for a deed, or looks; the moment.
    pub fn invoked(&mut self, deed: Option<Deed>) -> u64 {
        let invoked = self.next();
        if let Some(deed) = deed {
            self.deeds.entry(deed).or_default().push(Asked { invoked, acknowledged: None });
        }
        invoked
    }

    /// A client is told that it is done.
    pub fn acknowledged(&mut self, deed: Option<Deed>, invoked: u64, entity: &EntityId, done: &Done) {
        let now = self.next();
        let asked = deed.and_then(|deed| self.deeds.get_mut(&deed)).into_iter().flatten();
        asked.filter(|asked| asked.invoked == invoked).for_each(|asked| asked.acknowledged = Some(now));
        if let (EntityId::Sku(sku), View::Sku(view)) = (entity, &done.view) {
            let stock = &view.availability;
            let act = vec![Act::Look([stock.on_hand, stock.held, stock.allocated].map(i64::from))];
            self.looks.push((sku.clone(), Operation { invoked, returned: now, hint: 2 * done.version + 1, act }));
        }
    }

    /// A record is handed to the log.
    pub fn handed_over(&mut self, position: Position) {
        let now = self.next();
        self.handed_over.insert(position, now);
    }

    /// A frame is committed.
    pub fn committed(&mut self, frame: &Committed) {
        let committed = self.next();
        for (record, position) in frame.records.iter().zip(frame.first.0..) {
            let mut skus: BTreeMap<&SkuId, (Vec<Act>, Option<Deed>, Version)> = BTreeMap::new();
            for entry in &record.entries {
                if let (EntityId::Sku(sku), Event::Sku(event)) = (&entry.entity, &entry.event) {
                    let (acts, deed, version) = skus.entry(sku).or_default();
                    *version = entry.version;
                    acts.extend(act_of(event));
                    *deed = deed.or(deed_of(event));
                }
            }
            let handed_over = self.handed_over.get(&Position(position)).copied().unwrap_or_default();
            for (sku, (acts, deed, version)) in skus.into_iter().filter(|(_, (acts, ..))| !acts.is_empty()) {
                self.happened.push(Happened { sku: sku.clone(), acts, deed, version, handed_over, committed });
            }
        }
    }

    /// Operations by SKU.
    pub fn operations(&self) -> BTreeMap<SkuId, Vec<Operation<Vec<Act>>>> {
        let mut by_sku: BTreeMap<SkuId, Vec<Operation<Vec<Act>>>> = BTreeMap::new();
        for (sku, look) in &self.looks {
            by_sku.entry(sku.clone()).or_default().push(look.clone());
        }
        for Happened { sku, acts, deed, version, handed_over, committed } in &self.happened {
            let of_deed = deed.and_then(|deed| self.deeds.get(&deed)).into_iter().flatten();
            let asked = of_deed.filter_map(|asked| asked.covers(*handed_over)).next();
            let (invoked, returned) = asked.unwrap_or((*handed_over, *committed));
            by_sku.entry(sku.clone()).or_default().push(Operation {
                invoked,
                returned,
                hint: 2 * version,
                act: acts.clone(),
            });
        }
        by_sku
    }

    /// Checks all SKUs: how many operations there are, or what is wrong.
    ///
    /// # Errors
    /// The SKU whose history is not linearisable.
    pub fn check(&self) -> Result<u64, String> {
        let mut count = 0;
        for (sku, operations) in self.operations() {
            count += operations.len() as u64;
            match linearise(&Shelf::default(), &operations) {
                Verdict::Linearisable => {}
                Verdict::Not(put) => {
                    return Err(format!(
                        "of {} operations on {sku}, {put} at most can be put in order",
                        operations.len()
                    ));
                }
                Verdict::Undecided => {
                    return Err(format!("no order was found for {} operations on {sku}", operations.len()));
                }
            }
        }
        Ok(count)
    }
}

fn units(parts: &[Part]) -> i64 {
    parts.iter().map(|part| i64::from(part.units)).sum()
}

fn act_of(event: &sku::Event) -> Option<Act> {
    use sku::Event;
    Some(match event {
        Event::Received { units, .. } => Act::Move(i64::from(*units)),
        Event::Adjusted { delta, .. } => Act::Move(*delta),
        Event::Returned { units, restock: true, .. } => Act::Move(i64::from(*units)),
        Event::Held { hold, parts, .. } => Act::Hold(*hold, units(parts)),
        Event::Ended { hold, .. } | Event::AllocationCancelled { hold, .. } => Act::End(*hold),
        Event::Allocated { hold, .. } => Act::Firm(*hold),
        Event::Shipped { hold, parts, .. } => Act::TakeOut { hold: *hold, units: units(parts), stays: false },
        Event::AllocationReduced { hold, parts, restock, .. } => {
            Act::TakeOut { hold: *hold, units: units(parts), stays: *restock }
        }
        Event::Returned { .. }
        | Event::Listed(_)
        | Event::LocationSet { .. }
        | Event::Adopted { .. }
        | Event::Extended { .. }
        | Event::Paused
        | Event::Resumed => return None,
    })
}

/// Who asked for it, if it was a client whose answer tells.
fn deed_of(event: &sku::Event) -> Option<Deed> {
    match event {
        sku::Event::Received { receipt, .. } => Some(Deed::Operation(*receipt)),
        sku::Event::Held { hold, order: None, .. } => Some(Deed::Hold(*hold)),
        sku::Event::Held { order: Some(order), .. } => Some(Deed::Order(*order)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(invoked: u64, returned: u64, act: Act) -> Operation<Vec<Act>> {
        Operation { invoked, returned, hint: returned, act: vec![act] }
    }

    fn verdict(operations: &[Operation<Vec<Act>>]) -> Verdict {
        linearise(&Shelf::default(), operations)
    }

    const A: HoldId = HoldId(1);
    const B: HoldId = HoldId(2);

    #[test]
    fn two_holds_of_one_unit_are_never_both_granted() {
        let received = operation(1, 2, Act::Move(1));
        assert_eq!(verdict(&[received.clone(), operation(3, 5, Act::Hold(A, 1))]), Verdict::Linearisable);
        let both = [received.clone(), operation(3, 5, Act::Hold(A, 1)), operation(4, 6, Act::Hold(B, 1))];
        assert!(matches!(verdict(&both), Verdict::Not(2)));
        let given_back = operation(7, 12, Act::End(A));
        let later = operation(8, 11, Act::Hold(B, 1));
        assert_eq!(verdict(&[received, both[1].clone(), given_back, later]), Verdict::Linearisable, "in between");
    }

    #[test]
    fn a_look_shows_one_moment_while_it_was_under_way() {
        let stock = [operation(1, 2, Act::Move(3)), operation(5, 8, Act::Hold(A, 2))];
        let look = |from, to, seen| [&stock[..], &[operation(from, to, Act::Look(seen))]].concat();
        assert_eq!(verdict(&look(6, 7, [3, 0, 0])), Verdict::Linearisable);
        assert_eq!(verdict(&look(6, 7, [3, 2, 0])), Verdict::Linearisable);
        assert_eq!(verdict(&look(6, 7, [3, 1, 0])), Verdict::Not(2), "never so");
        assert!(matches!(verdict(&look(9, 10, [3, 0, 0])), Verdict::Not(_)), "stale: the hold was acknowledged before");
        assert!(matches!(verdict(&look(3, 4, [3, 2, 0])), Verdict::Not(_)), "too early: nobody had asked for the hold");
    }

    #[test]
    fn a_million_operations_take_seconds() {
        // Forty clients at once, who hold, look, and give back.
        let mut random = crate::random::Random::new(1, "history");
        let (mut operations, mut now) = (vec![operation(1, 2, Act::Move(1_000))], 2);
        let mut total = operations.len();
        while total < 1_000_000 {
            let mut shelf = Shelf::default().step(&operations[0].act).unwrap();
            for _ in 0..250 {
                let mut crowd = Vec::new();
                for _ in 0..40 {
                    let hold = HoldId(u128::from(random.below(200)));
                    let act = match shelf.claims.contains_key(&hold) {
                        _ if random.chance(300) => Act::Look([shelf.on_hand, shelf.claimed(false), 0]),
                        true => Act::End(hold),
                        false => Act::Hold(hold, random.within(1, 9) as i64),
                    };
                    let Some(after) = shelf.step(&vec![act.clone()]) else { continue };
                    shelf = after;
                    crowd.push(act);
                }
                // All are under way at once, though not for equally long.
                let (begin, count) = (now, crowd.len() as u64);
                now += 3 * count + 1;
                for (index, act) in crowd.into_iter().enumerate() {
                    let index = index as u64;
                    let (invoked, returned) =
                        (begin + 2 * index.saturating_sub(random.below(4)) + 1, begin + 2 * index + 2);
                    operations.push(operation(invoked.min(returned - 1), returned, act));
                }
            }
            assert_eq!(verdict(&operations), Verdict::Linearisable);
            total += operations.len();
            operations.truncate(1);
            now = 2;
        }
    }
}
