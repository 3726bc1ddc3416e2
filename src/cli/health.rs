//! `stampede health`: does the server of this configuration take requests? For health checks of containers, where no
//! other program is.

use crate::cli::{Exit, Outcome, Stop, out};
use crate::config::{Config, Flags};
use anyhow::Context;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Longest that it may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// An answer names every check; it has a few hundred bytes.
const ANSWER_MAX: u64 = 64 * 1024;

/// `stampede health`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// Asks `/health/ready` on the operations port; exit code 0: ready, 3: not ready, or nobody there.
///
/// # Errors
/// A configuration that would not start.
pub fn run(args: &Args) -> Outcome {
    let config = Config::load(&args.flags)?;
    let at = reachable(config.ops.bind);
    let answer = ask(at).map_err(|error| Stop::new(Exit::NotReady, error))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    out::line(body);
    Ok(if head.starts_with("HTTP/1.1 200 ") { Exit::Ok } else { Exit::NotReady })
}

/// Who listens everywhere is asked on loopback.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let address = match bind.ip() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    SocketAddr::new(address, bind.port())
}

fn ask(at: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&at, PATIENCE).with_context(|| format!("nobody answers at {at}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /health/ready HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX).read_to_string(&mut answer).with_context(|| format!("no whole answer from {at}"))?;
    Ok(answer)
}
