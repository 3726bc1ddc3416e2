//! A closed loop: every connection sends its next request when the last one is answered. Good for ratios between two
//! kinds of requests; what buyers feel is measured by the demo's open loop.

use crate::client::{Connection, Failure, Head};
use crate::demo::stats::histogram;
use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// What one round saw.
#[derive(Debug)]
pub struct Round {
    /// Requests that were answered.
    pub answers: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Microseconds.
    pub latency: Histogram<u64>,
}

impl Round {
    /// Answers per second.
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
/// The first answer that was not right.
pub async fn round(connections: &mut [Connection], kind: &impl Kind, duration: Duration) -> Result<Round, Error> {
    let latency = RefCell::new(histogram());
    let start = Instant::now();
    let end = start + duration;
    try_join_all(connections.iter_mut().map(|connection| drive(connection, kind, end, &latency))).await?;
    let elapsed = start.elapsed();
    let latency = latency.into_inner();
    Ok(Round { answers: latency.len(), elapsed, latency })
}

async fn drive(
    connection: &mut Connection,
    kind: &impl Kind,
    end: Instant,
    latency: &RefCell<Histogram<u64>>,
) -> Result<(), Error> {
    let mut request = Vec::with_capacity(1024);
    let mut sent_at = Instant::now();
    while sent_at < end {
        request.clear();
        kind.write(&mut request);
        let (head, body) = connection.exchange(&request).await?;
        if !kind.is_right(&head) {
            return Err(Error::Wrong { status: head.status, body: String::from_utf8_lossy(body).into_owned() });
        }
        let answered_at = Instant::now();
        latency.borrow_mut().saturating_record((answered_at - sent_at).as_micros() as u64);
        sent_at = answered_at;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a panic is how a test fails

    use super::*;
    use crate::client::request::write_into;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    struct Get {
        expected: u16,
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

    /// A short round over four connections, and how many answers the other side gave.
    fn one_round(expected: u16) -> (Result<Round, Error>, u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let server = listener.local_addr().unwrap();
            let served = std::rc::Rc::new(std::cell::Cell::new(0));
            let count = served.clone();
            tokio::task::spawn_local(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let count = count.clone();
                    tokio::task::spawn_local(async move {
                        let mut buffer = [0; 256];
                        while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                            count.set(count.get() + 1);
                            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                        }
                    });
                }
            });
            let mut connections = connect(server, 4).await.unwrap();
            let round = round(&mut connections, &Get { expected }, Duration::from_millis(50)).await;
            (round, served.get())
        })
    }
}
