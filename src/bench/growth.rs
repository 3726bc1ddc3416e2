//! What a server that has much in its store loses against one that has little: both run at once, and take turns.

use crate::bench::figure::{Sample, Spec};
use crate::bench::load;
use crate::bench::orders::{Goal, Order, stock};
use crate::bench::ratios::captured;
use crate::bench::rig::{HELD_BACK, Rig, details, names};
use crate::bench::rounds::Round;
use crate::bench::{Game, Measured};
use crate::client::Connection;
use crate::demo::live::{grouped, note};

/// SKUs or orders of the small server; and the SKUs that both are asked for.
const FEW: u64 = 1_000;
/// Orders that may be on their way to their shipment at once while the large server is filled.
const AT_ONCE: u64 = 20_000;
/// What comes after an order comes at once, so that the store is filled in less time.
const QUICK: &[&str] = &["--payment-latency=0s", "--fulfilment-latency=0s"];

/// Orders for the same 1,000 SKUs, with 1,000 and with many SKUs in the store: rate of few ÷ rate of many, and resident
/// memory of many ÷ that of few.
///
/// # Errors
/// When a server does not start, or answers what it should not.
pub async fn skus(game: &Game<'_>, specs: &'static [Spec]) -> anyhow::Result<Measured> {
    let few = game.rig(HELD_BACK, &stock(FEW)).await?;
    let many = game.rig(HELD_BACK, &stock(game.options.large)).await?;
    compare(game, specs, few, many).await
}

/// The same with 1,000 and with many orders on disk, all of them settled.
///
/// # Errors
/// When a server does not start, or answers what it should not.
pub async fn orders(game: &Game<'_>, specs: &'static [Spec]) -> anyhow::Result<Measured> {
    let few = filled(game, FEW).await?;
    let many = filled(game, game.options.large).await?;
    compare(game, specs, few, many).await
}

/// A server that has begun anew with so many settled orders on its disk.
async fn filled(game: &Game<'_>, orders: u64) -> anyhow::Result<Rig> {
    let mut rig = game.rig(QUICK, &stock(FEW)).await?;
    let mut placed = 0;
    while placed < orders {
        let count = (orders - placed).min(AT_ONCE);
        rig.place(game.connections(), count, Goal::Uniform(FEW)).await?;
        captured(&rig).await?;
        placed += count;
        note(&format!("{} of {} orders are captured", grouped(placed), grouped(orders)));
    }
    rig.rest().await?;
    rig.begin_anew(HELD_BACK).await?;
    Ok(rig)
}

async fn compare(game: &Game<'_>, specs: &'static [Spec], few: Rig, many: Rig) -> anyhow::Result<Measured> {
    let order = Order::new(Goal::Uniform(FEW));
    let (mut of_few, mut of_many) = (warm(game, &few).await?, warm(game, &many).await?);
    game.rounds(specs, async || {
        let small = few.side(&mut of_few, &order, game.duration()).await?;
        let large = many.side(&mut of_many, &order, game.duration()).await?;
        let (memory_of_few, memory_of_many) = (few.resident()? as f64, many.resident()? as f64);
        let rate = Sample::new(small.rate / large.rate).and(details(names!("few"), &small));
        let mib = f64::from(1 << 20);
        let memory = Sample::new(memory_of_many / memory_of_few)
            .with("few_mib", memory_of_few / mib)
            .with("many_mib", memory_of_many / mib);
        Ok(Round::from(vec![rate.and(details(names!("many"), &large)), memory]))
    })
    .await
}

async fn warm(game: &Game<'_>, rig: &Rig) -> anyhow::Result<Vec<Connection>> {
    let mut open = rig.connect(game.connections()).await?;
    load::round(&mut open, &Order::new(Goal::Uniform(FEW)), game.duration() / 4).await?;
    rig.rest().await?;
    Ok(open)
}
