//! The owner's end of the log: each frame is one conditional batch, and then a write to the mirror.

use super::protocol::{Mark, Statement, Tenure, Verdict};
use super::{Cluster, Tenancy};
use crate::clock::boot_micros;
use crate::journal::{CommitLog, Error, FrameBody, Head, LogId, Outcome, Wal};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Between attempts to settle an unknown outcome, first and longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// Commits frames to the log in CQL as long as it is ours.
pub struct CqlLog {
    cluster: Arc<Cluster>,
    tenancy: Arc<Tenancy>,
    tenure: Tenure,
    mirror: Wal,
    /// Nothing may be written any more.
    ended: bool,
}

impl CqlLog {
    /// The mirror stands at the tenure's head and in its bucket.
    pub(super) fn new(cluster: Arc<Cluster>, tenancy: Arc<Tenancy>, tenure: Tenure, mirror: Wal) -> CqlLog {
        debug_assert_eq!((mirror.segment(), mirror.log().head().seq), (tenure.bucket(), tenure.head().seq));
        CqlLog { cluster, tenancy, tenure, mirror, ended: false }
    }

    /// Sends what is under way until its outcome is known, at most so long.
    fn settle(&mut self, mut statement: Statement, frame: &Arc<[u8]>) -> Result<(), Outcome> {
        let give_up = Instant::now() + self.cluster.config().resolve_within;
        let (mut attempt, mut pause) = (0, PAUSES.0);
        loop {
            // Taken before it is sent: the log was ours at some moment after this one.
            let sent = boot_micros();
            let (asked, what, bytes) = (Arc::clone(&self.cluster), statement, Arc::clone(frame));
            let answer = self.cluster.wait(async move { asked.ask(&what, &bytes, attempt).await });
            let (reply, why) = answer.unwrap_or((super::protocol::Reply::Unknown, None));
            match self.tenure.take(&reply) {
                Verdict::Done => {
                    self.tenancy.confirmed(sent);
                    return Ok(());
                }
                Verdict::Send(next) => {
                    self.tenancy.confirmed(sent);
                    (statement, attempt, pause) = (next, 0, PAUSES.0);
                }
                Verdict::Again(same) => {
                    let why = why.unwrap_or_else(|| "no answer".to_owned());
                    if Instant::now() >= give_up {
                        let word = statement.word();
                        return Err(Outcome::Unknown(format!(
                            "the outcome of a {word} is unknown after {} attempts: {why}. Whatever was acknowledged is in \
                             the database: see why it takes no writes (is a disk full?); this server goes on when it is \
                             started again",
                            attempt + 1
                        )));
                    }
                    if attempt == 0 {
                        tracing::warn!(statement = statement.word(), why, "the outcome is unknown; it is sent again");
                    }
                    self.cluster.vitals().again.fetch_add(1, Relaxed);
                    std::thread::sleep(pause);
                    (statement, attempt, pause) = (same, attempt + 1, (pause * 2).min(PAUSES.1));
                }
                Verdict::Fenced(why) => {
                    self.tenancy.fenced(&why);
                    return Err(Outcome::Fenced(why));
                }
                Verdict::Impossible(what) => return Err(Outcome::Unknown(what)),
            }
        }
    }

    fn stop(&mut self, outcome: Outcome) -> Outcome {
        self.ended = true;
        outcome
    }

    fn failed(&mut self, error: &Error) -> Outcome {
        self.stop(Outcome::Unknown(error.to_string()))
    }
}

impl CommitLog for CqlLog {
    fn log_id(&self) -> LogId {
        self.mirror.log_id()
    }

    fn head(&self) -> Head {
        self.mirror.head()
    }

    fn make_room(&mut self, bytes: usize) -> Result<bool, Outcome> {
        // The mirror may be behind, when the disk had no room for its next segment.
        if !self.mirror.roll_to(self.tenure.bucket()).map_err(|error| self.failed(&error))? {
            return Ok(false);
        }
        let full = self.tenure.frames() >= self.cluster.config().bucket_frames as u64;
        if !full && self.mirror.fits(bytes) {
            return Ok(true);
        }
        if self.tenure.frames() == 0 {
            return Err(self.stop(Outcome::Unknown("a record is larger than a segment".to_owned())));
        }
        let seal = self.tenure.roll();
        self.settle(seal, &Arc::from([])).map_err(|outcome| self.stop(outcome))?;
        self.tenancy.moved_to(self.tenure.bucket());
        self.mirror.roll_to(self.tenure.bucket()).map_err(|error| self.failed(&error))
    }

    fn commit(&mut self, body: &mut FrameBody) -> Outcome {
        assert!(!self.ended, "a frame after the log has stopped");
        let (seq, at, position) = (self.tenure.head().seq + 1, body.at(), body.last());
        let epoch = self.tenure.epoch();
        let (bytes, hash) = self.mirror.place(body, epoch);
        let frame: Arc<[u8]> = Arc::from(bytes);
        let commit = self.tenure.commit(Mark { seq, hash });
        if let Err(outcome) = self.settle(commit, &frame) {
            return self.stop(outcome);
        }
        let head = Head { seq, hash, position, at, epoch };
        match self.mirror.keep(body.sealed(), head) {
            Ok(()) => Outcome::Committed { seq, hash },
            // It is committed; but nobody here could read it back.
            Err(error) => self.failed(&error),
        }
    }

    fn close(&mut self) -> Result<(), Outcome> {
        assert!(!self.ended, "the log has stopped already");
        self.ended = true;
        self.mirror.close_mirror().map_err(|error| Outcome::Unknown(error.to_string()))
    }
}
