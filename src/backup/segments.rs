//! The segments of a backup: which there are, which are missing, and how they continue one another.

use super::place::{Place, size, tails};
use super::{Error, Manifest};
use crate::disk::SharedDisk;
use crate::journal::{Copied, Head, Living, LogId, archive, copies};
use std::path::{Path, PathBuf};

/// Segments without gaps, as a backup has them.
#[derive(Debug, Clone)]
pub struct Run {
    /// Number of the first.
    pub first: u64,
    /// The frame before it.
    pub before: Head,
    /// Number of the last, which is in `tail/`.
    pub last: u64,
    /// Its file.
    pub tail: PathBuf,
    /// The last frame.
    pub head: Head,
    /// Segments copied this time, the last one included.
    pub copied: u64,
    /// Bytes written for them.
    pub bytes: u64,
}

impl Run {
    /// The run that a manifest names.
    pub fn of(manifest: &Manifest, out: &Path) -> Option<Run> {
        let (before, head) = (manifest.begins_after.head()?, manifest.ends_with.head()?);
        let (first, last) = (manifest.first_segment, manifest.last_segment);
        // A name and no path: whoever writes manifests of his own gets no further than this directory.
        let is_name = Path::new(&manifest.tail).file_name().is_some_and(|name| name == manifest.tail.as_str());
        let tail = tails(out).join(&manifest.tail);
        (is_name && 0 < first && first <= last).then_some(Run { first, before, last, tail, head, copied: 0, bytes: 0 })
    }

    /// The file of a segment.
    pub fn path(&self, out: &Path, number: u64) -> PathBuf {
        if number == self.last { self.tail.clone() } else { copies::path(out, number) }
    }

    /// How the log ended with frame `seq`; `None` when it is not in the run.
    ///
    /// # Errors
    /// Damage; what the disk says.
    pub fn head_at(&self, disk: &SharedDisk, out: &Path, log: LogId, seq: u64) -> Result<Option<Head>, Error> {
        for number in self.first..=self.last {
            let path = self.path(out, number);
            let copies::Summary { start, end, .. } = copies::summary(disk, &path, log, number)?;
            if let Some(head) = [start.before, end].into_iter().find(|head| head.seq == seq) {
                return Ok(Some(head));
            }
            if start.before.seq < seq && seq < end.seq {
                let mut found = None;
                copies::check(disk, &path, log, number, &mut |head| {
                    if head.seq == seq {
                        found = Some(*head);
                    }
                })?;
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// What a backup has already, finished or not.
struct Kept {
    first: u64,
    before: Option<Head>,
    next: u64,
    /// The last frame of its full segments.
    end: Option<Head>,
}

/// Copies what is not there yet. `None`: the log has let go of what was just to be copied, and the next try begins later.
///
/// # Errors
/// [`Error::Refused`] when the log does not continue what is there; damage of either; what the disks say.
pub fn copy(place: &Place, living: &Living, known: Option<&Manifest>) -> Result<Option<Run>, Error> {
    let known = known.map(|known| {
        Run::of(known, &place.dir).ok_or_else(|| Error::damage(&place.dir.join("backup.json"), "it makes no sense"))
    });
    let known = known.transpose()?;
    let Kept { first, mut before, mut next, mut end } = match kept(place, known.as_ref())? {
        Some(kept) => kept,
        None => {
            let first = living.first()?;
            Kept { first, before: None, next: first, end: None }
        }
    };
    if living.newest()? < next {
        return Err(ahead(place));
    }
    let (mut copied, mut bytes) = (0, 0);
    loop {
        let draft = place.draft();
        let mut at_known = None;
        let expected = known.as_ref().filter(|known| known.last == next).map(|known| known.head);
        let outcome = living.copy(next, &place.disk, &draft, &mut |head| {
            if expected.is_some_and(|expected| expected.seq == head.seq) {
                at_known = Some(*head);
            }
        })?;
        if outcome == Copied::LetGo {
            if known.is_some() {
                return Err(Error::Refused(format!(
                    "the log begins with segment {} by now, and {} ends with segment {}: begin a new backup in another \
                     directory",
                    living.first()?,
                    place.dir.display(),
                    next - 1
                )));
            }
            forget(place)?;
            return Ok(None);
        }
        let summary = copies::summary(&place.disk, &draft, place.log, next)?;
        if end.is_some_and(|end| end != summary.start.before) {
            return Err(diverged(place));
        }
        if let Some(expected) = expected.filter(|expected| expected.seq > summary.start.before.seq) {
            match at_known {
                Some(there) if there == expected => {}
                Some(_) => return Err(diverged(place)),
                None => return Err(ahead(place)),
            }
        }
        before = before.or(Some(summary.start.before));
        copied += 1;
        bytes += size(&draft);
        if outcome == Copied::Full {
            place.name(&copies::path(&place.dir, next))?;
            end = Some(summary.end);
            next += 1;
            continue;
        }
        let tail = tails(&place.dir).join(format!("{next:012}.seg-{:020}.zst", summary.end.seq));
        place.name(&tail)?;
        let before = before.unwrap_or(summary.start.before);
        return Ok(Some(Run { first, before, last: next, tail, head: summary.end, copied, bytes }));
    }
}

/// The full segments that are there: those that the manifest names, and those that an interrupted backup has left.
fn kept(place: &Place, known: Option<&Run>) -> Result<Option<Kept>, Error> {
    let numbers = archive::numbers(&place.disk, &place.dir)?;
    let first = match known {
        Some(known) => known.first,
        None => match numbers.first() {
            Some(&first) => first,
            None => return Ok(None),
        },
    };
    let mut kept =
        Kept { first, before: known.map(|known| known.before), next: first, end: known.map(|known| known.before) };
    while numbers.contains(&kept.next) {
        let path = copies::path(&place.dir, kept.next);
        let summary = copies::summary(&place.disk, &path, place.log, kept.next)?;
        if kept.end.is_some_and(|end| end != summary.start.before) {
            return Err(Error::damage(&path, "the segment does not follow the one before"));
        }
        kept.before = kept.before.or(Some(summary.start.before));
        kept.end = Some(summary.end);
        kept.next += 1;
    }
    if known.is_some_and(|known| kept.next < known.last) {
        return Err(Error::damage(&copies::path(&place.dir, kept.next), "the segment is missing"));
    }
    Ok(Some(kept))
}

/// Removes the segments of a backup that was never finished.
fn forget(place: &Place) -> Result<(), Error> {
    for number in archive::numbers(&place.disk, &place.dir)? {
        super::place::remove(&copies::path(&place.dir, number))?;
    }
    Ok(())
}

fn ahead(place: &Place) -> Error {
    Error::Refused(format!(
        "{} holds frames that the log has not: it is the backup of another copy of this log. Use another directory",
        place.dir.display()
    ))
}

/// Somebody else has gone on from a frame that both have.
pub fn diverged(place: &Place) -> Error {
    Error::Refused(format!(
        "{} holds other frames than the log: two servers have gone on from the same one. Use another directory",
        place.dir.display()
    ))
}
