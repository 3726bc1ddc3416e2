//! The disk under the data directory: what it is, and how fast it makes a write durable.

use super::system::{self, FileSystem};
use super::{Finding, Level};
use crate::config::{Bytes, Config};
use crate::disk::{Disk, RealDisk, SyncTimes};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Writes that are timed.
const SYNCS: usize = 200;
/// Longest time spent on them.
const PATIENCE: Duration = Duration::from_secs(3);
/// Slower than this at the 99th percentile, every order waits noticeably.
const SLOW: Duration = Duration::from_millis(20);
/// One write of the probe, aligned as `O_DIRECT` wants it.
#[repr(align(4096))]
struct Block([u8; 4096]);

const TMPFS: u32 = 0x0102_1994;
const FUSE: u32 = 0x6573_5546;

/// The nearest directory that exists: the data directory itself, or where it would be made.
#[must_use]
pub fn existing(dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    absolute.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

/// Kind of file system, free space, direct writes and the time of a sync.
#[must_use]
pub fn all(config: &Config) -> Vec<Finding> {
    let dir = existing(&config.data_dir);
    match system::file_system(&dir) {
        Err(error) => vec![Finding::red("file system", format!("{}: {error}", dir.display()), ELSEWHERE)],
        Ok(found) => [vec![kind(found, &dir), space(found, config)], probe(&dir)].concat(),
    }
}

const ELSEWHERE: &str = "stampede serve --data-dir /path/on/a/local/disk";

fn kind(found: FileSystem, dir: &Path) -> Finding {
    let name = "file system";
    let shown = dir.display();
    match (RealDisk.refuse_network(dir), found.magic) {
        (Err(error), _) => Finding::red(name, format!("{shown}: {error}"), ELSEWHERE),
        (Ok(()), TMPFS) => Finding::warn(name, format!("{shown} is in memory (tmpfs): a reboot loses it"), ELSEWHERE),
        (Ok(()), FUSE) => {
            Finding::warn(name, format!("{shown} is on a user-space file system (fuse): is it local?"), ELSEWHERE)
        }
        (Ok(()), magic) => Finding::ok(name, format!("{shown} is local (type {magic:#x})")),
    }
}

fn space(found: FileSystem, config: &Config) -> Finding {
    // In use, the next one, and the reserve of two that settles orders when the disk is full; and what is left alone.
    let log = config.log.segment_bytes.0.saturating_mul(4);
    let needed = Bytes(log.saturating_add(config.store.keep_free.0));
    let free = mebibytes(found.free);
    match found.free {
        free_bytes if free_bytes < needed.0 => {
            let (segment, left) = (config.log.segment_bytes, config.store.keep_free);
            let detail = format!("{free} free, {needed} needed: four log files of {segment}, and {left} left free");
            Finding::red("disk space", detail, "stampede serve --log-segment-bytes 16MiB --store-keep-free 128MiB")
        }
        free_bytes if free_bytes < needed.0.saturating_mul(8) => {
            Finding::warn("disk space", format!("{free} free"), "the log is archived for good: make room ahead")
        }
        _ => Finding::ok("disk space", format!("{free} free")),
    }
}

/// Writes to a file of its own and removes it.
fn probe(dir: &Path) -> Vec<Finding> {
    let path = dir.join(format!(".stampede-doctor-{}", std::process::id()));
    let findings = match SyncTimes::measure(&path, SYNCS, PATIENCE) {
        Err(error) => {
            let fix = format!("sudo chown \"$USER\" {}", dir.display());
            vec![Finding::red("disk writes", format!("{}: {error}", dir.display()), fix)]
        }
        Ok(times) => vec![sync_finding(&times), direct(&path)],
    };
    // It may never have been made.
    let _ = std::fs::remove_file(&path);
    findings
}

fn sync_finding(times: &SyncTimes) -> Finding {
    let (p50, p99) = (times.at(50), times.at(99));
    let detail = format!("fdatasync of 4 KiB: p50 {p50:.2?}, p99 {p99:.2?} ({} writes)", times.count());
    match p99 {
        p99 if p99 > SLOW => {
            Finding::warn("disk sync", detail, "every order waits for one: use an SSD of this machine")
        }
        p99 if p99 < Duration::from_micros(5) => {
            Finding::warn("disk sync", detail, "too fast to be true: does this disk make anything durable?")
        }
        _ => Finding::ok("disk sync", detail),
    }
}

fn direct(path: &Path) -> Finding {
    let block = Block([7; 4096]);
    let write = || -> io::Result<()> {
        let file = OpenOptions::new().write(true).custom_flags(libc::O_DIRECT | libc::O_DSYNC).open(path)?;
        file.write_all_at(&block.0, 0)
    };
    match write() {
        Ok(()) => Finding::ok("direct writes", "O_DIRECT works"),
        Err(error) => Finding {
            name: "direct writes",
            level: Level::Ok,
            detail: format!("no O_DIRECT here ({error}); fdatasync serves as well, at some more CPU"),
            fix: None,
        },
    }
}

/// Bytes for people.
#[must_use]
pub fn mebibytes(bytes: u64) -> String {
    match bytes >> 20 {
        mebibytes if mebibytes >= 10 * 1024 => format!("{} GiB", mebibytes >> 10),
        mebibytes => format!("{mebibytes} MiB"),
    }
}
