//! RabbitMQ, when it is to be used: is it there, new enough, ours to use, and fast enough?

use super::Finding;
use crate::broker::{Trouble, dead::DeadLetters, greeting};
use crate::config::{BrokerKind, Config};
use std::time::{Duration, Instant};

/// Questions that are timed.
const ROUNDS: usize = 20;
/// Slower than this is worth a word: every payment waits for some of these.
const SLOW: Duration = Duration::from_millis(50);

/// All looks, in a stable order; none when RabbitMQ is not used.
#[must_use]
pub fn all(config: &Config) -> Vec<Finding> {
    if config.broker != BrokerKind::RabbitMq {
        return Vec::new();
    }
    let url = &config.rabbitmq.url;
    let (host, port) = url.authority();
    let version = match greeting::greet(&host, port) {
        Ok(version) => version,
        Err(trouble) => return vec![told("rabbitmq", &url.to_string(), &trouble)],
    };
    let mut findings = vec![Finding::ok("rabbitmq", format!("{url} answers: version {version}"))];
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return findings };
    match runtime.block_on(look(config)) {
        Ok(more) => findings.extend(more),
        Err(trouble) => findings.push(told("rabbitmq use", &url.to_string(), &trouble)),
    }
    findings
}

async fn look(config: &Config) -> Result<Vec<Finding>, Trouble> {
    let letters = DeadLetters::open(&config.rabbitmq).await?;
    let mut times = Vec::with_capacity(ROUNDS);
    let mut counts = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        counts = letters.counts().await?;
        // Four questions each.
        times.push(began.elapsed() / 4);
    }
    times.sort_unstable();
    let (p50, slowest) = (times[ROUNDS / 2], times[ROUNDS - 1]);
    let namespace = &config.rabbitmq.namespace;
    let queues =
        Finding::ok("rabbitmq use", format!("exchanges and queues {namespace}.* are there, and as they should be"));
    let detail = format!("p50 {p50:.2?}, slowest {slowest:.2?} ({ROUNDS} rounds)");
    let latency = if p50 > SLOW {
        Finding::warn("rabbitmq latency", detail, "put it nearer: each payment waits for several of these")
    } else {
        Finding::ok("rabbitmq latency", detail)
    };
    let dead: u64 = counts.iter().map(|(_, _, dead)| dead).sum();
    let dead = if dead > 0 {
        Finding::warn(
            "rabbitmq dead",
            format!("{dead} dead letters"),
            "stampede dlq ls payment; stampede dlq ls fulfilment",
        )
    } else {
        Finding::ok("rabbitmq dead", "no dead letters")
    };
    Ok(vec![queues, latency, dead])
}

fn told(name: &'static str, url: &str, trouble: &Trouble) -> Finding {
    let fix = match trouble {
        Trouble::Gone(_) | Trouble::TooSlow(..) | Trouble::Missing(_) | Trouble::NoRabbit(_) => {
            "start it, or name it: STAMPEDE_RABBITMQ_URL=amqp://USER:PASSWORD@HOST:PORT/%2f; until then orders go on and their payments wait"
        }
        Trouble::TooOld(..) => "upgrade it; until then orders go on and their payments wait",
        Trouble::Login => "rabbitmqctl change_password USER PASSWORD, or correct rabbitmq.url",
        Trouble::NoHost(_) => "rabbitmqctl add_vhost NAME, and rabbitmqctl set_permissions -p NAME USER '.*' '.*' '.*'",
        Trouble::NoRight { .. } => {
            "rabbitmqctl set_permissions -p VHOST USER '^NAMESPACE\\..*' '^NAMESPACE\\..*' '^NAMESPACE\\..*'"
        }
        Trouble::Foreign { .. } => "rabbitmqctl delete_queue NAME when it is empty, or another rabbitmq.namespace",
    };
    Finding::red(name, format!("{url}: {trouble}"), fix)
}
