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

/// Places in the log that are remembered: one for each queue of the feed, and one for the projection.
const PLACES: usize = 4;

/// Reads from the log, and goes on where an earlier read ended. A queue with little room takes only a part of what was
/// read, and comes back for the rest: looking for its place again would mean to read a segment from its beginning.
pub(super) struct LogFrames {
    log: Arc<Log>,
    /// The last used last.
    places: Mutex<Vec<Place>>,
}

/// Frames that were read, and the reader that comes to the next one. At the head it is let go: a reader pins the
/// segments that it has not passed.
struct Place {
    frames: Vec<Arc<Committed>>,
    reader: Option<Reader>,
}

impl Place {
    /// Is `position` among these frames, or does the reader come to it next?
    fn leads_to(&self, position: Position) -> bool {
        match (self.frames.first(), self.frames.last()) {
            (Some(first), Some(last)) => {
                first.first <= position && position.0 <= last.last().0 + u64::from(self.reader.is_some())
            }
            _ => false,
        }
    }
}

impl LogFrames {
    pub fn new(log: Arc<Log>) -> LogFrames {
        LogFrames { log, places: Mutex::default() }
    }

    /// Lets all readers go, since one that nobody comes back to would pin its segment and all later ones for ever (S6).
    pub fn let_go(&self) {
        for place in self.places.lock().iter_mut() {
            place.reader = None;
        }
    }

    fn take_place(&self, position: Position) -> Option<Place> {
        let mut places = self.places.lock();
        let index = places.iter().position(|place| place.leads_to(position))?;
        Some(places.remove(index))
    }

    fn keep(&self, place: Place) {
        let mut places = self.places.lock();
        if places.len() == PLACES {
            places.remove(0);
        }
        places.push(place);
    }
}

impl FrameSource for LogFrames {
    fn read(&self, from: Position, bytes: usize) -> Result<Vec<Arc<Committed>>, Error> {
        let mut place = match self.take_place(from) {
            Some(place) => place,
            None => Place { frames: Vec::new(), reader: Some(self.log.read_from(from)?) },
        };
        place.frames.retain(|frame| frame.last() >= from);
        let cost = |frame: &Committed| FRAME_BYTES + frame.records.len() * RECORD_BYTES;
        let mut held: usize = place.frames.iter().map(|frame| cost(frame)).sum();
        while let Some(reader) = place.reader.as_mut().filter(|_| held < bytes) {
            match reader.next()? {
                Some(frame) => {
                    held += cost(&frame);
                    place.frames.push(Arc::new(frame));
                }
                None => place.reader = None,
            }
        }
        let frames = place.frames.clone();
        self.keep(place);
        Ok(frames)
    }
}
