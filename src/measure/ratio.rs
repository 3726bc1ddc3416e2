//! `stampede measure ratio`: `POST /v1/orders` ÷ `POST /v1/noop`, in turns.
//!
//! An order is answered when it is durable; its payment and fulfilment come after. They are held back unless `--settle`
//! is given, since they would run into the next round; with it, every round begins when the server has come to rest,
//! and the CPU of an order includes what followed from it.

use crate::cli::{Exit, Outcome, out};
use crate::client::{Connection, Head, request};
use crate::demo::server::own_cpu;
use crate::demo::stats::ms;
use crate::demo::{Server, Setup, stage};
use crate::import;
use crate::measure::load::{self, Kind, Round};
use anyhow::{Context, bail};
use std::cell::Cell;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// SKUs that orders are spread over.
const SKUS: u64 = 10_000;
/// How long it is watched to see whether it rests.
const LOOK: Duration = Duration::from_millis(300);
/// Units of each of them, and of the hot one.
const UNITS: u32 = 50_000_000;

/// `stampede measure ratio`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Connections, each with one request at a time.
    #[arg(long, default_value_t = 256, value_name = "NUMBER")]
    connections: usize,
    /// Length of a round.
    #[arg(long, default_value_t = 3.0, value_name = "SECONDS")]
    seconds: f64,
    /// Rounds of each kind.
    #[arg(long, default_value_t = 4, value_name = "NUMBER")]
    rounds: usize,
    /// Pays and ships the orders while they come in.
    #[arg(long)]
    settle: bool,
    /// HTTP workers of the server.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    workers: usize,
    /// Further flags for the server, like --server-flag=--placement=own.
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    server_flag: Vec<String>,
}

/// Starts a server, measures, and prints a table.
///
/// # Errors
/// When the server does not start, or answers what it should not.
pub fn run(options: &Options) -> Outcome {
    let directory = stage::Directory::new("measure")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measured = runtime.block_on(measure(options, directory.path()));
    directory.remove();
    out::say(&measured?);
    Ok(Exit::Ok)
}

async fn measure(options: &Options, directory: &Path) -> anyhow::Result<String> {
    let workers = format!("--workers={}", options.workers);
    let mut flags = vec!["--measure", "--holds-ttl=29m", workers.as_str()];
    if !options.settle {
        flags.extend(["--payment-latency=1h", "--payment-ask-again=1h"]);
    }
    flags.extend(options.server_flag.iter().map(String::as_str));
    let setup = Setup::new(&std::env::current_exe()?, directory, &flags)?;
    let key = crate::keys::create(&setup.data, "measure").context("cannot make an API key")?;
    let mut server = Server::start(setup.clone())?;
    server.ready(stage::START).await?;
    stage::fill(&import::file::parse(stock().as_bytes())?, setup.api, &key.secret).await?;

    let mut connections = load::connect(setup.api, options.connections).await?;
    let duration = Duration::from_secs_f64(options.seconds);
    let mut table = format!(
        "{} connections, rounds of {} s, {} HTTP worker(s), payment and fulfilment {}\n\
         round          answers/s   p50 ms   p99 ms   server us/request   client us/request\n",
        options.connections,
        options.seconds,
        options.workers,
        if options.settle { "included" } else { "held back" }
    );
    let cases = [("uniform", Stock::Uniform), ("one hot SKU", Stock::Hot), ("sold out", Stock::SoldOut)];
    // Connections, allocators and caches are warm before the first round that counts.
    load::round(&mut connections, &Order::new(Stock::Noop), duration / 4).await?;
    load::round(&mut connections, &Order::new(Stock::Uniform), duration / 4).await?;
    for (name, stock) in cases {
        let mut ratios = Vec::new();
        for _ in 0..options.rounds {
            let noop = one("no-op", Stock::Noop, &mut connections, &server, duration, &mut table).await?;
            let order = one(name, stock, &mut connections, &server, duration, &mut table).await?;
            ratios.push(order / noop);
        }
        ratios.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (ratios.first(), ratios.last()) else { bail!("there must be a round") };
        let median = (ratios[(ratios.len() - 1) / 2] + ratios[ratios.len() / 2]) / 2.0;
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{name} / no-op: median {median:.2} (min {min:.2}, max {max:.2})\n");
    }
    server.stop(Duration::from_secs(60)).await?;
    Ok(table)
}

