//! The log on a simulated disk, stepped by hand.
#![allow(clippy::unwrap_used)] // a test may fail by panicking

mod crash;
mod damage;
mod golden;
mod history;
mod ownership;
mod real;
mod room;

use super::*;
use crate::clock::ManualClock;
use crate::disk::{SharedDisk, SimDisk};
use parking_lot::Mutex;
use stampede_actors::ids::{EntityId, SkuId};
use stampede_actors::journal::{Class, Journal};
use stampede_actors::record::{Entry, Event};
use stampede_actors::sku;

/// Where the simulated log is.
const DIR: &str = "/data";

fn small() -> Config {
    Config {
        segment_bytes: 64 << 10,
        frame_bytes: 4096,
        log_id: Some(LogId([9; 16])),
        idle_seal: Span::millis(50),
        ..Config::default()
    }
}

/// A record that can be told from all others, of some 30 bytes times `entries`.
fn record(number: u64, entries: u64) -> Record {
    let sku = EntityId::Sku(SkuId::new("hoodie-m").unwrap());
    let entry = |i| Entry { entity: sku.clone(), version: number * 1_000 + i, event: Event::Sku(sku::Event::Paused) };
    Record { at: Timestamp(number as i64), entries: (0..entries).map(entry).collect(), trace: None }
}

/// Which record this is.
fn number_of(record: &Record) -> u64 {
    record.entries[0].version / 1_000
}

/// What the listeners heard.
#[derive(Default)]
struct Heard {
    frames: Mutex<Vec<Arc<Committed>>>,
    stopped: Mutex<Vec<Stopped>>,
}

impl CommitListener for Heard {
    fn on_commit(&self, frame: &Arc<Committed>) {
        self.frames.lock().push(frame.clone());
    }

    fn on_stopped(&self, why: &Stopped) {
        self.stopped.lock().push(why.clone());
    }
}

/// An open log, stepped by hand.
struct Rig {
    clock: Arc<ManualClock>,
    log: Arc<Log>,
    writer: Writer,
    upkeep: Upkeep,
    queue: Arc<Queue>,
    heard: Arc<Heard>,
    cut: Option<Cut>,
    checkpoint: Option<Checkpoint>,
}

impl Rig {
    fn open(disk: &SimDisk, config: Config) -> Result<Rig, Error> {
        Rig::open_at(disk, config, Timestamp(1_000_000))
    }

    fn open_at(disk: &SimDisk, config: Config, wall: Timestamp) -> Result<Rig, Error> {
        let shared: SharedDisk = Arc::new(disk.clone());
        let clock = Arc::new(ManualClock::new(wall));
        let opened = Wal::open(&shared, Path::new(DIR), config.clone(), &*clock)?;
        let heard = Arc::new(Heard::default());
        let listeners: Vec<Arc<dyn CommitListener>> = vec![heard.clone()];
        let queue = opened.queue.clone();
        let writer = Writer::new(Box::new(opened.wal), opened.queue, &config, clock.clone(), listeners);
        let (log, upkeep) = (opened.log, opened.upkeep);
        let (cut, checkpoint) = (opened.cut, opened.checkpoint);
        Ok(Rig { clock, log, writer, upkeep, queue, heard, cut, checkpoint })
    }

    /// Hands over the next record; its number is its position.
    fn append(&self, entries: u64) -> Position {
        let expected = self.log.head().position.0 + self.log.health().waiting + 1;
        let position = self.queue.append(record(expected, entries), Position(0));
        assert_eq!(position.0, expected);
        position
    }

    /// Steps the writer until it waits or has stopped.
    fn flush(&mut self) -> Turn {
        loop {
            match self.writer.step() {
                Turn::Committed => (),
                Turn::Wait { until: Some(until), .. } if self.log.health().waiting > 0 && !self.held_up(until) => {
                    self.clock.advance(until.since(crate::clock::Clock::now(&*self.clock)));
                }
                other => return other,
            }
        }
    }

