//! An open loop: requests leave at moments that were fixed before the first one, whether or not the server keeps up, and
//! latencies count from those moments. What buyers feel, and what overload is.

use crate::bench::load::{Error, Kind, is_overload};
use crate::bench::rig::MAX_CPU;
use crate::bench::timer::Timer;
use crate::client::Connection;
use crate::demo::server::own_cpu;
use crate::demo::stats::histogram;
use hdrhistogram::Histogram;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Requests that may wait for a free connection; beyond, the generator is what saturates.
const MAX_WAITING: usize = 20_000;
/// A request that leaves so much later than it was meant to, with a connection free, was late because of the generator.
const MAX_LATE: Duration = Duration::from_millis(100);

/// What an open loop saw.
#[derive(Debug)]
pub struct Seen {
    /// Requests that got the answer they ought to get.
    pub good: u64,
    /// Requests that the server turned away: 429 and 503.
    pub shed: u64,
    /// Requests that never left.
    pub dropped: u64,
    /// From the first moment to the last answer.
    pub elapsed: Duration,
    /// Of good answers, from the moment that was fixed; microseconds.
    pub latency: Histogram<u64>,
    /// Share of a core that the generator used.
    pub generator: f64,
    /// Longest delay of the generator itself.
    pub latest: Duration,
}

impl Seen {
    /// Good answers per second.
    #[must_use]
    pub fn goodput(&self) -> f64 {
        self.good as f64 / self.elapsed.as_secs_f64()
    }

    /// Why it proves nothing, if so.
    #[must_use]
    pub fn void(&self) -> Option<String> {
        if self.dropped > 0 {
            Some(format!("{} requests never left", self.dropped))
        } else if self.latest > MAX_LATE {
            Some(format!("the generator was {:?} late", self.latest))
        } else if self.generator > MAX_CPU {
            Some(format!("the generator used {:.0} % of its core", self.generator * 100.0))
        } else {
            None
        }
    }
}

/// What the tasks of one loop share.
struct Shared {
    /// Moments of requests that have come and have no connection yet.
    waiting: RefCell<VecDeque<Instant>>,
    /// Connections without a request; the latest one is used first.
    idle: RefCell<Vec<usize>>,
    calls: Vec<Notify>,
    over: Cell<bool>,
    good: Cell<u64>,
    shed: Cell<u64>,
    latency: RefCell<Histogram<u64>>,
}

/// Sends `rate` requests per second of one kind over these connections for `duration`.
///
/// # Errors
/// The first answer that was neither right nor one of overload.
pub async fn run(
    connections: &mut [Connection],
    kind: &impl Kind,
    rate: f64,
    duration: Duration,
) -> anyhow::Result<Seen> {
    let shared = Shared {
        waiting: RefCell::default(),
        idle: RefCell::default(),
        calls: connections.iter().map(|_| Notify::new()).collect(),
        over: Cell::new(false),
        good: Cell::new(0),
        shed: Cell::new(0),
        latency: RefCell::new(histogram()),
    };
    let (start, cpu) = (Instant::now(), own_cpu()?);
    let sending = connections.iter_mut().enumerate().map(|(index, connection)| shared.serve(index, connection, kind));
    let sending = futures_util::future::try_join_all(sending);
    let arriving = async {
        let arrived = shared.arrive(start, rate, duration).await;
        shared.over.set(true);
        shared.calls.iter().for_each(Notify::notify_one);
        arrived
    };
    let (arrived, sent) = tokio::join!(arriving, sending);
    let (dropped, latest) = arrived?;
    sent?;
    let elapsed = start.elapsed();
    let generator = (own_cpu()? - cpu).as_secs_f64() / elapsed.as_secs_f64();
    let (good, shed) = (shared.good.get(), shared.shed.get());
    Ok(Seen { good, shed, dropped, elapsed, latency: shared.latency.into_inner(), generator, latest })
}

impl Shared {
    /// Hands every request to a connection at its moment, or lets it wait. How many never left, and the longest delay.
    async fn arrive(&self, start: Instant, rate: f64, duration: Duration) -> anyhow::Result<(u64, Duration)> {
        let timer = Timer::new()?;
        let count = (rate * duration.as_secs_f64()).max(1.0) as u64;
        let (mut dropped, mut latest) = (0, Duration::ZERO);
        for number in 0..count {
            let moment = start + Duration::from_secs_f64(number as f64 / rate);
            timer.sleep_until(moment).await?;
            if number % 64 == 63 {
                // A burst of overdue requests must not keep those under way from their answers.
                tokio::task::yield_now().await;
            }
            latest = latest.max(moment.elapsed());
            if self.waiting.borrow().len() >= MAX_WAITING {
                dropped += 1;
                continue;
            }
            self.waiting.borrow_mut().push_back(moment);
            let idle = self.idle.borrow_mut().pop();
            if let Some(index) = idle {
                self.calls[index].notify_one();
            }
        }
        Ok((dropped, latest))
    }

    async fn serve(&self, index: usize, connection: &mut Connection, kind: &impl Kind) -> Result<(), Error> {
        let mut request = Vec::with_capacity(1024);
        loop {
            let next = self.waiting.borrow_mut().pop_front();
            let Some(moment) = next else {
                if self.over.get() {
                    return Ok(());
                }
                self.idle.borrow_mut().push(index);
                self.calls[index].notified().await;
                continue;
            };
            request.clear();
            kind.write(&mut request);
            let (head, body) = connection.exchange(&request).await?;
            if kind.is_right(&head) {
                self.good.set(self.good.get() + 1);
                self.latency.borrow_mut().saturating_record(moment.elapsed().as_micros() as u64);
            } else if is_overload(head.status) {
                self.shed.set(self.shed.get() + 1);
            } else {
                return Err(Error::Wrong { status: head.status, body: String::from_utf8_lossy(body).into_owned() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a panic is how a test fails

    use super::*;
    use crate::bench::load::{connect, tests::Get, tests::slow_server};

    #[test]
    fn requests_leave_at_their_rate_and_latency_counts_from_the_moment_that_was_fixed() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let server = slow_server(Duration::from_millis(20)).await;
            let duration = Duration::from_millis(400);
            let mut enough = connect(server, 32).await.unwrap();
            let seen = run(&mut enough, &Get { expected: 200 }, 200.0, duration).await.unwrap();
            assert_eq!((seen.good, seen.shed, seen.dropped), (80, 0, 0));
            assert!(seen.latency.min() >= 20_000, "{}", seen.latency.min());
            // One connection serves 50 a second: the last of 80 requests waits for all the others.
            let mut one = connect(server, 1).await.unwrap();
            let seen = run(&mut one, &Get { expected: 200 }, 200.0, duration).await.unwrap();
            assert_eq!(seen.good, 80);
            assert!(seen.latency.max() > 800_000, "{}", seen.latency.max());
        });
    }

    #[test]
    fn a_generator_that_cannot_keep_up_proves_nothing() {
        let seen = |dropped, generator, latest| {
            let (elapsed, latency) = (Duration::from_secs(1), histogram());
            Seen { good: 1, shed: 0, dropped, elapsed, latency, generator, latest: Duration::from_millis(latest) }
        };
        assert_eq!(seen(0, 0.5, 3).void(), None);
        for void in [seen(1, 0.5, 3), seen(0, 0.9, 3), seen(0, 0.5, 200)] {
            assert!(void.void().is_some(), "{void:?}");
        }
    }
}
