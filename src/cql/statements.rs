//! The statements of the protocol as CQL, prepared once, and what their answers say.

use super::cluster::reason;
use super::protocol::{Header, Owner, Reply, Statement};
use super::rows::{self, Named};
use super::{Cluster, Error};
use scylla::response::query_result::QueryResult;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::unprepared::Statement as Text;
use scylla::statement::{Consistency, SerialConsistency};
use std::time::Instant;

/// After so many attempts on the usual node, any other is asked.
const SAME_NODE: u32 = 2;

/// Everything that is prepared.
pub(super) struct Statements {
    allocate: PreparedStatement,
    read_owner: PreparedStatement,
    fence: PreparedStatement,
    read_header: PreparedStatement,
    open: PreparedStatement,
    seal: PreparedStatement,
    /// Moves the head and inserts the frame.
    commit: Batch,
    /// Marks a bucket and deletes its frames.
    trim: Batch,
    /// Frames by range, as a quorum has them and as a serial read finds them.
    pub frames: [PreparedStatement; 2],
    pub header: PreparedStatement,
    pub make_header: PreparedStatement,
    pub make_owner: PreparedStatement,
    pub make_cell: PreparedStatement,
    pub read_cell: PreparedStatement,
    pub checkpoint: PreparedStatement,
    pub give_up: PreparedStatement,
    pub beat: PreparedStatement,
    pub beats: PreparedStatement,
    pub put_piece: PreparedStatement,
    pub pieces: PreparedStatement,
}

