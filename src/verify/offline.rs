//! `stampede verify`: reads the whole log and its archive back, and checks that everything in it was right.
//!
//! The journal's reader checks chain, sequence, epochs and Merkle roots. Every record then goes to the [`Ledger`](super::Ledger) and to
//! the aggregates themselves, and at the end both must agree, with each other and with the store.

mod books;
mod comparison;
mod report;

pub use report::{Finding, Report, StoreState};

use crate::disk::{RealDisk, SharedDisk};
use crate::feed::projection;
use crate::journal::{self, Corrupt, Cut, Log, Reader};
use books::Books;
use comparison::Comparison;
use stampede_actors::record::Position;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read, or is damaged: [`journal::Error::Corrupt`] names file and offset.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The full checkpoint that stands for deleted history cannot be read.
    #[error(transparent)]
    Projection(#[from] projection::Error),
}

/// Checks the data directory `dir`, which no server may be using. `progress` is told how many of how many records.
///
/// # Errors
/// [`Error`] when the log cannot be read to its end.
pub fn verify(dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Report, Error> {
    let began = Instant::now();
    let disk: SharedDisk = Arc::new(RealDisk);
    let inspected = Log::inspect(&disk, dir)?;
    let log = inspected.log;
    let head = log.head();
    let (mut reader, mut books) = begin(dir, &log)?;
    let store = Comparison::open(&dir.join("store"), &log);
    let mut store_state = store.as_ref().map_or_else(|absent| *absent, |_| StoreState::Compared);
    while let Some(frame) = reader.next()? {
        books.frame(&frame, &reader);
        if let Ok(store) = &store
            && store.as_of == frame.seq
            && store.compare(&mut books).is_none()
        {
            store_state = StoreState::Unusable;
        }
        if frame.seq % 64 == 0 {
            progress(frame.last().0, head.position.0);
        }
    }
    progress(head.position.0, head.position.0);
    books.close();
    let cut = inspected.cut.map(|Cut { file, offset, .. }| (file, offset));
    Ok(Report {
        was_clean: inspected.was_clean,
        cut,
        damaged_checkpoints: inspected.damaged_checkpoints,
        store: store_state,
        seconds: began.elapsed().as_secs_f64(),
        ..books.report(head)
    })
}

/// Where to begin: with the first record, or with what a full checkpoint says of the history that was deleted.
fn begin(dir: &Path, log: &Arc<Log>) -> Result<(Reader, Books), Error> {
    match log.read_from(Position(1)) {
        Ok(reader) => return Ok((reader.with_roots(), Books::from_the_beginning())),
        Err(journal::Error::Gone { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if projection::full::newest(log)?.is_none() {
        // Nothing deletes history without one: somebody has taken the archive away.
        let what = "it is missing, and no full checkpoint stands for what was in it".to_owned();
        let file = dir.join("archive").join("000000000001.seg.zst");
        return Err(journal::Error::Corrupt(Corrupt { file, offset: 0, seq: 1, what }).into());
    }
    let (mark, entities) = projection::full::entities(log)?;
    let first = mark.position.0 + 1;
    Ok((log.read_from(Position(first))?.with_roots(), Books::from_entities(first, entities)))
}

#[cfg(test)]
pub(crate) mod tests;
