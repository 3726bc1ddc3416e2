//! A run from beginning to end: a server, its stock, the arrivals, those who come back, the settlement, the books.

use crate::cli::doctor::system;
use crate::cli::{Exit, Stop};
use crate::client::Request;
use crate::demo::live::note;
use crate::demo::stage::{Directory, START, fill};
use crate::demo::stats::Kind;
use crate::demo::{Server, Setup, Word};
use crate::import::{self, remote};
use crate::load::clerk::{Audit, Clerk, Trouble};
use crate::load::metrics::Metrics;
use crate::load::options::Options;
use crate::load::readback::{self, Compared};
use crate::load::sale::Sale;
use crate::load::samples::{Sample, Sampler, Samples};
use crate::load::scenario::{Arrivals, Scenario, Sold};
use crate::load::schedule::Schedule;
use crate::load::shelves::{self, Demand, Shelf};
use crate::load::summary::{Quantiles, Summary, knee};
use crate::load::tally::Invariant;
use crate::load::verdict::{self, Evidence};
use crate::load::{audit, rush};
use anyhow::{Context, anyhow};
use std::fmt::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Until the server has stopped.
const STOP: Duration = Duration::from_secs(60);

/// What is played, on whom.
#[derive(Debug)]
pub struct Play<'a> {
    /// As it was asked for.
    pub options: &'a Options,
    /// Its name.
    pub name: &'a str,
    /// At its size.
    pub scenario: &'a Scenario,
    /// A server that runs already; nothing: one of our own.
    pub target: Option<Target>,
    /// What is counted for those who watch.
    pub metrics: Arc<Metrics>,
}

/// A running server.
#[derive(Debug, Clone)]
pub struct Target {
    api: SocketAddr,
    key: String,
}

impl Target {
    /// The server that was named, if one was.
    ///
    /// # Errors
    /// When it is not on this machine: nobody else's server is ever put under load.
    pub fn named(options: &Options) -> Result<Option<Target>, Stop> {
        let (Some(url), Some(key)) = (&options.url, &options.key) else { return Ok(None) };
        let api = remote::address(url).map_err(|error| Stop::new(Exit::Usage, anyhow!(error)))?;
        if !api.ip().is_loopback() {
            let why =
                anyhow!("{url} is not on this machine: load is only ever put on a loopback address (127.0.0.1, ::1)");
            return Err(Stop::new(Exit::Usage, why));
        }
        Ok(Some(Target { api, key: key.clone() }))
    }
}

/// A run that is over: its summary, its samples, and how to end.
#[derive(Debug)]
pub struct Played {
    /// In numbers.
    pub summary: Summary,
    /// Second by second.
    pub samples: Vec<Sample>,
    /// How the program ends.
    pub exit: Exit,
}

/// Plays on this thread.
///
/// # Errors
/// When the server is not ready, refuses the key, or ends by itself.
pub fn play(play: &Play<'_>) -> Result<Played, Stop> {
    // Connections are files. Where the limit cannot be raised, the one there is holds.
    let _ = system::raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        tokio::select! {
            played = at_a_server(play) => played,
            _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted").into()),
        }
    })
}

async fn at_a_server(play: &Play<'_>) -> Result<Played, Stop> {
    if let Some(target) = &play.target {
        return on_stage(play, target).await;
    }
    let directory = Directory::new("load")?;
    let setup = Setup::new(&std::env::current_exe()?, directory.path(), &[])?;
    let key = crate::keys::create(&setup.data, "load").context("cannot make an API key")?;
    let mut server = Server::start(setup.clone())?;
    let ready = server.ready(START).await.map_err(|error| Stop::new(Exit::NotReady, error))?;
    note(&format!("a server of its own, ready in {} ms on http://{}", ready.as_millis(), setup.api));
    let target = Target { api: setup.api, key: key.secret };
    let played = tokio::select! {
        played = on_stage(play, &target) => played,
        died = ended(&mut server) => Err(died.into()),
    };
    if let Ok(Played { summary, .. }) = &played {
        server.stop(STOP).await?;
        if summary.verdict != Word::Fail {
            directory.remove();
            return played;
        }
    }
    note(&format!("the server's log and words are kept in {}", directory.path().display()));
    played
}

