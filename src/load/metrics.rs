//! What a run says of itself while it goes on: `stampede_load_…` for Prometheus, with a recorder of its own.
//!
//! [`catalogue`] says what there is. Everything is counted where it happens, in atomics, whether or not somebody asks;
//! what follows from the schedule and the clock alone is worked out when somebody does. [`server`] answers.

pub mod catalogue;
pub mod server;

use crate::demo::server::own_cpu;
use crate::demo::stats::Kind;
use crate::load::scenario::Arrivals;
use crate::load::schedule::Schedule;
use crate::load::visit::End;
use crate::metrics::catalogue::{Kind as Of, Metric};
use crate::metrics::families::{METADATA, key};
use crate::metrics::histograms::Histograms;
use catalogue::{ALL, ANSWERS, OUTCOMES};
use metrics::{Counter, Gauge, KeyName, Recorder, SharedString};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use stampede_actors::shell::durations::Durations;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Longest name of a scenario or profile in a label, in characters: files may have any.
const NAME: usize = 64;

/// The counters of one run.
pub struct Metrics {
    exporter: PrometheusHandle,
    own: Histograms,
    schedule: Schedule,
    began: OnceLock<Instant>,
    target: Gauge,
    due: Counter,
    arrivals: Counter,
    dropped: Counter,
    buyers: Gauge,
    requests: Gauge,
    ends: Vec<Counter>,
    durations: [Arc<Durations>; ANSWERS.len()],
    lateness: Arc<Durations>,
    cpu: Counter,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Those of a run that has not begun; every series is there, and 0.
    #[must_use]
    pub fn new(scenario: &str, profile: &str, arrivals: &Arrivals) -> Metrics {
        let recorder = PrometheusBuilder::new().build_recorder();
        describe(&recorder);
        let gauge = |metric, values: &[&str]| {
            let gauge = recorder.register_gauge(&key(metric, values), &METADATA);
            gauge.set(0.0);
            gauge
        };
        let counter = |metric, values: &[&str]| {
            let counter = recorder.register_counter(&key(metric, values), &METADATA);
            counter.increment(0);
            counter
        };
        let (own, durations, lateness) = (Histograms::default(), [Arc::default(), Arc::default()], Arc::default());
        for (answer, durations) in ANSWERS.iter().zip(&durations) {
            own.show(&catalogue::ANSWER_DURATION, &[answer], durations);
        }
        own.show(&catalogue::LATENESS, &[], &lateness);
        let short = |name: &str| name.chars().take(NAME).collect::<String>();
        gauge(&catalogue::INFO, &[&short(scenario), &short(profile), env!("CARGO_PKG_VERSION")]).set(1.0);
        let schedule = Schedule::new(arrivals);
        gauge(&catalogue::PLANNED, &[]).set(schedule.arrivals() as f64);
        Metrics {
            exporter: recorder.handle(),
            own,
            schedule,
            began: OnceLock::new(),
            target: gauge(&catalogue::TARGET, &[]),
            due: counter(&catalogue::DUE, &[]),
            arrivals: counter(&catalogue::ARRIVALS, &[]),
            dropped: counter(&catalogue::DROPPED, &[]),
            buyers: gauge(&catalogue::BUYERS, &[]),
            requests: gauge(&catalogue::REQUESTS, &[]),
            ends: OUTCOMES.iter().map(|outcome| counter(&catalogue::ENDS, &[outcome])).collect(),
            durations,
            lateness,
            cpu: counter(&catalogue::CPU, &[]),
        }
    }

    /// The moments of all arrivals count from here.
    pub fn begin(&self, at: Instant) {
        self.began.get_or_init(|| at);
    }

    /// An arrival's moment was so long ago when its turn came.
    pub fn came(&self, late: Duration) {
        self.lateness.record(late);
    }

    /// An arrival was started.
    pub fn started(&self) {
        if self.schedule.due(Duration::ZERO).is_none() {
            // One after the other: each is due when it comes.
            self.due.increment(1);
        }
        self.arrivals.increment(1);
        self.buyers.increment(1.0);
    }

    /// An arrival was not started.
    pub fn dropped(&self) {
        self.dropped.increment(1);
    }

    /// A started arrival has ended.
    pub fn ended(&self, end: &End) {
        self.buyers.decrement(1.0);
        let word = match end {
            End::Bought => "accepted",
            End::Refused(code) => outcome(code),
            End::Failed(_) => "failed",
        };
        if let Some(counter) = OUTCOMES.iter().position(|outcome| *outcome == word).and_then(|n| self.ends.get(n)) {
            counter.increment(1);
        }
    }

    /// The answer that decided an arrival came so long after its moment.
    pub fn answered(&self, kind: Kind, latency: Duration) {
        self.durations[kind as usize].record(latency);
    }

    /// Counts a request for as long as what it gives lives.
    #[must_use]
    pub fn request(&self) -> InFlight<'_> {
        self.requests.increment(1.0);
        InFlight(&self.requests)
    }

    /// The exposition text, in version 0.0.4 of the format.
    #[must_use]
    pub fn render(&self) -> String {
        if let Some(elapsed) = self.began.get().map(Instant::elapsed) {
            self.target.set(self.schedule.rate(elapsed));
            if let Some(due) = self.schedule.due(elapsed) {
                self.due.absolute(due);
            }
        }
        // What cannot be read keeps its last value.
        if let Ok(cpu) = own_cpu() {
            self.cpu.absolute(cpu.as_millis() as u64);
        }
        let mut text = self.exporter.render();
        self.own.render(ALL, &mut text);
        text
    }
}

/// A request that is under way.
#[derive(Debug)]
pub struct InFlight<'a>(&'a Gauge);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

fn describe(recorder: &PrometheusRecorder) {
    for Metric { name, kind, help, .. } in ALL.iter().copied() {
        let (name, help) = (KeyName::from_const_str(name), SharedString::const_str(help));
        match kind {
            Of::Counter => recorder.describe_counter(name, None, help),
            Of::Gauge => recorder.describe_gauge(name, None, help),
            Of::Histogram(_) => recorder.describe_histogram(name, None, help),
        }
    }
}

/// The outcome that a refusal's code counts as.
fn outcome(code: &str) -> &'static str {
    match code {
        "sold_out" => "sold_out",
        "contended" => "contended",
        "buyer_limit" => "buyer_limit",
        "rate_limited" => "rate_limited",
        "overloaded" | "draining" | "disk_full" | "log_stopped" | "outcome_unknown" | "not_loaded" | "quarantined" => {
            "unavailable"
        }
        _ => "refused",
    }
}

/// The catalogue as a page of the documentation.
#[must_use]
pub fn markdown() -> String {
    let bounds: Vec<_> = crate::metrics::catalogue::SECONDS.iter().map(ToString::to_string).collect();
    format!(
        "# Metrics of the load generator\n\n\
         Exported by `stampede load SCENARIO --metrics ADDR:PORT` at `/metrics`, from before the first arrival until the program \
         ends. Written from `src/load/metrics/catalogue.rs` by `UPDATE_DOCS=1 cargo test --lib the_page_is`; a test compares it \
         with a run. What the server itself exports is in [metrics.md](metrics.md).\n\n\
         Labels are closed sets, except for the names of scenario and profile, which are one series in each run.\n\n\
         {}\n\
         Histogram bounds, those of the server's seconds, so that the two can be laid over each other: {}\n",
        crate::metrics::table(ALL),
        bounds.join(" ")
    )
}

#[cfg(test)]
mod tests;
