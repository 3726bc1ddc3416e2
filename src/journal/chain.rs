//! Follows the chain of frames through one segment after the other, and says what is wrong where it breaks.

use super::blocks::Blocks;
use super::frame::{self, HEADER, Header};
use super::segment::Start;
use super::{Hash, Head, LogId};
use crate::disk::BLOCK;
use stampede_actors::mutant::Mutant;
use std::io;

/// How far the chain was followed.
#[derive(Debug, Clone, Copy)]
pub struct Chain {
    log: LogId,
    /// The last frame seen.
    pub head: Head,
}

/// What is at a place where the next frame of the chain could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It. The chain has moved on to it; its bytes begin at the position of the blocks.
    Next(Header),
    /// No frame of this segment: never written, torn before its header was whole, or left from an earlier use.
    Nothing,
    /// Its header is whole and the rest of it is not.
    Torn(&'static str),
    /// A whole header that cannot follow here. No crash leaves that.
    Foreign(&'static str),
}

impl Chain {
    /// The chain of `log` beyond `head`.
    #[must_use]
    pub fn new(log: LogId, head: Head) -> Chain {
        Chain { log, head }
    }

    /// The chain where a segment begins.
    #[must_use]
    pub fn at(start: &Start) -> Chain {
        Chain::new(start.log, start.before)
    }

    /// Does a segment that begins so continue the chain?
    #[must_use]
    pub fn continues_in(&self, start: &Start) -> bool {
        start.log == self.log && start.before == self.head
    }

    /// Looks at the position of `blocks`, in segment number `segment`. Does not move the position.
    ///
    /// # Errors
    /// What the disk says.
    pub fn next(&mut self, blocks: &mut Blocks, segment: u64) -> io::Result<Found> {
        let Some(header) = Header::read(blocks.peek(BLOCK)?) else { return Ok(Found::Nothing) };
        if header.log != self.log || header.segment != segment {
            return Ok(Found::Nothing);
        }
        if let Some(what) = self.misfit(&header) {
            return Ok(Found::Foreign(what));
        }
        let frame = blocks.peek(header.frame_len())?;
        if let Some(what) = frame::fault(&header, frame) {
            return Ok(Found::Torn(what));
        }
        self.head = header.head(frame::hash(&frame[..HEADER]));
        Ok(Found::Next(header))
    }

    /// Moves on to a frame of which there is only the header, and its hash.
    ///
    /// # Errors
    /// Why it cannot follow here.
    pub fn follow(&mut self, header: &Header, hash: Hash) -> Result<(), &'static str> {
        if header.log != self.log {
            return Err("the frame is of another log");
        }
        self.misfit(header).map_or(Ok(()), Err)?;
        self.head = header.head(hash);
        Ok(())
    }

    fn misfit(&self, header: &Header) -> Option<&'static str> {
        let head = &self.head;
        if header.seq != head.seq.wrapping_add(1) && !Mutant::SequenceCheck.is_off() {
            return Some("a frame of another number is here");
        }
        if header.prev != head.hash && !Mutant::ChainCheck.is_off() {
            return Some("the frame does not name the hash of the one before");
        }
        if header.first.0 != head.position.0.wrapping_add(1) {
            return Some("the frame's positions do not follow those before");
        }
        if header.epoch < head.epoch && !Mutant::EpochCheck.is_off() {
            return Some("the frame is from an earlier epoch than the one before");
        }
        if header.at < head.at {
            return Some("engine time runs backwards");
        }
        if (header.records == 0) != (header.payload == 0) {
            return Some("the frame's count of records cannot be right");
        }
        None
    }
}
