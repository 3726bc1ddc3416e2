//! The owner's part: commits frames one at a time, and goes on to the next bucket where one is full.

use super::{Header, Mark, Reply, State, Statement};
use stampede_actors::mutant::Mutant;

/// One process's time as the owner of a log, from its fence to whatever ends it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tenure {
    epoch: u64,
    bucket: u64,
    /// The last frame that is known to be committed.
    head: Mark,
    /// Frames in this bucket.
    frames: u64,
    under_way: Option<Statement>,
}

/// What a reply came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is done.
    Done,
    /// Send this.
    Send(Statement),
    /// Nothing is known: send this, the identical statement, again.
    Again(Statement),
    /// Somebody else owns the log.
    Fenced(String),
    /// The database contradicts itself or us. Nothing may be answered.
    Impossible(String),
}

impl Tenure {
    /// Of `epoch`, which is in the header of `bucket`, where `frames` frames end with `head`.
    #[must_use]
    pub fn new(epoch: u64, bucket: u64, head: Mark, frames: u64) -> Tenure {
        Tenure { epoch, bucket, head, frames, under_way: None }
    }

    /// The epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The bucket that frames go to.
    #[must_use]
    pub fn bucket(&self) -> u64 {
        self.bucket
    }

    /// The last frame that is known to be committed.
    #[must_use]
    pub fn head(&self) -> Mark {
        self.head
    }

    /// Frames in the bucket.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// What was sent and is not decided.
    #[must_use]
    pub fn under_way(&self) -> Option<Statement> {
        self.under_way
    }

    /// Commits the frame after the head.
    ///
    /// # Panics
    /// When something else is under way: one frame at a time, and never another one of the same number.
    pub fn commit(&mut self, new: Mark) -> Statement {
        assert_eq!(new.seq, self.head.seq + 1, "frames follow each other");
        let Tenure { epoch, bucket, head, .. } = *self;
        self.send(Statement::Commit { bucket, epoch, old: head, new })
    }

    /// Ends the bucket and begins the next one.
    ///
    /// # Panics
    /// When something else is under way.
    pub fn roll(&mut self) -> Statement {
        let Tenure { epoch, bucket, head, .. } = *self;
        self.send(Statement::Seal { bucket, epoch, head, next: bucket + 1 })
    }

    fn send(&mut self, statement: Statement) -> Statement {
        assert_eq!(self.under_way, None, "one statement at a time");
        self.under_way = Some(statement);
        statement
    }

    /// Takes in the reply to what is under way.
    ///
    /// # Panics
    /// When nothing is.
    pub fn take(&mut self, reply: &Reply) -> Verdict {
        let statement = self.under_way.expect("a reply to something");
        match judge(&statement, reply) {
            Verdict::Done => self.done(statement),
            other => other,
        }
    }

    fn done(&mut self, statement: Statement) -> Verdict {
        self.under_way = None;
        match statement {
            Statement::Commit { new, .. } => {
                self.head = new;
                self.frames += 1;
                Verdict::Done
            }
            Statement::Seal { next, .. } => {
                let Tenure { epoch, head, .. } = *self;
                Verdict::Send(self.send(Statement::Open { bucket: next, epoch, head }))
            }
            Statement::Open { bucket, .. } => {
                self.bucket = bucket;
                self.frames = 0;
                Verdict::Done
            }
            other => Verdict::Impossible(format!("an owner does not send {other:?}")),
        }
    }
}

/// What a reply says about an owner's statement.
fn judge(statement: &Statement, reply: &Reply) -> Verdict {
    let (bucket, epoch) = match *statement {
        Statement::Commit { bucket, epoch, .. }
        | Statement::Seal { bucket, epoch, .. }
        | Statement::Open { bucket, epoch, .. } => (bucket, epoch),
        other => return Verdict::Impossible(format!("an owner does not send {other:?}")),
    };
    let header = match reply {
        Reply::Applied => return Verdict::Done,
        Reply::Unknown if Mutant::CqlUnknown.is_off() => return Verdict::Done,
        Reply::Unknown => return Verdict::Again(*statement),
        Reply::Refused(Some(header)) => header,
        Reply::Refused(None) => return Verdict::Fenced(format!("bucket {bucket} has no header any more")),
        Reply::Header(_) | Reply::Owner(_) => {
            return Verdict::Impossible(format!("{statement:?} was answered with {reply:?}"));
        }
    };
    if header.epoch > epoch && Mutant::CqlFence.is_off() {
        return Verdict::Done;
    }
    if header.epoch > epoch {
        return Verdict::Fenced(format!("the log has an owner of epoch {}, ours is {epoch}", header.epoch));
    }
    if header.epoch == epoch && was_done_before(statement, header) {
        return Verdict::Done;
    }
    Verdict::Impossible(format!("{statement:?} was refused, and the header is {header:?}"))
}

