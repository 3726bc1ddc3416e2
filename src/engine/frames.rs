//! Reads committed frames back for those who follow the log: the projection and the feed.

use crate::feed::FrameSource;
use crate::journal::{Committed, Error, Log, Reader};
use parking_lot::Mutex;
use stampede_actors::record::Position;
use std::sync::Arc;

/// What a frame costs to hold, beside its records: a guess for the bound on one read.
const FRAME_BYTES: usize = 256;

/// What a record costs to hold.
const RECORD_BYTES: usize = 512;

/// Reads from the log, and goes on where the last read ended without looking for the place again.
pub(super) struct LogFrames {
    log: Arc<Log>,
    /// The reader, and the position that it comes to next. Kept only while there is more to read: a reader pins the
    /// segments that it has not passed.
    last: Mutex<Option<(Position, Reader)>>,
}

impl LogFrames {
    pub fn new(log: Arc<Log>) -> LogFrames {
        LogFrames { log, last: Mutex::new(None) }
    }
}

impl FrameSource for LogFrames {
    fn read(&self, from: Position, bytes: usize) -> Result<Vec<Committed>, Error> {
        let known = self.last.lock().take().filter(|(next, _)| *next == from);
        let mut reader = match known {
            Some((_, reader)) => reader,
            None => self.log.read_from(from)?,
        };
        let mut frames = Vec::new();
        let mut held = 0;
        let mut next = from;
        while held < bytes {
            let Some(frame) = reader.next()? else { return Ok(frames) };
            held += FRAME_BYTES + frame.records.len() * RECORD_BYTES;
            next = Position(frame.last().0 + 1);
            frames.push(frame);
        }
        *self.last.lock() = Some((next, reader));
        Ok(frames)
    }
}
