//! The last version of every entity, under one hash together with the log's head: the root that people note down.
//!
//! Entities are sorted by the hash of their key into 65,536 buckets by its first two bytes. A bucket's hash is BLAKE3 of
//! a 2 and each of its entities: hash of its key, version. The buckets are the leaves of a Merkle tree, and the root is
//! BLAKE3 of a 3, the head's hash and the root of that tree. Showing a bucket proves the last version of an entity, and
//! of one that is not in it that there is none.

use super::digest;
use crate::journal::{Hash, merkle};
use stampede_actors::ids::EntityId;
use stampede_actors::record::Version;

/// How many buckets there are.
pub const BUCKETS: usize = 1 << 16;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Versions {
    /// By the entity's hash.
    sorted: Vec<(Hash, Version)>,
}

impl Versions {
    /// Those of all entities of a log.
    pub fn of<'a>(entities: impl Iterator<Item = (&'a EntityId, Version)>) -> Versions {
        let mut sorted: Vec<_> = entities.map(|(entity, version)| (digest(entity), version)).collect();
        sorted.sort_unstable();
        Versions { sorted }
    }

    /// The root of a log that ends with this head.
    #[must_use]
    pub fn root(&self, head: &Hash) -> Hash {
        root(head, &self.beside(&[]).1)
    }

    /// What is in a bucket.
    #[must_use]
    pub fn bucket(&self, number: usize) -> &[(Hash, Version)] {
        let begin = |number: usize| self.sorted.partition_point(|(digest, _)| bucket_of(digest) < number);
        &self.sorted[begin(number)..begin(number + 1)]
    }

    /// What proves that these buckets (ascending) are in the tree, and the tree's root.
    #[must_use]
    pub fn beside(&self, buckets: &[usize]) -> (Vec<Hash>, Hash) {
        let mut leaves = Vec::with_capacity(BUCKETS);
        let mut rest = &self.sorted[..];
        for number in 0..BUCKETS {
            let (bucket, after) = rest.split_at(rest.partition_point(|(digest, _)| bucket_of(digest) == number));
            let mut hasher = hasher();
            bucket.iter().for_each(|entry| add(&mut hasher, entry));
            leaves.push(*hasher.finalize().as_bytes());
            rest = after;
        }
        (merkle::beside(leaves.clone(), buckets), merkle::root(leaves))
    }
}

/// In which bucket an entity is.
#[must_use]
pub fn bucket_of(digest: &Hash) -> usize {
    usize::from(u16::from_be_bytes([digest[0], digest[1]]))
}

/// Hashes a bucket: every entry goes through [`add`].
#[must_use]
pub fn hasher() -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[2]);
    hasher
}

/// Adds an entry of a bucket.
pub fn add(hasher: &mut blake3::Hasher, (digest, version): &(Hash, Version)) {
    hasher.update(digest).update(&version.to_le_bytes());
}

/// The root over the head's hash and the buckets' tree.
#[must_use]
pub fn root(head: &Hash, buckets: &Hash) -> Hash {
    *blake3::Hasher::new().update(&[3]).update(head).update(buckets).finalize().as_bytes()
}
