//! Becoming the owner: take an epoch, put it into the newest header, and only then read what is committed.

use super::{Header, Mark, Owner, Reply, State, Statement, Writer};
use stampede_actors::mutant::Mutant;

/// A take-over on its way. Ask [`Takeover::next`], send, tell [`Takeover::take`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Takeover {
    writer: Writer,
    phase: Phase,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Send this.
    Send(Statement),
    /// The log is ours: whatever is committed in it now was committed before, or will be by us.
    Done {
        /// Our epoch.
        epoch: u64,
        /// The newest bucket, which holds our epoch.
        bucket: u64,
        /// The last committed frame.
        head: Mark,
    },
    /// Somebody else takes it, or has taken it since.
    Lost(String),
    /// The database holds what this protocol never writes. Nothing may be inserted to mend it.
    Broken(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase {
    /// Which epoch is the last?
    Look,
    /// Take the next.
    Allocate {
        from: u64,
    },
    /// Was it we who took it? Also reads where the chain of buckets is to be entered: after the epoch was taken.
    Check {
        from: u64,
    },
    /// Put it into this header. `before`: the last frame of the sealed bucket that led here.
    Fence {
        epoch: u64,
        bucket: u64,
        before: Option<Mark>,
    },
    /// The bucket is sealed: where does it lead?
    Follow {
        epoch: u64,
        bucket: u64,
    },
    /// Begin the bucket that a sealed one leads to.
    Open {
        epoch: u64,
        bucket: u64,
        head: Mark,
    },
    /// Our epoch is in: what is committed?
    Read {
        epoch: u64,
        bucket: u64,
    },
    Done {
        epoch: u64,
        bucket: u64,
        head: Mark,
    },
    Lost(String),
    Broken(String),
}

impl Takeover {
    /// Nothing is sent yet.
    #[must_use]
    pub fn new(writer: Writer) -> Takeover {
        Takeover { writer, phase: Phase::Look }
    }

    /// What to do.
    #[must_use]
    pub fn next(&self) -> Step {
        match self.phase {
            Phase::Look | Phase::Check { .. } => Step::Send(Statement::ReadOwner),
            Phase::Allocate { from } => Step::Send(Statement::Allocate { from, writer: self.writer }),
            Phase::Fence { epoch, bucket, .. } => Step::Send(Statement::Fence { bucket, epoch }),
            Phase::Follow { bucket, .. } | Phase::Read { bucket, .. } => Step::Send(Statement::ReadHeader { bucket }),
            Phase::Open { epoch, bucket, head } => Step::Send(Statement::Open { bucket, epoch, head }),
            Phase::Done { epoch, bucket, head } => Step::Done { epoch, bucket, head },
            Phase::Lost(ref why) => Step::Lost(why.clone()),
            Phase::Broken(ref why) => Step::Broken(why.clone()),
        }
    }

    /// Takes in the reply to what [`Takeover::next`] said to send.
    pub fn take(&mut self, reply: &Reply) {
        self.phase = match (&self.phase, reply) {
            (Phase::Look, Reply::Owner(Some(owner))) => Phase::Allocate { from: owner.epoch },
            (Phase::Look | Phase::Check { .. }, Reply::Owner(None)) => broken("the owner's row is missing"),
            // Whatever came of it: reading the row tells.
            (Phase::Allocate { from }, Reply::Applied | Reply::Refused(_) | Reply::Unknown) => {
                Phase::Check { from: *from }
            }
            (Phase::Check { from }, Reply::Owner(Some(owner))) => self.allocated(*from, owner),
            (&Phase::Fence { epoch, bucket, before }, reply) => fenced(epoch, bucket, before, reply),
            (&Phase::Follow { epoch, bucket }, Reply::Header(header)) => followed(epoch, bucket, header.as_ref()),
            (&Phase::Open { epoch, bucket, head }, reply) => match reply {
                Reply::Applied => Phase::Read { epoch, bucket },
                // Somebody was faster, perhaps an earlier attempt of ours.
                Reply::Refused(_) => Phase::Fence { epoch, bucket, before: Some(head) },
                _ => return,
            },
            (&Phase::Read { epoch, bucket }, Reply::Header(header)) => match header {
                Some(header) if header.epoch == epoch && header.state == State::Open => {
                    Phase::Done { epoch, bucket, head: header.head }
                }
                Some(header) if header.epoch > epoch => lost(epoch, header.epoch),
                other => broken(&format!("bucket {bucket} was fenced with epoch {epoch}, and its header is {other:?}")),
            },
            // Unknown: the same once more.
            _ => return,
        };
    }

    fn allocated(&self, from: u64, owner: &Owner) -> Phase {
        let epoch = from + 1;
        if owner.epoch == from {
            Phase::Allocate { from }
        } else if owner.epoch == epoch && (owner.writer == self.writer || Mutant::CqlEpoch.is_off()) {
            Phase::Fence { epoch, bucket: owner.hint, before: None }
        } else {
            lost(epoch, owner.epoch)
        }
    }
}

/// What came of putting our epoch into a header.
fn fenced(epoch: u64, bucket: u64, before: Option<Mark>, reply: &Reply) -> Phase {
    match (reply, before) {
        (Reply::Applied, _) => Phase::Read { epoch, bucket },
        (Reply::Refused(Some(header)), _) => refused(epoch, bucket, header),
        // The bucket before was seen sealed, with nobody's next bucket behind it.
        (Reply::Refused(None), Some(head)) => Phase::Open { epoch, bucket, head },
        (Reply::Refused(None), None) => broken(&format!("bucket {bucket} has no header, and the owner's row names it")),
        _ => Phase::Fence { epoch, bucket, before },
    }
}

fn refused(epoch: u64, bucket: u64, header: &Header) -> Phase {
    match header {
        _ if header.epoch > epoch => lost(epoch, header.epoch),
        _ if header.state != State::Open => Phase::Follow { epoch, bucket },
        // Ours: we took this epoch, so an earlier attempt has put it there (S24).
        _ if header.epoch == epoch => Phase::Read { epoch, bucket },
        _ => broken(&format!("bucket {bucket} refused epoch {epoch}, and its header is {header:?}")),
    }
}

fn followed(epoch: u64, bucket: u64, header: Option<&Header>) -> Phase {
    match header {
        Some(header) if header.state != State::Open && header.next > bucket => {
            Phase::Fence { epoch, bucket: header.next, before: Some(header.head) }
        }
        other => broken(&format!("bucket {bucket} was sealed, and its header is {other:?}")),
    }
}

fn lost(ours: u64, theirs: u64) -> Phase {
    Phase::Lost(format!("somebody else has taken epoch {theirs}, ours was {ours}"))
}

fn broken(what: &str) -> Phase {
    Phase::Broken(what.to_owned())
}
