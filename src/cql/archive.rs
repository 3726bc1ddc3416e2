//! Trimming: the frames of a sealed bucket that no process needs at hand go to the archive, packed, and are then deleted.
//! The bucket's header stays for good (S24).

use super::fetch::in_bucket;
use super::kept::panicked;
use super::protocol::{Reply, State};
use super::statements::int;
use super::{Cluster, Error};
use std::sync::Arc;

/// zstd's level.
const LEVEL: i32 = 3;

impl Cluster {
    /// Moves the frames of `bucket` to the archive, if it is sealed. `false`: it is not, or was trimmed before. Blocks.
    ///
    /// # Errors
    /// [`Error`]; doing it again is right.
    pub fn archive(self: &Arc<Cluster>, bucket: u64) -> Result<bool, Error> {
        let cluster = Arc::clone(self);
        self.wait(async move { move_bucket(&cluster, bucket).await }).unwrap_or_else(|| Err(panicked("archiving")))
    }
}

async fn move_bucket(cluster: &Cluster, bucket: u64) -> Result<bool, Error> {
    let Some(header) = cluster.header(bucket).await?.filter(|header| header.state == State::Sealed) else {
        return Ok(false);
    };
    let Some(first) = first_of(cluster, bucket).await? else {
        return Err(Error::Broken(format!("bucket {bucket} is sealed and has no frames")));
    };
    let mut after = first - 1;
    while after < header.head.seq {
        let frames = in_bucket(cluster, bucket, after, true).await?;
        if frames.is_empty() {
            return Err(Error::Broken(format!("bucket {bucket} is sealed, and frame {} is missing", after + 1)));
        }
        let last = after + frames.len() as u64;
        let packed = pack(&frames).map_err(|source| Error::Io { what: "packing frames", source })?;
        let values = (cluster.cell(), int(bucket), int(after + 1), int(last), packed);
        cluster.rows("archiving frames", &cluster.statements().put_piece, values).await?;
        // Read back: what is deleted next must be there, whoever wrote it.
        if frames_after(cluster, bucket, after).await? != frames {
            return Err(Error::Broken(format!("the archive of bucket {bucket} is not what the log holds")));
        }
        after = last;
    }
    Ok(cluster.trim(bucket).await? == Reply::Applied)
}

/// Number of the first frame in a bucket: the one after the last of the bucket before.
async fn first_of(cluster: &Cluster, bucket: u64) -> Result<Option<u64>, Error> {
    if bucket <= super::protocol::FIRST_BUCKET {
        return Ok(Some(1));
    }
    // Buckets are numbered without gaps.
    Ok(cluster.header(bucket - 1).await?.map(|before| before.head.seq + 1))
}

/// Frames of a trimmed bucket after frame `after`.
pub(super) async fn frames_after(cluster: &Cluster, bucket: u64, after: u64) -> Result<Vec<Vec<u8>>, Error> {
    // Pieces begin where the one before ended; whoever asks has come to the end of one, or to somewhere in the middle.
    let mut from = 0;
    loop {
        let values = (cluster.cell(), int(bucket), int(from));
        let rows = cluster.rows("reading the archive", &cluster.statements().pieces, values).await?;
        let Some(row) = rows.first() else { return Ok(Vec::new()) };
        let (Some(first), Some(last), Some(packed)) = (row.count("piece"), row.count("last"), row.blob("frames"))
        else {
            return Err(Error::Broken(format!("a piece of the archive of bucket {bucket} is incomplete")));
        };
        if last <= after {
            from = last + 1;
            continue;
        }
        let frames = unpack(packed).map_err(|source| Error::Io { what: "unpacking the archive", source })?;
        let known = usize::try_from((after + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        return Ok(frames.into_iter().skip(known).collect());
    }
}

fn pack(frames: &[Vec<u8>]) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::with_capacity(frames.iter().map(|frame| 4 + frame.len()).sum());
    for frame in frames {
        let len = u32::try_from(frame.len()).map_err(std::io::Error::other)?;
        plain.extend_from_slice(&len.to_le_bytes());
        plain.extend_from_slice(frame);
    }
    zstd::bulk::compress(&plain, LEVEL).map(|packed| [&(plain.len() as u64).to_le_bytes()[..], &packed].concat())
}

fn unpack(packed: &[u8]) -> std::io::Result<Vec<Vec<u8>>> {
    let bad = || std::io::Error::new(std::io::ErrorKind::InvalidData, "the piece is cut short");
    let (len, packed) = packed.split_first_chunk::<8>().ok_or_else(bad)?;
    // A bound, so that a forged length takes no memory: a piece holds some dozen frames.
    let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX).min(1 << 30);
    let plain = zstd::bulk::decompress(packed, len)?;
    // No bytes at all decompress to none.
    if plain.len() != len {
        return Err(bad());
    }
    let mut rest = plain.as_slice();
    let mut frames = Vec::new();
    while let Some((len, tail)) = rest.split_first_chunk::<4>() {
        let len = u32::from_le_bytes(*len) as usize;
        frames.push(tail.get(..len).ok_or_else(bad)?.to_vec());
        rest = &tail[len..];
    }
    if rest.is_empty() { Ok(frames) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let frames = vec![vec![1; 5_000], vec![], vec![2, 3]];
        let packed = pack(&frames).unwrap();
        assert!(packed.len() < 200, "{}", packed.len());
        assert_eq!(unpack(&packed).unwrap(), frames);
        for cut in [0, 4, 8, packed.len() - 1] {
            assert!(unpack(&packed[..cut]).is_err(), "cut at {cut}");
        }
    }
}
