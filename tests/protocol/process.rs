//! A process: takes the log over, commits frames, and notices when somebody else has taken it.

use stampede::cql::protocol::{Mark, Reply, Statement, Step, Takeover, Tenure, Verdict, Writer};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Role {
    Down,
    TakingOver(Takeover),
    Owning(Tenure),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Process {
    pub name: u8,
    /// So often it has been started.
    pub starts: u8,
    /// So many frames it still wants to commit.
    pub wants: u8,
    pub role: Role,
}

/// What a reply led to, as far as others can see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Nothing,
    /// It owns the log now, and has read up to here.
    Took {
        epoch: u64,
        head: Mark,
    },
    /// Clients were told.
    Acknowledged {
        epoch: u64,
        frame: Mark,
    },
    /// It has stopped, without telling anybody that anything was done or not done.
    Stopped,
    /// What cannot be.
    Impossible(String),
}

impl Process {
    pub fn new(name: u8, wants: u8) -> Process {
        Process { name, starts: 0, wants, role: Role::Down }
    }

    pub fn start(&mut self) {
        self.starts += 1;
        self.role = Role::TakingOver(Takeover::new(self.writer()));
    }

    pub fn writer(&self) -> Writer {
        let mut writer = [0; 16];
        (writer[0], writer[1]) = (self.name, self.starts);
        writer
    }

    /// What it sends next: the undecided statement again, or a new one. `None`: nothing to do.
    pub fn send(&mut self, roll_at: u64) -> Option<Statement> {
        match &mut self.role {
            Role::Down => None,
            Role::TakingOver(takeover) => match takeover.next() {
                Step::Send(statement) => Some(statement),
                _ => None,
            },
            Role::Owning(tenure) => match tenure.under_way() {
                Some(statement) => Some(statement),
                None if self.wants == 0 => None,
                None if tenure.frames() >= roll_at => Some(tenure.roll()),
                None => {
                    let seq = tenure.head().seq + 1;
                    let mut hash = [self.name; 32];
                    (hash[0], hash[1]) = (tenure.epoch() as u8, seq as u8);
                    Some(tenure.commit(Mark { seq, hash }))
                }
            },
        }
    }

    pub fn take(&mut self, sent: &Statement, reply: &Reply) -> Event {
        match &mut self.role {
            Role::Down => Event::Nothing,
            Role::TakingOver(takeover) => {
                takeover.take(reply);
                match takeover.next() {
                    Step::Send(_) => Event::Nothing,
                    Step::Done { epoch, bucket, head } => {
                        // How many frames the newest bucket has does not matter to the protocol.
                        self.role = Role::Owning(Tenure::new(epoch, bucket, head, 0));
                        Event::Took { epoch, head }
                    }
                    Step::Lost(_) => {
                        self.role = Role::Down;
                        Event::Stopped
                    }
                    Step::Broken(what) => Event::Impossible(what),
                }
            }
            Role::Owning(tenure) => match (tenure.take(reply), sent) {
                (Verdict::Done, Statement::Commit { epoch, new, .. }) => {
                    self.wants -= 1;
                    Event::Acknowledged { epoch: *epoch, frame: *new }
                }
                (Verdict::Done | Verdict::Send(_) | Verdict::Again(_), _) => Event::Nothing,
                (Verdict::Fenced(_), _) => {
                    self.role = Role::Down;
                    Event::Stopped
                }
                (Verdict::Impossible(what), _) => Event::Impossible(what),
            },
        }
    }
}
