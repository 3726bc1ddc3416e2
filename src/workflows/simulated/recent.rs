//! How often something came, lately.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

type Counts = HashMap<String, u32, FixedState>;

/// Counts by name. Knows the names that came last, at least `most` and at most twice as many of them; who comes again
/// after that is new.
#[derive(Debug)]
pub(super) struct Recent {
    most: usize,
    young: Counts,
    old: Counts,
}

impl Default for Recent {
    fn default() -> Recent {
        Recent::of(32_768)
    }
}

impl Recent {
    fn of(most: usize) -> Recent {
        let empty = || Counts::with_hasher(FixedState::default());
        Recent { most, young: empty(), old: empty() }
    }

    /// How often it came.
    pub fn count(&self, name: &str) -> u32 {
        self.young.get(name).or_else(|| self.old.get(name)).copied().unwrap_or_default()
    }

    /// It came.
    pub fn add(&mut self, name: &str) {
        let count = self.count(name).saturating_add(1);
        if self.young.len() >= self.most && !self.young.contains_key(name) {
            self.old = std::mem::replace(&mut self.young, Counts::with_hasher(FixedState::default()));
        }
        self.young.insert(name.to_owned(), count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_names_are_known_and_the_number_of_names_is_bounded() {
        let mut recent = Recent::of(3);
        for n in 0..100 {
            recent.add(&n.to_string());
            recent.add("again and again");
        }
        assert!(recent.young.len() <= 3 && recent.old.len() <= 3);
        assert_eq!((recent.count("99"), recent.count("98"), recent.count("0")), (1, 1, 0));
        assert_eq!(recent.count("again and again"), 100);
    }
}
