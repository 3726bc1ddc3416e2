//! The two threads of a running log: one writes, one tends.

use super::writer::{Turn, Writer};
use super::{CommitListener, CommitLog, Outcome, Queue, Stopped, Upkeep};
use crate::clock::Clock;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Upkeep looks round at least this often: for what only time makes due, and for how much space others leave.
const LOOK_ROUND: Duration = Duration::from_secs(1);
/// After a failed chore.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// A running log. Stops cleanly when dropped.
pub struct LogThread {
    queue: Arc<Queue>,
    log: Arc<super::Log>,
    stopping: Arc<AtomicBool>,
    writer: Option<JoinHandle<Stopped>>,
    upkeep: Option<JoinHandle<()>>,
}

impl LogThread {
    /// Starts both threads. `listeners` hear of every frame, in this order, on the writer's thread.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        log: Box<dyn CommitLog>,
        upkeep: Upkeep,
        queue: Arc<Queue>,
        clock: Arc<dyn Clock>,
        listeners: Vec<Arc<dyn CommitListener>>,
    ) -> io::Result<LogThread> {
        let stopping = Arc::new(AtomicBool::new(false));
        let handle = upkeep.log().clone();
        let upkeep = {
            let (stopping, clock) = (stopping.clone(), clock.clone());
            Builder::new().name("log-upkeep".to_owned()).spawn(move || tend(upkeep, clock.as_ref(), &stopping))?
        };
        let writer = {
            let (stopping, queue) = (stopping.clone(), queue.clone());
            let writer = Writer::new(log, queue.clone(), &handle.config, clock.clone(), listeners);
            Builder::new()
                .name("log-writer".to_owned())
                .spawn(move || write(writer, &queue, clock.as_ref(), &stopping))?
        };
        Ok(LogThread { queue, log: handle, stopping, writer: Some(writer), upkeep: Some(upkeep) })
    }

    /// Commits everything that was handed over, seals and closes the log, and ends both threads. Whoever hands records
    /// over must have stopped before.
    pub fn stop(mut self) -> Stopped {
        self.end()
    }

    fn end(&mut self) -> Stopped {
        self.stopping.store(true, Ordering::SeqCst);
        self.queue.wake();
        let stopped = self.writer.take().map(JoinHandle::join);
        self.log.ring();
        let tended = self.upkeep.take().map(JoinHandle::join);
        match (stopped, tended) {
            (Some(Ok(stopped)), Some(Ok(()))) => stopped,
            _ => Stopped::Failed("a thread of the log has panicked".to_owned()),
        }
    }
}

impl Drop for LogThread {
    fn drop(&mut self) {
        if self.writer.is_some() {
            self.end();
        }
    }
}

/// Writes until the log stops. A panic here is a bug, and stops the log as a failed disk would: whoever waits is told.
fn write(mut writer: Writer, queue: &Queue, clock: &dyn Clock, stopping: &AtomicBool) -> Stopped {
    exact_timers();
    let run = AssertUnwindSafe(|| run(&mut writer, queue, clock, stopping));
    catch_unwind(run).unwrap_or_else(|_| writer.abandon("the log's writer has panicked"))
}

fn run(writer: &mut Writer, queue: &Queue, clock: &dyn Clock, stopping: &AtomicBool) -> Stopped {
    loop {
        match writer.step() {
            Turn::Committed => (),
            Turn::Stopped(why) => return why,
            Turn::Wait { .. } if stopping.load(Ordering::SeqCst) => return writer.close(),
            Turn::Wait { wake_at, until } => {
                let until = until.map(|until| {
                    let wait = u64::try_from(until.since(clock.now()).0).unwrap_or_default();
                    Instant::now() + Duration::from_micros(wait)
                });
                queue.sleep(wake_at, until);
            }
        }
    }
}

/// Linux lets a thread oversleep by 50 µs to save wake-ups, as long as half of a sync takes.
fn exact_timers() {
    let nanoseconds: libc::c_ulong = 1_000;
    // SAFETY: sets a number of the calling thread, and nothing depends on whether it worked.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0) };
}

fn tend(mut upkeep: Upkeep, clock: &dyn Clock, stopping: &AtomicBool) {
    let log = upkeep.log().clone();
    let run = AssertUnwindSafe(|| {
        while !stopping.load(Ordering::SeqCst) {
            match upkeep.step(clock.now()) {
                Ok(true) => (),
                Ok(false) => log.wait_for_chores(LOOK_ROUND),
                Err(error) => {
                    tracing::warn!(%error, "upkeep of the commit log failed; it is tried again");
                    log.wait_for_chores(TRY_AGAIN);
                }
            }
        }
    });
    if catch_unwind(run).is_err() {
        log.fail(Outcome::Unknown("upkeep of the commit log has panicked".to_owned()));
    }
}
