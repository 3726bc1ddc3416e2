//! The thread that sends finished spans. Nobody waits for it: its queue is bounded, and what finds it full is counted.

use super::otlp::{self, Resource};
use super::post::{Trouble, post};
use super::span::{Finished, Tracer};
use crate::config::Endpoint;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

/// Finished spans that may wait, about 300 bytes each.
const QUEUE: usize = 16_384;
/// Most spans of one request.
const BATCH: usize = 1_024;
/// Longest that a span waits for company.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// Longest that the collector may take.
const WITHIN: Duration = Duration::from_secs(5);
/// Times that the same spans are sent while the collector is away.
const TRIES: u32 = 3;
/// Pause after a first failure; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How often it is told that spans are lost.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Longest that the end of the process waits for the last spans.
const LAST_SPANS: Duration = Duration::from_secs(2);
/// How soon a pause ends when the process does.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What became of spans.
#[derive(Debug)]
pub struct Counts {
    /// The collector has them.
    pub exported: AtomicU64,
    /// The queue was full.
    pub dropped: AtomicU64,
    /// The collector was away, or did not want them.
    pub failed: AtomicU64,
}

impl Counts {
    /// The label values, in the order of the fields.
    pub const WORDS: &'static [&'static str] = &["exported", "dropped", "failed"];

    /// All zero.
    #[must_use]
    pub const fn new() -> Counts {
        Counts { exported: AtomicU64::new(0), dropped: AtomicU64::new(0), failed: AtomicU64::new(0) }
    }

    /// In the order of [`Counts::WORDS`].
    #[must_use]
    pub fn all(&self) -> [u64; 3] {
        [&self.exported, &self.dropped, &self.failed].map(|count| count.load(Relaxed))
    }
}

impl Default for Counts {
    fn default() -> Counts {
        Counts::new()
    }
}

/// What the thread is handed.
#[derive(Debug)]
pub(super) enum Work {
    Span(Box<Finished>),
    Stop,
}

/// The running thread.
#[derive(Debug)]
pub struct Exporter {
    stopping: Arc<AtomicBool>,
    queue: SyncSender<Work>,
    ended: Receiver<()>,
}

impl Exporter {
    /// Sends what waits, for two seconds at most, and ends the thread. A collector that is away costs no more than
    /// that.
    pub fn stop(self) {
        self.stopping.store(true, Relaxed);
        // A full queue wakes it as well.
        let _ = self.queue.try_send(Work::Stop);
        let _ = self.ended.recv_timeout(LAST_SPANS);
    }
}

/// Starts the thread.
///
/// # Errors
/// When there is none to be had.
pub(super) fn start(
    to: Endpoint,
    share: f64,
    resource: Resource,
    counts: &'static Counts,
) -> io::Result<(Tracer, Exporter)> {
    let (queue, work) = sync_channel(QUEUE);
    let (ending, ended) = channel();
    let stopping = Arc::new(AtomicBool::new(false));
    let mut sender =
        Sender { to, resource, counts, work, stopping: Arc::clone(&stopping), pause: FIRST_PAUSE, told: None, lost: 0 };
    std::thread::Builder::new().name("traces".to_owned()).spawn(move || {
        sender.run();
        // Nobody waits any more when the process was in a hurry.
        let _ = ending.send(());
    })?;
    let tracer = Tracer::new(queue.clone(), share, counts);
    Ok((tracer, Exporter { stopping, queue, ended }))
}

struct Sender {
    to: Endpoint,
    resource: Resource,
    counts: &'static Counts,
    work: Receiver<Work>,
    stopping: Arc<AtomicBool>,
    pause: Duration,
    /// When it was last told that spans are lost.
    told: Option<Instant>,
    /// Spans lost since then.
    lost: u64,
}

impl Sender {
    fn run(&mut self) {
        let mut until = None;
        loop {
            let batch = self.gather();
            let stopping = self.stopping.load(Relaxed);
            if stopping {
                let last = *until.get_or_insert_with(|| Instant::now() + LAST_SPANS);
                if batch.is_empty() || Instant::now() >= last {
                    return;
                }
            }
            if !batch.is_empty() {
                self.send(&batch);
            }
        }
    }

    /// Waits for a span, then for some company.
    #[allow(clippy::vec_box, reason = "each comes in its box, and is large")]
    fn gather(&self) -> Vec<Box<Finished>> {
        let mut batch = Vec::new();
        let stopping = self.stopping.load(Relaxed);
        match if stopping { self.work.try_recv().ok() } else { self.work.recv().ok() } {
            Some(Work::Span(span)) => batch.push(span),
            Some(Work::Stop) | None => return batch,
        }
        let until = Instant::now() + if stopping { Duration::ZERO } else { FLUSH_EVERY };
        while batch.len() < BATCH {
            match self.work.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Work::Span(span)) => batch.push(span),
                Ok(Work::Stop) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        batch
    }

    fn send(&mut self, batch: &[Box<Finished>]) {
        let (body, all) = (otlp::request(&self.resource, batch), batch.len() as u64);
        for once_more in (0..TRIES).rev() {
            let stopping = self.stopping.load(Relaxed);
            match post(&self.to, &body, if stopping { LAST_SPANS } else { WITHIN }) {
                Ok(rejected) => {
                    let rejected = rejected.min(all);
                    self.counts.exported.fetch_add(all - rejected, Relaxed);
                    self.counts.failed.fetch_add(rejected, Relaxed);
                    self.pause = FIRST_PAUSE;
                    return;
                }
                Err(trouble) if once_more == 0 || stopping || !trouble.passes() => {
                    self.counts.failed.fetch_add(all, Relaxed);
                    self.tell(&trouble, all);
                    // Whatever is wrong there will not be right at once.
                    return self.rest();
                }
                Err(_) => self.rest(),
            }
        }
    }

    /// Lets the collector be, longer each time.
    fn rest(&mut self) {
        let until = Instant::now() + self.pause;
        while Instant::now() < until && !self.stopping.load(Relaxed) {
            std::thread::sleep(LOOK_EVERY);
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Once a minute at most.
    fn tell(&mut self, why: &Trouble, lost: u64) {
        self.lost += lost;
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            let dropped = self.counts.dropped.load(Relaxed);
            let (collector, spans) = (&self.to, self.lost);
            tracing::warn!(%collector, %why, spans, dropped, "spans are lost: orders go on untraced");
            (self.told, self.lost) = (Some(Instant::now()), 0);
        }
    }
}

#[cfg(test)]
mod tests;
