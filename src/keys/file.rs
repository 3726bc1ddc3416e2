//! `DIR/keys.json`: read whole, changed under a lock, replaced by renaming.

use crate::keys::{Error, KeyInfo};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    /// Of the format; this is 1.
    version: u32,
    /// Oldest first.
    pub keys: Vec<StoredKey>,
}

/// One key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredKey {
    pub name: String,
    pub hint: String,
    #[serde(with = "hex")]
    pub sha256: [u8; 32],
    pub created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
}

impl StoredKey {
    pub fn into_info(self) -> KeyInfo {
        KeyInfo { name: self.name, hint: self.hint, created_at: self.created_at, revoked_at: self.revoked_at }
    }
}

/// Tells one content of the file from another: every change makes a new inode.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp(u64, i64, i64, u64);

/// The file's stamp; `None` while there is no file.
pub(super) fn stamp(dir: &Path) -> Option<Stamp> {
    let meta = fs::metadata(path(dir)).ok()?;
    Some(Stamp(meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.len()))
}

/// Reads the file; empty when there is none.
pub(super) fn read(dir: &Path) -> Result<Stored, Error> {
    let path = path(dir);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Stored { version: 1, keys: Vec::new() });
        }
        Err(source) => return Err(Error::Io { path, source }),
    };
    parse(&text).map_err(|detail| Error::Format { path, detail })
}

/// Reads the file's text, or says what is wrong with it.
pub(super) fn parse(text: &[u8]) -> Result<Stored, String> {
    let stored: Stored = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if stored.version != 1 {
        return Err(format!("version {} is not known here", stored.version));
    }
    Ok(stored)
}

/// Reads, changes and replaces the file, one process at a time.
pub(super) fn change(dir: &Path, change: impl FnOnce(&mut Stored) -> Result<(), Error>) -> Result<(), Error> {
    let lock_path = dir.join("keys.lock");
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
    let lock = lock.map_err(io(&lock_path))?;
    lock.lock().map_err(io(&lock_path))?;
    let mut stored = read(dir)?;
    change(&mut stored)?;
    let path = path(dir);
    replace(dir, &path, &stored).map_err(io(&path))
}

/// Nobody ever sees half a file, also after a power loss.
fn replace(dir: &Path, path: &Path, stored: &Stored) -> io::Result<()> {
    let temporary = dir.join("keys.json.new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
    serde_json::to_writer_pretty(&mut file, stored)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(dir)?.sync_all()
}

fn path(dir: &Path) -> PathBuf {
    dir.join("keys.json")
}

/// Appends bytes as lower-case hexadecimal digits.
pub(super) fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(64);
        super::push_hex(&mut text, bytes);
        serializer.serialize_str(&text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        let bad = || D::Error::custom("expected 64 hexadecimal digits");
        if text.len() != 64 || !text.is_ascii() {
            return Err(bad());
        }
        let mut bytes = [0u8; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| bad())?;
        }
        Ok(bytes)
    }
}
