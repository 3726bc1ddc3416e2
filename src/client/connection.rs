//! One keep-alive connection.

use crate::client::Failure;
use crate::client::answer::{Head, parse_head};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Largest answer that is taken in: bytes of head and body.
const MAX_ANSWER: usize = 8 << 20;

/// A connection. After any failure it is of no use any more: drop it.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// The last answer, from the start; grows to the largest one seen.
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects, without Nagle's delay.
    ///
    /// # Errors
    /// [`Failure::Connection`] when nobody listens.
    pub async fn open(server: SocketAddr) -> Result<Connection, Failure> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Has nothing come that nobody asked for? A server that ends an idle connection says so by closing it, or with a
    /// 408 before that.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let read = self.stream.try_read(&mut [0; 1]);
        read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Sends a request and waits for its whole answer: the head, and the body in place.
    ///
    /// # Errors
    /// [`Failure`]: the outcome is unknown.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<(Head, &[u8]), Failure> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (head, start) = loop {
            self.read_some().await?;
            if let Some(found) = parse_head(&self.buffer)? {
                break found;
            }
        };
        let end = start + head.body_len;
        if end > MAX_ANSWER {
            return Err(Failure::Malformed(format!("an answer of {end} bytes")));
        }
        while self.buffer.len() < end {
            self.read_some().await?;
        }
        Ok((head, &self.buffer[start..end]))
    }

    /// Sends a request and hangs up without waiting: what a lost answer looks like to the server.
    ///
    /// # Errors
    /// [`Failure::Connection`] when it could not be sent.
    pub async fn send_and_hang_up(mut self, request: &[u8]) -> Result<(), Failure> {
        Ok(self.stream.write_all(request).await?)
    }

    async fn read_some(&mut self) -> Result<(), Failure> {
        if self.buffer.len() >= MAX_ANSWER {
            return Err(Failure::Malformed("an endless answer".into()));
        }
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(Failure::HungUp),
            _ => Ok(()),
        }
    }
}
