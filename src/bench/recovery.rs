//! How fast a killed server is back, when nothing of what it had logged is covered by a checkpoint.

use crate::bench::figure::{Sample, Spec};
use crate::bench::load;
use crate::bench::orders::{Goal, Order, SKUS, stock};
use crate::bench::rig::{HELD_BACK, Rig};
use crate::bench::rounds::Round;
use crate::bench::{Game, Measured};
use crate::client::Connection;
use crate::demo::live::{grouped, note};
use crate::disk::{RealDisk, SharedDisk};
use crate::journal::Log;
use anyhow::{Context, bail};
use stampede_actors::record::Position;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// No checkpoint while it runs, and the store is not synced either.
const UNCOVERED: &[&str] =
    &["--checkpoint-every=1000h", "--checkpoint-records=1000000000000", "--store-flush-every=1000h"];
/// Longest time for filling the log, and for coming back.
const PATIENCE: Duration = Duration::from_secs(600);
/// Each round is a start of a server: more than these say nothing new.
pub const ROUNDS: usize = 3;

/// Events replayed per second, and seconds from the start of the program to its first answered order.
///
/// # Errors
/// When the server does not start or does not come back, or its log cannot be read.
pub async fn recovery(game: &Game<'_>, specs: &'static [Spec]) -> anyhow::Result<Measured> {
    let flags = [HELD_BACK, UNCOVERED].concat();
    let mut rig = game.rig(&flags, &stock(SKUS)).await?;
    fill(game, &rig).await?;
    rig.server().kill()?;
    game.at_most(ROUNDS, specs, async || {
        // Of a log that nobody uses: read once more for counting, which also gives every round the same warm page cache.
        let events = events(rig.data())?;
        let start = Instant::now();
        rig.server().restart()?;
        let first = first_order(&mut rig).await?;
        let served = start.elapsed().as_secs_f64();
        let replayed = rig.metrics().await?.sum("stampede_journal_recovery_seconds", "");
        rig.server().kill()?;
        let detail =
            [("events", events as f64), ("recovery_s", replayed), ("first_order_ms", first.as_secs_f64() * 1e3)];
        let few = (events < game.options.events).then(|| format!("only {events} events were beyond the checkpoint"));
        let samples =
            vec![Sample::new(events as f64 / replayed.max(1e-9)).and(detail), Sample::new(served).and(detail)];
        Ok(Round { samples, void: few })
    })
    .await
}

/// Orders until there are as many events as wanted.
async fn fill(game: &Game<'_>, rig: &Rig) -> anyhow::Result<()> {
    let (start, before) = (Instant::now(), rig.metrics().await?);
    loop {
        let now = rig.metrics().await?;
        let grown = |name: &str, label: &str| (now.sum(name, label) - before.sum(name, label)) as u64;
        let placed = grown("stampede_orders_total", "outcome=\"placed\"");
        // An order is two events at least, which are counted; steps that it opens come on top.
        let events = placed + grown("stampede_hold_transitions_total", "to=\"held\"");
        let missing = game.options.events.saturating_sub(events);
        if missing == 0 {
            note(&format!("{} orders in {:.1} s", grouped(placed), start.elapsed().as_secs_f64()));
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            bail!("only {placed} orders were placed within {PATIENCE:?}");
        }
        rig.place(game.connections(), missing.div_ceil(2).min(50_000), Goal::Uniform(SKUS)).await?;
    }
}

/// Events in the log of a server that does not run, beyond its newest checkpoint.
fn events(data: &Path) -> anyhow::Result<u64> {
    let disk: SharedDisk = Arc::new(RealDisk);
    let inspected = Log::inspect(&disk, data).context("cannot read the log of the killed server")?;
    let covered = inspected.checkpoint.map_or(Position(0), |checkpoint| checkpoint.position);
    let mut reader = inspected.log.read_from(Position(covered.0 + 1))?;
    let mut events = 0;
    while let Some(frame) = reader.next()? {
        let beyond = frame.records.iter().zip(frame.first.0..).filter(|(_, position)| *position > covered.0);
        events += beyond.map(|(record, _)| record.entries.len() as u64).sum::<u64>();
    }
    Ok(events)
}

/// Sends an order as soon as somebody listens; how long the order itself took.
async fn first_order(rig: &mut Rig) -> anyhow::Result<Duration> {
    let deadline = Instant::now() + PATIENCE;
    let order = Order::new(Goal::Uniform(SKUS));
    while Instant::now() < deadline {
        rig.server().alive()?;
        if let Ok(connection) = Connection::open(rig.setup().api).await {
            let start = Instant::now();
            load::each(
                &mut [connection],
                1,
                |_, buffer| load::Kind::write(&order, buffer),
                |_, head, _| load::Kind::is_right(&order, head),
            )
            .await?;
            return Ok(start.elapsed());
        }
        sleep(Duration::from_millis(1)).await;
    }
    bail!("the server did not come back within {PATIENCE:?}")
}
