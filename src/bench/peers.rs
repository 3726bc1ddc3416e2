//! Orders against what else one could take: PostgreSQL and Redis, on servers of their own that the scripts in
//! `benches/peers/` start, load with their own tools, and stop. The peer and we take turns; while one is measured, the
//! other rests.

use crate::bench::figure::{Sample, Spec};
use crate::bench::load;
use crate::bench::orders::{Goal, Order, SKUS, stock};
use crate::bench::rig::{HELD_BACK, details, judged, names};
use crate::bench::rounds::Round;
use crate::bench::{Game, Measured};
use crate::demo::server::free_port;
use anyhow::{Context, bail};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const POSTGRES: &str = include_str!("../../benches/peers/postgres.sh");
const SCHEMA: &str = include_str!("../../benches/peers/postgres.sql");
const REDIS: &str = include_str!("../../benches/peers/redis.sh");
const SCRIPT: &str = include_str!("../../benches/peers/redis.lua");

/// Clients that PostgreSQL is tried with; it is measured with what it likes best.
const CLIENTS: &[u32] = &[16, 64, 128, 256];
/// Until a peer has cleaned up after itself.
const STOP: Duration = Duration::from_secs(60);

/// Which peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opponent {
    /// PostgreSQL, all orders for one row.
    PostgresHot,
    /// PostgreSQL, orders over 1,000 rows.
    PostgresRows,
    /// Redis, every answer synced.
    RedisAlways,
    /// Redis, synced once a second.
    RedisEverySecond,
}

impl Opponent {
    fn start(self) -> anyhow::Result<Peer> {
        match self {
            Opponent::PostgresHot | Opponent::PostgresRows => Peer::start("PostgreSQL", POSTGRES, &[SCHEMA]),
            Opponent::RedisAlways => Peer::start("Redis", REDIS, &["always", SCRIPT]),
            Opponent::RedisEverySecond => Peer::start("Redis", REDIS, &["everysec", SCRIPT]),
        }
    }

    /// What it is asked for.
    fn word(self) -> &'static str {
        match self {
            Opponent::PostgresHot => "hot",
            Opponent::PostgresRows => "rows",
            Opponent::RedisAlways | Opponent::RedisEverySecond => "order",
        }
    }

    /// What we are asked for.
    fn goal(self) -> Goal {
        match self {
            Opponent::PostgresHot => Goal::Hot,
            Opponent::PostgresRows => Goal::Uniform(1_000),
            Opponent::RedisAlways | Opponent::RedisEverySecond => Goal::Uniform(SKUS),
        }
    }
}

/// Durable orders ÷ what the peer does in the same time.
///
/// # Errors
/// When the peer cannot be installed or started, or one of both fails.
pub async fn order_to_peer(game: &Game<'_>, specs: &'static [Spec], against: Opponent) -> anyhow::Result<Measured> {
    let mut peer = against.start()?;
    let seconds = (game.options.seconds.round() as u64).max(1);
    let (word, connections) = (against.word(), game.connections());
    let clients = match against {
        Opponent::PostgresHot | Opponent::PostgresRows => peer.best(word, CLIENTS, seconds.min(4))?,
        Opponent::RedisAlways | Opponent::RedisEverySecond => game.options.connections,
    };
    let rig = game.rig(HELD_BACK, &stock(SKUS)).await?;
    let mut open = rig.connect(connections).await?;
    load::round(&mut open, &Order::new(against.goal()), game.duration() / 4).await?;
    rig.rest().await?;
    game.rounds(specs, async || {
        // Nothing else is to be done on this thread meanwhile.
        let theirs = peer.measure(word, clients, seconds)?;
        let ours = rig.side(&mut open, &Order::new(against.goal()), game.duration()).await?;
        let sample =
            Sample::new(ours.rate / theirs).with("peer_per_s", theirs).with("peer_clients", f64::from(clients));
        let round = judged(sample.and(details(names!("order"), &ours)), &[&ours]);
        let void = (theirs <= 0.0).then(|| "the peer did nothing".to_owned());
        Ok(Round { void: void.or(round.void), ..round })
    })
    .await
}

/// A peer behind its script. Dropped, it is asked to end, and waited for.
struct Peer {
    name: &'static str,
    script: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts one; blocks until it serves.
    fn start(name: &'static str, script: &str, arguments: &[&str]) -> anyhow::Result<Peer> {
        let port = free_port()?.local_addr()?.port();
        let mut command = Command::new("bash");
        command.arg("-c").arg(script).arg(name).arg(port.to_string()).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = command.spawn().context("cannot start bash")?;
        let (Some(questions), Some(answers)) = (script.stdin.take(), script.stdout.take()) else {
            bail!("{name} has no pipes");
        };
        let mut peer = Peer { name, script, questions: Some(questions), answers: BufReader::new(answers) };
        match peer.line()?.as_str() {
            "ready" => Ok(peer),
            other => bail!("{name} said {other:?} instead of being ready"),
        }
    }

    /// Transactions per second.
    fn measure(&mut self, word: &str, clients: u32, seconds: u64) -> anyhow::Result<f64> {
        let questions = self.questions.as_mut().context("already ended")?;
        writeln!(questions, "{word} {clients} {seconds}").with_context(|| format!("{} has ended", self.name))?;
        let answer = self.line()?;
        let rate = answer.parse::<f64>().ok().filter(|rate| *rate >= 0.0);
        rate.with_context(|| format!("{} answered {answer:?}, which is no rate", self.name))
    }

    /// The number of clients with which it does most.
    fn best(&mut self, word: &str, clients: &[u32], seconds: u64) -> anyhow::Result<u32> {
        let mut best = (0.0, 1);
        for &clients in clients {
            let rate = self.measure(word, clients, seconds)?;
            if rate > best.0 {
                best = (rate, clients);
            }
        }
        Ok(best.1)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line)? {
            0 => bail!("{} ended by itself: {}", self.name, self.script.wait()?),
            _ => Ok(line.trim().to_owned()),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input tells it to clean up; killed, it could not.
        self.questions = None;
        let start = Instant::now();
        while start.elapsed() < STOP {
            match self.script.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a panic is how a test fails

    use super::*;

    #[test]
    fn a_peer_is_asked_line_by_line_and_ends_with_its_input() {
        let place = tempfile::tempdir().unwrap();
        let mark = place.path().join("ended");
        let script =
            "echo ready; while read -r what clients seconds; do echo $((clients * seconds)); done; touch \"$2\"";
        let mut peer = Peer::start("test", script, &[mark.to_str().unwrap()]).unwrap();
        assert_eq!(peer.measure("x", 16, 2).unwrap(), 32.0);
        assert_eq!(peer.best("x", &[4, 9, 7], 1).unwrap(), 9);
        drop(peer);
        assert!(mark.exists(), "it had the time to clean up");
    }

    #[test]
    fn a_peer_that_fails_is_told_from_one_that_is_slow() {
        let start = |script: &str| Peer::start("test", script, &[]).map(drop).unwrap_err().to_string();
        assert!(start("exit 3").contains("exit status: 3"));
        assert!(start("echo no").contains("\"no\" instead"));
        let mut peer = Peer::start("test", "echo ready; read -r line; echo nonsense", &[]).unwrap();
        assert!(peer.measure("x", 1, 1).unwrap_err().to_string().contains("no rate"));
    }
}
