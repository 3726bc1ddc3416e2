//! Checks a whole backup, and makes a data directory of it.

use super::checkpoints::{self, Kept};
use super::place::{copy, durably, hold, names};
use super::segments::Run;
use super::take::keys_name;
use super::{Error, Manifest, UNFINISHED};
use crate::disk::{Disk, ReadingDisk, RealDisk, SharedDisk};
use crate::journal::copies::Ending;
use crate::journal::{self, Head, Log, LogId, archive, checkpoint, copies};
use crate::{engine, keys};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// A backup that is whole.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// What it holds.
    #[serde(flatten)]
    pub manifest: Manifest,
    /// How long it took.
    pub seconds: f64,
}

/// A backup whose every byte was looked at.
struct Whole {
    manifest: Manifest,
    log: LogId,
    run: Run,
    /// The frame before the last segment.
    before_last: Head,
    secret: Vec<u8>,
    keys: Option<Vec<u8>>,
    /// Nobody writes into it meanwhile.
    _lock: Option<File>,
}

/// Checks all of a backup, and changes nothing.
///
/// # Errors
/// [`Error::Refused`] when no backup was finished there or one is being taken; [`Error::Journal`] with the place of damage;
/// what the disk says.
pub fn check(backup: &Path) -> Result<Checked, Error> {
    let began = Instant::now();
    let whole = read(backup)?;
    Ok(Checked { manifest: whole.manifest, seconds: began.elapsed().as_secs_f64() })
}

/// Makes `dir`, which is empty or not there, a data directory that a server starts from, once all of the backup was checked.
/// The superblock comes last, and a mark says until then that it is not done: a start refuses what an interrupted restore has
/// left, however little.
///
/// # Errors
/// As [`check`]; [`Error::Refused`] when there is something in `dir`, which is then untouched.
pub fn restore(backup: &Path, dir: &Path) -> Result<Checked, Error> {
    let began = Instant::now();
    must_be_empty(dir)?;
    let whole = read(backup)?;
    must_be_empty(dir)?;
    lay_out(&whole, backup, dir)?;
    Ok(Checked { manifest: whole.manifest, seconds: began.elapsed().as_secs_f64() })
}

fn must_be_empty(dir: &Path) -> Result<(), Error> {
    match RealDisk.list(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("list", dir)(error)),
        // A volume of its own has that from the beginning.
        Ok(names) if names.iter().all(|name| name == "lost+found") => Ok(()),
        Ok(_) => Err(Error::Refused(format!("{} is not empty: nothing was restored", dir.display()))),
    }
}

fn read(backup: &Path) -> Result<Whole, Error> {
    let lock = hold(backup)?;
    let manifest = Manifest::read(backup)?
        .ok_or_else(|| Error::Refused(format!("{}: no backup was finished here", backup.display())))?;
    let log = manifest.log_id(backup)?;
    let makes_no_sense = || Error::damage(&backup.join("backup.json"), "it makes no sense");
    let run = Run::of(&manifest, backup).ok_or_else(makes_no_sense)?;
    let secret = whole_file(&backup.join("secret"), &|bytes| engine::is_whole_secret(bytes))?;
    let keys = match &manifest.keys {
        Some(name) => {
            let is_whole = |bytes: &[u8]| keys_name(bytes) == *name && keys::check(bytes).is_ok();
            Some(whole_file(&backup.join(name), &is_whole)?)
        }
        None => None,
    };
    let reading: SharedDisk = Arc::new(ReadingDisk);
    let kept = kept(&reading, backup, log, &manifest)?;
    let before_last = segments(&reading, backup, log, &run, &kept)?;
    if checkpoints::fitting(kept, &run, &reading, backup, log)?.is_none() {
        return Err(Error::damage(
            &checkpoint::folder(backup),
            "no full checkpoint stands for the history before the log",
        ));
    }
    Ok(Whole { manifest, log, run, before_last, secret, keys, _lock: lock })
}