/// One round; its row in the table, and its rate.
async fn one(
    name: &str,
    stock: Stock,
    connections: &mut [Connection],
    server: &Server,
    duration: Duration,
    table: &mut String,
) -> anyhow::Result<f64> {
    let (cpu, own) = (server.cpu()?, own_cpu()?);
    let round: Round = load::round(connections, &Order::new(stock), duration).await.context(name.to_owned())?;
    let own = own_cpu()? - own;
    rest(server).await?;
    let cpu = server.cpu()? - cpu;
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / round.answers.max(1) as f64;
    let (p50, p99) = (ms(&round.latency, 0.50), ms(&round.latency, 0.99));
    let (rate, server, client) = (round.rate(), each(cpu), each(own));
    let _ = writeln!(table, "{name:<12} {rate:>11.0} {p50:>8.2} {p99:>8.2} {server:>19.1} {client:>19.1}");
    Ok(round.rate())
}

/// Comes back when the server has nothing left to do, or after a while.
async fn rest(server: &Server) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut before = server.cpu()?;
    while Instant::now() < deadline {
        sleep(LOOK).await;
        let now = server.cpu()?;
        if now - before < LOOK / 20 {
            return Ok(());
        }
        before = now;
    }
    Ok(())
}

fn stock() -> String {
    let mut csv = String::from("sku,seller,location,units,price,currency\n");
    let _ = writeln!(csv, "hot,measure,main,{UNITS},19.99,EUR\nsold-out,measure,main,0,19.99,EUR");
    for index in 0..SKUS {
        let _ = writeln!(csv, "sku-{index:05},measure,main,{UNITS},19.99,EUR");
    }
    csv
}

/// Which SKU an order is for, and what it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stock {
    /// Any; the request does nothing.
    Noop,
    /// Any of many.
    Uniform,
    /// Always the same one.
    Hot,
    /// One that has no units.
    SoldOut,
}

/// Orders of one line, each under a key of its own.
struct Order {
    stock: Stock,
    next: Cell<u64>,
}

impl Order {
    fn new(stock: Stock) -> Order {
        // Keys are never used twice, not even by the next run on the same server.
        Order { stock, next: Cell::new(rand::random::<u64>() >> 8) }
    }
}

impl Kind for Order {
    fn write(&self, buffer: &mut Vec<u8>) {
        let number = self.next.get();
        self.next.set(number + 1);
        let mut key = Text::<64>::default();
        let _ = write!(key, "\"measure-{number:016x}\"");
        let mut body = Text::<256>::default();
        let _ = write!(body, "{{\"buyer\":\"buyer-{number}\",\"payment_token\":\"tok_ok\",\"lines\":[{{\"sku\":\"");
        let _ = match self.stock {
            Stock::Noop | Stock::Uniform => write!(body, "sku-{:05}", number.wrapping_mul(0x9e37_79b9) % SKUS),
            Stock::Hot => write!(body, "hot"),
            Stock::SoldOut => write!(body, "sold-out"),
        };
        let _ = write!(body, "\",\"units\":1}}]}}");
        let path = if self.stock == Stock::Noop { "/v1/noop" } else { "/v1/orders" };
        request::write_into(buffer, "POST", path, &[("idempotency-key", key.as_str())], Some(body.as_str()));
    }

    fn is_right(&self, head: &Head) -> bool {
        match self.stock {
            Stock::Noop => matches!(head.status, 200 | 201),
            Stock::Uniform | Stock::Hot => head.status == 201,
            Stock::SoldOut => head.status == 409,
        }
    }
}

/// A short text on the stack: the generator shares the machine with the server, so it does not allocate per request.
struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Text<N> {
        Text { bytes: [0; N], length: 0 }
    }
}

impl<const N: usize> Text<N> {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_whole_and_has_its_own_key() {
        let order = Order::new(Stock::Uniform);
        let write = || {
            let mut bytes = Vec::new();
            order.write(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (one, other) = (write(), write());
        assert_ne!(one, other);
        let (_, body) = one.split_once("\r\n\r\n").unwrap_or_default();
        assert!(one.contains(&format!("content-length: {}\r\n", body.len())), "{one}");
        assert!(body.starts_with("{\"buyer\":\"buyer-") && body.ends_with("\",\"units\":1}]}"), "{body}");
    }
}
