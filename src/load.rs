//! `stampede load`: an open-loop load generator that judges the server by what it promises.
//!
//! A scenario ([`scenario`]) says what is for sale and when buyers come ([`schedule`]). They are sent in at their moments
//! ([`rush`], [`visit`]) over connections that were opened before ([`stage`]), whatever the server does; refused ones may come back ([`drain`]). Then the buyers' ledger
//! ([`ledger`]) is compared with the server's own books ([`readback`], [`shelves`], [`audit`]), and the run is judged
//! ([`verdict`]) and written down ([`summary`], [`junit`], [`report`]). While it goes on, it can be watched ([`metrics`]).

pub mod audit;
pub mod buyer;
pub mod clerk;
pub mod compared;
pub mod drain;
pub mod junit;
pub mod ledger;
pub mod metrics;
pub mod options;
pub mod readback;
pub mod report;
pub mod rush;
pub mod sale;
pub mod samples;
pub mod scenario;
pub mod schedule;
pub mod shelves;
pub mod stage;
pub mod summary;
pub mod tally;
pub mod verdict;
pub mod visit;

pub use clerk::Trouble;
pub use options::Options;

use crate::cli::{Exit, Outcome, Stop, out};
use crate::demo::live::note;
use anyhow::{Context, anyhow};
use metrics::Metrics;
use scenario::{DEFAULT, Scenarios};
use stage::{Play, Played, Target};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest scenario file, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Runs a scenario and prints its verdict.
///
/// # Errors
/// A scenario that cannot be run, a target that is not on this machine, a server that is not ready.
pub fn run(options: &Options) -> Outcome {
    let scenarios = read(options.scenarios.as_deref())?;
    let Some(name) = options.scenario.as_deref() else {
        out::say(&list(&scenarios));
        return Ok(Exit::Ok);
    };
    let usage = |error: String| Stop::new(Exit::Usage, anyhow!(error));
    let mut scenario = scenarios.plan(name, &options.profile, options.rate_factor).map_err(usage)?;
    scenario.baseline_p99_ms = options.baseline_p99_ms.or(scenario.baseline_p99_ms);
    let target = Target::named(options)?;
    let listener = options.metrics.map(metrics::server::listen).transpose()?;
    // Whether it can be written there is better known before the run than after it.
    let dir = options.out.clone().unwrap_or_else(|| PathBuf::from(format!("load-report-{name}")));
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;

    let watched = Arc::new(Metrics::new(name, &options.profile, &scenario.arrivals));
    let serving = listener.map(|listener| metrics::server::start(listener, Arc::clone(&watched))).transpose()?;
    if let Some(serving) = &serving {
        note(&format!("metrics on http://{}/metrics", serving.at));
    }
    let played = stage::play(&Play { options, name, scenario: &scenario, target, metrics: watched })?;
    write(&dir, &played)?;
    note(&format!("report in {}", dir.join("report.html").display()));
    let text = played.summary.text();
    if options.json {
        note(&text);
        out::line(&serde_json::to_string(&played.summary)?);
    } else {
        out::line(&text);
    }
    Ok(played.exit)
}

fn read(file: Option<&Path>) -> Result<Scenarios, Stop> {
    let Some(path) = file else {
        return Scenarios::parse(DEFAULT).map_err(|bad| Stop::new(Exit::Failed, bad));
    };
    let usage = |error: anyhow::Error| Stop::new(Exit::Usage, error.context(path.display().to_string()));
    let bytes = std::fs::metadata(path).map_err(|error| usage(error.into()))?.len();
    if bytes > MAX_BYTES {
        return Err(usage(anyhow!("{bytes} bytes are too many: a scenario file may have {MAX_BYTES}")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| usage(error.into()))?;
    Scenarios::parse(&text).map_err(|bad| usage(bad.into()))
}

fn list(scenarios: &Scenarios) -> String {
    let width = scenarios.scenarios.keys().map(String::len).max().unwrap_or(0);
    let lines = scenarios.scenarios.iter().map(|(name, scenario)| format!("{name:width$}  {}\n", scenario.about));
    let profiles =
        scenarios.profiles.iter().map(|(name, size)| format!("{name} (rate × {}, time × {})", size.rate, size.time));
    let profiles: Vec<String> = profiles.collect();
    format!("{}\nprofiles: {}\n", lines.collect::<String>(), profiles.join(", "))
}

fn write(dir: &Path, played: &Played) -> anyhow::Result<()> {
    let summary = format!("{}\n", serde_json::to_string_pretty(&played.summary)?);
    let files = [
        ("summary.json", summary),
        ("junit.xml", junit::text(&played.summary)?),
        ("report.html", report::html(&played.summary, &played.samples)),
    ];
    for (name, text) in files {
        let path = dir.join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
