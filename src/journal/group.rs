//! Group commit without a thread: says when to make a frame, of which records, and what follows from its outcome.

use super::pace::{Flush, Pace};
use super::{Committed, Config, FrameBody, Head, Outcome, Queue, Stopped};
use stampede_actors::record::Record;
use stampede_actors::time::{Span, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Commit [`GroupCommit::frame`], then tell [`GroupCommit::done`].
    Commit,
    /// Ask again when `wake_at` records wait, or at `until`.
    Wait {
        /// So many records in the queue are enough.
        wake_at: u64,
        /// Engine time; `None`: nothing happens by itself.
        until: Option<Timestamp>,
    },
}

/// Makes frames of records, one unsynced frame at a time (S2).
pub struct GroupCommit {
    queue: Arc<Queue>,
    pace: Pace,
    frame_bytes: usize,
    idle_seal: Span,
    /// Taken from the queue and in no frame yet.
    backlog: VecDeque<Record>,
    taken: Vec<Record>,
    frame: FrameBody,
    /// The records of that frame.
    drafted: Vec<Record>,
    state: State,
    head: Head,
    /// The last frame has records: an empty one after it would prove that it was acknowledged (S3).
    unsealed: bool,
    last_ended: Timestamp,
    /// When the first of those that wait was seen.
    waiting_since: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// A frame is on its way since then.
    InFlight(Timestamp),
    Stopped,
}

impl GroupCommit {
    /// Goes on after `head`. `unsealed`: the last frame there may have records.
    #[must_use]
    pub fn new(queue: Arc<Queue>, config: &Config, head: Head, unsealed: bool, now: Timestamp) -> GroupCommit {
        GroupCommit {
            queue,
            pace: Pace::new(config.pace_cap),
            frame_bytes: config.frame_bytes,
            idle_seal: config.idle_seal,
            backlog: VecDeque::new(),
            taken: Vec::new(),
            frame: FrameBody::with_capacity(config.frame_bytes),
            drafted: Vec::new(),
            state: State::Idle,
            head,
            unsealed,
            last_ended: now,
            waiting_since: None,
        }
    }

    /// What to do at `now`. Not to be asked while a frame is on its way.
    pub fn next(&mut self, now: Timestamp) -> Next {
        self.decide(now, false)
    }

    /// As [`GroupCommit::next`], without waiting for anything; `Wait` when all is committed and sealed.
    pub fn next_of_the_last(&mut self, now: Timestamp) -> Next {
        self.decide(now, true)
    }

    fn decide(&mut self, now: Timestamp, at_once: bool) -> Next {
        assert_eq!(self.state, State::Idle, "one unsynced frame at a time, and none after the log has stopped");
        let waiting = self.queue.waiting();
        if waiting == 0 {
            self.waiting_since = None;
            let seal_at = self.last_ended.plus(self.idle_seal);
            if !self.unsealed {
                return Next::Wait { wake_at: 1, until: None };
            }
            if now < seal_at && !at_once {
                return Next::Wait { wake_at: 1, until: Some(seal_at) };
            }
        } else {
            let since = *self.waiting_since.get_or_insert(now);
            if let Some(until) = self.pace.wait(waiting, since, now).filter(|_| !at_once) {
                return Next::Wait { wake_at: self.pace.want(), until: Some(until) };
            }
        }
        self.draft(now);
        Next::Commit
    }

    fn draft(&mut self, now: Timestamp) {
        self.queue.take(&mut self.taken);
        self.backlog.extend(self.taken.drain(..));
        let at = now.max(self.head.at);
        self.frame.clear(stampede_actors::record::Position(self.head.position.0 + 1), at);
        while let Some(record) = self.backlog.front() {
            if !self.frame.push(record, self.frame_bytes) {
                break;
            }
            self.drafted.extend(self.backlog.pop_front());
        }
        self.queue.paced(self.pace.want(), self.waiting_since.map_or(Span(0), |since| now.since(since)));
        self.state = State::InFlight(now);
    }

    /// The frame to commit.
    pub fn frame(&mut self) -> &mut FrameBody {
        assert!(matches!(self.state, State::InFlight(_)), "no frame was made");
        &mut self.frame
    }

    /// Takes the outcome of the frame in. What is committed is published to the queue; the frame is for the listeners.
    ///
    /// # Errors
    /// Why nothing will be committed any more.
    pub fn done(&mut self, outcome: Outcome, now: Timestamp) -> Result<Arc<Committed>, Stopped> {
        let State::InFlight(began) = self.state else { unreachable!("an outcome without a frame") };
        let (seq, hash) = match outcome {
            Outcome::Committed { seq, hash } => (seq, hash),
            Outcome::Fenced(why) => return Err(self.stop(Stopped::Fenced(why))),
            Outcome::Unknown(why) => return Err(self.stop(Stopped::Failed(why))),
        };
        assert_eq!(seq, self.head.seq + 1, "the log has put the frame somewhere else");
        self.state = State::Idle;
        let records = std::mem::take(&mut self.drafted);
        self.drafted.reserve(records.len());
        let committed = Arc::new(Committed { seq, hash, at: self.frame.at(), first: self.frame.first(), records });
        self.head = Head { seq, hash, position: committed.last(), at: committed.at, ..self.head };
        self.unsealed = !committed.records.is_empty();
        self.last_ended = now;
        self.queue.commit(&committed);
        let left = self.queue.waiting();
        if self.unsealed {
            let carried = committed.records.len() as u64;
            self.pace.flushed(&Flush { carried, left, began, ended: now });
        }
        self.waiting_since = (left > 0).then_some(now);
        self.queue.synced(self.pace.sync(), now.since(began));
        Ok(committed)
    }

    /// Stops for good. What was handed over and not committed stays so.
    pub fn stop(&mut self, why: Stopped) -> Stopped {
        self.state = State::Stopped;
        self.queue.stop();
        why
    }
}
