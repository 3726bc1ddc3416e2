//! A map of what may be one entry or a million. A few stand in a row and are looked through: a table makes room for four at
//! once, and most SKUs have one claim, of one buyer.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::hash::Hash;

/// So many stand in a row.
const FEW: usize = 8;

/// See the module.
#[derive(Debug, Clone)]
pub(super) enum Roll<K, V> {
    Few(Vec<(K, V)>),
    Many(Box<HashMap<K, V, FixedState>>),
}

impl<K, V> Default for Roll<K, V> {
    fn default() -> Roll<K, V> {
        Roll::Few(Vec::new())
    }
}

/// The same entries, however they are kept and in whatever order.
impl<K: Eq + Hash, V: PartialEq> PartialEq for Roll<K, V> {
    fn eq(&self, other: &Roll<K, V>) -> bool {
        self.len() == other.len() && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl<K: Eq + Hash, V> Roll<K, V> {
    pub fn len(&self) -> usize {
        match self {
            Roll::Few(few) => few.len(),
            Roll::Many(many) => many.len(),
        }
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        match self {
            Roll::Few(few) => few.iter().find(|(known, _)| known == key).map(|(_, value)| value),
            Roll::Many(many) => many.get(key),
        }
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self {
            Roll::Few(few) => few.iter_mut().find(|(known, _)| known == key).map(|(_, value)| value),
            Roll::Many(many) => many.get_mut(key),
        }
    }

    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// What was there before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Some(known) = self.get_mut(&key) {
            return Some(std::mem::replace(known, value));
        }
        match self {
            Roll::Many(many) => many.insert(key, value),
            Roll::Few(few) if few.len() < FEW => {
                few.reserve_exact(1);
                few.push((key, value));
                None
            }
            Roll::Few(few) => {
                *self = Roll::Many(Box::new(few.drain(..).chain([(key, value)]).collect()));
                None
            }
        }
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            Roll::Few(few) => {
                let place = few.iter().position(|(known, _)| known == key)?;
                Some(few.swap_remove(place).1)
            }
            Roll::Many(many) => many.remove(key),
        }
    }

    /// In no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let (few, many) = match self {
            Roll::Few(few) => (Some(few.iter().map(|(key, value)| (key, value))), None),
            Roll::Many(many) => (None, Some(many.iter())),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }
}

impl<K: Eq + Hash + Clone, V: Default> Roll<K, V> {
    /// The entry of `key`, made if there is none.
    pub fn of(&mut self, key: &K) -> &mut V {
        if !self.contains_key(key) {
            self.insert(key.clone(), V::default());
        }
        self.get_mut(key).unwrap_or_else(|| unreachable!("it was just put there"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Whatever comes and goes, it is what a map would be.
        #[test]
        fn a_roll_is_a_map(steps in prop::collection::vec((0..20_u8, 0..4_u8, any::<u8>()), 0..80)) {
            let (mut roll, mut map) = (Roll::default(), BTreeMap::new());
            for (key, what, value) in steps {
                match what {
                    0 => prop_assert_eq!(roll.remove(&key), map.remove(&key)),
                    1 => {
                        *roll.of(&key) = value;
                        map.insert(key, value);
                    }
                    _ => prop_assert_eq!(roll.insert(key, value), map.insert(key, value)),
                }
                prop_assert_eq!(roll.len(), map.len());
                prop_assert_eq!(roll.iter().collect::<BTreeMap<_, _>>(), map.iter().collect::<BTreeMap<_, _>>());
                prop_assert_eq!(roll.get(&key), map.get(&key));
            }
            let mut again = Roll::default();
            for (key, value) in map.iter().rev() {
                again.insert(*key, *value);
            }
            prop_assert_eq!(&again, &roll);
            if let Some((&key, value)) = map.first_key_value() {
                again.insert(key, value.wrapping_add(1));
                prop_assert_ne!(again, roll);
            }
        }
    }
}