impl Statements {
    pub fn prepare(cluster: &Cluster) -> Result<Statements, Error> {
        let (log, owner, cell) = (cluster.table("log"), cluster.table("shard_owner"), cluster.table("cell"));
        let (beat, archive) = (cluster.table("node_beat"), cluster.table("archive"));
        let prepare = |text: String, consistency: Consistency| {
            let mut statement = Text::new(text);
            statement.set_consistency(consistency);
            statement.set_serial_consistency(Some(SerialConsistency::LocalSerial));
            statement.set_is_idempotent(false);
            let prepared = cluster.block_on(cluster.session.prepare(statement));
            prepared.map_err(|error| Error::request("preparing a statement", reason(&error)))
        };
        let write = |text: String| prepare(text, Consistency::LocalQuorum);
        let serial = |text: String| prepare(text, Consistency::LocalSerial);
        let batch = |statements: [PreparedStatement; 2]| {
            let mut batch = Batch::new(BatchType::Unlogged);
            batch.set_consistency(Consistency::LocalQuorum);
            batch.set_serial_consistency(Some(SerialConsistency::LocalSerial));
            batch.set_is_idempotent(false);
            statements.into_iter().for_each(|statement| batch.append_statement(statement));
            batch
        };
        let a_bucket = "WHERE shard = ? AND bucket = ?";
        let a_header = "WHERE shard = ? AND bucket = ? AND seq = 0";
        let expected = "IF epoch = ? AND head = ? AND head_hash = ? AND state = 0";
        let shown = "epoch, head, head_hash, state, next_bucket";
        let some = format!("SELECT seq, frame FROM {log} {a_bucket} AND seq > ? AND seq <= ?");
        Ok(Statements {
            allocate: write(format!(
                "UPDATE {owner} SET epoch = ?, writer = ?, node = ?, addr = ?, yielded = false WHERE shard = ? IF epoch = ?"
            ))?,
            read_owner: serial(format!(
                "SELECT epoch, writer, node, addr, bucket_hint, cursors, yielded FROM {owner} WHERE shard = ?"
            ))?,
            fence: write(format!("UPDATE {log} SET epoch = ? {a_header} IF epoch < ? AND state = 0"))?,
            read_header: serial(format!("SELECT {shown} FROM {log} {a_header}"))?,
            open: write(format!(
                "INSERT INTO {log} (shard, bucket, seq, epoch, head, head_hash, state) VALUES (?, ?, 0, ?, ?, ?, 0) \
                 IF NOT EXISTS"
            ))?,
            seal: write(format!("UPDATE {log} SET state = 1, next_bucket = ? {a_header} {expected}"))?,
            commit: batch([
                write(format!("UPDATE {log} SET head = ?, head_hash = ? {a_header} {expected}"))?,
                write(format!("INSERT INTO {log} (shard, bucket, seq, hash, frame) VALUES (?, ?, ?, ?, ?)"))?,
            ]),
            trim: batch([
                write(format!("UPDATE {log} SET state = 2 {a_header} IF state = 1"))?,
                write(format!("DELETE FROM {log} {a_bucket} AND seq > 0"))?,
            ]),
            frames: [write(some.clone())?, serial(some)?],
            header: write(format!("SELECT {shown} FROM {log} {a_header}"))?,
            make_header: write(format!(
                "INSERT INTO {log} (shard, bucket, seq, epoch, head, head_hash, state) VALUES (?, ?, 0, 0, 0, ?, 0) \
                 IF NOT EXISTS"
            ))?,
            make_owner: write(format!(
                "INSERT INTO {owner} (shard, epoch, bucket_hint, yielded) VALUES (?, 0, ?, true) IF NOT EXISTS"
            ))?,
            make_cell: write(format!("INSERT INTO {cell} (shard, log_id, secret) VALUES (?, ?, ?) IF NOT EXISTS"))?,
            read_cell: serial(format!("SELECT log_id, secret FROM {cell} WHERE shard = ?"))?,
            checkpoint: write(format!("UPDATE {owner} SET bucket_hint = ?, cursors = ? WHERE shard = ? IF epoch = ?"))?,
            give_up: write(format!("UPDATE {owner} SET yielded = true WHERE shard = ? IF epoch = ?"))?,
            beat: write(format!("INSERT INTO {beat} (shard, node, beat, addr) VALUES (?, ?, ?, ?) USING TTL ?"))?,
            beats: write(format!("SELECT node, beat, addr FROM {beat} WHERE shard = ?"))?,
            // Conditional, since a plain write may be on no disk yet when the frames are deleted.
            put_piece: write(format!(
                "INSERT INTO {archive} (shard, bucket, piece, last, frames) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS"
            ))?,
            pieces: write(format!("SELECT piece, last, frames FROM {archive} {a_bucket} AND piece >= ? LIMIT 1"))?,
        })
    }
}

impl Cluster {
    /// Sends a statement of the protocol; `frame` belongs to a commit. Any error is an unknown outcome; it is told apart
    /// in the message alone.
    pub(super) async fn ask(&self, statement: &Statement, frame: &[u8], attempt: u32) -> (Reply, Option<String>) {
        let began = Instant::now();
        let (reply, why) = match self.send(statement, frame, attempt).await {
            Ok(reply) => (reply, None),
            Err(error) => (Reply::Unknown, Some(error.to_string())),
        };
        let outcome = match reply {
            Reply::Unknown => 2,
            Reply::Refused(_) => 1,
            Reply::Applied | Reply::Header(_) | Reply::Owner(_) => 0,
        };
        self.vitals().asked(Some(statement), outcome, began.elapsed());
        (reply, why)
    }

