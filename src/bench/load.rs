//! A closed loop: every connection sends its next request when the last one is answered. Good for ratios between two
//! kinds of requests; what buyers feel is measured by an open loop ([`crate::bench::open`]).

use crate::client::{Connection, Failure, Head};
use crate::demo::stats::histogram;
use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a request is sent to a busy server before that is an error, and the wait in between.
const TRIES: u32 = 200;
const BUSY: Duration = Duration::from_millis(50);

/// What one round saw.
#[derive(Debug)]
pub struct Round {
    /// Requests that got the answer that they ought to get.
    pub answers: u64,
    /// Requests that the server turned away: 429 and 503.
    pub shed: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Microseconds.
    pub latency: Histogram<u64>,
}

impl Round {
    /// Right answers per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.answers as f64 / self.elapsed.as_secs_f64()
    }
}

/// A kind of request.
pub trait Kind {
    /// Writes the next request of its kind to the end of an empty buffer.
    fn write(&self, buffer: &mut Vec<u8>);

    /// Is this the answer that it ought to get?
    fn is_right(&self, head: &Head) -> bool;
}

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A connection failed.
    #[error(transparent)]
    Client(#[from] Failure),
    /// An answer that this kind of request ought not to get.
    #[error("answered {status}: {body}")]
    Wrong {
        /// Of the answer.
        status: u16,
        /// Of the answer.
        body: String,
    },
}

/// Opens connections.
///
/// # Errors
/// When one cannot be opened.
pub async fn connect(server: SocketAddr, connections: usize) -> Result<Vec<Connection>, Error> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(Connection::open(server).await?);
    }
    Ok(open)
}

/// Sends requests of one kind over all connections for `duration`.
///
/// # Errors
/// The first answer that was neither right nor one of overload.
pub async fn round(connections: &mut [Connection], kind: &impl Kind, duration: Duration) -> Result<Round, Error> {
    let (latency, shed) = (RefCell::new(histogram()), Cell::new(0));
    let start = Instant::now();
    let end = start + duration;
    try_join_all(connections.iter_mut().map(|connection| drive(connection, kind, end, &latency, &shed))).await?;
    let elapsed = start.elapsed();
    let latency = latency.into_inner();
    Ok(Round { answers: latency.len(), shed: shed.get(), elapsed, latency })
}

/// Does this status say that the server protects itself?
#[must_use]
pub fn is_overload(status: u16) -> bool {
    matches!(status, 429 | 503)
}

async fn drive(
    connection: &mut Connection,
    kind: &impl Kind,
    end: Instant,
    latency: &RefCell<Histogram<u64>>,
    shed: &Cell<u64>,
) -> Result<(), Error> {
    let mut request = Vec::with_capacity(1024);
    let mut sent_at = Instant::now();
    while sent_at < end {
        request.clear();
        kind.write(&mut request);
        let (head, body) = connection.exchange(&request).await?;
        let answered_at = Instant::now();
        if kind.is_right(&head) {
            latency.borrow_mut().saturating_record((answered_at - sent_at).as_micros() as u64);
        } else if is_overload(head.status) {
            shed.set(shed.get() + 1);
        } else {
            return Err(Error::Wrong { status: head.status, body: String::from_utf8_lossy(body).into_owned() });
        }
        sent_at = answered_at;
    }
    Ok(())
}

