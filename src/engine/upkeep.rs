//! What happens beside the requests: deadlines of cold entities come up, the start's grace ends, checkpoints are taken.

use super::pulse::Pulse;
use super::{EngineClock, Inner, health, start};
use crate::disk::{Disk, RealDisk};
use crate::feed::Cursor;
use crate::feed::projection::Reader;
use stampede_actors::journal::Journal;
use stampede_actors::shell::{Fabric, LaneId};
use stampede_actors::time::{Span, Timestamp};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How far ahead deadlines are read from the store; less than the shells' own horizon, so that none falls between.
const AHEAD: Span = Span::minutes(2);

/// How often they are read.
pub(super) const READ_EVERY: Duration = Duration::from_secs(15);

/// Most deadlines read at once; the rest follows when these are read, well before the next round.
const READ_AT_ONCE: usize = 10_000;

/// Full checkpoints per age of the archive: old history can go only once two of them cover it.
const FULL_PER_AGE: u32 = 4;

/// How often the thread looks around.
const TICK: Duration = Duration::from_millis(20);

/// Runs until the engine stops. Without it nobody would notice what else has died: a panic here ends the process.
pub(super) fn run(inner: &Arc<Inner>) {
    if catch_unwind(AssertUnwindSafe(|| tend(inner))).is_err() {
        inner.fail("the upkeep thread has panicked".to_owned());
    }
}

fn tend(inner: &Arc<Inner>) {
    let started = Instant::now();
    let mut pulse = Pulse::new(start::first_spare_lane(&inner.config), started);
    let mut stays = false;
    let mut read = None;
    let (mut checkpointed, mut covered) = (Instant::now(), inner.queue.committed());
    let mut full = Full::default();
    while !inner.stopping.load(Ordering::SeqCst) {
        std::thread::sleep(TICK);
        end_grace(&inner.clock, inner.workflows.cursor(), started.elapsed() >= inner.config.start_grace);
        notice_the_dead(inner, &mut stays);
        let beats = (0..start::first_spare_lane(&inner.config)).map(|lane| inner.fabric.beats(LaneId(lane)));
        *inner.hanging.lock() = pulse.look(beats, Instant::now());
        if read.is_none_or(|at: Instant| at.elapsed() >= READ_EVERY) {
            arm(&inner.reader, &inner.fabric);
            read = Some(Instant::now());
        }
        let uncovered = inner.queue.committed().0 - covered.0;
        let due = checkpointed.elapsed() >= inner.config.checkpoint.every
            || uncovered >= inner.config.checkpoint.records as u64;
        // One at a time: the log starts from the last that was written.
        if !full.is_being_written() && due {
            (checkpointed, covered) = (Instant::now(), inner.queue.committed());
            if !(full.is_due(inner) && full.begin(inner)) {
                inner.checkpoint();
            }
        }
    }
    full.end();
}

/// Full checkpoints, where history is deleted. All rows of the store take minutes, in which deadlines come up and things
/// die as ever: they are written on a thread of their own.
#[derive(Default)]
struct Full {
    written: Option<Instant>,
    writing: Option<JoinHandle<bool>>,
}

impl Full {
    fn is_due(&self, inner: &Inner) -> bool {
        let every = inner.config.log.archive_max_age.map(|age| age / FULL_PER_AGE);
        every.is_some_and(|every| self.written.is_none_or(|at| at.elapsed() >= every))
    }

    /// `false`: there is no thread to be had.
    fn begin(&mut self, inner: &Arc<Inner>) -> bool {
        let of = Arc::clone(inner);
        let thread = std::thread::Builder::new().name("full-checkpoint".to_owned());
        self.writing = thread.spawn(move || of.full_checkpoint()).ok();
        self.writing.is_some()
    }

    fn is_being_written(&mut self) -> bool {
        if self.writing.as_ref().is_some_and(|writing| !writing.is_finished()) {
            return true;
        }
        self.end();
        false
    }

    /// Waits for it. One that failed is tried again at the next checkpoint.
    fn end(&mut self) {
        if self.writing.take().is_some_and(|writing| writing.join().unwrap_or(false)) {
            self.written = Some(Instant::now());
        }
    }
}

/// A server whose projection, workflows or shards have died must not go on selling: it stops, and the next start recovers.
/// A store dies of a full disk as well, and a start would only find the disk full again: then it stays, refuses new claims,
/// and stops once there is space (S7).
fn notice_the_dead(inner: &Arc<Inner>, stays: &mut bool) {
    // One that an operator drains stays, and must be as well as any other.
    if inner.stopping.load(Ordering::SeqCst) || inner.going_down.load(Ordering::SeqCst) {
        return;
    }
    if let Some(shard) = inner.fabric.dead() {
        return inner.fail(shard.to_owned());
    }
    let projection = inner.reader.stopped().map(|why| format!("the projection has stopped: {why}"));
    let Some(why) = projection.or_else(|| health::dead_workflows(inner)) else { return };
    if !is_disk_full(inner) {
        inner.fail(why);
    } else if !std::mem::replace(stays, true) {
        tracing::error!(
            why,
            "the disk is full: no new claims; the server stops, to be started again, once there is space"
        );
    }
}

/// Asked of the disk itself: the log's own view may be a moment old.
fn is_disk_full(inner: &Inner) -> bool {
    let free = RealDisk.free_space(&inner.config.data_dir);
    inner.log.health().disk_full || free.is_ok_and(|free| free < inner.config.store.keep_free.0)
}

/// Deadlines run out again when the results that waited at the start are in, or when that takes too long (S18).
pub(super) fn end_grace(clock: &EngineClock, workflows: &Cursor, is_over: bool) {
    if clock.thawed_at().is_some() {
        return;
    }
    if workflows.caught_up() {
        clock.thaw();
    } else if is_over {
        tracing::warn!("waiting results are not in yet; deadlines run out from now on all the same");
        clock.thaw();
    }
}

/// Arms what comes due in the store, and what is overdue there: its timer was lost, whatever the reason (S5). Most is
/// read more than once; a tick that finds nothing due does nothing.
pub(super) fn arm(reader: &Reader, fabric: &Fabric) {
    let until = fabric.clock.moment().now.plus(AHEAD);
    let mut from = Timestamp::ZERO;
    loop {
        let due = match reader.due_between(from, until, READ_AT_ONCE) {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "deadlines could not be read; tried again soon");
                return;
            }
        };
        let (count, last) = (due.len(), due.last().map(|(at, _)| *at));
        fabric.arm(due);
        match last {
            // Rows of one instant may be cut in two: that instant is read again.
            Some(last) if count == READ_AT_ONCE && last > from => from = last,
            Some(last) if count == READ_AT_ONCE => from = Timestamp(last.0 + 1),
            _ => return,
        }
    }
}
