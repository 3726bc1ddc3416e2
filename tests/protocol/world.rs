//! Everything at one moment: database, processes, statements still on their way, and what has been promised.

use crate::database::{Database, Rules};
use crate::process::{Event, Process, Role};
use stampede::cql::protocol::{Mark, Reply, Statement};
use std::collections::BTreeMap;

/// What becomes of a statement and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Executed and answered.
    Answered,
    /// Executed; the answer is lost.
    AnswerLost,
    /// Never arrives.
    Lost,
    /// No answer in time, and executed some time later, or never.
    Delayed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The process sends what it has to send.
    Send(usize, Fate),
    /// A delayed statement is executed.
    Arrive(usize),
    /// `kill -9`.
    Crash(usize),
    Start(usize),
    /// The owner's row is told that the walk may begin at this process's bucket.
    Checkpoint(usize),
    Trim(u64),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub database: Database,
    pub processes: Vec<Process>,
    pub late: Vec<Statement>,
    /// Hash of each acknowledged frame by number.
    acknowledged: BTreeMap<u64, [u8; 32]>,
    /// What the newest owner saw when it took over: epoch, last frame.
    taken: (u64, u64),
}

/// What a step came to, for those who count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub acknowledged: u64,
    pub takeovers: u64,
    pub fenced: u64,
}

impl World {
    pub fn new(processes: usize, wants: u8) -> World {
        World {
            database: Database::new(),
            processes: (1..=processes as u8).map(|name| Process::new(name, wants)).collect(),
            late: Vec::new(),
            acknowledged: BTreeMap::new(),
            taken: (0, 0),
        }
    }

    /// Does it. An error: a promise is broken.
    pub fn act(&mut self, action: Action, rules: Rules, roll_at: u64) -> Result<Counts, String> {
        let mut counts = Counts::default();
        match action {
            Action::Start(index) => self.processes[index].start(),
            Action::Crash(index) => self.processes[index].role = Role::Down,
            Action::Trim(bucket) => self.database.trim(rules, bucket),
            Action::Checkpoint(index) => self.checkpoint(index),
            Action::Arrive(index) => {
                let statement = self.late.remove(index);
                self.database.execute(rules, &statement)?;
            }
            Action::Send(index, fate) => {
                let Some(statement) = self.processes[index].send(roll_at) else { return Ok(counts) };
                let reply = self.reply(&statement, fate, rules)?;
                let event = self.processes[index].take(&statement, &reply);
                self.hear(event, &mut counts)?;
            }
        }
        self.check()?;
        Ok(counts)
    }

    fn reply(&mut self, statement: &Statement, fate: Fate, rules: Rules) -> Result<Reply, String> {
        match fate {
            Fate::Answered => return self.database.execute(rules, statement),
            Fate::AnswerLost => drop(self.database.execute(rules, statement)?),
            Fate::Lost => {}
            Fate::Delayed => {
                self.late.push(*statement);
                self.late.sort_by_key(|statement| format!("{statement:?}"));
            }
        }
        Ok(Reply::Unknown)
    }

    /// Conditional on the epoch, as everything about the owner's row.
    fn checkpoint(&mut self, index: usize) {
        if let Role::Owning(tenure) = &self.processes[index].role
            && self.database.owner.epoch == tenure.epoch()
        {
            self.database.owner.hint = self.database.owner.hint.max(tenure.bucket());
        }
    }

    fn hear(&mut self, event: Event, counts: &mut Counts) -> Result<(), String> {
        match event {
            Event::Nothing => {}
            Event::Stopped => counts.fenced += 1,
            Event::Impossible(what) => return Err(format!("met what cannot be: {what}")),
            Event::Took { epoch, head } => {
                counts.takeovers += 1;
                let missing = (1..=head.seq).find(|seq| self.database.frame(*seq).is_none());
                if let Some(seq) = missing {
                    return Err(format!("the owner of epoch {epoch} reads up to {}, and {seq} is missing", head.seq));
                }
                if let Some((&seq, _)) = self.acknowledged.range(head.seq + 1..).next() {
                    return Err(format!("the owner of epoch {epoch} reads up to {}; {seq} was acknowledged", head.seq));
                }
                self.taken = self.taken.max((epoch, head.seq));
            }
            Event::Acknowledged { epoch, frame: Mark { seq, hash } } => {
                counts.acknowledged += 1;
                let (newest, read) = self.taken;
                if epoch < newest && seq > read {
                    return Err(format!(
                        "frame {seq} of epoch {epoch} is acknowledged after epoch {newest} read {read}"
                    ));
                }
                if self.acknowledged.insert(seq, hash).is_some_and(|before| before != hash) {
                    return Err(format!("two frames of number {seq} were acknowledged"));
                }
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        for (seq, hash) in &self.acknowledged {
            if self.database.frame(*seq) != Some(*hash) {
                return Err(format!("frame {seq} was acknowledged and is lost"));
            }
        }
        Ok(())
    }

    /// Has somebody taken the log since this process did?
    pub fn is_zombie(&self, index: usize) -> bool {
        matches!(&self.processes[index].role, Role::Owning(tenure) if tenure.epoch() < self.taken.0)
    }
}