/// Had an earlier attempt succeeded? Nobody else writes in our epoch.
fn was_done_before(statement: &Statement, header: &Header) -> bool {
    match *statement {
        Statement::Commit { new, .. } => header.state == State::Open && header.head == new,
        // A successor may have trimmed it since, and then the next statement meets its epoch (S24).
        Statement::Seal { head, .. } => header.state != State::Open && header.head == head,
        Statement::Open { head, .. } => header.state == State::Open && header.head == head,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Mark = Mark { seq: 4, hash: [4; 32] };
    const NEW: Mark = Mark { seq: 5, hash: [5; 32] };
    const OTHER: Mark = Mark { seq: 5, hash: [6; 32] };

    fn committing() -> Tenure {
        let mut tenure = Tenure::new(7, 2, OLD, 4);
        tenure.commit(NEW);
        tenure
    }

    fn refused(epoch: u64, head: Mark, state: State) -> Reply {
        Reply::Refused(Some(Header { epoch, head, state, next: 0 }))
    }

    #[track_caller]
    fn check(reply: &Reply, expected: fn(&Verdict) -> bool, head: Mark) {
        let mut tenure = committing();
        let verdict = tenure.take(reply);
        assert!(expected(&verdict), "{reply:?} gave {verdict:?}");
        assert_eq!(tenure.head(), head);
    }

    #[test]
    fn every_line_of_the_table() {
        let impossible = |verdict: &Verdict| matches!(verdict, Verdict::Impossible(_));
        let fenced = |verdict: &Verdict| matches!(verdict, Verdict::Fenced(_));
        check(&Reply::Applied, |verdict| *verdict == Verdict::Done, NEW);
        check(&refused(7, NEW, State::Open), |verdict| *verdict == Verdict::Done, NEW);
        check(&refused(8, OLD, State::Open), fenced, OLD);
        check(&refused(8, NEW, State::Open), fenced, OLD);
        check(&Reply::Refused(None), fenced, OLD);
        check(&refused(7, OLD, State::Open), impossible, OLD);
        check(&refused(7, OTHER, State::Open), impossible, OLD);
        check(&refused(6, OLD, State::Open), impossible, OLD);
        check(&refused(7, NEW, State::Sealed), impossible, OLD);
        check(&Reply::Unknown, |verdict| matches!(verdict, Verdict::Again(Statement::Commit { new: NEW, .. })), OLD);
    }

    #[test]
    #[should_panic(expected = "one statement at a time")]
    fn no_other_frame_while_one_is_undecided() {
        let mut tenure = committing();
        tenure.take(&Reply::Unknown);
        tenure.commit(OTHER);
    }

    #[test]
    fn s24_a_bucket_that_was_trimmed_meanwhile_counts_as_sealed_and_the_next_statement_is_fenced() {
        let mut tenure = Tenure::new(7, 2, OLD, 4);
        tenure.roll();
        let opens = Verdict::Send(Statement::Open { bucket: 3, epoch: 7, head: OLD });
        assert_eq!(tenure.take(&refused(7, OLD, State::Trimmed)), opens);
        assert!(matches!(tenure.take(&refused(8, NEW, State::Open)), Verdict::Fenced(_)));
    }

    #[test]
    fn a_bucket_is_opened_only_when_the_one_before_is_seen_sealed() {
        let mut tenure = Tenure::new(7, 2, OLD, 4);
        let seal = tenure.roll();
        assert_eq!(tenure.take(&Reply::Unknown), Verdict::Again(seal));
        assert!(matches!(tenure.take(&Reply::Applied), Verdict::Send(Statement::Open { bucket: 3, .. })));
        assert_eq!(tenure.bucket(), 2);
        assert_eq!(tenure.take(&refused(7, OLD, State::Open)), Verdict::Done, "an earlier attempt had opened it");
        assert_eq!((tenure.bucket(), tenure.frames()), (3, 0));
    }
}
