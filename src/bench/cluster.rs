//! Orders with the log in a database ÷ with the log in the data directory: both servers run at once, and take turns. The
//! database is Cassandra on this very machine (`dev/services`), so it takes its part of the cores: the ratio of rates says what
//! one machine does, the ratio of CPU time what our own process has to do more.

use crate::bench::figure::{Sample, Spec};
use crate::bench::load;
use crate::bench::orders::{Goal, Order, stock};
use crate::bench::ratios::Flushed;
use crate::bench::rig::{HELD_BACK, Rig, details, names};
use crate::bench::rounds::Round;
use crate::bench::{Game, Measured};
use crate::demo::cluster::{Cluster, Service};
use crate::demo::stage;

/// SKUs that are ordered.
const FEW: u64 = 1_000;
/// So many orders at once: what the database takes a round trip for is shared by as many as wait.
const CONNECTIONS: usize = 1_024;

/// The three figures, from the same rounds.
///
/// # Errors
/// When a server or the database does not start, or answers what it should not.
pub async fn cluster_to_embedded(game: &Game<'_>, specs: &'static [Spec]) -> anyhow::Result<Measured> {
    let directory = stage::Directory::new("bench-cluster")?;
    let database = Cluster::start(&game.options.services, directory.path(), 1, &[Service::Cassandra])?;
    database.make_schema(&std::env::current_exe()?)?;
    let mut flags = database.database()?;
    flags.push("--store=scylla".to_owned());
    let flags: Vec<&str> = HELD_BACK.iter().copied().chain(flags.iter().map(String::as_str)).collect();
    let embedded = game.rig(HELD_BACK, &stock(FEW)).await?;
    let cluster = Rig::start_then_fill(&flags, &stock(FEW)).await?;
    let measured = compare(game, specs, &embedded, &cluster).await;
    // The servers first: one that is still there would say that it has lost its database.
    drop((embedded, cluster, database));
    directory.remove();
    measured
}

async fn compare(game: &Game<'_>, specs: &'static [Spec], embedded: &Rig, cluster: &Rig) -> anyhow::Result<Measured> {
    let order = Order::new(Goal::Uniform(FEW));
    let (mut here, mut there) = (embedded.connect(CONNECTIONS).await?, cluster.connect(CONNECTIONS).await?);
    for (rig, open) in [(embedded, &mut here), (cluster, &mut there)] {
        load::round(open, &order, game.duration() / 2).await?;
        rig.rest().await?;
    }
    game.rounds(specs, async || {
        let own = embedded.side(&mut here, &order, game.duration()).await?;
        let before = cluster.metrics().await?;
        let shared = cluster.side(&mut there, &order, game.duration()).await?;
        let flushed = Flushed::between(&before, &cluster.metrics().await?);
        let rate = Sample::new(shared.rate / own.rate).and(details(names!("embedded"), &own));
        let writes = Sample::new(flushed.records_per_flush())
            .with("writes_per_s", flushed.frames / game.duration().as_secs_f64())
            .with("bytes_per_write", flushed.bytes / flushed.frames.max(1.0));
        let cpu = Sample::new(shared.server_us / own.server_us);
        Ok(Round::from(vec![rate.and(details(names!("cluster"), &shared)), writes, cpu]))
    })
    .await
}
