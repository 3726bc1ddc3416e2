//! Starts on a damaged directory as the server does, and verifies it as `stampede verify` does.

use super::damage::Damage;
use super::template::Template;
use anyhow::{Context, ensure};
use parking_lot::Mutex;
use stampede::clock::BootClock;
use stampede::disk::{RealDisk, SharedDisk};
use stampede::engine::Ids;
use stampede::feed::FrameSource;
use stampede::feed::projection::{self, EntityState, Mark, SnapshotReader, full, recovery};
use stampede::journal::{self, Committed, Config, Log, Wal};
use stampede::store::{DiskStore, Range, Store, Table};
use stampede::verify;
use stampede_actors::ids::EntityId;
use stampede_actors::record::Position;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// State and version of every entity.
type States = BTreeMap<Vec<u8>, (EntityState, u64)>;
/// Rows that follow from the states.
type Lists = BTreeMap<u8, Vec<(Vec<u8>, Vec<u8>)>>;

/// Tables whose rows are the same however often they were written.
const LISTS: [Table; 5] = [Table::Due, Table::OrdersByBuyer, Table::OrdersByState, Table::Attention, Table::Claims];

/// What a directory holds.
#[derive(Default)]
pub struct Truth {
    states: States,
    lists: Lists,
    /// Without the last frame.
    states_before: Option<States>,
    /// The last frame: its file, from the directory on, and where it begins.
    pub last: (PathBuf, u64),
    /// Hash of the last frame, as `verify` tells it; and of the one before.
    hash: String,
    hash_before: Option<String>,
    /// An order's id, made from a key with the server's secret.
    order: String,
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The start was refused, and said which file.
    Refused,
    /// The store was made afresh, and says the same.
    Rebuilt,
    /// The start went on and everything is there; `verify` tells of the damage.
    Verified,
    /// Nothing that matters was damaged: everything is there, and `verify` reads the whole history.
    Harmless,
    /// Only the last frame before a crash was damaged: it was cut off.
    Cut,
}

impl Verdict {
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Refused => "refused at the start",
            Verdict::Rebuilt => "rebuilt",
            Verdict::Verified => "found by verify",
            Verdict::Harmless => "harmless",
            Verdict::Cut => "cut",
        }
    }
}

/// What is so in a directory that nobody has damaged.
pub fn truth(dir: &Path, keeps_history: bool) -> anyhow::Result<Truth> {
    let order = order_of_a_key(dir, false)?;
    let mut truth = Truth { order, ..Truth::default() };
    if keeps_history {
        let disk: SharedDisk = Arc::new(RealDisk);
        let log = Log::inspect(&disk, dir)?.log;
        let mut reader = log.read_from(Position(1))?;
        let (mut states, mut before, mut hash_before) = (States::new(), None, None);
        while let Some(frame) = reader.next()? {
            truth.last = (reader.place().0.strip_prefix(dir)?.to_owned(), reader.place().1);
            hash_before = Some(std::mem::replace(&mut truth.hash, hex(&frame.hash)));
            before = Some(states.clone());
            follow(&mut states, &frame)?;
        }
        (truth.states, truth.states_before, truth.hash_before) = (states, before, hash_before);
    }
    let report = verify::verify(dir, &mut |_, _| {})?;
    ensure!(report.is_sound(), "it is not sound to begin with: {:?}", report.findings);
    let started = start(dir).context("an undamaged directory")?;
    ensure!(!keeps_history || (started.states == truth.states && report.hash == truth.hash), "the log says otherwise");
    (truth.states, truth.lists, truth.hash) = (started.states, started.lists, report.hash);
    ensure!(truth.states.len() > 60, "too little happened");
    Ok(truth)
}

fn follow(states: &mut States, frame: &Committed) -> anyhow::Result<()> {
    for entry in frame.records.iter().flat_map(|record| &record.entries) {
        let fresh = || (EntityState::new(&entry.entity), 0);
        let (state, version) = states.entry(entry.entity.key().to_vec()).or_insert_with(fresh);
        state.apply(&entry.event).map_err(anyhow::Error::msg)?;
        *version = entry.version;
    }
    Ok(())
}

/// Damages the directory in `room` twice over, starts on the one and verifies the other.
pub fn judge(template: &Template, damage: &Damage, room: &Path) -> Result<Verdict, String> {
    let prepared = |name: &str| {
        let dir = room.join(name);
        let _ = fs::remove_dir_all(&dir);
        template.write(&dir, false).and_then(|()| damage.apply(&dir)).map_err(|error| format!("no case: {error}"))?;
        Ok::<PathBuf, String>(dir)
    };
    let confined =
        template.crashed && damage.file == template.truth.last.0 && damage.begins_at() >= template.truth.last.1;
    let started = judge_start(template, &prepared("start")?, confined)?;
    let verified = judge_verify(template, &prepared("verify")?, confined)?;
    Ok(match (started, verified) {
        (Verdict::Harmless, other) => other,
        (started, _) => started,
    })
}

