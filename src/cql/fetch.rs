//! Committed frames, read back in order: from the log's buckets, or from the archive where a bucket was trimmed.

use super::kept::panicked;
use super::protocol::State;
use super::statements::int;
use super::{Cluster, Error, archive};
use std::sync::Arc;
use std::time::Instant;

/// Frames read at once: at most 256 KiB each, but for records that are larger by themselves.
const AT_ONCE: u64 = 64;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The bucket to go on with.
    pub bucket: u64,
    /// Frames without gaps, the first one being that after the frame which was named.
    pub frames: Vec<Vec<u8>>,
}

impl Cluster {
    /// Frames after frame `after`, which is in `bucket` or before it. None: there are none, or not yet. `serial`: what is
    /// still being agreed on is settled first. Blocks.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) fn frames_after(self: &Arc<Cluster>, bucket: u64, after: u64, serial: bool) -> Result<Found, Error> {
        let cluster = Arc::clone(self);
        let found = self.wait(async move { find(&cluster, bucket, after, serial).await });
        found.unwrap_or_else(|| Err(panicked("reading frames")))
    }
}

async fn find(cluster: &Cluster, mut bucket: u64, after: u64, serial: bool) -> Result<Found, Error> {
    loop {
        // The header first: what it says of the bucket's end then holds for the frames as well.
        let Some(header) = cluster.header(bucket).await? else { return Ok(Found { bucket, frames: Vec::new() }) };
        let frames = match header.state {
            State::Trimmed => archive::frames_after(cluster, bucket, after).await?,
            State::Open | State::Sealed => in_bucket(cluster, bucket, after, serial).await?,
        };
        let is_over = header.state != State::Open && header.head.seq <= after;
        if !frames.is_empty() || !is_over || header.next <= bucket {
            return Ok(Found { bucket, frames });
        }
        bucket = header.next;
    }
}

/// The frames of one bucket: only those that follow each other, since a quorum may not have seen one in between yet.
pub(super) async fn in_bucket(cluster: &Cluster, bucket: u64, after: u64, serial: bool) -> Result<Vec<Vec<u8>>, Error> {
    let began = Instant::now();
    let statement = &cluster.statements().frames[usize::from(serial)];
    let values = (cluster.cell(), int(bucket), int(after), int(after + AT_ONCE));
    let rows = cluster.rows("reading frames", statement, values).await;
    cluster.vitals().count("frames", if rows.is_ok() { 0 } else { 2 }, began.elapsed());
    let rows = rows?;
    let in_order = rows.iter().zip(after + 1..).take_while(|(row, seq)| row.count("seq") == Some(*seq));
    Ok(in_order.map_while(|(row, _)| row.blob("frame").map(<[u8]>::to_vec)).collect())
}