/// Comes back only when the server ends by itself.
async fn ended(server: &mut Server) -> anyhow::Error {
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if let Err(error) = server.alive() {
            return error;
        }
    }
}

async fn on_stage(play: &Play<'_>, target: &Target) -> Result<Played, Stop> {
    let started = SystemTime::now();
    let clerk = Clerk::new(target.api, &target.key);
    clerk.try_read::<Audit>("/v1/audit").await?;
    let run = format!("load-{:08x}", rand::random::<u32>());
    let stock = import::file::parse(stock(&run, play.scenario).as_bytes())?;
    fill(&stock, target.api, &target.key).await?;
    let before = clerk.audit().await?;

    let Options { connections, seed, in_flight, .. } = *play.options;
    let sale = Rc::new(Sale::new(run, target.api, connections, seed, play.scenario.clone(), Arc::clone(&play.metrics)));
    let look = Request::get(&format!("/v1/skus/{}/availability", sale.words.sku(0)));
    sale.pool.warm(connections as usize, &look).await.map_err(|failure| Trouble::Away(failure.to_string()))?;
    let mut sampler = Sampler::start()?;
    let mut samples = Samples::default();
    tokio::select! {
        () = rush::run(&sale, in_flight as usize) => {}
        () = audit::watch(&sale, &clerk, &before) => {}
        watched = sampler.watch(&sale, &mut samples) => watched?,
    }
    let last = sampler.take(&sale)?;
    let seconds = last.at;
    samples.push(last);
    let written = written(play, &sale, &clerk, &before).await?;
    let settled = settle(&sale, &clerk).await?;
    let compared = readback::orders(&sale, &clerk, &before.as_of).await?;
    let sold = count(&sale, &clerk, &before, &compared).await?;
    let evidence = Evidence {
        units: sale.scenario.stock.units.into(),
        sold,
        failed: sale.counts.failed.get(),
        unclear: sale.open.borrow().unclear.len(),
        settled: settled && compared.unpaid == 0,
        written,
        cpu_percent: samples.cpu_percent(),
        cold_p99_ms: sale.compared.borrow().cold_p99_ms(),
        recovered_p99_ms: sale.compared.borrow().recovered_p99_ms(),
    };
    Ok(over(play, target, &sale, &samples, &evidence, seconds, started))
}

/// A stock file with the run's SKUs.
fn stock(run: &str, scenario: &Scenario) -> String {
    let mut csv = String::from("sku,seller,location,units,price,currency\n");
    for index in 0..scenario.stock.skus {
        // Writing to a string cannot fail.
        let _ = writeln!(csv, "{run}-{index},load,main,{},19.99,EUR", scenario.stock.units_of(index));
    }
    csv
}

/// Records in the log since the run began, where nothing is for sale on a server that nobody else uses: none is due.
async fn written(play: &Play<'_>, sale: &Sale, clerk: &Clerk, before: &Audit) -> Result<Option<u64>, Trouble> {
    let nothing_to_write = play.target.is_none() && sale.scenario.stock.units == 0;
    if !nothing_to_write || sale.scenario.expect.sold != Sold::None || sale.scenario.buyer.cart > 0.0 {
        return Ok(None);
    }
    Ok(Some(clerk.audit().await?.log_position.saturating_sub(before.log_position)))
}

/// Clears up, lets refused buyers come back, and waits until everything is paid. Answers whether it is.
async fn settle(sale: &Sale, clerk: &Clerk) -> Result<bool, Trouble> {
    sale.clear_up().await;
    if sale.scenario.drain {
        note(&format!("{} units left; refused buyers come back", sale.stock_left()));
        sale.drain().await;
        sale.clear_up().await;
    }
    note(&format!("{} orders acknowledged; waiting for their payment", sale.ledger.borrow().len()));
    readback::wait_for_payment(sale, clerk).await
}

