//! Orders against requests that do nothing, sold out against nothing, one hot SKU against many: closed loops, in turns,
//! over the same connections to the same server.

use crate::bench::figure::{Sample, Spec};
use crate::bench::orders::{Goal, Order, SKUS, stock};
use crate::bench::rig::{HELD_BACK, Rig, details, judged, names};
use crate::bench::{Game, Measured, Metrics, load};
use crate::client::Connection;
use anyhow::bail;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Longest wait for orders to be captured.
const CAPTURED: Duration = Duration::from_secs(120);

/// Durable orders ÷ no-ops, payment held back.
///
/// # Errors
/// When the server does not start, or answers what it should not.
pub async fn order_to_noop(game: &Game<'_>, specs: &'static [Spec], connections: usize) -> anyhow::Result<Measured> {
    let (rig, mut open) = warm(game, HELD_BACK, connections).await?;
    game.rounds(specs, async || {
        let noop = rig.side(&mut open, &Order::new(Goal::Noop), game.duration()).await?;
        let before = rig.metrics().await?;
        let order = rig.side(&mut open, &Order::new(Goal::Uniform(SKUS)), game.duration()).await?;
        let flushed = Flushed::between(&before, &rig.metrics().await?);
        let sample = Sample::new(order.rate / noop.rate).and(details(names!("noop"), &noop));
        let sample =
            sample.and(details(names!("order"), &order)).with("records_per_flush", flushed.records_per_flush());
        Ok(judged(sample, &[&noop, &order]))
    })
    .await
}

/// Orders until the last of them is captured ÷ no-ops.
///
/// # Errors
/// When the server does not start, answers what it should not, or does not come to an end with its orders.
pub async fn settled_to_noop(game: &Game<'_>, specs: &'static [Spec]) -> anyhow::Result<Measured> {
    let (rig, mut open) = warm(game, &[], game.connections()).await?;
    captured(&rig).await?;
    game.rounds(specs, async || {
        let noop = rig.side(&mut open, &Order::new(Goal::Noop), game.duration()).await?;
        let start = Instant::now();
        let round = load::round(&mut open, &Order::new(Goal::Uniform(SKUS)), game.duration()).await?;
        captured(&rig).await?;
        let rate = round.answers as f64 / start.elapsed().as_secs_f64();
        rig.rest().await?;
        let sample = Sample::new(rate / noop.rate).and(details(names!("noop"), &noop));
        Ok(judged(sample.with("captured_per_s", rate).with("order_per_s", round.rate()), &[&noop]))
    })
    .await
}

/// Comes back when every order that was placed is captured.
///
/// # Errors
/// When it takes too long.
pub async fn captured(rig: &Rig) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        let metrics = rig.metrics().await?;
        let count = |outcome: &str| metrics.sum("stampede_orders_total", &format!("outcome=\"{outcome}\""));
        let (placed, paid) = (count("placed"), count("paid"));
        if paid >= placed {
            return Ok(());
        }
        if start.elapsed() > CAPTURED {
            bail!("{paid} of {placed} orders were captured within {CAPTURED:?}");
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// "Sold out" ÷ no-ops.
///
/// # Errors
/// When the server does not start, or answers what it should not.
pub async fn sold_out_to_noop(game: &Game<'_>, specs: &'static [Spec]) -> anyhow::Result<Measured> {
    let (rig, mut open) = warm(game, HELD_BACK, game.connections()).await?;
    game.rounds(specs, async || {
        let noop = rig.side(&mut open, &Order::new(Goal::Noop), game.duration()).await?;
        let refused = rig.side(&mut open, &Order::new(Goal::SoldOut), game.duration()).await?;
        let sample = Sample::new(refused.rate / noop.rate).and(details(names!("noop"), &noop));
        Ok(judged(sample.and(details(names!("sold_out"), &refused)), &[&noop, &refused]))
    })
    .await
}

/// Orders for one SKU ÷ orders over many.
///
/// # Errors
/// When the server does not start, or answers what it should not.
pub async fn hot_to_uniform(game: &Game<'_>, specs: &'static [Spec]) -> anyhow::Result<Measured> {
    let (rig, mut open) = warm(game, HELD_BACK, game.connections()).await?;
    game.rounds(specs, async || {
        let uniform = rig.side(&mut open, &Order::new(Goal::Uniform(SKUS)), game.duration()).await?;
        let hot = rig.side(&mut open, &Order::new(Goal::Hot), game.duration()).await?;
        let sample = Sample::new(hot.rate / uniform.rate).and(details(names!("uniform"), &uniform));
        Ok(judged(sample.and(details(names!("hot"), &hot)), &[&uniform, &hot]))
    })
    .await
}

/// Records per durable write while 1,024 connections order.
///
/// # Errors
/// When the server does not start, or answers what it should not.
pub async fn records_per_flush(game: &Game<'_>, specs: &'static [Spec]) -> anyhow::Result<Measured> {
    let (rig, mut open) = warm(game, HELD_BACK, 1_024).await?;
    game.rounds(specs, async || {
        let before = rig.metrics().await?;
        let round = load::round(&mut open, &Order::new(Goal::Uniform(SKUS)), game.duration()).await?;
        let flushed = Flushed::between(&before, &rig.metrics().await?);
        rig.rest().await?;
        let sample = Sample::new(flushed.records_per_flush()).with("order_per_s", round.rate());
        let bytes = flushed.bytes / flushed.records.max(1.0);
        let sample = sample.with("flushes_per_s", flushed.frames / round.elapsed.as_secs_f64());
        Ok(sample.with("bytes_per_record", bytes).into())
    })
    .await
}

/// A server with stock, and connections, allocators and caches that are warm before the first round that counts.
async fn warm(game: &Game<'_>, flags: &[&str], connections: usize) -> anyhow::Result<(Rig, Vec<Connection>)> {
    let rig = game.rig(flags, &stock(SKUS)).await?;
    let mut open = rig.connect(connections).await?;
    for goal in [Goal::Noop, Goal::Uniform(SKUS)] {
        load::round(&mut open, &Order::new(goal), game.duration() / 4).await?;
    }
    rig.rest().await?;
    Ok((rig, open))
}

/// What the log wrote between two moments.
#[derive(Debug, Clone, Copy)]
pub struct Flushed {
    /// Records committed.
    pub records: f64,
    /// Frames written.
    pub frames: f64,
    /// Bytes written, padding included.
    pub bytes: f64,
}

impl Flushed {
    /// From what the server says at both.
    #[must_use]
    pub fn between(before: &Metrics, after: &Metrics) -> Flushed {
        let grown = |name| after.sum(name, "") - before.sum(name, "");
        Flushed {
            records: grown("stampede_journal_records_total"),
            frames: grown("stampede_journal_frames_total"),
            bytes: grown("stampede_journal_written_bytes_total"),
        }
    }

    /// Records in a frame.
    #[must_use]
    pub fn records_per_flush(&self) -> f64 {
        self.records / self.frames.max(1.0)
    }
}
