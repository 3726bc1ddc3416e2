//! `stampede dev`: a server with a small shop in it, a key that is known, and a line to paste that buys something.

use crate::cli::{Exit, Outcome, Stop, logging, out, serve};
use crate::config::{Config, Flags};
use crate::engine::Engine;
use crate::http::{self, Listeners};
use crate::import::{self, Progress, file, local};
use crate::keys;
use anyhow::{Context, anyhow, bail};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;
use tokio::sync::oneshot;

/// What is for sale.
const SHOP: &str = "\
sku,seller,location,units,price,currency,buyer_limit
t-shirt,demo-seller,berlin,500,19.99,EUR,
console,demo-seller,berlin,20,499.00,EUR,1
ticket,demo-seller,berlin,1,89.00,EUR,1
";
/// Everybody knows it, so it is made by `dev` alone.
const KEY: &str = "sk_test_demo";

/// `stampede dev`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Begin with an empty data directory: what is in it is deleted.
    #[arg(long)]
    reset: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Serves a seeded shop until it is told to stop.
///
/// # Errors
/// As `serve`; with `--reset`, a directory that is not ours.
pub fn run(args: &Args) -> Outcome {
    let started = Instant::now();
    let mut config = Config::load(&args.flags)?;
    if !args.flags.values.contains_key("fault-injection") {
        // It is there to be tried out.
        config.fault_injection = true;
    }
    if !args.flags.values.contains_key("diagnostics.filter") {
        // What a person in front of a terminal has to know.
        config.diagnostics.filter = "warn".into();
    }
    let _traces = logging::start(&config, "server")?;
    if args.reset {
        reset(&config.data_dir).map_err(|error| Stop::new(Exit::Usage, error))?;
    }
    serve::prepare(&config)?;
    keys::ensure(&config.data_dir, "demo", KEY)?;
    let listeners =
        Listeners::bind(&config).context("another server? stop it, or choose other ports: --api-bind, --ops-bind")?;
    let (api, operations) = (listeners.api_at, listeners.operations_at);

    let (engine_to, engine) = oneshot::channel();
    let ready = |engine: &Engine| {
        // Nobody waits for it any more only when we are going down.
        let _ = engine_to.send(engine.clone());
    };
    let open_shop = async {
        let Ok(engine) = engine.await else { return std::future::pending().await };
        seed(&engine).await?;
        out::say(&welcome(api, operations, &config.data_dir, started));
        std::future::pending::<anyhow::Result<()>>().await
    };
    actix_rt::System::new().block_on(async {
        tokio::select! {
            served = http::serve(&config, listeners, || Engine::start(config.clone()), ready) => served,
            failed = open_shop => failed,
        }
    })?;
    Ok(Exit::Ok)
}

/// Puts the shop's stock in, once per data directory.
async fn seed(engine: &Engine) -> anyhow::Result<()> {
    struct Silent;
    impl Progress for Silent {
        fn rows(&self, _: u64) {}
    }

    engine.attach_thread();
    let mut stock = file::parse(SHOP.as_bytes())?;
    let shop = local::Here::new(engine.ids());
    let mut missing = Vec::new();
    for sku in stock.skus {
        if !shop.knows(&sku.sku).await? {
            missing.push(sku);
        }
    }
    stock.skus = missing;
    let summary = import::run::run(&stock, &shop, 3, &Silent).await;
    if !summary.complete() {
        bail!("the shop could not be seeded: {summary:?}");
    }
    Ok(())
}

fn welcome(api: SocketAddr, operations: SocketAddr, data: &Path, started: Instant) -> String {
    format!(
        "API http://{api}  Operations http://{operations}  Docs http://{api}/docs  Data {}  Key {KEY}\n\
         ready in {:.1} s\n\
         \n\
         Buy one of 500 T-shirts; again, and the answer is the same one (Idempotency-Replayed: true):\n\
         \n\
         curl -i http://{api}/v1/orders -H 'Content-Type: application/json' -H 'Idempotency-Key: \"first\"' \\\n  \
         -d '{{\"buyer\":\"ada\",\"payment_token\":\"tok_ok\",\"lines\":[{{\"sku\":\"t-shirt\",\"units\":1}}]}}'\n\
         \n\
         What is left:  curl http://{api}/v1/skus/t-shirt/availability\n\
         All orders:    curl http://{api}/v1/orders -H 'Authorization: Bearer {KEY}'\n",
        data.display(),
        started.elapsed().as_secs_f64()
    )
}

/// Deletes the data directory, if it is one.
fn reset(dir: &Path) -> anyhow::Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries.collect::<Result<Vec<_>, _>>()?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| dir.display().to_string()),
    };
    let ours = |name: &str| entries.iter().any(|entry| entry.file_name() == name);
    if !entries.is_empty() && !ours("superblock.0") && !ours("keys.json") {
        bail!("{} is no data directory of ours: nothing was deleted", dir.display());
    }
    if super::doctor::checks::in_use(dir) {
        return Err(anyhow!("a server is running on {}: stop it first", dir.display()));
    }
    std::fs::remove_dir_all(dir).with_context(|| dir.display().to_string())
}
