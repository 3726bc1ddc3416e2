//! What a backup says of itself. It is written when everything else is durable: whoever reads it reads a whole backup.

use super::Error;
use super::place::durably;
use crate::journal::{Head, LogId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stampede_actors::record::Position;
use stampede_actors::time::Timestamp;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The version of the layout that is written, and the only one that is read.
const FORMAT: u32 = 1;

/// A place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct At {
    /// Number of the frame; 0: before the first.
    pub frame: u64,
    /// The last record up to there.
    pub record: u64,
    /// The frame's hash, in hexadecimal digits.
    pub hash: String,
    /// Engine time of the frame. Unit: microseconds since 1970.
    pub at: i64,
    /// Epoch of the frame.
    pub epoch: u64,
}

/// `backup.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of the layout.
    pub format: u32,
    /// The program that made it.
    pub version: String,
    /// Which log, in hexadecimal digits.
    pub log: String,
    /// When the command was started, by the wall clock: what was acknowledged before is in it.
    pub taken_at: String,
    /// Number of the first segment.
    pub first_segment: u64,
    /// What is before it: nothing, or history that had been let go.
    pub begins_after: At,
    /// Number of the last segment.
    pub last_segment: u64,
    /// The last frame.
    pub ends_with: At,
    /// Name of the last segment's file in `tail/`.
    pub tail: String,
    /// Names in `checkpoint/`, oldest first.
    pub checkpoints: Vec<String>,
    /// Name of the copy of `keys.json`, if there was one.
    pub keys: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    backup: Manifest,
    /// BLAKE3 of it.
    check: String,
}

impl Manifest {
    /// Reads the manifest of a backup; `None`: there is none, because no backup was finished there.
    ///
    /// # Errors
    /// Damage; a layout that is not known here; what the disk says.
    pub fn read(out: &Path) -> Result<Option<Manifest>, Error> {
        let path = path(out);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::io("read", &path))?,
        };
        let damaged = |what: String| Error::damage(&path, &what);
        let value: Value = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        let said = &value["backup"];
        if let (Some(format), version) =
            (said["format"].as_u64(), said["version"].as_str().unwrap_or("another version"))
            && format != u64::from(FORMAT)
        {
            let what = format!("{}: made by {version} with layout {format}, not known here", path.display());
            return Err(Error::Refused(what));
        }
        let sealed: Sealed = serde_json::from_value(value).map_err(|error| damaged(error.to_string()))?;
        if sealed.check != sealed.backup.checksum() {
            return Err(damaged("the manifest does not match its checksum".to_owned()));
        }
        Ok(Some(sealed.backup))
    }

    /// Replaces the manifest, durably.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(&self, out: &Path) -> Result<(), Error> {
        let sealed = Sealed { backup: self.clone(), check: self.checksum() };
        let path = path(out);
        let text = serde_json::to_vec_pretty(&sealed).map_err(|error| Error::io("write", &path)(error.into()))?;
        durably(&path, &text)
    }

    /// The version of the layout for new ones.
    pub(super) const fn format() -> u32 {
        FORMAT
    }

    /// The log's id.
    ///
    /// # Errors
    /// When it is none, which only a forger writes.
    pub(super) fn log_id(&self, out: &Path) -> Result<LogId, Error> {
        parse_log(&self.log).ok_or_else(|| Error::damage(&path(out), "the log's id is none"))
    }

    fn checksum(&self) -> String {
        // Field by field in the order of the code, however the file is laid out.
        let text = serde_json::to_vec(self).unwrap_or_default();
        blake3::hash(&text).to_hex().to_string()
    }
}

impl From<Head> for At {
    fn from(head: Head) -> At {
        let Head { seq, hash, position, at, epoch } = head;
        At { frame: seq, record: position.0, hash: blake3::Hash::from(hash).to_hex().to_string(), at: at.0, epoch }
    }
}

impl At {
    /// As the log says it; `None` when the hash is none.
    pub(super) fn head(&self) -> Option<Head> {
        let hash = *blake3::Hash::from_hex(&self.hash).ok()?.as_bytes();
        Some(Head { seq: self.frame, hash, position: Position(self.record), at: Timestamp(self.at), epoch: self.epoch })
    }
}

fn path(out: &Path) -> PathBuf {
    out.join("backup.json")
}

/// A log's id in hexadecimal digits.
pub(super) fn log_text(log: LogId) -> String {
    format!("{:032x}", u128::from_be_bytes(log.0))
}

/// Reads what [`log_text`] wrote.
pub(super) fn parse_log(text: &str) -> Option<LogId> {
    u128::from_str_radix(text.trim(), 16).ok().map(|id| LogId(id.to_be_bytes()))
}
