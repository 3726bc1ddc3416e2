//! What one warm entity takes in memory, and one order on disk.
//!
//! The entities are made, the server starts anew, and they are woken by being read: what memory grows by then is theirs,
//! and not that of caches and buffers that writing fills.

use crate::bench::figure::{Sample, Spec};
use crate::bench::load::{self, Kind};
use crate::bench::orders::{Goal, Order, SKUS, stock};
use crate::bench::ratios::{Flushed, captured};
use crate::bench::rig::{HELD_BACK, Rig};
use crate::bench::{Game, Measured};
use crate::client::request::write_into;
use anyhow::{Context, bail};
use std::cell::RefCell;

/// Everything stays warm, and blocks of the store do not stay in memory.
const WARM: &[&str] = &["--passivate-after=2h", "--passivate-warm=100000000", "--store-cache-bytes=1MiB"];
/// Connections that entities are made and woken over.
const CONNECTIONS: usize = 64;
/// Each round makes and wakes all entities anew: more than these say nothing new.
pub const ROUNDS: usize = 3;

/// Kind of entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warm {
    /// With one live hold each.
    Sku,
    /// With one line each.
    Cart,
    /// Awaiting payment.
    Order,
}

/// Bytes of resident memory per warm entity.
///
/// # Errors
/// When the server does not start, or answers what it should not.
pub async fn per_entity(game: &Game<'_>, specs: &'static [Spec], kind: Warm) -> anyhow::Result<Measured> {
    let count = game.options.entities;
    game.at_most(ROUNDS, specs, async || {
        let flags = [HELD_BACK, WARM].concat();
        let mut rig = game.rig(&flags, &stock(if kind == Warm::Sku { count } else { SKUS })).await?;
        let paths = make(&rig, kind, count).await?;
        rig.rest().await?;
        rig.begin_anew(&flags).await?;
        // The first few pay for what all share.
        let first = paths.len().min(1_000);
        wake(&rig, &paths[..first]).await?;
        rig.rest().await?;
        let (before, warm_before) = (rig.resident()?, warm(&rig, kind).await?);
        wake(&rig, &paths[first..]).await?;
        rig.rest().await?;
        let (after, warm_after) = (rig.resident()?, warm(&rig, kind).await?);
        let woken = warm_after - warm_before;
        // Some were awake before they were read: workflows asked them what is open.
        if woken < 0.5 * count as f64 {
            bail!("only {woken} of {count} entities were woken");
        }
        rig.stop().await?;
        let bytes = after.saturating_sub(before) as f64 / woken.max(1.0);
        Ok(Sample::new(bytes).with("entities", woken).with("resident_mib", after as f64 / f64::from(1 << 20)).into())
    })
    .await
}

async fn warm(rig: &Rig, kind: Warm) -> anyhow::Result<f64> {
    let label = match kind {
        Warm::Sku => "actor=\"sku\"",
        Warm::Cart => "actor=\"cart\"",
        Warm::Order => "actor=\"order\"",
    };
    Ok(rig.metrics().await?.sum("stampede_actors_warm", label))
}

/// Makes the entities, and says where each can be read.
async fn make(rig: &Rig, kind: Warm, count: u64) -> anyhow::Result<Vec<String>> {
    match kind {
        Warm::Sku => make_skus(rig, count).await,
        Warm::Cart => make_carts(rig, count).await,
        Warm::Order => make_orders(rig, count).await,
    }
}

/// They are there already; an order for each of them holds a unit.
async fn make_skus(rig: &Rig, count: u64) -> anyhow::Result<Vec<String>> {
    let write = |index: u64, buffer: &mut Vec<u8>| {
        let key = format!("\"memory-{index}\"");
        let body = format!(
            "{{\"buyer\":\"buyer-{index}\",\"payment_token\":\"tok_ok\",\"lines\":[{{\"sku\":\"sku-{index:07}\",\"units\":1}}]}}"
        );
        write_into(buffer, "POST", "/v1/orders", &[("idempotency-key", &key)], Some(&body));
    };
    let mut open = rig.connect(CONNECTIONS).await?;
    load::each(&mut open, count, write, |_, head, _| head.status == 201).await?;
    Ok((0..count).map(|index| format!("/v1/skus/sku-{index:07}")).collect())
}

