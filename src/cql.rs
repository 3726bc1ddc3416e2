//! The commit log in ScyllaDB, or in whatever speaks CQL and has its conditional batches (Apache Cassandra).
//!
//! The log is a chain of partitions ("buckets"), fenced by a header row: see [`protocol`], which is pure. One frame, with
//! the bytes that it has in the embedded log, is one conditional batch, and one is in flight. The data directory holds a
//! mirror of the log and the store that is fed from it; both can be filled again from here.
//!
//! [`open()`] takes the log over; [`Tenancy`] is the time until somebody else does; a process that waits for its turn
//! follows the log ([`standby`]). docs/adr/0013 says why it is so, docs/cluster.md how to run it.

mod archive;
mod clocks;
mod cluster;
mod fetch;
mod kept;
mod log;
mod open;
pub mod protocol;
mod rows;
pub mod schema;
pub mod standby;
mod statements;
mod tenancy;
pub mod vitals;

pub use clocks::{Reading, clocks};
pub use cluster::Cluster;
pub use kept::{OwnerRow, Peer};
pub use log::CqlLog;
pub use open::{Taken, bootstrap, follow_into, head, open, open_mirror};
pub use tenancy::{NotOurs, Tenancy};

use crate::journal;

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No node answers.
    #[error("no node of cql.contact-points = {points} answers: {why}")]
    Unreachable {
        /// Who was asked.
        points: String,
        /// What the driver says.
        why: String,
    },
    /// The password is wrong, or there is no such user.
    #[error("the database refuses the log-in as {user:?}: see cql.user and cql.password-file ({why})")]
    Login {
        /// As whom.
        user: String,
        /// What the database says.
        why: String,
    },
    /// A file of the configuration cannot be read.
    #[error("{setting} = {path}: {why}")]
    File {
        /// Which setting.
        setting: &'static str,
        /// The file.
        path: String,
        /// Why not.
        why: String,
    },
    /// There is no such keyspace.
    #[error("keyspace {0} does not exist: run `stampede schema apply` with the same settings")]
    NoKeyspace(String),
    /// Copies of the keyspace are not in one data centre, and that the configured one (S26).
    #[error("keyspace {keyspace}: {what}: conditional writes of two data centres would not see each other")]
    Replication {
        /// Which keyspace.
        keyspace: String,
        /// What is wrong.
        what: String,
    },
    /// The server is too old.
    #[error("{product} {version} is too old: the log needs {least} or later")]
    Version {
        /// Cassandra or ScyllaDB.
        product: &'static str,
        /// As it says.
        version: String,
        /// What is needed.
        least: &'static str,
    },
    /// The tables are missing, half made, or of another version.
    #[error("keyspace {keyspace}: {what}")]
    Schema {
        /// Which keyspace.
        keyspace: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// The user may not do this.
    #[error("{what}: the database user has no permission: {why}")]
    Permission {
        /// What was tried.
        what: &'static str,
        /// What the database says.
        why: String,
    },
    /// Anything else.
    #[error("{what}: {why}")]
    Request {
        /// What was tried.
        what: &'static str,
        /// What the driver or the database says.
        why: String,
    },
    /// Somebody else takes the log, or has taken it.
    #[error("{0}")]
    Lost(String),
    /// The log holds what was never written to it. Never mended by itself. Exit code 99.
    #[error("the commit log in the database is corrupt: {0}")]
    Broken(String),
    /// The mirror in the data directory.
    #[error(transparent)]
    Mirror(#[from] journal::Error),
    /// The system said no.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The error itself.
        source: std::io::Error,
    },
}

impl Error {
    /// A request that failed: what was tried, and what was said.
    fn request(what: &'static str, why: impl ToString) -> Error {
        let why = why.to_string();
        let lower = why.to_lowercase();
        if lower.contains("unauthorized") || lower.contains("has no") && lower.contains("permission") {
            return Error::Permission { what, why };
        }
        Error::Request { what, why }
    }

    /// Is the log damaged?
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(self, Error::Broken(_))
    }
}
