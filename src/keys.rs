//! API keys: named, stored as hashes in `DIR/keys.json`, compared in constant time.
//!
//! A key is `sk_` and 256 random bits. The file holds only its SHA-256: there is nothing to guess, so a slow hash
//! would only slow us down. The command line writes the file, also beside a running server, which reads it again
//! when it changes.

use crate::keys::file::{Stored, StoredKey};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use subtle::ConstantTimeEq;

mod file;

/// Prefix of every key.
pub const PREFIX: &str = "sk_";
/// Most keys in the file, revoked ones included.
pub const MAX_KEYS: usize = 1_000;
/// How long a change of the file may go unseen.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Why a key could not be made, listed or revoked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// The file is not what this version writes.
    #[error("{path}: {detail}")]
    Format {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A live key of this name exists.
    #[error("a key named {0:?} exists; revoke it first or choose another name")]
    NameTaken(String),
    /// There is no live key of this name.
    #[error("there is no live key named {0:?}")]
    NoSuchKey(String),
    /// Not a usable name.
    #[error("a key's name has 1 to 64 letters, digits and . _ - only")]
    BadName,
    /// [`MAX_KEYS`] reached.
    #[error("there are {MAX_KEYS} keys already")]
    TooMany,
}

/// A key that was just made. The only moment at which its text exists.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// What the caller sends: `Authorization: Bearer sk_…`.
    pub secret: String,
}

/// A key as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct KeyInfo {
    /// Its name; the scope of its idempotency keys.
    pub name: String,
    /// The first characters of its text, to recognise it by.
    pub hint: String,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When it was revoked, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
}

/// Makes a key and stores its hash.
///
/// # Errors
/// [`Error`] for a bad or taken name, and when the file cannot be read or written.
pub fn create(dir: &Path, name: &str) -> Result<NewKey, Error> {
    let random: [u8; 32] = rand::random();
    let mut secret = String::with_capacity(PREFIX.len() + 64);
    secret.push_str(PREFIX);
    file::push_hex(&mut secret, &random);
    file::change(dir, |stored| {
        check_name(name)?;
        if stored.keys.iter().any(|key| key.name == name && key.revoked_at.is_none()) {
            return Err(Error::NameTaken(name.to_owned()));
        }
        if stored.keys.len() >= MAX_KEYS {
            return Err(Error::TooMany);
        }
        stored.keys.push(StoredKey {
            name: name.to_owned(),
            hint: secret[..PREFIX.len() + 4].to_owned(),
            sha256: hash(&secret),
            created_at: now(),
            revoked_at: None,
        });
        Ok(())
    })?;
    Ok(NewKey { name: name.to_owned(), secret })
}

/// Makes sure that the live key of this name is this one. For keys that everybody knows, as `stampede dev` has one.
///
/// # Errors
/// [`Error`] for a bad name, and when the file cannot be read or written.
pub fn ensure(dir: &Path, name: &str, secret: &str) -> Result<(), Error> {
    file::change(dir, |stored| {
        check_name(name)?;
        let sha256 = hash(secret);
        if stored.keys.iter().any(|key| key.name == name && key.sha256 == sha256 && key.revoked_at.is_none()) {
            return Ok(());
        }
        stored.keys.retain(|key| key.name != name);
        let hint = secret.chars().take(PREFIX.len() + 4).collect();
        stored.keys.push(StoredKey { name: name.to_owned(), hint, sha256, created_at: now(), revoked_at: None });
        Ok(())
    })
}

/// All keys, revoked ones included, oldest first.
///
/// # Errors
/// [`Error`] when the file cannot be read.
pub fn list(dir: &Path) -> Result<Vec<KeyInfo>, Error> {
    Ok(file::read(dir)?.keys.into_iter().map(StoredKey::into_info).collect())
}

/// Is this the text of a whole `keys.json`?
///
/// # Errors
/// What is wrong with it.
pub fn check(text: &[u8]) -> Result<(), String> {
    file::parse(text).map(drop)
}

/// Revokes the live key of this name: refused by a running server within a quarter of a second.
///
/// # Errors
/// [`Error::NoSuchKey`], or when the file cannot be read or written.
pub fn revoke(dir: &Path, name: &str) -> Result<(), Error> {
    file::change(dir, |stored| {
        let key = stored.keys.iter_mut().find(|key| key.name == name && key.revoked_at.is_none());
        key.ok_or_else(|| Error::NoSuchKey(name.to_owned()))?.revoked_at = Some(now());
        Ok(())
    })
}

