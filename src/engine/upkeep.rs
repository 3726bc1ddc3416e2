//! What happens beside the requests: deadlines of cold entities come up, the start's grace ends, checkpoints are taken.

use super::Inner;
use stampede_actors::shell::Clock;
use stampede_actors::time::{Span, Timestamp};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How far ahead deadlines are read from the store; less than the shells' own horizon, so that none falls between.
const AHEAD: Span = Span::minutes(2);

/// How often they are read.
const READ_EVERY: Duration = Duration::from_secs(15);

/// Most deadlines read at once; the rest follows when these are read, well before the next round.
const READ_AT_ONCE: usize = 10_000;

/// Full checkpoints per age of the archive: old history can go only once two of them cover it.
const FULL_PER_AGE: u32 = 4;

/// How often the thread looks around.
const TICK: Duration = Duration::from_millis(20);

/// Runs until the engine stops.
pub(super) fn run(inner: &Arc<Inner>) {
    let started = Instant::now();
    let mut read = None;
    let mut armed_until = Timestamp::ZERO;
    let mut checkpointed = Instant::now();
    let mut fully = None;
    while !inner.stopping.load(Ordering::SeqCst) {
        std::thread::sleep(TICK);
        end_grace(inner, started);
        if read.is_none_or(|at: Instant| at.elapsed() >= READ_EVERY) {
            armed_until = arm(inner, armed_until);
            read = Some(Instant::now());
        }
        if checkpointed.elapsed() >= inner.config.checkpoint.every {
            checkpointed = Instant::now();
            let full_every = inner.config.log.archive_max_age.map(|age| age / FULL_PER_AGE);
            if full_every.is_some_and(|every| fully.is_none_or(|at: Instant| at.elapsed() >= every)) {
                inner.full_checkpoint();
                fully = Some(Instant::now());
            } else {
                inner.checkpoint();
            }
        }
    }
}

/// Deadlines run out again when the results that waited at the start are in, or when that takes too long (S18).
fn end_grace(inner: &Arc<Inner>, started: Instant) {
    if inner.clock.thawed_at().is_some() {
        return;
    }
    if inner.workflows.cursor().caught_up() {
        inner.clock.thaw();
    } else if started.elapsed() >= inner.config.start_grace {
        tracing::warn!("waiting results are not in yet; deadlines run out from now on all the same");
        inner.clock.thaw();
    }
}

/// Arms what comes due in the store from `from` on; answers up to where it has armed.
///
/// A little is read twice, because a row may be written somewhat later than its entity was last touched; a tick that
/// finds nothing due does nothing.
fn arm(inner: &Arc<Inner>, from: Timestamp) -> Timestamp {
    let until = inner.clock.moment().now.plus(AHEAD);
    let mut from = Timestamp(from.0.saturating_sub(Span::minutes(1).0).max(0));
    loop {
        let due = match inner.reader.due_between(from, until, READ_AT_ONCE) {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "deadlines could not be read; tried again soon");
                return from;
            }
        };
        let (count, last) = (due.len(), due.last().map(|(at, _)| *at));
        inner.fabric.arm(due);
        match last {
            // Rows of one instant may be cut in two: that instant is read again.
            Some(last) if count == READ_AT_ONCE && last > from => from = last,
            Some(last) if count == READ_AT_ONCE => from = Timestamp(last.0 + 1),
            _ => return until,
        }
    }
}
