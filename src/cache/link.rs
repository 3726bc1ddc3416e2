//! The one connection to Redis that all threads share: commands of many requests go out together and come back in order.
//!
//! It is taken out of a pool once and cloned, because a checkout per command would cost a round trip of its own. Every
//! call has a deadline. When calls keep failing the connection is dropped and requests go on without it, until the
//! tender has a new one that answers in time.

use super::circuit::{Circuit, State};
use crate::config::RedisUrl;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, RedisError, RedisResult};
use parking_lot::RwLock;
use stampede_actors::shell::durations::Durations;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Longest that connecting may take.
const CONNECT: Duration = Duration::from_secs(1);
/// Pause after a first failure to connect; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A connection that lasted so long was a good one.
const STEADY: Duration = Duration::from_secs(10);
/// How often the tender looks at a good connection.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// So many answers in time, one after the other, make a connection good.
const PROBES: usize = 3;

/// What Redis is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A value.
    Get,
    /// To keep values.
    Write,
    /// Whether a request is within its limits.
    Decide,
    /// Whether it is there.
    Ping,
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 4] = [Operation::Get, Operation::Write, Operation::Decide, Operation::Ping];

    /// The label value.
    #[must_use]
    pub fn word(self) -> &'static str {
        ["get", "write", "decide", "ping"][self as usize]
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered.
    Done,
    /// Refused, or the connection broke.
    Failed,
    /// No answer in time.
    TimedOut,
    /// Not even tried: the circuit is open.
    Skipped,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 4] = [Outcome::Done, Outcome::Failed, Outcome::TimedOut, Outcome::Skipped];

    /// The label value.
    #[must_use]
    pub fn word(self) -> &'static str {
        ["done", "failed", "timed_out", "skipped"][self as usize]
    }
}

/// No answer that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// The key holds another type than ours.
    WrongType,
    /// Anything else; it has been counted.
    Failed,
}

/// A connection, and which it is: what fails on an old one says nothing about the next.
#[derive(Clone)]
struct Current {
    number: u64,
    connection: MultiplexedConnection,
}

/// The link.
pub struct Link {
    url: RedisUrl,
    within: Duration,
    current: RwLock<Option<Current>>,
    circuit: Circuit,
    lost: Notify,
    counts: [[AtomicU64; Outcome::ALL.len()]; Operation::ALL.len()],
    /// How long answers took.
    pub durations: Arc<Durations>,
}

impl Link {
    /// Leads nowhere until it is tended. `within`: longest that a call may take.
    #[must_use]
    pub fn new(url: RedisUrl, within: Duration) -> Arc<Link> {
        Arc::new(Link {
            url,
            within,
            current: RwLock::new(None),
            circuit: Circuit::default(),
            lost: Notify::new(),
            counts: Default::default(),
            durations: Arc::default(),
        })
    }

    /// Where the circuit stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.circuit.state()
    }

    /// Calls that ended so.
    #[must_use]
    pub fn count(&self, operation: Operation, outcome: Outcome) -> u64 {
        self.counts[operation as usize][outcome as usize].load(Relaxed)
    }

    /// Asks, from any thread. Returns in time, whatever happens.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn call<T, F: Future<Output = RedisResult<T>>>(
        &self,
        operation: Operation,
        work: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, Unavailable> {
        let Some(Current { number, connection }) = self.current.read().clone() else {
            self.tally(operation, Outcome::Skipped);
            return Err(Unavailable::Failed);
        };
        let began = Instant::now();
        let answer = tokio::time::timeout(self.within, work(connection)).await;
        self.durations.record(began.elapsed());
        match answer {
            Ok(Ok(value)) => {
                self.circuit.done();
                self.tally(operation, Outcome::Done);
                Ok(value)
            }
            // It answers well; what is there is not ours.
            Ok(Err(error)) if error.code() == Some("WRONGTYPE") => {
                self.circuit.done();
                self.tally(operation, Outcome::Failed);
                Err(Unavailable::WrongType)
            }
            Ok(Err(error)) => {
                self.tally(operation, Outcome::Failed);
                self.failed(number, broken(&error), &error.to_string());
                Err(Unavailable::Failed)
            }
            Err(_) => {
                self.tally(operation, Outcome::TimedOut);
                self.failed(number, false, "no answer in time");
                Err(Unavailable::Failed)
            }
        }
    }

    fn tally(&self, operation: Operation, outcome: Outcome) {
        self.counts[operation as usize][outcome as usize].fetch_add(1, Relaxed);
    }

    /// Drops the connection when it is broken, or has failed too often.
    fn failed(&self, number: u64, broken: bool, why: &str) {
        let too_often = self.circuit.failed();
        if broken || too_often {
            self.drop_connection(Some(number), why);
        }
    }

    fn drop_connection(&self, number: Option<u64>, why: &str) {
        let mut current = self.current.write();
        if current.as_ref().is_some_and(|current| number.is_none_or(|number| current.number == number)) {
            *current = None;
            self.circuit.set(State::Open);
            tracing::warn!(redis = %self.url, why, "Redis is left alone: limits count in process, reads ask the SKUs");
            self.lost.notify_one();
        }
    }

    /// Connects, watches, and connects again. Never returns; runs where the connection's driver shall.
    pub async fn tend(self: Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        let mut told = false;
        for number in 1.. {
            self.circuit.set(State::HalfOpen);
            match self.connect().await {
                Ok(connection) => {
                    // Closed first, so that a failure right after is not forgotten.
                    self.circuit.set(State::Closed);
                    *self.current.write() = Some(Current { number, connection });
                    tracing::info!(redis = %self.url, "Redis answers");
                    let since = Instant::now();
                    self.watch().await;
                    if since.elapsed() >= STEADY {
                        (pause, told) = (FIRST_PAUSE, false);
                    }
                }
                Err(why) => {
                    self.circuit.set(State::Open);
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(redis = %self.url, why, "no Redis: limits count in process, reads ask the SKUs");
                    }
                }
            }
            // Also after one that was soon lost: a Redis without memory or permissions answers probes and fails the rest.
            // Many servers must not come back in step.
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A connection that answers in time.
    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let pool = deadpool_redis::Config::from_url(self.url.secret())
            .builder()
            .map_err(|_| "the URL cannot be used".to_owned())?
            .max_size(1)
            .build()
            .map_err(|error| error.to_string())?;
        let connection = match tokio::time::timeout(CONNECT, pool.get()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("connecting takes too long".to_owned()),
        };
        let mut connection = deadpool_redis::Connection::take(connection);
        for _ in 0..PROBES {
            let began = Instant::now();
            match tokio::time::timeout(self.within, ping(&mut connection)).await {
                Ok(Ok(())) => self.durations.record(began.elapsed()),
                Ok(Err(error)) => return Err(error.to_string()),
                Err(_) => return Err(format!("no answer within redis.timeout, {:?}", self.within)),
            }
        }
        Ok(connection)
    }

    /// Returns when the connection is gone.
    async fn watch(&self) {
        loop {
            tokio::select! {
                () = self.lost.notified() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            // Its failure counts like any other.
            let _ = self.call(Operation::Ping, async |mut connection| ping(&mut connection).await).await;
            if self.circuit.half_failed() {
                self.drop_connection(None, "half of all calls failed");
            }
        }
    }
}

async fn ping(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PING").query_async(connection).await
}

/// Will nothing come over this connection any more?
fn broken(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped()
}