fn judge_start(template: &Template, dir: &Path, confined: bool) -> Result<Verdict, String> {
    let truth = &template.truth;
    let outcome = catch_unwind(AssertUnwindSafe(|| start(dir)))
        .map_err(|panic| format!("the start panicked: {}", words(&*panic)))?;
    let started = match outcome {
        Ok(started) => started,
        Err(error) => {
            let why = format!("{error:#}");
            return if why.starts_with("unreadable") {
                Err(format!("it starts on a store that it cannot read: {why}"))
            } else if why.contains(&*dir.to_string_lossy()) {
                Ok(Verdict::Refused)
            } else {
                Err(format!("the start was refused without a file: {why}"))
            };
        }
    };
    if started.order != truth.order {
        return Err("a repeated key would become another order".to_owned());
    }
    if started.states == truth.states {
        if started.lists != truth.lists {
            let differing = truth.lists.iter().find(|(table, rows)| started.lists.get(table) != Some(rows));
            return Err(format!("lists differ: table {:?}", differing.map(|(table, _)| table)));
        }
        return Ok(if started.rebuilt { Verdict::Rebuilt } else { Verdict::Harmless });
    }
    if confined && Some(&started.states) == truth.states_before.as_ref() {
        return Ok(Verdict::Cut);
    }
    let lost = truth.states.iter().filter(|&(key, state)| started.states.get(key) != Some(state)).count();
    Err(format!("it started, and {lost} of {} entities are not what they were", truth.states.len()))
}

fn judge_verify(template: &Template, dir: &Path, confined: bool) -> Result<Verdict, String> {
    let truth = &template.truth;
    let outcome = catch_unwind(AssertUnwindSafe(|| verify::verify(dir, &mut |_, _| {})))
        .map_err(|panic| format!("verify panicked: {}", words(&*panic)))?;
    match outcome {
        Err(error) if error.to_string().contains(&*dir.to_string_lossy()) => Ok(Verdict::Verified),
        Err(verify::offline::Error::Journal(journal::Error::Gone { .. })) => Ok(Verdict::Verified),
        Err(error) => Err(format!("verify failed without a file: {error}")),
        Ok(report) if !report.is_sound() || !report.damaged_checkpoints.is_empty() => Ok(Verdict::Verified),
        Ok(report) if report.hash == truth.hash => Ok(Verdict::Harmless),
        Ok(report) if confined && Some(&report.hash) == truth.hash_before.as_ref() => Ok(Verdict::Cut),
        Ok(report) => Err(format!("verify finds nothing wrong, and the log ends with frame {}", report.head)),
    }
}

/// What came of a start.
struct Started {
    states: States,
    lists: Lists,
    rebuilt: bool,
    order: String,
}

/// Opens log and store as the server does at its start, and reads everything.
fn start(dir: &Path) -> anyhow::Result<Started> {
    let disk: SharedDisk = Arc::new(RealDisk);
    let opened = Wal::open(&disk, dir, Config::default(), &BootClock::new())?;
    let order = order_of_a_key(dir, opened.head.seq == 0)?;
    let mark = |checkpoint: &journal::Checkpoint| Mark {
        seq: checkpoint.seq,
        hash: checkpoint.hash,
        position: checkpoint.position,
        at: checkpoint.at,
    };
    let log = opened.log;
    let used: Mutex<Option<Arc<dyn Store>>> = Mutex::default();
    let open = |afresh: bool| {
        used.lock().take();
        let (path, limits) = (dir.join("store"), stampede::store::Limits::default());
        let store = if afresh { DiskStore::create(&path, limits)? } else { DiskStore::open(&path, limits)? };
        let store: Arc<dyn Store> = Arc::new(store);
        *used.lock() = Some(Arc::clone(&store));
        Ok(store)
    };
    let frames = Frames(Arc::clone(&log));
    let from = recovery::Start {
        log: log.id(),
        head: opened.head,
        frames: &frames,
        checkpoint: opened.checkpoint.as_ref().map(mark),
        full: &|| full::newest(&log),
        limits: projection::Limits::default(),
    };
    let (_projection, recovered) = recovery::recover(&from, &open)?;
    let store = used.lock().take().context("a store")?;
    let mut states = States::new();
    for snapshot in SnapshotReader::new(&*store) {
        let (entity, state, version): (EntityId, EntityState, u64) = snapshot.context("unreadable")?;
        states.insert(entity.key().to_vec(), (state, version));
    }
    let mut lists = Lists::new();
    for table in LISTS {
        let all = Range { from: &[], to: None, reverse: false, limit: usize::MAX };
        lists.insert(table as u8, store.range(table, all)?);
    }
    Ok(Started { states, lists, rebuilt: recovered.rebuilt.is_some(), order })
}

/// What one key becomes: with another secret it would be another order.
fn order_of_a_key(dir: &Path, new: bool) -> anyhow::Result<String> {
    let ids = Ids::open(dir, new).with_context(|| format!("the secret in {}", dir.display()))?;
    Ok(ids.order("POST /v1/orders", "a key").to_string())
}

/// Reads the log back for the projection.
struct Frames(Arc<Log>);

impl FrameSource for Frames {
    fn read(&self, from: Position, bytes: usize) -> Result<Vec<Arc<Committed>>, journal::Error> {
        let mut reader = self.0.read_from(from)?;
        let (mut frames, mut records) = (Vec::new(), 0);
        while records * 512 < bytes
            && let Some(frame) = reader.next()?
        {
            records += 1 + frame.records.len();
            frames.push(Arc::new(frame));
        }
        Ok(frames)
    }
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("without words").to_owned()
}