/// The keys of a running server.
pub struct Keys {
    dir: PathBuf,
    known: Mutex<Known>,
}

struct Known {
    looked_at: Option<Instant>,
    stamp: Option<file::Stamp>,
    live: Vec<(Arc<str>, [u8; 32])>,
}

impl Keys {
    /// The keys in `DIR/keys.json`; none while there is no file.
    ///
    /// # Errors
    /// [`Error`] when there is a file that cannot be read.
    pub fn open(dir: &Path) -> Result<Keys, Error> {
        let known = Known { looked_at: None, stamp: file::stamp(dir), live: live(file::read(dir)?) };
        Ok(Keys { dir: dir.to_owned(), known: Mutex::new(known) })
    }

    /// The name of the live key with this text. Compares with every key, whatever it finds, in constant time.
    #[must_use]
    pub fn name_of(&self, secret: &str) -> Option<Arc<str>> {
        let mut known = self.known.lock();
        self.look_again(&mut known);
        let hash = hash(secret);
        let mut found = None;
        for (name, stored) in &known.live {
            if bool::from(stored.ct_eq(&hash)) {
                found = Some(Arc::clone(name));
            }
        }
        found
    }

    /// Reads the file again when it has changed. One that cannot be read leaves the keys as they were.
    fn look_again(&self, known: &mut Known) {
        if known.looked_at.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return;
        }
        known.looked_at = Some(Instant::now());
        let stamp = file::stamp(&self.dir);
        if stamp == known.stamp {
            return;
        }
        known.stamp = stamp;
        match file::read(&self.dir) {
            Ok(stored) => known.live = live(stored),
            Err(error) => tracing::error!(%error, "API keys could not be read again; the old ones stay"),
        }
    }
}

fn live(stored: Stored) -> Vec<(Arc<str>, [u8; 32])> {
    let live = stored.keys.into_iter().filter(|key| key.revoked_at.is_none());
    live.map(|key| (Arc::from(key.name), key.sha256)).collect()
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

fn check_name(name: &str) -> Result<(), Error> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(good) {
        return Err(Error::BadName);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed step fails the test
    use super::*;

    #[test]
    fn a_key_is_known_until_it_is_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::open(dir.path()).unwrap();
        let made = create(dir.path(), "ops").unwrap();
        wait_until(|| keys.name_of(&made.secret).as_deref() == Some("ops"));
        assert_eq!(keys.name_of("sk_0000"), None);

        revoke(dir.path(), "ops").unwrap();
        wait_until(|| keys.name_of(&made.secret).is_none());
    }

    #[test]
    fn the_file_holds_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let made = create(dir.path(), "ops").unwrap();
        let text = std::fs::read_to_string(dir.path().join("keys.json")).unwrap();
        assert!(!text.contains(&made.secret[PREFIX.len()..]));
        assert_eq!(made.secret.len(), PREFIX.len() + 64, "256 bits");
    }

    #[test]
    fn a_name_is_taken_until_its_key_is_revoked() {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path(), "ops").unwrap();
        assert!(matches!(create(dir.path(), "ops"), Err(Error::NameTaken(_))));
        revoke(dir.path(), "ops").unwrap();
        assert!(matches!(revoke(dir.path(), "ops"), Err(Error::NoSuchKey(_))));
        create(dir.path(), "ops").unwrap();
        assert_eq!(list(dir.path()).unwrap().len(), 2);
        assert!(matches!(create(dir.path(), "a b"), Err(Error::BadName)));
    }

    #[test]
    fn a_broken_file_leaves_the_old_keys() {
        let dir = tempfile::tempdir().unwrap();
        let made = create(dir.path(), "ops").unwrap();
        let keys = Keys::open(dir.path()).unwrap();
        std::fs::write(dir.path().join("keys.json"), "{").unwrap();
        std::thread::sleep(LOOK_EVERY);
        assert_eq!(keys.name_of(&made.secret).as_deref(), Some("ops"));
        assert!(matches!(Keys::open(dir.path()), Err(Error::Format { .. })));
    }

    fn wait_until(mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(5), "the change was not seen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