    fn held_up(&self, until: Timestamp) -> bool {
        until.since(crate::clock::Clock::now(&*self.clock)) >= Span::millis(50)
    }

    /// One frame of `records` records.
    fn frame(&mut self, records: u64) -> Turn {
        for _ in 0..records {
            self.append(1);
        }
        self.flush()
    }

    /// Lets the log go idle: the seal is written.
    fn idle(&mut self) -> Turn {
        self.clock.advance(Span::millis(50));
        self.flush()
    }

    /// Does all chores there are.
    fn tend(&mut self) -> Result<(), Error> {
        while self.upkeep.step(crate::clock::Clock::now(&*self.clock))? {}
        Ok(())
    }

    /// A checkpoint at the head.
    fn checkpoint(&self) -> Result<(), Error> {
        let head = self.log.head();
        let Head { seq, hash, position, at, .. } = head;
        self.log.checkpoint(&Checkpoint { seq, position, hash, at, cursors: self.log.cursors() }, None)
    }

    /// Numbers of all records from `from` on, as they are read back, Merkle roots and all.
    fn read_back(&self, from: u64) -> Result<Vec<u64>, Error> {
        let mut reader = self.log.read_from(Position(from))?.with_roots();
        let mut numbers = Vec::new();
        while let Some(frame) = reader.next()? {
            for (record, position) in frame.records.iter().zip(frame.first.0..) {
                assert_eq!(number_of(record), position, "a record at another's position");
                numbers.push(position);
            }
        }
        Ok(numbers.into_iter().filter(|&number| number >= from).collect())
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.log.segment_path(number)
    }
}

fn corrupt(opened: Result<Rig, Error>) -> Corrupt {
    match opened {
        Err(Error::Corrupt(corrupt)) => corrupt,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it opened"),
    }
}

#[test]
fn what_is_committed_is_read_back_after_a_clean_stop() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    rig.frame(3);
    rig.frame(1);
    assert_eq!(rig.queue.committed(), Position(4));
    assert_eq!(rig.heard.frames.lock().len(), 2);
    assert_eq!(rig.writer.close(), Stopped::Cleanly);
    assert_eq!(rig.log.head().seq, 3, "and the seal");
    assert_eq!(*rig.heard.stopped.lock(), vec![Stopped::Cleanly]);
    assert_eq!(rig.queue.room(Class::Settle), Err(stampede_actors::journal::NoRoom::Stopped));
    disk.kill();

    let rig = Rig::open(&disk, small()).unwrap();
    assert_eq!(rig.read_back(1).unwrap(), vec![1, 2, 3, 4]);
    assert_eq!(rig.read_back(4).unwrap(), vec![4]);
    assert_eq!(rig.cut, None);
    assert_eq!(rig.log.head().seq, 3);
    assert_eq!(rig.log.health().epoch, 2);
}

#[test]
fn the_same_seed_leaves_the_same_bytes() {
    let run = || {
        let disk = SimDisk::new(5);
        let mut rig = Rig::open(&disk, small()).unwrap();
        for i in 0..40 {
            rig.frame(i % 5 + 1);
            rig.tend().unwrap();
        }
        disk.power_cut();
        disk.restart();
        disk.contents()
    };
    assert_eq!(run(), run());
}

#[test]
fn a_reader_follows_the_head() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    let mut reader = rig.log.read_from(Position(1)).unwrap();
    assert_eq!(reader.next().unwrap(), None);
    for frame in 1..=60 {
        rig.frame(1);
        let read = reader.next().unwrap().unwrap();
        assert_eq!((read.seq, read.last()), (frame, Position(frame)));
        assert_eq!(read, *rig.heard.frames.lock().last().unwrap().as_ref());
        assert_eq!(reader.next().unwrap(), None);
    }
    assert!(rig.log.health().rolls > 2, "over several segments");
}
