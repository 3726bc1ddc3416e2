//! The embedded log as the mirror of one that is kept elsewhere: frames are committed there and then written here, with
//! the same bytes, so that readers, cursors, checkpoints and archive are the same on both. Nothing is synced frame by
//! frame: what a power cut takes is fetched again.

use super::chain::Chain;
use super::frame::{self, FrameBody, HEADER, Header, Place};
use super::log::{Log, wal};
use super::{CommitLog, Corrupt, Error, Hash, Head, Wal};
use crate::disk::{AlignedBuf, whole_blocks};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The file that says of which log elsewhere a directory is the mirror.
const MARK: &str = "mirror";

impl Wal {
    /// The handle on the log.
    #[must_use]
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Number of the segment being written.
    #[must_use]
    pub fn segment(&self) -> u64 {
        self.segment.as_ref().map_or(0, |segment| segment.number)
    }

    /// Frames in it.
    #[must_use]
    pub fn frames_in_segment(&self) -> u64 {
        let before = self.log.shelf.lock().live.last_key_value().map_or(0, |(_, live)| live.start.before.seq);
        self.log.head().seq - before
    }

    /// Would a frame of `bytes` fit into it?
    #[must_use]
    pub fn fits(&self, bytes: usize) -> bool {
        self.segment.as_ref().is_some_and(|segment| segment.offset + bytes as u64 <= segment.size)
    }

    /// Begins segments until the one of this number. `false`: there is no room for one now.
    ///
    /// # Errors
    /// What the disk says.
    pub fn roll_to(&mut self, number: u64) -> Result<bool, Error> {
        while self.segment() < number {
            if !self.roll()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives the frame its place at the head of the log, under somebody's `epoch`. Its bytes without padding, and its hash.
    pub fn place<'a>(&self, body: &'a mut FrameBody, epoch: u64) -> (&'a [u8], Hash) {
        let head = self.log.head();
        let place = Place { log: self.log.id(), segment: self.segment(), epoch, seq: head.seq + 1, prev: head.hash };
        let (bytes, hash) = body.seal(place);
        (frame::without_padding(bytes), hash)
    }

    /// Takes over a frame that is committed elsewhere: with or without its padding. Moves the head.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it cannot follow here or is damaged; what the disk says.
    pub fn adopt(&mut self, bytes: &[u8]) -> Result<Header, Error> {
        let seq = self.log.head().seq + 1;
        let corrupt = |what: &str| -> Error {
            Corrupt { file: wal(&self.log.dir), offset: 0, seq, what: what.to_owned() }.into()
        };
        let header = Header::read(bytes).ok_or_else(|| corrupt("the frame's header is damaged"))?;
        let mut frame = AlignedBuf::with_capacity(bytes.len());
        frame.extend(bytes);
        frame.resize(whole_blocks(bytes.len()));
        if let Some(what) = frame::fault(&header, &frame) {
            return Err(corrupt(what));
        }
        let mut chain = Chain::new(self.log.id(), self.log.head());
        chain.follow(&header, frame::hash(&frame[..HEADER])).map_err(corrupt)?;
        if header.segment < self.segment() {
            return Err(corrupt("the frame is of an earlier segment"));
        }
        if !self.roll_to(header.segment)? {
            return Err(Error::Remote("there is no room on the disk for another segment".to_owned()));
        }
        if !self.fits(header.frame_len()) {
            return Err(Error::Config("log.segment-bytes is smaller than where the frames were written"));
        }
        self.keep(&frame[..header.frame_len()], chain.head)?;
        Ok(header)
    }

    /// Writes the frame that has just been committed elsewhere. Moves the head.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep(&mut self, frame: &[u8], head: Head) -> Result<(), Error> {
        let segment = self.segment.as_mut().expect("a segment was begun");
        segment.file.write_at(segment.offset, frame).map_err(Error::io("write", &segment.path))?;
        segment.offset += frame.len() as u64;
        self.log.vitals.bytes.fetch_add(frame.len() as u64, Relaxed);
        self.log.moved_to(head);
        Ok(())
    }

    /// Ends it cleanly, as [`CommitLog::close`] does, with everything synced.
    ///
    /// # Errors
    /// What the disk says.
    pub fn close_mirror(&mut self) -> Result<(), Error> {
        if let Some(segment) = &self.segment {
            segment.file.sync().map_err(Error::io("sync", &segment.path))?;
        }
        self.close().map_err(|outcome| Error::Remote(format!("the mirror does not close: {outcome:?}")))
    }
}

/// Whether a directory is a mirror, and its removal.
pub mod mark {
    use super::{Error, MARK};
    use crate::disk::SharedDisk;
    use crate::journal::LogId;
    use std::io::ErrorKind;
    use std::path::Path;

    /// Of which log the directory is the mirror, if it is one.
    ///
    /// # Errors
    /// When the mark cannot be read.
    pub fn read(dir: &Path) -> Result<Option<LogId>, Error> {
        let path = dir.join(MARK);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::io("read", &path))?,
        };
        let id = u128::from_str_radix(text.trim(), 16);
        id.map(|id| Some(LogId(id.to_be_bytes()))).map_err(|_| Error::Config("the file \"mirror\" names no log"))
    }

    /// Marks the directory as the mirror of this log.
    ///
    /// # Errors
    /// When it holds another log, a mirror or not; what the disk says.
    pub fn set(disk: &SharedDisk, dir: &Path, log: LogId) -> Result<(), Error> {
        match read(dir)? {
            Some(there) if there == log => return Ok(()),
            Some(_) => {
                return Err(Error::Config("the data directory is the mirror of another log: use another directory"));
            }
            None if dir.join("superblock.0").exists() => {
                return Err(Error::Config("the data directory holds an embedded log: use another directory"));
            }
            None => {}
        }
        let (draft, path) = (dir.join("mirror.new"), dir.join(MARK));
        std::fs::write(&draft, format!("{:032x}\n", u128::from_be_bytes(log.0))).map_err(Error::io("write", &draft))?;
        disk.rename(&draft, &path).map_err(Error::io("rename", &draft))?;
        disk.sync_dir(dir).map_err(Error::io("sync", dir))
    }

    /// Removes a damaged mirror, and the store that was filled from it. The mark stays.
    ///
    /// # Errors
    /// When it is none, or what the disk says.
    pub fn wipe(dir: &Path) -> Result<(), Error> {
        if read(dir)?.is_none() {
            return Err(Error::Config("this is no mirror: its log is nowhere else"));
        }
        for name in ["store", "checkpoint", "archive", "wal"] {
            let path = dir.join(name);
            match std::fs::remove_dir_all(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io("remove", &path)(error)),
                _ => {}
            }
        }
        for name in ["superblock.0", "superblock.1"] {
            let path = dir.join(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io("remove", &path)(error)),
                _ => {}
            }
        }
        Ok(())
    }
}
