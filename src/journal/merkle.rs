//! The Merkle root of a frame's records. Leaves and nodes are hashed under different first bytes; the odd node out moves
//! up as it is. With it, some records can be proven to be in a frame without showing the others.

use super::Hash;

/// Of a frame without records.
pub const EMPTY: Hash = [0; 32];

/// A tree under construction: the leaves so far.
#[derive(Debug, Default)]
pub struct Merkle {
    leaves: Vec<Hash>,
}

impl Merkle {
    /// Adds a record's bytes.
    pub fn push(&mut self, record: &[u8]) {
        self.leaves.push(leaf(record));
    }

    /// Starts over, keeping the memory.
    pub fn clear(&mut self) {
        self.leaves.clear();
    }

    /// The root of what was added. Uses the leaves up.
    pub fn root(&mut self) -> Hash {
        let mut count = self.leaves.len();
        if count == 0 {
            return EMPTY;
        }
        while count > 1 {
            let pairs = count / 2;
            for i in 0..pairs {
                self.leaves[i] = node(&self.leaves[2 * i], &self.leaves[2 * i + 1]);
            }
            if count % 2 == 1 {
                self.leaves[pairs] = self.leaves[count - 1];
            }
            count = count.div_ceil(2);
        }
        let root = self.leaves[0];
        self.leaves.clear();
        root
    }
}

/// The root over leaves that are hashed already.
#[must_use]
pub fn root(leaves: Vec<Hash>) -> Hash {
    Merkle { leaves }.root()
}

/// Hash of one record's bytes.
#[must_use]
pub fn leaf(record: &[u8]) -> Hash {
    *blake3::Hasher::new().update(&[0]).update(record).finalize().as_bytes()
}

/// Hash of two hashes below it.
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    *blake3::hash(&bytes).as_bytes()
}

/// What proves that some leaves are in a tree: the nodes beside the ways from them to the root, bottom up and from left
/// to right. `shown` are the leaves' places, ascending. Nothing when none is shown.
#[must_use]
pub fn beside(mut leaves: Vec<Hash>, shown: &[usize]) -> Vec<Hash> {
    let mut beside = Vec::new();
    let mut known: Vec<_> = shown.iter().map(|&place| (place, leaves[place])).collect();
    while leaves.len() > 1 && !known.is_empty() {
        known = above(leaves.len(), &known, &mut |place| {
            beside.push(leaves[place]);
            Some(leaves[place])
        })
        .unwrap_or_default();
        leaves =
            leaves.chunks(2).map(|pair| if let [left, right] = pair { node(left, right) } else { pair[0] }).collect();
    }
    beside
}

/// The root that `shown` leaves (places ascending) of a tree of `count` and what is [`beside`] them lead to. `None` when
/// they are not exactly what such a proof holds.
#[must_use]
pub fn root_of(mut count: usize, shown: &[(usize, Hash)], beside: &[Hash]) -> Option<Hash> {
    let ascending = shown.windows(2).all(|pair| pair[0].0 < pair[1].0);
    if !ascending || shown.last()?.0 >= count {
        return None;
    }
    let (mut known, mut beside) = (shown.to_vec(), beside.iter());
    while count > 1 {
        known = above(count, &known, &mut |_| beside.next().copied())?;
        count = count.div_ceil(2);
    }
    if beside.next().is_some() { None } else { Some(known.first()?.1) }
}

/// The nodes over `known` ones of a level of `count`; `other` has those that are not known.
fn above(
    count: usize,
    known: &[(usize, Hash)],
    other: &mut dyn FnMut(usize) -> Option<Hash>,
) -> Option<Vec<(usize, Hash)>> {
    let mut above = Vec::with_capacity(known.len());
    let mut known = known.iter().copied().peekable();
    while let Some((place, hash)) = known.next() {
        let twin = place ^ 1;
        let over = if twin >= count {
            hash
        } else if twin < place {
            node(&other(twin)?, &hash)
        } else {
            let right = known.next_if(|(next, _)| *next == twin).map(|(_, hash)| hash);
            node(&hash, &right.or_else(|| other(twin))?)
        };
        above.push((place / 2, over));
    }
    Some(above)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail by panicking
    use super::*;

    #[test]
    fn any_leaves_lead_to_the_root_and_no_others_do() {
        for count in 1..=12usize {
            let leaves: Vec<Hash> = (0..count).map(|i| leaf(&[i as u8])).collect();
            let root = root(leaves.clone());
            for subset in 1u32..1 << count {
                let places: Vec<usize> = (0..count).filter(|place| subset >> place & 1 == 1).collect();
                let proof = beside(leaves.clone(), &places);
                let shown: Vec<_> = places.iter().map(|&place| (place, leaves[place])).collect();
                assert_eq!(root_of(count, &shown, &proof), Some(root), "{places:?} of {count}");
                let mut other = shown.clone();
                other[0].1[0] ^= 1;
                assert_ne!(root_of(count, &other, &proof), Some(root), "{places:?} of {count}");
                assert_eq!(root_of(count, &shown, &[&proof[..], &[[7; 32]]].concat()), None, "more than is needed");
                if let Some((_, less)) = proof.split_last() {
                    assert_eq!(root_of(count, &shown, less), None, "less than is needed");
                }
                if let Some(free) = (0..count).find(|place| !places.contains(place)) {
                    let mut moved = shown.clone();
                    moved[0].0 = free;
                    moved.sort_unstable();
                    assert_ne!(root_of(count, &moved, &proof), Some(root), "{places:?} of {count}, one at {free}");
                }
            }
        }
        assert_eq!(root_of(3, &[], &[]), None);
        assert_eq!(root_of(3, &[(3, EMPTY)], &[]), None);
        assert!(beside(vec![EMPTY; 3], &[]).is_empty());
    }

    #[test]
    fn an_odd_node_moves_up_as_it_is() {
        let leaves: Vec<Hash> = (0u8..5).map(|i| leaf(&[i])).collect();
        let mut tree = Merkle::default();
        (0u8..5).for_each(|i| tree.push(&[i]));
        let four = node(&node(&leaves[0], &leaves[1]), &node(&leaves[2], &leaves[3]));
        assert_eq!(tree.root(), node(&four, &leaves[4]));
        assert_eq!(tree.root(), EMPTY, "the leaves were used up");
    }

    #[test]
    fn a_record_that_looks_like_a_node_is_not_one() {
        let (left, right) = (leaf(b"a"), leaf(b"b"));
        let mut forged = vec![1];
        forged.extend_from_slice(&left);
        forged.extend_from_slice(&right);
        assert_ne!(leaf(&forged[1..]), node(&left, &right));
        assert_ne!(leaf(&forged), node(&left, &right));
    }
}
