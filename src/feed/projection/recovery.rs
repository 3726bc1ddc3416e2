//! Starts the projection: from the store where it fits the log, from nothing where it does not.
//!
//! The store is a cache that nobody synced but at checkpoints, so at start it is checked and not believed (S4): it must
//! be of this log, not beyond its head, not older than the last checkpoint, and everything that happened since that
//! checkpoint must be in it. Otherwise it is made afresh, from log and archive, or from a full checkpoint and the rest.

mod confirming;

use super::{Error, Limits, Mark, Projection, full, rows};
use crate::feed::FrameSource;
use crate::journal::{self, Committed, Head, LogId};
use crate::store::{self, Row, Store};
use confirming::Said;
use stampede_actors::record::Position;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Frames are read so many bytes at a time.
const READ_BYTES: usize = 4 << 20;

/// So many entities are gathered before they are looked up: some 20 MB.
const GATHERED: usize = 131_072;

/// Rows of a full checkpoint.
pub type Rows = Box<dyn Iterator<Item = Result<Row, Error>>>;

/// Takes in some frames.
type Take<'a> = dyn FnMut(&[Arc<Committed>]) -> Result<(), Error> + 'a;

/// Opens the store, or (`true`) makes an empty one in its place.
pub type OpenStore<'a> = &'a dyn Fn(bool) -> Result<Arc<dyn Store>, store::Error>;

/// What the projection starts from.
pub struct Start<'a> {
    /// Which log.
    pub log: LogId,
    /// Where it ends.
    pub head: Head,
    /// Reads it.
    pub frames: &'a dyn FrameSource,
    /// Up to where the store was synced, by the log's checkpoint file.
    pub checkpoint: Option<Mark>,
    /// Reads the newest full checkpoint, for when the history before it is gone; `None`: there is none.
    pub full: &'a dyn Fn() -> Result<Option<Rows>, Error>,
    /// Limits of the projection.
    pub limits: Limits,
}

/// How the projection came up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Why the store was made afresh; `None`: it was not.
    pub rebuilt: Option<String>,
    /// Frames read from the log.
    pub frames: u64,
    /// How long it took.
    pub took: Duration,
}

/// Brings the store up to the log's head, and makes it afresh if it does not fit the log.
///
/// # Errors
/// [`Error`] when the log cannot be read, an aggregate does not take it in, or the store cannot be made afresh.
pub fn recover(start: &Start<'_>, open: OpenStore<'_>) -> Result<(Projection, Recovered), Error> {
    let began = Instant::now();
    let attempt = open(false).map_err(Error::from).and_then(|store| proceed(start, store));
    let (rebuilt, (projection, frames)) = match attempt {
        Ok(done) => (None, done),
        // Another store cannot help against these.
        Err(error @ (Error::Journal(_) | Error::Broken { .. })) if !is_gone(&error) => return Err(error),
        Err(error) => {
            tracing::warn!(%error, "the store does not fit the log and is made afresh");
            (Some(error.to_string()), rebuild(start, open)?)
        }
    };
    let recovered = Recovered { rebuilt, frames, took: began.elapsed() };
    tracing::info!(?recovered, "the store is up to the log");
    Ok((projection, recovered))
}

fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Journal(journal::Error::Gone { .. }))
}

/// Checks the store and goes on from where it is.
fn proceed(start: &Start<'_>, store: Arc<dyn Store>) -> Result<(Projection, u64), Error> {
    let checkpoint = start.checkpoint.unwrap_or_default();
    if let Some(why) = misfit(&*store, start, checkpoint)? {
        return Err(Error::Lost(why));
    }
    let mut projection = Projection::new(store, start.log, start.limits)?;
    let stored = projection.taken_in();
    if stored.position > checkpoint.position {
        let last = start.frames.read(stored.position, 1)?;
        if last.iter().any(|frame| frame.seq == stored.seq && frame.hash != stored.hash) {
            return Err(Error::Lost(format!("its log: frame {} is another one there", stored.seq)));
        }
    }
    // Rows that are durable since they were written need not be looked up.
    let known = checkpoint.position.max(projection.synced.unwrap_or_default().position);
    let mut frames = 0;
    if stored.position > known {
        let mut said = Said::default();
        frames += read(start, known, stored.position, &mut |frames| {
            frames.iter().for_each(|frame| said.by(frame));
            if said.entities() >= GATHERED { projection.confirm(&mut said) } else { Ok(()) }
        })?;
        said.end();
        projection.confirm(&mut said)?;
    }
    frames += follow(&mut projection, start)?;
    Ok((projection, frames))
}

