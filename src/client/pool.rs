//! Connections shared by many buyers on one thread. There are never more than the limit; who finds none waits in line.

use crate::client::{Answer, Connection, Failure, Request};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// A pool of connections to one server.
#[derive(Debug)]
pub struct Pool {
    server: SocketAddr,
    /// As many permits as connections may be in use.
    free: Semaphore,
    idle: RefCell<Vec<Connection>>,
}

impl Pool {
    /// At most `connections` at a time to `server`; none is opened before it is needed.
    #[must_use]
    pub fn new(server: SocketAddr, connections: usize) -> Pool {
        Pool { server, free: Semaphore::new(connections.max(1)), idle: RefCell::new(Vec::new()) }
    }

    /// Opens connections until so many are idle, so that the first buyers do not wait for handshakes. Each is used once:
    /// a server hangs up on those that never say anything much earlier than on those that have fallen silent.
    ///
    /// # Errors
    /// [`Failure`] when nobody listens or answers.
    pub async fn warm(&self, connections: usize, request: &Request) -> Result<(), Failure> {
        let idle = self.idle.borrow().len();
        for _ in idle..connections {
            let mut connection = Connection::open(self.server).await?;
            let (head, _) = connection.exchange(request.bytes()).await?;
            if !head.close {
                self.idle.borrow_mut().push(connection);
            }
        }
        Ok(())
    }

    /// Sends a request and waits for the answer, in all for `within` once a connection is free.
    ///
    /// # Errors
    /// [`Failure`]: the outcome is unknown; the same request may be sent again.
    pub async fn send(&self, request: &Request, within: Duration) -> Result<Answer, Failure> {
        let _permit = self.free.acquire().await.map_err(|_| Failure::HungUp)?;
        timeout(within, self.exchange(request)).await.map_err(|_| Failure::TimedOut(within))?
    }

    /// Sends a request and hangs up before the answer.
    ///
    /// # Errors
    /// [`Failure`] when it could not even be sent.
    pub async fn send_and_hang_up(&self, request: &Request, within: Duration) -> Result<(), Failure> {
        let _permit = self.free.acquire().await.map_err(|_| Failure::HungUp)?;
        let sending = async { self.connection().await?.send_and_hang_up(request.bytes()).await };
        timeout(within, sending).await.map_err(|_| Failure::TimedOut(within))?
    }

    /// Hangs up every idle connection: the server behind them is gone.
    pub fn forget_idle(&self) {
        self.idle.borrow_mut().clear();
    }

    async fn exchange(&self, request: &Request) -> Result<Answer, Failure> {
        let mut connection = self.connection().await?;
        let (head, body) = connection.exchange(request.bytes()).await?;
        let answer = Answer { head, body: body.to_vec() };
        if !head.close {
            self.idle.borrow_mut().push(connection);
        }
        Ok(answer)
    }

    async fn connection(&self) -> Result<Connection, Failure> {
        // The latest one used is the least likely to have been closed for idleness.
        loop {
            let idle = self.idle.borrow_mut().pop();
            match idle {
                Some(connection) if connection.is_silent() => return Ok(connection),
                Some(_) => {}
                None => return Connection::open(self.server).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a panic is how a test fails

    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// When a connection that was used up is closed.
    #[derive(Clone, Copy, PartialEq)]
    enum Closes {
        AtOnce,
        AtTheNextRequest,
    }

    /// Answers every read with `answer` in two pieces, `times` times per connection, and counts connections.
    async fn fake_server(
        answer: &'static [u8],
        times: usize,
        closes: Closes,
    ) -> (SocketAddr, std::rc::Rc<std::cell::Cell<usize>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = std::rc::Rc::new(std::cell::Cell::new(0));
        let count = accepted.clone();
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.set(count.get() + 1);
                tokio::task::spawn_local(async move {
                    let mut buffer = [0; 1024];
                    for _ in 0..times {
                        if stream.read(&mut buffer).await.unwrap_or(0) == 0 {
                            return;
                        }
                        let (first, second) = answer.split_at(answer.len() / 2);
                        stream.write_all(first).await.unwrap();
                        tokio::task::yield_now().await;
                        stream.write_all(second).await.unwrap();
                    }
                    if closes == Closes::AtTheNextRequest {
                        let _ = stream.read(&mut buffer).await;
                    }
                });
            }
        });
        (address, accepted)
    }

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"code\":\"good\"}";

    #[test]
    fn a_connection_is_used_again() {
        run(async {
            let (server, accepted) = fake_server(OK, usize::MAX, Closes::AtOnce).await;
            let pool = Pool::new(server, 4);
            for _ in 0..10 {
                let answer = pool.send(&Request::get("/"), Duration::from_secs(5)).await.unwrap();
                assert_eq!((answer.status(), answer.code().as_str()), (200, "good"));
            }
            assert_eq!(accepted.get(), 1);
        });
    }

    #[test]
    fn no_more_connections_than_allowed() {
        run(async {
            let (server, accepted) = fake_server(OK, usize::MAX, Closes::AtOnce).await;
            let pool = Pool::new(server, 2);
            let request = Request::get("/");
            let all = (0..20).map(|_| pool.send(&request, Duration::from_secs(5)));
            let answers = futures_util::future::join_all(all).await;
            assert!(answers.iter().all(Result::is_ok));
            assert!(accepted.get() <= 2, "{} connections", accepted.get());
        });
    }

    #[test]
    fn a_server_that_hangs_up_is_a_failure_and_the_next_request_connects_anew() {
        run(async {
            let (server, accepted) = fake_server(OK, 1, Closes::AtTheNextRequest).await;
            let pool = Pool::new(server, 2);
            let request = Request::get("/");
            assert!(pool.send(&request, Duration::from_secs(5)).await.is_ok());
            assert!(pool.send(&request, Duration::from_secs(5)).await.is_err());
            assert!(pool.send(&request, Duration::from_secs(5)).await.is_ok());
            assert_eq!(accepted.get(), 2);
        });
    }

    #[test]
    fn a_connection_that_was_closed_while_idle_is_not_used_again() {
        run(async {
            let (server, accepted) = fake_server(OK, 1, Closes::AtOnce).await;
            let pool = Pool::new(server, 2);
            for n in 1..=3 {
                assert!(pool.send(&Request::get("/"), Duration::from_secs(5)).await.is_ok());
                assert_eq!(accepted.get(), n);
                // Long enough for the other side to hang up.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }

    #[test]
    fn warm_connections_have_spoken() {
        run(async {
            let (server, accepted) = fake_server(OK, usize::MAX, Closes::AtOnce).await;
            let pool = Pool::new(server, 8);
            pool.warm(3, &Request::get("/")).await.unwrap();
            assert_eq!((accepted.get(), pool.idle.borrow().len()), (3, 3));
            assert!(pool.send(&Request::get("/"), Duration::from_secs(5)).await.is_ok());
            assert_eq!(accepted.get(), 3);
        });
    }

    #[test]
    fn a_silent_server_times_out() {
        run(async {
            let (server, _) = fake_server(b"HT", 1, Closes::AtOnce).await;
            let pool = Pool::new(server, 2);
            let failure = pool.send(&Request::get("/"), Duration::from_millis(20)).await;
            assert!(matches!(failure, Err(Failure::TimedOut(_) | Failure::HungUp)), "{failure:?}");
        });
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, test);
    }
}
