//! One history: SKUs of its own on a server that runs, clients at them, and kills in between.

use crate::clients::Clients;
use crate::history::History;
use anyhow::ensure;
use rand::Rng;
use rand::rngs::StdRng;
use stampede::demo::Server;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::sleep;

/// SKUs, and units of each at the beginning: few clients at each, which sell it out again and again.
const SKUS: usize = 6;
const UNITS: u32 = 8;
/// Units of each that come in at the end, so that some are free.
const LAST: u32 = 3;
/// Longest time that a start may take.
const START: Duration = Duration::from_secs(60);

/// How it goes.
pub struct Options<'a> {
    /// In the names of its SKUs and keys: no two rounds on one directory have the same.
    pub name: &'a str,
    /// The API key.
    pub key: &'a str,
    pub kills: u32,
    /// Of what has no answer, one in so many is not asked for again. 0: all is.
    pub left_unknown: u32,
}

/// What clients saw of `kills` + 1 lives of the server, which runs afterwards.
///
/// # Errors
/// When an answer made no sense, or the server does not come back.
pub async fn round(server: &mut Server, options: &Options<'_>, rng: &mut StdRng) -> anyhow::Result<History> {
    let skus = (0..SKUS).map(|sku| format!("{}-{sku}", options.name)).collect();
    let clients = Clients::new(server.setup().api, options.key, skus);
    clients.fill(UNITS).await?;
    let work = clients.begin(rng);
    for _ in 0..options.kills {
        sleep(Duration::from_millis(rng.random_range(80..300))).await;
        clients.while_down(|| server.kill())?;
        server.restart()?;
        server.ready(START).await?;
        clients.up();
        clients.settle(rng, options.left_unknown).await?;
    }
    sleep(Duration::from_millis(rng.random_range(80..300))).await;
    clients.leave();
    for client in work {
        client.await?;
    }
    clients.settle(rng, options.left_unknown).await?;
    clients.look_at_all(LAST).await?;
    let nonsense = clients.nonsense.take();
    ensure!(nonsense.is_empty(), "answers that make no sense: {}", nonsense.join("; "));
    let clients = Rc::into_inner(clients);
    Ok(clients.map(|clients| clients.history.into_inner()).unwrap_or_default())
}
