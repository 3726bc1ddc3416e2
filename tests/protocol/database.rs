//! The database: executes one conditional statement after the other, as a partition of one does.

use stampede::cql::protocol::{FIRST_BUCKET, Header, Mark, Owner, Reply, State, Statement};
use std::collections::BTreeMap;

/// Which parts of the conditions are checked. All of them, but in tests that show why they are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// A commit and a seal demand the owner's epoch.
    pub epoch: bool,
    /// A commit and a seal demand the expected head, number and hash.
    pub head: bool,
    /// A commit demands an open bucket.
    pub open: bool,
    /// A fence demands an open bucket.
    pub fence_open: bool,
    /// Trimming leaves the header (S24).
    pub keep_headers: bool,
}

impl Rules {
    pub const ALL: Rules = Rules { epoch: true, head: true, open: true, fence_open: true, keep_headers: true };
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Database {
    pub owner: Owner,
    pub headers: BTreeMap<u64, Header>,
    /// By number: hash, and the bucket they are in.
    pub frames: BTreeMap<u64, ([u8; 32], u64)>,
    /// Frames of trimmed buckets.
    pub archive: BTreeMap<u64, [u8; 32]>,
}

impl Database {
    pub fn new() -> Database {
        Database {
            owner: Owner { hint: FIRST_BUCKET, ..Owner::default() },
            headers: [(FIRST_BUCKET, Header::default())].into(),
            frames: BTreeMap::new(),
            archive: BTreeMap::new(),
        }
    }

    /// The hash of a committed frame.
    pub fn frame(&self, seq: u64) -> Option<[u8; 32]> {
        self.frames.get(&seq).map(|frame| frame.0).or_else(|| self.archive.get(&seq).copied())
    }

    /// Does it. An error: a frame would take the place of another.
    pub fn execute(&mut self, rules: Rules, statement: &Statement) -> Result<Reply, String> {
        Ok(match *statement {
            Statement::ReadOwner => Reply::Owner(Some(self.owner)),
            Statement::ReadHeader { bucket } => Reply::Header(self.headers.get(&bucket).copied()),
            Statement::Allocate { from, writer } if self.owner.epoch == from => {
                self.owner = Owner { epoch: from + 1, writer, ..self.owner };
                Reply::Applied
            }
            Statement::Allocate { .. } => Reply::Refused(None),
            Statement::Fence { bucket, epoch } => self.change(bucket, |header| {
                let open = header.state == State::Open || !rules.fence_open;
                (header.epoch < epoch && open).then_some(Header { epoch, ..header })
            }),
            Statement::Open { bucket, epoch, head } => match self.headers.get(&bucket) {
                Some(there) => Reply::Refused(Some(*there)),
                None => {
                    self.headers.insert(bucket, Header { epoch, head, state: State::Open, next: 0 });
                    Reply::Applied
                }
            },
            Statement::Seal { bucket, epoch, head, next } => self.change(bucket, |header| {
                expected(rules, &header, epoch, head).then_some(Header { state: State::Sealed, next, ..header })
            }),
            Statement::Commit { bucket, epoch, old, new } => {
                let reply = self.change(bucket, |header| {
                    expected(rules, &header, epoch, old).then_some(Header { head: new, ..header })
                });
                if reply == Reply::Applied {
                    self.insert(bucket, new)?;
                }
                reply
            }
        })
    }

    fn insert(&mut self, bucket: u64, frame: Mark) -> Result<(), String> {
        match self.frame(frame.seq) {
            Some(there) if there != frame.hash => {
                Err(format!("frame {} is {:?} and becomes {:?}", frame.seq, &there[..4], &frame.hash[..4]))
            }
            _ => {
                self.frames.insert(frame.seq, (frame.hash, bucket));
                Ok(())
            }
        }
    }

    fn change(&mut self, bucket: u64, change: impl FnOnce(Header) -> Option<Header>) -> Reply {
        let Some(header) = self.headers.get_mut(&bucket) else { return Reply::Refused(None) };
        match change(*header) {
            Some(changed) => {
                *header = changed;
                Reply::Applied
            }
            None => Reply::Refused(Some(*header)),
        }
    }

    /// Sealed buckets that the walk to the newest does not begin at any more.
    pub fn trimmable(&self) -> impl Iterator<Item = u64> {
        let sealed = |header: &Header| header.state == State::Sealed;
        self.headers
            .iter()
            .filter(move |(bucket, header)| **bucket < self.owner.hint && sealed(header))
            .map(|(&bucket, _)| bucket)
    }

    pub fn trim(&mut self, rules: Rules, bucket: u64) {
        for (&seq, &(hash, _)) in self.frames.iter().filter(|(_, frame)| frame.1 == bucket) {
            self.archive.insert(seq, hash);
        }
        self.frames.retain(|_, frame| frame.1 != bucket);
        match self.headers.get_mut(&bucket) {
            Some(header) if rules.keep_headers => header.state = State::Trimmed,
            _ => drop(self.headers.remove(&bucket)),
        }
    }
}

fn expected(rules: Rules, header: &Header, epoch: u64, head: Mark) -> bool {
    (header.epoch == epoch || !rules.epoch)
        && (header.head == head || !rules.head)
        && (header.state == State::Open || !rules.open)
}
