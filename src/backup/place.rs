//! The directory of a backup: whose it is, who is writing there, and files that are there whole or not at all.

use super::Error;
use super::manifest::{log_text, parse_log};
use crate::disk::{Disk, RealDisk, SharedDisk};
use crate::journal::{LogId, archive, checkpoint};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A backup's directory that nobody else may write into meanwhile.
pub struct Place {
    /// The directory.
    pub dir: PathBuf,
    /// Which log it is for.
    pub log: LogId,
    /// The disk.
    pub disk: SharedDisk,
    _lock: File,
}

impl Place {
    /// Opens the directory for a backup of `log`, or makes it.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is in use, holds something else, or the backup of another log; what the disk says.
    pub fn open(dir: &Path, log: LogId) -> Result<Place, Error> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(Error::io("make", dir))?;
        let (marked, lock) = (dir.join("log"), dir.join("lock"));
        // Looked at before anything is made in what may be somebody else's directory, and once more when it is ours alone.
        let said = match std::fs::read_to_string(&marked) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            other => Some(other.map_err(Error::io("read", &marked))?),
        };
        if said.is_none() && !names(dir)?.iter().all(|name| name == "lock" || name == "log.new" || name == "lost+found")
        {
            let what = format!("{} holds something else than a backup: use an empty directory", dir.display());
            return Err(Error::Refused(what));
        }
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock);
        let file = file.map_err(Error::io("open", &lock))?;
        file.try_lock().map_err(|error| in_use(error, dir, &lock))?;
        let said = if said.is_some() { said } else { std::fs::read_to_string(&marked).ok() };
        match said.as_deref().map(parse_log) {
            Some(Some(there)) if there == log => {}
            Some(Some(_)) => {
                let what = format!("{} holds the backup of another log: use another directory", dir.display());
                return Err(Error::Refused(what));
            }
            Some(None) => return Err(Error::damage(&marked, "it names no log")),
            None => durably(&marked, format!("{}\n", log_text(log)).as_bytes())?,
        }
        for folder in [archive::folder(dir), tails(dir), checkpoint::folder(dir)] {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(Error::io("make", &folder))?;
        }
        let place = Place { dir: dir.to_owned(), log, disk: Arc::new(RealDisk), _lock: file };
        place.sync(dir)?;
        match dir.canonicalize().ok().as_deref().and_then(Path::parent).map(|parent| place.disk.sync_dir(parent)) {
            // Who may not read it has not made our directory either: it was there before.
            Some(Err(error)) if error.kind() != ErrorKind::PermissionDenied => Err(Error::io("sync", dir)(error)),
            _ => Ok(place),
        }
    }

    /// Where a file is made before it gets its name.
    pub fn draft(&self) -> PathBuf {
        self.dir.join("draft.new")
    }

    /// Gives the draft, which is synced, its name; durable when this returns.
    ///
    /// # Errors
    /// What the disk says.
    pub fn name(&self, target: &Path) -> Result<(), Error> {
        let draft = self.draft();
        self.disk.rename(&draft, target).map_err(Error::io("rename", &draft))?;
        self.sync(target.parent().unwrap_or(&self.dir))
    }

    fn sync(&self, folder: &Path) -> Result<(), Error> {
        self.disk.sync_dir(folder).map_err(Error::io("sync", folder))
    }
}

/// Keeps others from writing into a backup while it is read; `None` where there is no lock, as in a copy of a backup.
///
/// # Errors
/// [`Error::Refused`] when somebody is writing there; what the disk says.
pub fn hold(dir: &Path) -> Result<Option<File>, Error> {
    let lock = dir.join("lock");
    let file = match File::open(&lock) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(Error::io("open", &lock))?,
    };
    file.try_lock_shared().map_err(|error| in_use(error, dir, &lock))?;
    Ok(Some(file))
}

fn in_use(error: TryLockError, dir: &Path, lock: &Path) -> Error {
    match error {
        TryLockError::WouldBlock => Error::Refused(format!("{} is in use by another process", dir.display())),
        TryLockError::Error(error) => Error::io("lock", lock)(error),
    }
}

/// Where the last segments are.
pub fn tails(dir: &Path) -> PathBuf {
    dir.join("tail")
}

/// The names in a directory, sorted.
///
/// # Errors
/// What the disk says.
pub fn names(dir: &Path) -> Result<Vec<String>, Error> {
    RealDisk.list(dir).map_err(Error::io("list", dir))
}

/// Writes a file for its owner only, whole or not at all; durable when this returns.
///
/// # Errors
/// What the disk says; the old file is then still there.
pub fn durably(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let draft = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(Error::io("write", path))
}

/// Copies a file's bytes to one that is not there yet, for its owner only, and syncs it; how many.
///
/// # Errors
/// What the disk says.
pub fn copy(mut from: &File, source: &Path, to: &Path) -> Result<u64, Error> {
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(to);
    let mut file = file.map_err(Error::io("create", to))?;
    let bytes = std::io::copy(&mut from, &mut file).map_err(Error::io("copy", source))?;
    file.sync_all().map_err(Error::io("sync", to))?;
    Ok(bytes)
}

/// Removes a file that may be there.
///
/// # Errors
/// What the disk says.
pub fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Bytes of a file; 0 when it is not there.
pub fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}
