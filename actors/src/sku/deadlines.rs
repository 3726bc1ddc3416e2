//! Deadlines of the claims that are not firm, in order. Most SKUs have a claim or two, and a tree's first leaf is made for
//! eleven: a few stand in a row instead.

use crate::ids::HoldId;
use crate::time::Timestamp;
use std::collections::BTreeSet;

/// So many stand in a row.
const FEW: usize = 8;

type Deadline = (Timestamp, HoldId);

/// See the module.
#[derive(Debug, Clone)]
pub(super) enum Deadlines {
    /// Sorted.
    Few(Vec<Deadline>),
    Many(BTreeSet<Deadline>),
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines::Few(Vec::new())
    }
}

/// The same deadlines, however they are kept.
impl PartialEq for Deadlines {
    fn eq(&self, other: &Deadlines) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Deadlines {
    pub fn insert(&mut self, deadline: Deadline) {
        match self {
            Deadlines::Many(many) => drop(many.insert(deadline)),
            Deadlines::Few(few) => {
                let Err(place) = few.binary_search(&deadline) else { return };
                if few.len() == FEW {
                    *self = Deadlines::Many(few.drain(..).chain([deadline]).collect());
                } else {
                    few.reserve_exact(1);
                    few.insert(place, deadline);
                }
            }
        }
    }

    /// Was it there?
    pub fn remove(&mut self, deadline: &Deadline) -> bool {
        match self {
            Deadlines::Many(many) => many.remove(deadline),
            Deadlines::Few(few) => few.binary_search(deadline).map(|place| few.remove(place)).is_ok(),
        }
    }

    pub fn first(&self) -> Option<&Deadline> {
        self.iter().next()
    }

    /// The earliest first.
    pub fn iter(&self) -> impl Iterator<Item = &Deadline> {
        let (few, many) = match self {
            Deadlines::Few(few) => (Some(few.iter()), None),
            Deadlines::Many(many) => (None, Some(many.iter())),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever comes and goes, they are what a set would have.
        #[test]
        fn deadlines_are_those_of_a_set(steps in prop::collection::vec((0..20_i64, any::<bool>()), 0..60)) {
            let (mut deadlines, mut set) = (Deadlines::default(), BTreeSet::new());
            for (number, comes) in steps {
                let deadline = (Timestamp(number / 2), HoldId(number as u128));
                if comes {
                    deadlines.insert(deadline);
                    set.insert(deadline);
                } else {
                    prop_assert_eq!(deadlines.remove(&deadline), set.remove(&deadline));
                }
                prop_assert_eq!(deadlines.first(), set.first());
                prop_assert!(deadlines.iter().eq(set.iter()));
            }
            let again = set.into_iter().rev().fold(Deadlines::default(), |mut deadlines, one| {
                deadlines.insert(one);
                deadlines
            });
            prop_assert_eq!(deadlines, again);
        }
    }
}
