//! Takes a backup of a data directory, or brings one up to date.

use super::checkpoints::{self, Kept};
use super::manifest::log_text;
use super::place::{Place, durably, names, remove, size, tails};
use super::segments::{self, Run};
use super::{Error, Manifest};
use crate::cli::VERSION;
use crate::journal::{self, Living, checkpoint, copies};
use crate::{engine, keys};
use serde::Serialize;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Instant, SystemTime};

/// So often the log may let go of what is being copied. Each time takes the server its whole `log.archive-max-age`.
const ROUNDS: usize = 8;

/// A backup that was taken.
#[derive(Debug, Serialize)]
pub struct Taken {
    /// What it holds.
    #[serde(flatten)]
    pub manifest: Manifest,
    /// Segments copied this time.
    pub segments_copied: u64,
    /// Bytes written this time.
    pub bytes_copied: u64,
    /// Bytes of the whole backup.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Copies what `data_dir` holds to `out`: what was acknowledged before this was called, and some of what is acknowledged
/// meanwhile. A server may run on `data_dir`; nothing of it is locked or changed.
///
/// # Errors
/// [`Error::Refused`] when `out` is in use or holds something else; [`Error::Journal`] with the place of damage; what the
/// disks say. A backup that was in `out` before is then still there and whole.
pub fn take(data_dir: &Path, out: &Path) -> Result<Taken, Error> {
    let (began, taken_at) = (Instant::now(), humantime::format_rfc3339_micros(SystemTime::now()).to_string());
    if journal::mark::read(data_dir)?.is_some() {
        return Err(Error::Refused(format!(
            "{} is the mirror of a log in ScyllaDB, and no truth by itself: back up the database by its own means, or copy \
             its log with stampede fetch",
            data_dir.display()
        )));
    }
    let living = Living::open(data_dir)?;
    let place = Place::open(out, living.id())?;
    remove(&place.draft())?;
    let known = Manifest::read(out)?;
    copy_secret(data_dir, out)?;
    let taken = log(&place, &living, data_dir, known.as_ref());
    if taken.is_err() {
        // What was made of it takes space that somebody else could use. The first error is the one to tell.
        let _ = remove(&place.draft());
    }
    let (run, kept) = taken?;
    let keys = copy_keys(data_dir, out)?;
    let manifest = Manifest {
        format: Manifest::format(),
        version: VERSION.to_owned(),
        log: log_text(place.log),
        taken_at,
        first_segment: run.first,
        begins_after: run.before.into(),
        last_segment: run.last,
        ends_with: run.head.into(),
        tail: run.tail.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        checkpoints: kept.iter().map(|kept| kept.name.clone()).collect(),
        keys,
    };
    manifest.write(out)?;
    prune(out, &manifest);
    Ok(Taken {
        segments_copied: run.copied,
        bytes_copied: run.bytes + kept.iter().map(|kept| kept.copied).sum::<u64>(),
        bytes: bytes(out, &run, &kept),
        seconds: began.elapsed().as_secs_f64(),
        manifest,
    })
}

/// Checkpoints first: the log then reaches as far as they say.
fn log(place: &Place, living: &Living, data_dir: &Path, known: Option<&Manifest>) -> Result<(Run, Vec<Kept>), Error> {
    let (mut copied, mut bytes) = (0, 0);
    for _ in 0..ROUNDS {
        let kept = checkpoints::copy_all(place, data_dir)?;
        let Some(mut run) = segments::copy(place, living, known)? else { continue };
        (copied, bytes) = (copied + run.copied, bytes + run.bytes);
        let fitting = checkpoints::fitting(kept, &run, &place.disk, &place.dir, place.log)?;
        if let Some(fitting) = fitting {
            (run.copied, run.bytes) = (copied, bytes);
            return Ok((run, fitting));
        }
    }
    let what = "no full checkpoint reaches back to where the log begins, or the log lets go of its archives faster than they are \
                copied: see log.archive-max-age";
    Err(Error::Refused(format!("{}: {what}", data_dir.display())))
}

fn copy_secret(data_dir: &Path, out: &Path) -> Result<(), Error> {
    let (source, target) = (data_dir.join("secret"), out.join("secret"));
    let secret = match std::fs::read(&source) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(Error::damage(&source, "it is missing")),
        other => other.map_err(Error::io("read", &source))?,
    };
    if !engine::is_whole_secret(&secret) {
        return Err(Error::damage(&source, "it is damaged"));
    }
    match std::fs::read(&target) {
        Ok(there) if there == secret => Ok(()),
        Ok(_) => Err(Error::Refused(format!("{} is another secret than that of the server", target.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => durably(&target, &secret),
        Err(error) => Err(Error::io("read", &target)(error)),
    }
}

/// Under a name that says what is in it: the manifest that is there still names the one from before.
fn copy_keys(data_dir: &Path, out: &Path) -> Result<Option<String>, Error> {
    let source = data_dir.join("keys.json");
    let text = match std::fs::read(&source) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(Error::io("read", &source))?,
    };
    keys::check(&text).map_err(|what| Error::damage(&source, &what))?;
    let name = keys_name(&text);
    durably(&out.join(&name), &text)?;
    Ok(Some(name))
}

/// The name of a copy of `keys.json`.
pub(super) fn keys_name(text: &[u8]) -> String {
    format!("keys-{}.json", &blake3::hash(text).to_hex()[..32])
}

/// Removes what no manifest names any more. What cannot be removed does no harm, and the next backup tries again.
fn prune(out: &Path, manifest: &Manifest) {
    let unwanted = |folder: &Path, wanted: &dyn Fn(&str) -> bool| {
        for name in names(folder).unwrap_or_default().iter().filter(|name| !wanted(name)) {
            let _ = remove(&folder.join(name));
        }
    };
    unwanted(&tails(out), &|name| name == manifest.tail);
    unwanted(&checkpoint::folder(out), &|name| manifest.checkpoints.iter().any(|kept| kept == name));
    unwanted(out, &|name| !name.starts_with("keys-") || manifest.keys.as_deref() == Some(name));
}

fn bytes(out: &Path, run: &Run, kept: &[Kept]) -> u64 {
    let segments: u64 = (run.first..run.last).map(|number| size(&copies::path(out, number))).sum();
    let folder = checkpoint::folder(out);
    segments + size(&run.tail) + kept.iter().map(|kept| size(&folder.join(&kept.name))).sum::<u64>()
}
