//! One request to the collector, on a connection of its own: a second is long for a thread that has nothing else to do.

use super::otlp;
use crate::config::Endpoint;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Largest answer that is looked at.
const MAX_ANSWER: usize = 64 * 1024;
/// Most header lines of an answer.
const MAX_HEADERS: usize = 64;

/// Why the collector does not have the spans.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// Nobody listens, or the connection broke, or nothing came in time.
    #[error("no answer: {0}")]
    Away(#[from] io::Error),
    /// It answers with this status: later, for 429, 502, 503 and 504.
    #[error("it answers {0}")]
    Status(u16),
    /// What came is no HTTP answer.
    #[error("it does not speak HTTP/1.1")]
    Rubbish,
}

impl Trouble {
    /// May the same spans be wanted later?
    pub fn passes(&self) -> bool {
        match self {
            Trouble::Away(_) => true,
            Trouble::Status(status) => matches!(status, 429 | 502 | 503 | 504),
            Trouble::Rubbish => false,
        }
    }
}

/// Sends a body, in `within` at most; how many of its spans the collector did not want.
pub(super) fn post(to: &Endpoint, body: &[u8], within: Duration) -> Result<u64, Trouble> {
    let until = Instant::now() + within;
    let mut stream = connect(to, until)?;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\nuser-agent: stampede\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        to.path,
        to.authority(),
        body.len()
    );
    stream.set_write_timeout(Some(left(until)?))?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::with_capacity(512);
    loop {
        if let Some(outcome) = judge(&answer, false)? {
            return outcome;
        }
        let mut piece = [0; 4096];
        // A collector that drips is given up at the end like one that is silent.
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut piece) {
            Ok(0) => return judge(&answer, true)?.unwrap_or(Err(Trouble::Rubbish)),
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        if answer.len() > MAX_ANSWER {
            return Err(Trouble::Rubbish);
        }
    }
}

fn connect(to: &Endpoint, until: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (to.host.as_str(), to.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(until)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn left(until: Instant) -> io::Result<Duration> {
    match until.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::new(io::ErrorKind::TimedOut, "too slow")),
        left => Ok(left),
    }
}

/// What the answer so far says; `None`: more of it has to come.
fn judge(answer: &[u8], ended: bool) -> Result<Option<Result<u64, Trouble>>, Trouble> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let start = match response.parse(answer).map_err(|_| Trouble::Rubbish)? {
        httparse::Status::Complete(start) => start,
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.unwrap_or(0);
    if !(200..300).contains(&status) {
        return Ok(Some(Err(Trouble::Status(status))));
    }
    let header = |name: &str| response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    if header("transfer-encoding").is_some() {
        // They have been taken; in pieces it could only say which it did not like.
        return Ok(Some(Ok(0)));
    }
    let length = header("content-length").and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    let body = &answer[start..];
    let whole = length.is_some_and(|length: usize| body.len() >= length);
    Ok((ended || whole).then(|| Ok(otlp::rejected(&body[..length.unwrap_or(body.len()).min(body.len())]))))
}
