//! Checkpoint files: up to which frame the store has everything, and where each cursor is. Small; a full one also holds
//! the state of every entity, so that the store can be rebuilt without the history before it (S4).
//!
//! ```text
//!  0 magic u32 4 version u16 6 full u16 8 log id 16 24 seq u64 32 position u64 40 engine time i64 48 hash 32
//! 80 cursors u32, then each: name length u16, name, position u64; then crc u32 of all that
//! ```
//! A full one goes on with blocks: length u32, crc u32, and entities as key length u32, key, state length u32, state.
//! The last block has length 0. Written under another name, synced and renamed.

use super::archive::remove_if_there;
use super::frame::{Fields, crc};
use super::{Error, Hash, LogId, Seq};
use crate::disk::{Access, File, SharedDisk};
use stampede_actors::record::Position;
use stampede_actors::time::Timestamp;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

mod sections;

pub use sections::EntityReader;

const MAGIC: u32 = u32::from_le_bytes(*b"SPCK");
const VERSION: u16 = 1;
/// Files kept, of all and of the full ones: the last, and one to fall back to.
const KEPT: usize = 2;
/// A file without entities is never larger, in bytes.
const HEAD_MAX: u64 = 1 << 20;

/// Keys and states of all entities, as the caller encodes them. After an error there is no new checkpoint.
pub type Entities<'a> = &'a mut dyn Iterator<Item = io::Result<Entity>>;

/// Key and state of one.
pub type Entity = (Vec<u8>, Vec<u8>);

/// The store has everything up to here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// The last frame that it covers.
    pub seq: Seq,
    /// The last record that it covers.
    pub position: Position,
    /// Hash of that frame.
    pub hash: Hash,
    /// Engine time of that frame.
    pub at: Timestamp,
    /// Durable cursors by name.
    pub cursors: BTreeMap<String, Position>,
}

/// A checkpoint file that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its frame.
    pub seq: Seq,
    /// It holds all entities.
    pub full: bool,
    /// Where each cursor begins again if the log opens with it.
    pub cursors: BTreeMap<String, Position>,
}

/// What [`load`] found.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The newest one that is whole.
    pub newest: Option<Checkpoint>,
    /// All that are whole, oldest first.
    pub listed: Vec<Listed>,
    /// Files that are damaged, or of another log.
    pub damaged: Vec<PathBuf>,
}

/// Where checkpoint files are.
#[must_use]
pub fn folder(dir: &Path) -> PathBuf {
    dir.join("checkpoint")
}

fn path(dir: &Path, seq: Seq) -> PathBuf {
    folder(dir).join(format!("{seq:020}.ckpt"))
}

impl Checkpoint {
    fn write(&self, log: LogId, full: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&MAGIC.to_le_bytes());
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&u16::from(full).to_le_bytes());
        bytes.extend_from_slice(&log.0);
        bytes.extend_from_slice(&self.seq.to_le_bytes());
        bytes.extend_from_slice(&self.position.0.to_le_bytes());
        bytes.extend_from_slice(&self.at.0.to_le_bytes());
        bytes.extend_from_slice(&self.hash);
        bytes.extend_from_slice(&(self.cursors.len() as u32).to_le_bytes());
        for (name, position) in &self.cursors {
            bytes.extend_from_slice(&(name.len() as u16).to_le_bytes());
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(&position.0.to_le_bytes());
        }
        let crc = crc(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The checkpoint, whether it is full, and how many bytes it took.
    fn read(bytes: &[u8], log: LogId) -> Option<(Checkpoint, bool, usize)> {
        let mut fields = Fields(bytes);
        if fields.u32()? != MAGIC || fields.u16()? != VERSION {
            return None;
        }
        let full = fields.u16()? == 1;
        if LogId(fields.array()?) != log {
            return None;
        }
        let mut checkpoint = Checkpoint {
            seq: fields.u64()?,
            position: Position(fields.u64()?),
            at: Timestamp(i64::from_le_bytes(fields.array()?)),
            hash: fields.array()?,
            cursors: BTreeMap::new(),
        };
        for _ in 0..fields.u32()? {
            let len = usize::from(fields.u16()?);
            let (name, rest) = fields.0.split_at_checked(len)?;
            fields.0 = rest;
            checkpoint.cursors.insert(String::from_utf8(name.to_owned()).ok()?, Position(fields.u64()?));
        }
        let checked = bytes.len() - fields.0.len();
        (fields.u32()? == crc(&bytes[..checked])).then_some((checkpoint, full, checked + 4))
    }
}