/// Counts the shelves, sends requests once more, and looks whether every rule was looked at. The units sold.
async fn count(sale: &Sale, clerk: &Clerk, before: &Audit, compared: &Compared) -> Result<i64, Trouble> {
    let asked = &sale.scenario.invariants;
    let replays = if asked.contains(&Invariant::IdempotentReplay) { readback::replay(sale).await } else { 0 };
    let after = clerk.audit().await?;
    let skus: Vec<u32> = (0..sale.scenario.stock.skus).collect();
    let stocks = readback::stocks(sale, clerk, &skus).await?;
    let (ledger, open, stats) = (sale.ledger.borrow(), sale.open.borrow(), sale.stats.borrow());
    let shelf = |(sku, stock): (u32, _)| {
        let name = sale.words.sku(sku);
        Shelf {
            units: sale.scenario.stock.units_of(sku).into(),
            acknowledged: ledger.units(sku).into(),
            paid: compared.paid.get(&name).copied().unwrap_or_default(),
            told_sold_out: open.sold_out[sku as usize].into(),
            sku: name,
            stock,
        }
    };
    let shelves: Vec<Shelf> = stocks.into_iter().map(shelf).collect();
    let demand = Demand {
        unmet: open.refused.len() as i64,
        drained: sale.scenario.drain,
        given_back: sale.counts.given_back.get() as i64,
    };
    let tally = &mut *sale.tally.borrow_mut();
    audit::look(tally, before, &after);
    audit::settled(tally, before, &after, compared.orders);
    let sold = shelves::look(tally, &shelves, demand);
    for invariant in asked.iter().filter(|invariant| **invariant != Invariant::Evaluated) {
        let expected = match invariant {
            Invariant::Oversell | Invariant::Conservation => shelves.len() as u64 + 1,
            Invariant::DoubleCharge | Invariant::LostOrder => compared.orders as u64 + 1,
            Invariant::IdempotentReplay => (replays as u64).max(1),
            Invariant::PoliteRefusal => (stats.count(Kind::Accepted) + stats.count(Kind::Refused)).max(1),
            Invariant::Undersell | Invariant::Evaluated => 1,
        };
        let seen = tally.evaluated(*invariant);
        tally.must(Invariant::Evaluated, seen >= expected, || {
            format!("{} was looked at {seen} times instead of {expected}", invariant.word())
        });
    }
    Ok(sold)
}

fn over(
    play: &Play<'_>,
    target: &Target,
    sale: &Sale,
    samples: &Samples,
    evidence: &Evidence,
    seconds: f64,
    started: SystemTime,
) -> Played {
    let (stats, scenario) = (sale.stats.borrow(), &sale.scenario);
    let verdict = verdict::judge(scenario, &sale.tally.borrow(), &stats, evidence);
    let time = |time| humantime::format_rfc3339_seconds(time).to_string();
    let rising = match &scenario.arrivals {
        Arrivals::Rates { start_rate, stages } => stages.len() == 1 && stages[0].rate > *start_rate,
        Arrivals::Iterations(_) => false,
    };
    let summary = Summary {
        scenario: play.name.to_owned(),
        about: scenario.about.clone(),
        profile: play.options.profile.clone(),
        rate_factor: play.options.rate_factor,
        verdict: verdict.word,
        arrivals: Schedule::new(&scenario.arrivals).arrivals(),
        dropped_arrivals: stats.dropped,
        accepted: sale.counts.accepted.get(),
        refused: stats.refusals.clone(),
        errors: evidence.failed,
        accepted_later: sale.counts.came_back.get(),
        accepted_ms: Quantiles::of(&stats, Kind::Accepted),
        refused_ms: Quantiles::of(&stats, Kind::Refused),
        units: evidence.units,
        sold: evidence.sold,
        invariants: verdict.invariants,
        thresholds: verdict.thresholds,
        reasons: verdict.reasons,
        notes: verdict.notes,
        knee_per_second: scenario.slo.accepted_p99_ms.filter(|_| rising).and_then(|limit| knee(samples.rows(), limit)),
        generator_cpu_percent: evidence.cpu_percent,
        latest_arrival_ms: stats.latest.as_millis() as u64,
        seconds: (seconds * 10.0).round() / 10.0,
        server: format!("http://{}", target.api),
        own_server: play.target.is_none(),
        connections: play.options.connections,
        seed: play.options.seed,
        run: sale.words.run().to_owned(),
        started: time(started),
        ended: time(SystemTime::now()),
    };
    Played { summary, samples: samples.rows().to_vec(), exit: verdict.exit }
}