fn whole_file(path: &Path, is_whole: &dyn Fn(&[u8]) -> bool) -> Result<Vec<u8>, Error> {
    match std::fs::read(path) {
        Ok(bytes) if is_whole(&bytes) => Ok(bytes),
        Ok(_) => Err(Error::damage(path, "it is damaged")),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::damage(path, "it is missing")),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

fn kept(disk: &SharedDisk, backup: &Path, log: LogId, manifest: &Manifest) -> Result<Vec<Kept>, Error> {
    let folder = checkpoint::folder(backup);
    let there = names(&folder)?;
    let mut kept = Vec::new();
    for name in &manifest.checkpoints {
        let path = folder.join(name);
        if !there.contains(name) {
            return Err(Error::damage(&path, "it is missing"));
        }
        let read = checkpoint::read(disk, &path, log)?;
        let (checkpoint, full) = read.ok_or_else(|| Error::damage(&path, "the checkpoint is damaged"))?;
        kept.push(Kept { name: name.clone(), checkpoint, full, copied: 0 });
    }
    Ok(kept)
}

/// Follows the whole chain. Answers the frame before the last segment.
fn segments(disk: &SharedDisk, out: &Path, log: LogId, run: &Run, kept: &[Kept]) -> Result<Head, Error> {
    let mut at: BTreeMap<u64, &Kept> = kept.iter().map(|kept| (kept.checkpoint.seq, kept)).collect();
    let (mut end, mut before_last) = (run.before, run.before);
    for number in run.first..=run.last {
        let path = run.path(out, number);
        let mut other = None;
        let mut each = |head: &Head| {
            if let Some(kept) = at.remove(&head.seq).filter(|kept| kept.checkpoint.hash != head.hash) {
                other = Some(kept.name.clone());
            }
        };
        let summary = copies::check(disk, &path, log, number, &mut each)?;
        if summary.start.before != end {
            return Err(Error::damage(&path, "the segment does not follow the one before"));
        }
        if let Some(name) = other {
            let path = checkpoint::folder(out).join(name);
            return Err(Error::damage(&path, "the checkpoint is of another history than the log"));
        }
        (before_last, end) = (summary.start.before, summary.end);
    }
    match end == run.head {
        true => Ok(before_last),
        false => Err(Error::damage(&run.tail, "the log ends with another frame than the manifest says")),
    }
}

fn lay_out(whole: &Whole, backup: &Path, dir: &Path) -> Result<(), Error> {
    let Whole { log, run, before_last, .. } = whole;
    let disk: SharedDisk = Arc::new(RealDisk);
    let make =
        |folder: &Path| DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::io("make", folder));
    make(dir)?;
    disk.refuse_network(dir).map_err(Error::io("use", dir))?;
    let mark = dir.join(UNFINISHED);
    durably(&mark, b"stampede restore\n")?;
    for folder in [dir.join("wal"), archive::folder(dir), checkpoint::folder(dir)] {
        make(&folder)?;
    }
    copies::unpack(&disk, &run.tail, *log, run.last, dir)?;
    for number in run.first..run.last {
        let target = copies::path(dir, number);
        copy_file(&copies::path(backup, number), &target)?;
        copies::check(&disk, &target, *log, number, &mut |_| ())?;
    }
    for name in &whole.manifest.checkpoints {
        let target = checkpoint::folder(dir).join(name);
        copy_file(&checkpoint::folder(backup).join(name), &target)?;
        if checkpoint::read(&disk, &target, *log)?.is_none() {
            return Err(Error::damage(&target, "the checkpoint is damaged"));
        }
    }
    for folder in [archive::folder(dir), checkpoint::folder(dir)] {
        disk.sync_dir(&folder).map_err(Error::io("sync", &folder))?;
    }
    durably(&dir.join("secret"), &whole.secret)?;
    if let Some(keys) = &whole.keys {
        durably(&dir.join("keys.json"), keys)?;
    }
    disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
    let ending = Ending { log: *log, segment: run.last, before: *before_last, head: run.head };
    copies::finish(&disk, dir, &ending)?;
    std::fs::remove_file(&mark).map_err(Error::io("remove", &mark))?;
    disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
    let there = Log::inspect(&disk, dir)?.log.head();
    match there == run.head {
        true => Ok(()),
        false => Err(journal::Error::Fenced(format!("{} was changed by somebody else", dir.display())).into()),
    }
}

fn copy_file(source: &Path, target: &Path) -> Result<(), Error> {
    let from = File::open(source).map_err(Error::io("open", source))?;
    copy(&from, source, target).map(drop)
}
