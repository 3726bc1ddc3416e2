//! What buyers feel at half of what the server can take, and how much it still sells at twice of that: open loops.

use crate::bench::figure::{Sample, Spec};
use crate::bench::load;
use crate::bench::open;
use crate::bench::orders::{Goal, Order, SKUS, stock};
use crate::bench::rig::{HELD_BACK, Rig};
use crate::bench::rounds::Round;
use crate::bench::{Game, Measured};
use crate::client::Connection;
use crate::config::Config;
use crate::demo::live::note;
use crate::demo::stats::ms;
use anyhow::{Context, bail};
use std::time::Duration;

/// Purchases in progress per shard, and how long every sync takes longer, where overload is measured: it is the server
/// that saturates then, at a rate that the generator can double.
const OVERLOADED: &[&str] = &["--shards=2", "--permits=32", "--log-sync-delay=10ms"];
/// Connections under overload: more than are ever in progress.
const CROWD: usize = 512;
/// Offered rates at which the peak is looked for, as parts of a first guess of it.
const LADDER: &[f64] = &[0.7, 0.85, 1.0, 1.15];

/// What an order at half of saturation waits longer than a no-op does, in times of what one sync and the pace take.
///
/// # Errors
/// When the server does not start, or answers what it should not.
pub async fn order_to_sync(game: &Game<'_>, specs: &'static [Spec]) -> anyhow::Result<Measured> {
    let rig = game.rig(HELD_BACK, &stock(SKUS)).await?;
    let mut open = rig.connect(game.connections()).await?;
    let uniform = Goal::Uniform(SKUS);
    load::round(&mut open, &Order::new(uniform), game.duration() / 4).await?;
    let saturated = load::round(&mut open, &Order::new(uniform), game.duration()).await?.rate();
    rig.rest().await?;
    note(&format!("saturated at {saturated:.0} orders per second"));
    let (rate, pace) = (saturated / 2.0, pace_bound(game)?);
    game.rounds(specs, async || {
        let before = game.probe.look()?;
        let noop = open::run(&mut open, &Order::new(Goal::Noop), rate, game.duration()).await?;
        rig.rest().await?;
        let order = open::run(&mut open, &Order::new(uniform), rate, game.duration()).await?;
        rig.rest().await?;
        let sync = (before.p99 + game.probe.look()?.p99) / 2;
        let (noop_ms, order_ms) = (ms(&noop.latency, 0.99), ms(&order.latency, 0.99));
        let bound_ms = (sync + pace).as_secs_f64() * 1e3;
        let sample = Sample::new((order_ms - noop_ms) / bound_ms)
            .with("offered_per_s", rate)
            .with("noop_p99_ms", noop_ms)
            .with("order_p99_ms", order_ms)
            .with("noop_p50_ms", ms(&noop.latency, 0.50))
            .with("order_p50_ms", ms(&order.latency, 0.50))
            .with("bound_ms", bound_ms)
            .with("generator_cpu", order.generator);
        let shed = noop.shed + order.shed;
        let shed = (shed > 0).then(|| format!("{shed} requests were turned away at half of saturation"));
        Ok(Round { samples: vec![sample], void: noop.void().or(order.void()).or(shed) })
    })
    .await
}

/// Longest wait for a fuller frame, as the server is configured.
fn pace_bound(game: &Game<'_>) -> anyhow::Result<Duration> {
    let flags = game.options.server_flag.iter().rev();
    match flags.filter_map(|flag| flag.strip_prefix("--log-pace-max=")).next() {
        Some(text) => humantime::parse_duration(text).context("--log-pace-max"),
        None => Ok(Config::default().log.pace_max),
    }
}

/// Orders per second at twice saturation ÷ the most there are at any rate.
///
/// # Errors
/// When the server does not start, or answers what it should not.
pub async fn overload_to_peak(game: &Game<'_>, specs: &'static [Spec]) -> anyhow::Result<Measured> {
    let flags = [HELD_BACK, OVERLOADED].concat();
    let rig = game.rig(&flags, &stock(SKUS)).await?;
    let mut open = rig.connect(CROWD).await?;
    let peak = peak_rate(game, &rig, &mut open).await?;
    note(&format!("most orders are placed at {peak:.0} requests per second"));
    let order = Order::new(Goal::Uniform(SKUS));
    game.rounds(specs, async || {
        let most = open::run(&mut open, &order, peak, game.duration()).await?;
        rig.rest().await?;
        let over = open::run(&mut open, &order, 2.0 * peak, game.duration()).await?;
        rig.rest().await?;
        let sample = Sample::new(over.goodput() / most.goodput())
            .with("peak_offered_per_s", peak)
            .with("peak_orders_per_s", most.goodput())
            .with("overload_orders_per_s", over.goodput())
            .with("overload_shed_per_s", over.shed as f64 / over.elapsed.as_secs_f64())
            .with("peak_p99_ms", ms(&most.latency, 0.99))
            .with("overload_p99_ms", ms(&over.latency, 0.99))
            .with("generator_cpu", over.generator);
        let idle = (over.shed == 0).then(|| "nothing was turned away: it was no overload".to_owned());
        Ok(Round { samples: vec![sample], void: most.void().or(over.void()).or(idle) })
    })
    .await
}

/// The offered rate at which most orders are placed.
async fn peak_rate(game: &Game<'_>, rig: &Rig, open: &mut [Connection]) -> anyhow::Result<f64> {
    let order = Order::new(Goal::Uniform(SKUS));
    let short = game.duration() / 2;
    // As many at a time as there are permits: the server is never idle, and seldom has to turn anybody away.
    let guess = load::round(&mut open[..64], &order, short).await?.rate();
    rig.rest().await?;
    let mut best = (0.0, 0.0);
    for part in LADDER {
        let seen = open::run(open, &order, guess * part, short).await?;
        rig.rest().await?;
        if seen.goodput() > best.0 {
            best = (seen.goodput(), guess * part);
        }
    }
    if best.1 <= 0.0 {
        bail!("no order was placed");
    }
    Ok(best.1)
}
