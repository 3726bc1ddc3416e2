//! The projection's thread: takes frames in as they are committed, flushes now and then, and sweeps when it has time.
//!
//! Nobody wakes it for a frame while it works: it looks every few milliseconds (wake-ups cost more than they bring).
//! Who waits for something to be taken in or written wakes it.

mod inbox;
mod loading;

pub use loading::Loading;

use super::full::FullCheckpoint;
use super::{Error, Mark, Projection, Reader};
use crate::feed::FrameSource;
use crate::metrics;
use inbox::{Ask, Inbox, Work};
use stampede_actors::record::Position;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// When the thread does what.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Longest that something taken in waits to be written.
    pub flush_every: Duration,
    /// How often frames are looked for while there are any.
    pub look_every: Duration,
    /// Rows that are compared per second (S5); in a rush a tenth of them.
    pub sweep_rows: usize,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { flush_every: Duration::from_millis(500), look_every: Duration::from_millis(5), sweep_rows: 500 }
    }
}

/// How often the sweeps take a step.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// More records than this between two steps are a rush: the sweeps then take a tenth of a step. They are in no hurry, and
/// took a thirtieth of the server's time.
const BUSY: u64 = 2_000;

/// Entities whose lists and due times are written once more per step, after a start.
const RESTATED: usize = 4_096;

/// Entities whose names are read per step, after a start.
const LEARNT: usize = 4_096;

/// Bytes of frames read at a time when the thread has fallen behind.
const READ_BYTES: usize = 1 << 20;

/// The running thread.
pub struct Worker {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

/// Asks the thread for something, from any other thread.
#[derive(Clone)]
pub struct Handle {
    inbox: Arc<Inbox>,
    reader: Reader,
}

impl Worker {
    /// Starts the thread. Frames that were committed before it listened are read from `frames`.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(projection: Projection, frames: Arc<dyn FrameSource>, pace: Pace) -> std::io::Result<Worker> {
        let mut run = Stepped::new(projection, frames, pace, Instant::now());
        let handle = run.handle();
        let thread = std::thread::Builder::new().name("projection".to_owned()).spawn(move || run.until_closed())?;
        Ok(Worker { handle, thread: Some(thread) })
    }

    /// Asks the thread for something.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Takes in what has come, flushes, and ends the thread.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.handle.inbox.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the projection's thread panicked");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

impl Handle {
    /// Listens to the log: to be told of every committed frame.
    #[must_use]
    pub fn listener(&self) -> Arc<dyn crate::journal::CommitListener> {
        Arc::clone(&self.inbox) as Arc<dyn crate::journal::CommitListener>
    }

    /// Answers questions.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Returns when everything up to `position` is in the store, so that lists show it. Blocks.
    ///
    /// # Errors
    /// [`Error::Behind`] when that took longer than `patience`; [`Error::Stopped`].
    pub fn written(&self, position: Position, patience: Duration) -> Result<(), Error> {
        if self.reader.written().position >= position {
            return Ok(());
        }
        self.inbox.want_flush(position);
        self.reader.wait(patience, |_, written| written.position >= position)
    }

    /// Returns when everything up to `position` was taken in, so that entities show it. Blocks.
    ///
    /// # Errors
    /// As [`Handle::written`].
    pub fn taken_in(&self, position: Position, patience: Duration) -> Result<(), Error> {
        if self.reader.readable() >= position {
            return Ok(());
        }
        self.inbox.wake();
        self.reader.wait(patience, |taken_in, _| taken_in.position >= position)
    }

    /// Makes everything that was taken in durable, and says how far that is. Blocks.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the projection has stopped.
    pub fn checkpoint(&self) -> Result<Mark, Error> {
        let (answer, answered) = mpsc::channel();
        self.inbox.ask(Ask::Checkpoint(answer));
        answered.recv().map_err(|_| self.stopped())
    }

    /// The same, with all rows as of there.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the projection has stopped.
    pub fn full_checkpoint(&self) -> Result<FullCheckpoint, Error> {
        let (answer, answered) = mpsc::channel();
        self.inbox.ask(Ask::Full(answer));
        answered.recv().map_err(|_| self.stopped())
    }

    fn stopped(&self) -> Error {
        Error::Stopped(self.reader.stopped().unwrap_or_else(|| "it was closed".to_owned()))
    }
}

/// What the thread does, a turn at a time: a simulator takes them by hand (S14).
pub struct Stepped {
    projection: Projection,
    frames: Arc<dyn FrameSource>,
    pace: Pace,
    inbox: Arc<Inbox>,
    flushed: Instant,
    swept: Instant,
    /// The last record before that.
    swept_at: Position,
}

impl Stepped {
    /// Begins at `now`. Frames that were committed before it listened are read from `frames`.
    #[must_use]
    pub fn new(mut projection: Projection, frames: Arc<dyn FrameSource>, pace: Pace, now: Instant) -> Stepped {
        // What a recovery reads again was counted by an earlier process.
        projection.tell_of_holds(metrics::hold_ended);
        let swept_at = projection.taken_in().position;
        Stepped { projection, frames, pace, inbox: Arc::default(), flushed: now, swept: now, swept_at }
    }