/// Why the store cannot be what this log adds up to, as far as its own words go.
fn misfit(store: &dyn Store, start: &Start<'_>, checkpoint: Mark) -> Result<Option<String>, Error> {
    if let Some(why) = rows::doubted(store)? {
        return Ok(Some(why));
    }
    let Some(applied) = rows::read_applied(store)? else {
        return Ok((checkpoint.seq > 0).then(|| "everything".to_owned()));
    };
    let Mark { seq, hash, .. } = applied.mark;
    Ok(if applied.log != start.log {
        Some("its log: it belongs to another one".to_owned())
    } else if applied.mark.position > start.head.position || seq > start.head.seq {
        Some(format!("its log: it has frame {seq}, the log ends with {}", start.head.seq))
    } else if seq < checkpoint.seq {
        Some(format!("frames {} to {}, which were synced", seq + 1, checkpoint.seq))
    } else if seq == checkpoint.seq && seq > 0 && hash != checkpoint.hash {
        Some(format!("its log: frame {seq} is another one there"))
    } else {
        None
    })
}

/// Makes the store afresh: from the first record on, or where that is gone from the full checkpoint.
fn rebuild(start: &Start<'_>, open: OpenStore<'_>) -> Result<(Projection, u64), Error> {
    // Asked before there is a store: the one that is open must be gone before another takes its place.
    let full = match start.frames.read(Position(1), 1) {
        Err(gone @ journal::Error::Gone { .. }) => Some((start.full)()?.ok_or(gone)?),
        Err(error) => return Err(error.into()),
        Ok(_) => None,
    };
    let store = open(true)?;
    // Until the end it has some of its rows, and may already say that it has all up to the checkpoint.
    rows::doubt(&*store, "its last rows: making it afresh was cut short")?;
    if let Some(rows) = full {
        let mark = full::restore(rows, &*store)?;
        tracing::info!(frame = mark.seq, "the store was filled from a full checkpoint");
    }
    let mut projection = Projection::new(Arc::clone(&store), start.log, start.limits)?;
    let frames = follow(&mut projection, start)?;
    rows::believe(&*store)?;
    Ok((projection, frames))
}

/// Takes in what comes after what was taken in.
fn follow(projection: &mut Projection, start: &Start<'_>) -> Result<u64, Error> {
    let after = projection.taken_in().position;
    let frames = read(start, after, start.head.position, &mut |frames| {
        projection.warm(frames)?;
        frames.iter().try_for_each(|frame| projection.ingest(frame))
    })?;
    projection.reach(start.head.into());
    projection.flush()?;
    Ok(frames)
}

/// Reads the frames with records after `after`, up to the one with `last`.
fn read(start: &Start<'_>, mut after: Position, last: Position, take: &mut Take<'_>) -> Result<u64, Error> {
    let (mut count, mut said) = (0, Instant::now());
    while after < last {
        let mut frames = start.frames.read(Position(after.0 + 1), READ_BYTES)?;
        frames.retain(|frame| frame.first > after && frame.first <= last);
        take(&frames)?;
        count += frames.len() as u64;
        after = match frames.last() {
            Some(frame) => frame.last(),
            None => return Err(Error::FrameGap { last: after, got: last.0 }),
        };
        if said.elapsed() > Duration::from_secs(2) {
            said = Instant::now();
            tracing::info!(record = after.0, of = last.0, "bringing the store up to the log");
        }
    }
    Ok(count)
}