    async fn send(&self, statement: &Statement, frame: &[u8], attempt: u32) -> Result<Reply, Error> {
        let (prepared, cell, roams) = (self.statements(), self.cell(), attempt >= SAME_NODE);
        let word = statement.word();
        match *statement {
            Statement::Allocate { from, writer } => {
                let (node, address) = self.name();
                let values = (int(from + 1), writer.as_slice(), node, address, cell, int(from));
                self.conditional(word, &prepared.allocate, values, roams).await
            }
            Statement::Fence { bucket, epoch } => {
                let values = (int(epoch), cell, int(bucket), int(epoch));
                self.conditional(word, &prepared.fence, values, roams).await
            }
            Statement::Open { bucket, epoch, head } => {
                let values = (cell, int(bucket), int(epoch), int(head.seq), head.hash.as_slice());
                self.conditional(word, &prepared.open, values, roams).await
            }
            Statement::Seal { bucket, epoch, head, next } => {
                let values = (int(next), cell, int(bucket), int(epoch), int(head.seq), head.hash.as_slice());
                self.conditional(word, &prepared.seal, values, roams).await
            }
            Statement::Commit { bucket, epoch, old, new } => {
                let head = (
                    int(new.seq),
                    new.hash.as_slice(),
                    cell,
                    int(bucket),
                    int(epoch),
                    int(old.seq),
                    old.hash.as_slice(),
                );
                let insert = (cell, int(bucket), int(new.seq), new.hash.as_slice(), frame);
                let mut batch = std::borrow::Cow::Borrowed(&prepared.commit);
                if roams {
                    batch.to_mut().set_execution_profile_handle(Some(self.roaming.clone()));
                }
                let result = self.session.batch(&batch, (head, insert)).await;
                answer(word, result.map_err(|error| Error::request(word, reason(&error)))?)
            }
            Statement::ReadOwner => Ok(Reply::Owner(self.read_owner().await?.map(|row| row.owner()))),
            Statement::ReadHeader { bucket } => {
                let rows = self.rows(word, &prepared.read_header, (cell, int(bucket))).await?;
                Ok(Reply::Header(rows.first().and_then(Named::header)))
            }
        }
    }

    async fn conditional(
        &self,
        what: &'static str,
        statement: &PreparedStatement,
        values: impl scylla::serialize::row::SerializeRow,
        roams: bool,
    ) -> Result<Reply, Error> {
        let mut statement = std::borrow::Cow::Borrowed(statement);
        if roams {
            statement.to_mut().set_execution_profile_handle(Some(self.roaming.clone()));
        }
        let result = self.session.execute_unpaged(&statement, values).await;
        answer(what, result.map_err(|error| Error::request(what, reason(&error)))?)
    }

    /// The rows that a prepared statement is answered with.
    pub(super) async fn rows(
        &self,
        what: &'static str,
        statement: &PreparedStatement,
        values: impl scylla::serialize::row::SerializeRow,
    ) -> Result<Vec<Named>, Error> {
        let result = self.session.execute_unpaged(statement, values).await;
        rows::read(what, result.map_err(|error| Error::request(what, reason(&error)))?)
    }

    /// The row of the owner.
    pub(super) async fn read_owner(&self) -> Result<Option<super::OwnerRow>, Error> {
        let rows = self.rows("read_owner", &self.statements().read_owner, (self.cell(),)).await?;
        Ok(rows.first().map(super::OwnerRow::of))
    }

    /// A header as a quorum has it: for following the log, not for owning it.
    pub(super) async fn header(&self, bucket: u64) -> Result<Option<Header>, Error> {
        let rows = self.rows("reading a header", &self.statements().header, (self.cell(), int(bucket))).await?;
        Ok(rows.first().and_then(Named::header))
    }

    /// Marks a sealed bucket as trimmed and deletes its frames.
    pub(super) async fn trim(&self, bucket: u64) -> Result<Reply, Error> {
        let (cell, bucket) = (self.cell(), int(bucket));
        let result = self.session.batch(&self.statements().trim, ((cell, bucket), (cell, bucket))).await;
        answer("trim", result.map_err(|error| Error::request("trimming a bucket", reason(&error)))?)
    }
}

fn answer(what: &'static str, result: QueryResult) -> Result<Reply, Error> {
    Ok(rows::verdict(&rows::read(what, result)?))
}

/// As CQL counts.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl super::OwnerRow {
    /// What the protocol needs of it.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner { epoch: self.epoch, writer: self.writer, hint: self.hint }
    }
}
