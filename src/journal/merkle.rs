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

#[cfg(test)]
mod tests {
    use super::*;

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
