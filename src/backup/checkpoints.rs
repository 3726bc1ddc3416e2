//! The checkpoint files of a backup. A start needs one where older history was let go; elsewhere it saves reading.

use super::Error;
use super::place::{Place, copy, names, remove, size};
use super::segments::{Run, diverged};
use crate::disk::{ReadingDisk, SharedDisk};
use crate::journal::{Checkpoint, LogId, checkpoint};
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// A checkpoint file that is whole.
pub struct Kept {
    /// Its name.
    pub name: String,
    /// What it says.
    pub checkpoint: Checkpoint,
    /// It holds all entities.
    pub full: bool,
    /// Bytes written for it now; 0 when it was there already.
    pub copied: u64,
}

/// Copies those that the data directory has.
///
/// # Errors
/// Damage of one, with its name; what the disks say.
pub fn copy_all(place: &Place, data_dir: &Path) -> Result<Vec<Kept>, Error> {
    let folder = checkpoint::folder(data_dir);
    let mut kept = Vec::new();
    for name in names(&folder)?.into_iter().filter(|name| name.ends_with(".ckpt")) {
        kept.extend(copy_one(place, &folder, name)?);
    }
    Ok(kept)
}

/// `None`: a newer one has taken its place, and it is gone.
fn copy_one(place: &Place, folder: &Path, name: String) -> Result<Option<Kept>, Error> {
    let (source, target) = (folder.join(&name), checkpoint::folder(&place.dir).join(&name));
    let from = match File::open(&source) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(Error::io("open", &source))?,
    };
    // A plain one may have become a full one since, which is longer.
    let is_there = from.metadata().is_ok_and(|meta| meta.len() == size(&target));
    if is_there && let Some((checkpoint, full)) = checkpoint::read(&place.disk, &target, place.log)? {
        return Ok(Some(Kept { name, checkpoint, full, copied: 0 }));
    }
    let draft = place.draft();
    remove(&draft)?;
    let copied = copy(&from, &source, &draft)?;
    let Some((checkpoint, full)) = checkpoint::read(&place.disk, &draft, place.log)? else {
        let reading: SharedDisk = Arc::new(ReadingDisk);
        let is_damaged = source.exists() && checkpoint::read(&reading, &source, place.log)?.is_none();
        return Err(Error::damage(if is_damaged { &source } else { &draft }, "the checkpoint is damaged"));
    };
    // The manifest that is there may name this file. A full one may take the place of a plain one of the same frame, but
    // nothing of another history.
    let there = if target.exists() { checkpoint::read(&place.disk, &target, place.log)? } else { None };
    if there.is_some_and(|(there, _)| there.hash != checkpoint.hash) {
        return Err(diverged(place));
    }
    place.name(&target)?;
    Ok(Some(Kept { name, checkpoint, full, copied }))
}

/// Those that a start from this run of segments can use. `None`: none of them, and the run does not begin at the beginning.
///
/// # Errors
/// When one is not of this history; damage; what the disk says.
pub fn fitting(
    kept: Vec<Kept>,
    run: &Run,
    disk: &SharedDisk,
    dir: &Path,
    log: LogId,
) -> Result<Option<Vec<Kept>>, Error> {
    let mut fitting = Vec::new();
    for one in kept {
        let Checkpoint { seq, position, hash, cursors, .. } = &one.checkpoint;
        let reaches = cursors.values().all(|cursor| *cursor >= run.before.position);
        if *seq < run.before.seq || *seq > run.head.seq || !reaches {
            continue;
        }
        let there = run.head_at(disk, dir, log, *seq)?;
        if there.is_none_or(|there| there.hash != *hash || there.position != *position) {
            let path = checkpoint::folder(dir).join(&one.name);
            return Err(Error::damage(&path, "the checkpoint is of another history than the log"));
        }
        fitting.push(one);
    }
    let stands_alone = run.before.seq == 0 || fitting.iter().any(|one| one.full);
    Ok(stands_alone.then_some(fitting))
}