async fn make_carts(rig: &Rig, count: u64) -> anyhow::Result<Vec<String>> {
    let ids = RefCell::new(Vec::new());
    let write = |index: u64, buffer: &mut Vec<u8>| {
        let (key, body) = (format!("\"memory-{index}\""), format!("{{\"buyer\":\"buyer-{index}\"}}"));
        write_into(buffer, "POST", "/v1/carts", &[("idempotency-key", &key)], Some(&body));
    };
    let mut open = rig.connect(CONNECTIONS).await?;
    load::each(&mut open, count, write, |_, head, body| {
        ids.borrow_mut().extend(text_of(body, "cart"));
        head.status == 201
    })
    .await?;
    let ids = ids.into_inner();
    let line = |index: u64, buffer: &mut Vec<u8>| {
        let path = format!("/v1/carts/{}/lines/sku-{:07}", ids[index as usize], index % SKUS);
        write_into(buffer, "PUT", &path, &[], Some("{\"units\":1}"));
    };
    load::each(&mut open, ids.len() as u64, line, |_, head, _| head.status == 200).await?;
    Ok(ids.iter().map(|id| format!("/v1/carts/{id}")).collect())
}

async fn make_orders(rig: &Rig, count: u64) -> anyhow::Result<Vec<String>> {
    let order = Order::new(Goal::Uniform(SKUS));
    let paths = RefCell::new(Vec::new());
    let mut open = rig.connect(CONNECTIONS).await?;
    load::each(
        &mut open,
        count,
        |_, buffer| order.write(buffer),
        |_, head, body| {
            paths.borrow_mut().extend(text_of(body, "order").map(|id| format!("/v1/orders/{id}")));
            order.is_right(head)
        },
    )
    .await?;
    Ok(paths.into_inner())
}

/// A text in a JSON object.
fn text_of(body: &[u8], field: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    body.get(field)?.as_str().map(str::to_owned)
}

/// Reads each of them once.
async fn wake(rig: &Rig, paths: &[String]) -> anyhow::Result<()> {
    let authorization = format!("Bearer {}", rig.key());
    let write = |index: u64, buffer: &mut Vec<u8>| {
        let path = paths.get(index as usize).map_or("/", String::as_str);
        write_into(buffer, "GET", path, &[("authorization", &authorization)], None);
    };
    let mut open = rig.connect(CONNECTIONS).await?;
    load::each(&mut open, paths.len() as u64, write, |_, head, _| head.status == 200).await.context("cannot read")
}

/// Bytes of log per order, as it is placed and with all that follows until it is captured and shipped.
///
/// # Errors
/// When the server does not start, or answers what it should not.
pub async fn log_per_order(game: &Game<'_>, specs: &'static [Spec]) -> anyhow::Result<Measured> {
    let rigs = [game.rig(HELD_BACK, &stock(SKUS)).await?, game.rig(&[], &stock(SKUS)).await?];
    let order = Order::new(Goal::Uniform(SKUS));
    game.rounds(specs, async || {
        let mut samples = Vec::new();
        for (rig, to_the_end) in rigs.iter().zip([false, true]) {
            let mut open = rig.connect(game.connections()).await?;
            rig.rest().await?;
            let before = rig.metrics().await?;
            let round = load::round(&mut open, &order, game.duration() / 2).await?;
            if to_the_end {
                captured(rig).await?;
                rig.rest().await?;
            }
            let flushed = Flushed::between(&before, &rig.metrics().await?);
            let each = |number: f64| number / round.answers.max(1) as f64;
            let sample = Sample::new(each(flushed.bytes)).with("records_per_order", each(flushed.records));
            samples.push(sample.with("records_per_flush", flushed.records_per_flush()));
        }
        Ok(samples.into())
    })
    .await
}
