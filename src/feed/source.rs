//! Where frames are read again that a queue had no room for.

use crate::journal::{Committed, Error};
use stampede_actors::record::Position;
use std::sync::Arc;

/// Reads committed frames, from the live log or its archive.
pub trait FrameSource: Send + Sync {
    /// Frames in order, beginning with the one that holds the record `from`, until about `bytes` of them are read or
    /// the log ends. May block: called off the lanes.
    ///
    /// # Errors
    /// [`Error`] when the log cannot be read there.
    fn read(&self, from: Position, bytes: usize) -> Result<Vec<Arc<Committed>>, Error>;
}
