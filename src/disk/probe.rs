//! How long the disk of a directory takes to make 4 KiB durable: `write` and `fdatasync`, again and again.

use super::BLOCK;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Times of single writes with their syncs, shortest first; at least one.
#[derive(Debug, Clone)]
pub struct SyncTimes(Vec<Duration>);

impl SyncTimes {
    /// Times `writes` of them in a new file at `path`, or as many as `patience` allows. The file is left there.
    ///
    /// # Errors
    /// When the file exists, or cannot be written or synced.
    pub fn measure(path: &Path, writes: usize, patience: Duration) -> io::Result<SyncTimes> {
        let writes = writes.max(1);
        let file = File::create_new(path)?;
        let block = [7; BLOCK];
        // Written once ahead, as log files are: a sync then needs no new blocks.
        file.write_all_at(&vec![0; writes * BLOCK], 0)?;
        file.sync_all()?;
        let mut times = Vec::with_capacity(writes);
        let start = Instant::now();
        for i in 0..writes {
            let before = Instant::now();
            file.write_all_at(&block, (i * BLOCK) as u64)?;
            file.sync_data()?;
            times.push(before.elapsed());
            if start.elapsed() > patience {
                break;
            }
        }
        times.sort_unstable();
        Ok(SyncTimes(times))
    }

    /// So many per cent took no longer than this.
    #[must_use]
    pub fn at(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }

    /// How many were timed.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a panic is how a test fails

    use super::*;

    #[test]
    fn writes_are_timed_and_patience_is_limited() {
        let dir = tempfile::tempdir().unwrap();
        let times = SyncTimes::measure(&dir.path().join("a"), 20, Duration::from_secs(60)).unwrap();
        assert_eq!(times.count(), 20);
        assert!(times.at(0) <= times.at(50) && times.at(50) <= times.at(99) && times.at(99) <= times.at(100));
        let hasty = SyncTimes::measure(&dir.path().join("b"), 20, Duration::ZERO).unwrap();
        assert_eq!(hasty.count(), 1);
        assert!(SyncTimes::measure(&dir.path().join("a"), 1, Duration::ZERO).is_err(), "no file is overwritten");
    }
}
