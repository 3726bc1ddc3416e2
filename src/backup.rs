//! Backups: everything that a node needs to be brought back elsewhere, copied out of a data directory while a server runs
//! on it, and laid out again as a data directory.
//!
//! ```text
//! OUT/backup.json      what the backup is, and up to which frame it holds; renamed last: without it there is no backup
//!     archive/         full segments, as the data directory archives them
//!     tail/            the last segment up to the backup's last frame, in the same form
//!     checkpoint/      the checkpoint files that the data directory had
//!     secret, keys-…   what ids are derived from, and the API keys
//!     log, lock        which log this is for, and who is writing here
//! ```
//! The store is not in it: it is rebuilt from log and checkpoints. Nothing is believed that was not checked: each frame by
//! checksum and chain, each file once more after it was written.

mod checkpoints;
mod manifest;
mod place;
mod restore;
mod segments;
mod take;

pub use manifest::{At, Manifest};
pub use restore::{Checked, check, restore};
pub use take::{Taken, take};

use crate::journal::{self, Corrupt};
use std::io;
use std::path::{Path, PathBuf};

/// The file in a data directory that a restore has not finished. No server starts there.
pub const UNFINISHED: &str = "restoring";

/// Why there is no backup, or none that can be brought back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log, or a copy of it: [`journal::Error::Corrupt`] names file and offset of damage.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// It would be wrong, and nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// The disk said no.
    #[error("{what} {}: {source}", file.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file or directory.
        file: PathBuf,
        /// The error itself.
        source: io::Error,
    },
}

impl Error {
    /// The damage, if that is what it is. Exit code 99.
    #[must_use]
    pub fn corruption(&self) -> Option<&Corrupt> {
        match self {
            Error::Journal(journal::Error::Corrupt(corrupt)) => Some(corrupt),
            _ => None,
        }
    }

    fn io(what: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { what, file: file.to_owned(), source }
    }

    fn damage(file: &Path, what: &str) -> Error {
        Error::Journal(Corrupt { file: file.to_owned(), offset: 0, seq: 0, what: what.to_owned() }.into())
    }
}
