//! Portable proofs: the records of some SKUs and of their orders, which another machine checks against a root that was
//! noted down, without the log.
//!
//! [`write()`] makes one from a stopped server's directory, [`check()`] looks at one. What it proves, and why that is so,
//! is in `docs/adr/0010-a-proof-ends-in-the-versions.md`; what it looks like, in [`mod@format`].

mod check;
pub mod format;
mod trail;
mod versions;
mod write;

pub use check::{Shown, Verdict, check};
pub use versions::Versions;
pub use write::{Written, write};

use crate::feed::projection;
use crate::journal::{self, Hash, Seq};
use stampede_actors::ids::{EntityId, OrderId, SkuId};
use stampede_actors::record::Event;
use stampede_actors::sku;
use stampede_actors::time::Timestamp;
use std::collections::BTreeSet;
use std::io;

/// Most SKUs in one export.
pub const MAX_SKUS: usize = 1_000;
/// Most orders in one export. Each takes some 200 bytes of memory on either side.
pub const MAX_ORDERS: usize = 1_000_000;

/// The frames that an export is about: those made at `from` or later, and before `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first point in it.
    pub from: Timestamp,
    /// The first point after it.
    pub to: Timestamp,
}

/// Where a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Before the range.
    Before,
    /// In it.
    Within,
    /// After it.
    After,
}

impl Range {
    /// Everything.
    pub const ALL: Range = Range { from: Timestamp(i64::MIN), to: Timestamp(i64::MAX) };

    /// Where a frame of this time is.
    #[must_use]
    pub fn side(&self, at: Timestamp) -> Side {
        match at {
            at if at < self.from => Side::Before,
            at if at < self.to => Side::Within,
            _ => Side::After,
        }
    }
}

/// What to export.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Which SKUs.
    pub skus: BTreeSet<SkuId>,
    /// From when to when.
    pub range: Range,
    /// As of this frame, whose root was noted down; `None`: the last one.
    pub head: Option<Seq>,
}

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read, or is damaged.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The full checkpoint that stands for deleted history cannot be read.
    #[error(transparent)]
    Projection(#[from] projection::Error),
    /// What was asked for cannot be exported.
    #[error("{0}")]
    Refused(String),
    /// The export cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why an export proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// It is something else.
    #[error("this is no export")]
    NotAnExport,
    /// It is of a newer version.
    #[error("this export is of version {0}, which this program does not know")]
    Version(u16),
    /// It cannot be read.
    #[error(transparent)]
    Io(io::Error),
    /// It is not genuine, or not complete.
    #[error("{what}, at byte {offset}")]
    Refuted {
        /// Where in the export, in bytes.
        offset: u64,
        /// What is wrong.
        what: String,
    },
}

/// The order that an event of a SKU names.
fn order_of(event: &Event) -> Option<OrderId> {
    match event {
        Event::Sku(sku::Event::Held { order, .. }) => *order,
        Event::Sku(sku::Event::Adopted { order, .. } | sku::Event::Allocated { order, .. }) => Some(*order),
        _ => None,
    }
}

/// The entity as a fixed number of bytes.
fn digest(entity: &EntityId) -> Hash {
    *blake3::hash(&entity.key()).as_bytes()
}

/// A hash as people write it.
#[must_use]
pub fn hex(hash: &Hash) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}

/// Reads a hash as people write it.
///
/// # Errors
/// What is wrong with it.
pub fn read_hex(text: &str) -> Result<Hash, String> {
    let hash = blake3::Hash::from_hex(text.trim().to_ascii_lowercase());
    hash.map(|hash| *hash.as_bytes())
        .map_err(|_| "a root has 64 hexadecimal digits, as `stampede verify` prints it".into())
}

#[cfg(test)]
mod tests;