/// Sends `count` requests over all connections: the one of an index is written by `write`, and `see` says of its answer
/// whether it is right. Who is told that the server is busy comes back with the same bytes, at most [`TRIES`] times: what is
/// filled here is not what is measured.
///
/// # Errors
/// The first answer that was not right.
pub async fn each(
    connections: &mut [Connection],
    count: u64,
    write: impl Fn(u64, &mut Vec<u8>),
    see: impl Fn(u64, &Head, &[u8]) -> bool,
) -> Result<(), Error> {
    let next = Cell::new(0);
    let (next, write, see) = (&next, &write, &see);
    let sending = connections.iter_mut().map(|connection| async move {
        let mut request = Vec::with_capacity(1024);
        while next.get() < count {
            let index = next.replace(next.get() + 1);
            request.clear();
            write(index, &mut request);
            for tries in 1.. {
                let (head, body) = connection.exchange(&request).await?;
                if see(index, &head, body) {
                    break;
                }
                if !matches!(head.status, 429 | 503) || tries == TRIES {
                    return Err(Error::Wrong { status: head.status, body: String::from_utf8_lossy(body).into_owned() });
                }
                sleep(BUSY).await;
            }
        }
        Ok(())
    });
    try_join_all(sending).await.map(drop)
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)] // a panic is how a test fails

    use super::*;
    use crate::client::request::write_into;
    use std::rc::Rc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    pub struct Get {
        pub expected: u16,
    }

    impl Kind for Get {
        fn write(&self, buffer: &mut Vec<u8>) {
            write_into(buffer, "GET", "/", &[], None);
        }

        fn is_right(&self, head: &Head) -> bool {
            head.status == self.expected
        }
    }

    #[test]
    fn every_answer_is_counted_and_timed() {
        let (round, served) = one_round(200);
        let round = round.unwrap();
        assert!(round.answers > 10, "{round:?}");
        assert_eq!(round.answers, served);
        assert_eq!(round.latency.len(), round.answers);
        assert!(round.elapsed >= Duration::from_millis(50) && round.rate() > 1.0, "{round:?}");
    }

    #[test]
    fn a_wrong_answer_ends_the_round() {
        assert!(matches!(one_round(201).0, Err(Error::Wrong { status: 200, .. })));
    }

    #[test]
    fn a_number_of_requests_is_sent_once_each() {
        run(async {
            let (server, served) = server(Duration::ZERO).await;
            let mut connections = connect(server, 4).await.unwrap();
            let (written, seen) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
            let write = |index: u64, buffer: &mut Vec<u8>| {
                written.borrow_mut().push(index);
                write_into(buffer, "GET", "/", &[], None);
            };
            let see = |index: u64, head: &Head, body: &[u8]| {
                assert_eq!(body, b"ok");
                seen.borrow_mut().push(index);
                head.status == 200
            };
            each(&mut connections, 100, write, see).await.unwrap();
            assert_eq!(served.get(), 100);
            assert_eq!(written.into_inner(), (0..100).collect::<Vec<_>>());
            seen.borrow_mut().sort_unstable();
            assert_eq!(seen.into_inner(), (0..100).collect::<Vec<_>>());
        });
    }

    #[test]
    fn who_is_told_that_the_server_is_busy_comes_back() {
        run(async {
            let (server, served) = server_that_says(|request| if request % 3 == 0 { 503 } else { 200 }).await;
            let mut connections = connect(server, 4).await.unwrap();
            let write = |_, buffer: &mut Vec<u8>| write_into(buffer, "GET", "/", &[], None);
            each(&mut connections, 60, write, |_, head, _| head.status == 200).await.unwrap();
            assert!(served.get() > 60, "every third was turned away: {}", served.get());
            let (server, _) = server_that_says(|_| 500).await;
            let mut connections = connect(server, 4).await.unwrap();
            let wrong = each(&mut connections, 60, write, |_, head, _| head.status == 200).await;
            assert!(matches!(wrong, Err(Error::Wrong { status: 500, .. })), "{wrong:?}");
        });
    }

    /// A short round over four connections, and how many answers the other side gave.
    fn one_round(expected: u16) -> (Result<Round, Error>, u64) {
        run(async {
            let (server, served) = server(Duration::ZERO).await;
            let mut connections = connect(server, 4).await.unwrap();
            let round = round(&mut connections, &Get { expected }, Duration::from_millis(50)).await;
            (round, served.get())
        })
    }

    /// Answers every request after a while.
    pub async fn slow_server(after: Duration) -> SocketAddr {
        server(after).await.0
    }

    /// The same, and how many it has answered.
    async fn server(after: Duration) -> (SocketAddr, Rc<Cell<u64>>) {
        fake(after, |_| 200).await
    }

    /// Answers the first request and those that follow with these statuses.
    async fn server_that_says(status: fn(u64) -> u16) -> (SocketAddr, Rc<Cell<u64>>) {
        fake(Duration::ZERO, status).await
    }

    async fn fake(after: Duration, status: fn(u64) -> u16) -> (SocketAddr, Rc<Cell<u64>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let served = Rc::new(Cell::new(0));
        let count = served.clone();
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let count = count.clone();
                tokio::task::spawn_local(async move {
                    let mut buffer = [0; 256];
                    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                        count.set(count.get() + 1);
                        if !after.is_zero() {
                            tokio::time::sleep(after).await;
                        }
                        let answer = format!("HTTP/1.1 {} OK\r\ncontent-length: 2\r\n\r\nok", status(count.get()));
                        // Who has seen enough hangs up while others are still answered.
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        (server, served)
    }

    fn run<T>(test: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, test)
    }
}