/// Writes a checkpoint file; it is durable when this returns.
pub(super) fn write(
    disk: &SharedDisk,
    dir: &Path,
    log: LogId,
    checkpoint: &Checkpoint,
    entities: Option<Entities<'_>>,
) -> Result<Listed, Error> {
    let target = path(dir, checkpoint.seq);
    let draft = target.with_extension("tmp");
    remove_if_there(disk, &draft)?;
    let file = disk.create(&draft).map_err(Error::io("create", &draft))?;
    let full = entities.is_some();
    let head = checkpoint.write(log, full);
    let write = || {
        file.write_at(0, &head)?;
        if let Some(entities) = entities {
            sections::write(file.as_ref(), head.len() as u64, entities)?;
        }
        file.sync()
    };
    if let Err(error) = write() {
        // What was written of it takes space that somebody else could use; at the next start it goes in any case.
        let _ = disk.remove(&draft);
        return Err(Error::io("write", &draft)(error));
    }
    disk.rename(&draft, &target).map_err(Error::io("rename", &draft))?;
    let folder = folder(dir);
    disk.sync_dir(&folder).map_err(Error::io("sync", &folder))?;
    Ok(Listed { seq: checkpoint.seq, full, cursors: checkpoint.cursors.clone() })
}

/// Takes those out of `listed` that need not be kept.
pub(super) fn surplus(listed: &mut Vec<Listed>) -> Vec<Seq> {
    listed.sort_by_key(|file| file.seq);
    let newest: Vec<Seq> = listed.iter().rev().take(KEPT).map(|file| file.seq).collect();
    let full: Vec<Seq> = listed.iter().rev().filter(|file| file.full).take(KEPT).map(|file| file.seq).collect();
    let kept = |file: &Listed| newest.contains(&file.seq) || full.contains(&file.seq);
    let surplus = listed.iter().filter(|file| !kept(file)).map(|file| file.seq).collect();
    listed.retain(kept);
    surplus
}

/// Up to which frame archives may be deleted: what the older of the last two full files covers (S4).
pub(super) fn fully_covered(listed: &[Listed]) -> Option<Seq> {
    listed.iter().rev().filter(|file| file.full).nth(KEPT - 1).map(|file| file.seq)
}

pub(super) fn remove(disk: &SharedDisk, dir: &Path, seq: Seq) -> Result<(), Error> {
    remove_if_there(disk, &path(dir, seq))
}

/// Reads all checkpoint files. A damaged one is passed over: the older one holds, and the log has what came since.
///
/// # Errors
/// What the disk says.
pub fn load(disk: &SharedDisk, dir: &Path, log: LogId) -> Result<Loaded, Error> {
    let folder = folder(dir);
    let mut loaded = Loaded::default();
    for name in disk.list(&folder).map_err(Error::io("list", &folder))? {
        let path = folder.join(&name);
        if name.ends_with(".tmp") {
            remove_if_there(disk, &path)?;
        } else if name.ends_with(".ckpt") {
            match read(disk, &path, log)? {
                Some((checkpoint, full)) => {
                    let cursors = checkpoint.cursors.clone();
                    loaded.listed.push(Listed { seq: checkpoint.seq, full, cursors });
                    loaded.newest = Some(checkpoint);
                }
                None => loaded.damaged.push(path),
            }
        }
    }
    Ok(loaded)
}

/// One checkpoint file, all of it, and whether it is a full one; `None` when it is damaged.
///
/// # Errors
/// What the disk says.
pub fn read(disk: &SharedDisk, path: &Path, log: LogId) -> Result<Option<(Checkpoint, bool)>, Error> {
    let (_, bytes) = open(disk, path)?;
    let Some((checkpoint, full, end)) = Checkpoint::read(&bytes, log) else { return Ok(None) };
    if full {
        let (file, _) = open(disk, path)?;
        for entity in EntityReader::new(file, path, end as u64) {
            match entity {
                Ok(_) => (),
                Err(Error::Corrupt(_)) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(Some((checkpoint, full)))
}

/// The file and its first bytes.
fn open(disk: &SharedDisk, path: &Path) -> Result<(Box<dyn File>, Vec<u8>), Error> {
    let file = disk.open(path, Access::Buffered).map_err(Error::io("open", path))?;
    let len = file.len().map_err(Error::io("look at", path))?.min(HEAD_MAX);
    let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
    file.read_at(0, &mut bytes).map_err(Error::io("read", path))?;
    Ok((file, bytes))
}

pub(super) fn entities(disk: &SharedDisk, dir: &Path, log: LogId, seq: Seq) -> Result<Option<EntityReader>, Error> {
    let path = path(dir, seq);
    let (file, bytes) = match open(disk, &path) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    Ok(match Checkpoint::read(&bytes, log) {
        Some((_, true, end)) => Some(EntityReader::new(file, &path, end as u64)),
        _ => None,
    })
}
