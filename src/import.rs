//! Stock from a file: SKUs, locations, units and prices, into a running server or a stopped directory.
//!
//! A file is read and checked whole before the first write. Then each row is one receipt under a key made from the
//! file's hash and the row's line (S22): an import that died half-way is completed by repeating it, and one that was
//! complete changes nothing.

pub mod file;
pub mod local;
pub mod remote;
pub mod rows;
pub mod run;

pub use file::{Stock, read};
pub use rows::{Row, SkuRows};
pub use run::{Progress, Summary};

use crate::engine::Ids;
use stampede_actors::ids::OpId;

/// Problems of a file that are shown; the rest is counted.
pub const SHOWN: usize = 20;
/// Largest file, in bytes: all of it is held in memory.
pub const MAX_BYTES: u64 = 1 << 30;

/// Begins the key of a row's receipt.
const KEY: &str = "import-";

/// The idempotency key of a row (S22).
#[must_use]
pub fn receipt_key(hash: &str, line: u64) -> String {
    format!("{KEY}{hash}-{line}")
}

/// The receipt that such a key names; `None`: another kind of key. One scope for all, so that a repeat with another API
/// key, or without a server, takes nothing in twice.
#[must_use]
pub fn receipt_of(ids: &Ids, key: &str) -> Option<OpId> {
    key.starts_with(KEY).then(|| ids.op("import", key))
}

/// One thing wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub message: String,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The file is too large.
    #[error("{bytes} bytes are too many: a file may have {MAX_BYTES}; split it")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// It was read, and is not right. Nothing was written.
    #[error("{}", problems_text(problems, *total))]
    Invalid {
        /// The first [`SHOWN`], in the order of their lines.
        problems: Vec<Problem>,
        /// How many there are.
        total: usize,
    },
}

fn problems_text(problems: &[Problem], total: usize) -> String {
    let mut text = format!("{total} {} in the file; nothing was imported", if total == 1 { "error" } else { "errors" });
    for Problem { line, message } in problems {
        text.push_str(&format!("\n  line {line}: {message}"));
    }
    if total > problems.len() {
        text.push_str(&format!("\n  and {} more", total - problems.len()));
    }
    text
}