    /// Asks it for something, and listens to the log for it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle { inbox: Arc::clone(&self.inbox), reader: self.projection.reader() }
    }

    /// One turn with what has come until `now`, without waiting for more.
    ///
    /// # Errors
    /// [`Error`]; whoever waits has been told, and no further turn may be taken.
    pub fn step(&mut self, now: Instant) -> Result<(), Error> {
        let work = self.inbox.take_now();
        let done = self.turn(work, || now);
        if let Err(error) = &done {
            self.projection.doubt(error);
            self.projection.stop(error.to_string());
            self.inbox.abandon();
        }
        done.map(drop)
    }

    /// As [`Handle::checkpoint`], on this thread.
    ///
    /// # Errors
    /// [`Error`]; whoever waits has been told, and no further turn may be taken.
    pub fn checkpoint(&mut self) -> Result<Mark, Error> {
        let done = self.projection.checkpoint();
        done.inspect_err(|error| self.projection.stop(error.to_string()))
    }

    /// As [`Handle::full_checkpoint`], on this thread.
    ///
    /// # Errors
    /// [`Error`]; whoever waits has been told, and no further turn may be taken.
    pub fn full_checkpoint(&mut self) -> Result<FullCheckpoint, Error> {
        let done = self.projection.full_checkpoint();
        done.inspect_err(|error| self.projection.stop(error.to_string()))
    }

    fn until_closed(&mut self) {
        let why = match catch_unwind(AssertUnwindSafe(|| self.work())) {
            Ok(Ok(())) => "it was closed".to_owned(),
            Ok(Err(error)) => {
                tracing::error!(%error, "the projection has stopped");
                self.projection.doubt(&error);
                error.to_string()
            }
            // A bug: whoever waits is told, and nothing more is taken in.
            Err(_) => "it has panicked".to_owned(),
        };
        self.projection.stop(why);
        // Whoever asks now finds nobody.
        self.inbox.abandon();
    }

    fn work(&mut self) -> Result<(), Error> {
        loop {
            let due = self.flushed + self.pace.flush_every;
            let work = self.inbox.take(self.pace.look_every, due);
            if self.turn(work, Instant::now)? {
                return Ok(());
            }
        }
    }

    /// Does what has come. Says whether it was the last.
    fn turn(&mut self, work: Work, now: impl Fn() -> Instant) -> Result<bool, Error> {
        for frame in &work.frames {
            self.take_in(frame)?;
        }
        self.catch_up(work.head)?;
        let idle = work.frames.is_empty();
        let wanted = work.flush_to.is_some_and(|position| position > self.projection.reader().written().position);
        if wanted || work.closed || now() >= self.flushed + self.pace.flush_every {
            self.projection.flush()?;
            self.flushed = now();
        }
        self.projection.learn(LEARNT)?;
        let due = !work.closed && now() >= self.swept + SWEEP_EVERY;
        if idle || due {
            self.projection.restate(RESTATED)?;
        }
        for ask in work.asks {
            // Nobody left to hear the answer: nothing to do about it.
            match ask {
                Ask::Checkpoint(answer) => drop(answer.send(self.projection.checkpoint()?)),
                Ask::Full(answer) => drop(answer.send(self.projection.full_checkpoint()?)),
            }
        }
        if due {
            self.swept = now();
            let busy = self.projection.taken_in().position.0 - self.swept_at.0 > BUSY;
            self.swept_at = self.projection.taken_in().position;
            self.projection.sweep(if busy { self.pace.sweep_rows / 10 } else { self.pace.sweep_rows })?;
        }
        Ok(work.closed)
    }

    fn take_in(&mut self, frame: &crate::journal::Committed) -> Result<(), Error> {
        let next = self.projection.taken_in().position.0 + 1;
        if frame.first.0 > next {
            self.catch_up(Position(frame.first.0 - 1))?;
        }
        // A frame that was read from the log before it came here is old news.
        if frame.first.0 == self.projection.taken_in().position.0 + 1 { self.ingest(frame) } else { Ok(()) }
    }

    fn ingest(&mut self, frame: &crate::journal::Committed) -> Result<(), Error> {
        self.projection.ingest(frame)?;
        metrics::followed(frame);
        Ok(())
    }

    /// Reads from the log what the inbox had no room for.
    fn catch_up(&mut self, to: Position) -> Result<(), Error> {
        while self.projection.taken_in().position < to {
            let next = Position(self.projection.taken_in().position.0 + 1);
            let frames = self.frames.read(next, READ_BYTES)?;
            if frames.is_empty() {
                return Err(Error::FrameGap { last: self.projection.taken_in().position, got: to.0 });
            }
            for frame in frames.iter().filter(|frame| frame.first >= next) {
                self.ingest(frame)?;
            }
        }
        Ok(())
    }
}
