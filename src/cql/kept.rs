//! What processes tell each other beside the log: who owns it and where, how far the cursors are, who lives.

use super::protocol::{Reply, Writer};
use super::rows::{Named, verdict};
use super::statements::int;
use super::{Cluster, Error};
use crate::journal::LogId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The row of the owner. It gives epochs out and tells where to look; what protects the log is the header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnerRow {
    /// The last epoch given out; 0: none yet.
    pub epoch: u64,
    /// To which start of which process.
    pub writer: Writer,
    /// The data directory it uses, by name.
    pub node: String,
    /// Where clients find it.
    pub address: String,
    /// A bucket at or before the newest.
    pub hint: u64,
    /// Durable cursors by name.
    pub cursors: BTreeMap<String, u64>,
    /// It gives the log up: whoever waits may take over at once.
    pub yielded: bool,
}

/// A process that lives, or did until a moment ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The data directory it uses, by name.
    pub node: String,
    /// Counts up.
    pub beat: u64,
    /// Where clients find it.
    pub address: String,
}

impl OwnerRow {
    pub(super) fn of(row: &Named) -> OwnerRow {
        OwnerRow {
            epoch: row.count("epoch").unwrap_or_default(),
            writer: row.array("writer").unwrap_or_default(),
            node: row.text("node").unwrap_or_default().to_owned(),
            address: row.text("addr").unwrap_or_default().to_owned(),
            hint: row.count("bucket_hint").unwrap_or_default(),
            cursors: row.counts("cursors"),
            yielded: row.truth("yielded").unwrap_or(false),
        }
    }
}

impl Cluster {
    /// The row of the owner, by a serial read. Blocks.
    ///
    /// # Errors
    /// [`Error`]; also when there is none: nobody has begun this log.
    pub fn owner(self: &Arc<Cluster>) -> Result<OwnerRow, Error> {
        let cluster = Arc::clone(self);
        let row = self.wait(async move { cluster.read_owner().await });
        let missing = || Error::Request { what: "reading the owner", why: "nobody has begun this log".to_owned() };
        row.unwrap_or_else(|| Err(panicked("reading the owner")))?.ok_or_else(missing)
    }

    /// Whoever lives. Blocks.
    ///
    /// # Errors
    /// [`Error`].
    pub fn peers(self: &Arc<Cluster>) -> Result<Vec<Peer>, Error> {
        let cluster = Arc::clone(self);
        let rows = self.wait(async move {
            cluster.rows("reading who lives", &cluster.statements().beats, (cluster.cell(),)).await
        });
        let peer = |row: &Named| {
            let beat = row.count("beat").unwrap_or_default();
            let address = row.text("addr").unwrap_or_default().to_owned();
            Some(Peer { node: row.text("node")?.to_owned(), beat, address })
        };
        Ok(rows.unwrap_or_else(|| Err(panicked("reading who lives")))?.iter().filter_map(peer).collect())
    }

    /// Shows that this process lives. Blocks.
    ///
    /// # Errors
    /// [`Error`].
    pub fn beat(self: &Arc<Cluster>, node: &str, beat: u64, address: &str) -> Result<(), Error> {
        let cluster = Arc::clone(self);
        let (node, address) = (node.to_owned(), address.to_owned());
        // Gone by itself when nobody is there any more; long enough for every stand-by to have seen it.
        let seconds = 10 + 4 * cluster.config.take_over_after.as_secs();
        let ttl = i32::try_from(seconds).unwrap_or(i32::MAX);
        let done = self.wait(async move {
            let values = (cluster.cell(), node, int(beat), address, ttl);
            cluster.rows("showing that it lives", &cluster.statements().beat, values).await.map(drop)
        });
        done.unwrap_or_else(|| Err(panicked("showing that it lives")))
    }

    /// Notes where the log goes on and how far the cursors are, if `epoch` is still the last one given out. Blocks.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) fn note(self: &Arc<Cluster>, epoch: u64, row: OwnerRow) -> Result<Reply, Error> {
        let cluster = Arc::clone(self);
        let cursors: std::collections::HashMap<String, i64> =
            row.cursors.into_iter().map(|(name, position)| (name, int(position))).collect();
        let done = self.wait(async move {
            let values = (int(row.hint), cursors, cluster.cell(), int(epoch));
            cluster.rows("noting the checkpoint", &cluster.statements().checkpoint, values).await
        });
        Ok(verdict(&done.unwrap_or_else(|| Err(panicked("noting the checkpoint")))?))
    }

    /// Says that whoever waits may take over from the owner of `epoch` at once. Blocks.
    ///
    /// # Errors
    /// [`Error`].
    pub fn give_up(self: &Arc<Cluster>, epoch: u64) -> Result<bool, Error> {
        let cluster = Arc::clone(self);
        let done = self.wait(async move {
            cluster.rows("giving the log up", &cluster.statements().give_up, (cluster.cell(), int(epoch))).await
        });
        Ok(verdict(&done.unwrap_or_else(|| Err(panicked("giving the log up")))?) == Reply::Applied)
    }

    /// What all processes of the cell share: which log, and the secret that ids are derived with. Blocks.
    ///
    /// # Errors
    /// [`Error`].
    pub fn shared(self: &Arc<Cluster>) -> Result<Option<(LogId, [u8; 32])>, Error> {
        let cluster = Arc::clone(self);
        let rows = self.wait(async move {
            cluster.rows("reading the cell", &cluster.statements().read_cell, (cluster.cell(),)).await
        });
        let rows = rows.unwrap_or_else(|| Err(panicked("reading the cell")))?;
        let Some(row) = rows.first() else { return Ok(None) };
        match (row.array("log_id"), row.array("secret")) {
            (Some(id), Some(secret)) => Ok(Some((LogId(id), secret))),
            _ => Err(Error::Broken("the cell's row has no log id or no secret".to_owned())),
        }
    }
}

pub(super) fn panicked(what: &'static str) -> Error {
    Error::Request { what, why: "the driver has panicked".to_owned() }
}
