//! Metrics: `stampede_<noun>_<base unit>[_total]`. Labels are closed sets: never an id, never a message.
//!
//! [`catalogue`] says what there is. The typed functions here are what other modules call; each keeps its handle, so
//! that counting on the hot path is one atomic addition. What others count in plain atomics of their own is copied in
//! when somebody scrapes ([`sampled`]). Names that the table does not know cannot be exported.

pub mod catalogue;
mod committed;
mod exemplars;
pub(crate) mod families;
pub(crate) mod histograms;
mod hot;
pub mod process;
pub mod sampled;
mod truth;
mod words;

pub use committed::{committed, followed};
pub use families::get;
pub use hot::SLOTS as HOT_SKUS_MAX;
pub use words::{ATTENTION, Checkout, HoldEnd, HoldState, KeyOutcome, OrderOutcome, Shed, Stage};

use crate::config::Backend;
use crate::feed::Queue;
use crate::http::routes::Route;
use stampede_actors::ids::SkuId;
use stampede_actors::time::{Span, Timestamp};
use std::sync::OnceLock;
use std::time::Duration;

/// Where the log of this process is kept.
static BACKEND: OnceLock<&'static str> = OnceLock::new();

/// Says where the log is kept, before anything is counted.
pub fn log_is_kept_in(backend: Backend) {
    BACKEND.get_or_init(|| backend.word());
}

fn backend() -> &'static str {
    BACKEND.get_or_init(|| Backend::Embedded.word())
}

/// Counts an answered request.
pub fn answered(route: Route, status: u16, took: Duration) {
    let of_route = &get().routes[route as usize];
    of_route.by_class[status_class(status)].increment(1);
    of_route.duration.record(took.as_secs_f64());
}

/// Notes the trace of a request that was slow or failed, as an example of its bucket.
pub fn example(route: Route, status: u16, took: Duration, trace: u128) {
    if took < exemplars::SLOW && status < 500 {
        return;
    }
    let (examples, spec) = (&get().exemplars, route.spec());
    let labels = format!("route=\"{}\",method=\"{}\"", spec.path, spec.method.as_str());
    examples.note(&catalogue::HTTP_DURATION, &labels, catalogue::SECONDS, took, trace);
    if spec.purchase {
        let labels = format!("stage=\"{}\"", Stage::WORDS[Stage::Total as usize]);
        examples.note(&catalogue::CHECKOUT_DURATION, &labels, catalogue::SECONDS, took, trace);
    }
}

/// Counts a request that no route takes.
pub fn unmatched(status: u16) {
    get().unmatched[status_class(status)].increment(1);
}

/// Counts a request for as long as this lives: one whose client goes away is never answered.
pub struct InFlight(Route);

impl InFlight {
    /// A request that begins.
    #[must_use]
    pub fn of(route: Route) -> InFlight {
        get().routes[route as usize].in_flight.increment(1.0);
        InFlight(route)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        get().routes[self.0 as usize].in_flight.decrement(1.0);
    }
}

/// Counts a request that was refused to protect the node.
pub fn shed(reason: Shed) {
    get().shed[reason as usize].increment(1);
}

/// Counts what an idempotency key led to.
pub fn key(outcome: KeyOutcome) {
    get().keys[outcome as usize].increment(1);
}

/// Counts a purchase.
pub fn checkout(outcome: Checkout, took: Duration) {
    get().checkouts[outcome as usize].increment(1);
    get().checkout_stages[Stage::Total as usize].record(took);
}

/// Records how long a purchase waited for its permit.
pub fn admitted(took: Duration) {
    get().checkout_stages[Stage::Admission as usize].record(took);
}

/// Records how long a step took, from being asked for to its definite answer being committed.
pub fn step(queue: Queue, took: Duration) {
    get().workflows[queue as usize].record(took.as_secs_f64());
}

/// Records how long a hold lasted that has ended now.
pub fn hold_ended(end: HoldEnd, lasted: Span) {
    get().hold_ends[end as usize].record(lasted.0 as f64 / 1e6);
}

/// The SKUs that are wanted most, and their shares of all holds of the last half minute or so. `now`: engine time.
#[must_use]
pub fn hot_skus(now: Timestamp, limit: usize) -> Vec<(SkuId, f64)> {
    get().hot.lock().top(now, limit)
}

fn status_class(status: u16) -> usize {
    match status {
        200..=299 => 0,
        300..=399 => 1,
        409 => 3,
        429 => 4,
        400..=499 => 2,
        503 => 6,
        _ => 5,
    }
}

/// Samples pile up until they are sorted into their buckets: call this every few seconds.
pub fn upkeep() {
    get().exporter.run_upkeep();
}

/// The exposition text, in version 0.0.4 of the format.
#[must_use]
pub fn render() -> String {
    process::sample();
    let mut text = get().exporter.render();
    get().own.render(catalogue::ALL, &mut text);
    let series = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    get().series.set(series as f64);
    text
}

/// The same in OpenMetrics 1.0: a counter's family has no `_total`, and the end is marked.
#[must_use]
pub fn open_metrics() -> String {
    let mut text = String::new();
    let examples = !get().exemplars.is_empty();
    for line in render().lines().filter(|line| !line.is_empty()) {
        let mut words = line.splitn(4, ' ');
        let (mark, what, name) = (words.next(), words.next(), words.next());
        let counter = name.filter(|name| mark == Some("#") && is_counter(name)).and_then(|n| n.strip_suffix("_total"));
        match (counter, what, words.next()) {
            (Some(family), Some(what), Some(rest)) => text.push_str(&format!("# {what} {family} {rest}\n")),
            _ => {
                text.push_str(line);
                if examples {
                    get().exemplars.append(line, catalogue::SECONDS, &mut text);
                }
                text.push('\n');
            }
        }
    }
    text.push_str("# EOF\n");
    text
}

fn is_counter(name: &str) -> bool {
    catalogue::ALL.iter().any(|metric| metric.name == name && metric.kind == catalogue::Kind::Counter)
}

/// The catalogue as a page of the documentation.
#[must_use]
pub fn markdown() -> String {
    use std::fmt::Write;
    let mut page = String::from(
        "# Metrics\n\n\
         Exported on the operations port at `/metrics`. Written from `src/metrics/catalogue.rs` by \
         `UPDATE_DOCS=1 cargo test --lib metrics`; a test compares it with a running server.\n\n\
         Labels are closed sets: no id, no path as it was sent, no message. A value that a set does not know is exported as \
         `_other` and counted in `stampede_metrics_overflow_total`.\n\n\
",
    );
    page.push_str(&table(catalogue::ALL));
    page.push_str("\nHistogram bounds\n\n");
    for (name, bounds) in [
        ("seconds", catalogue::SECONDS),
        ("holds and workflows, seconds", catalogue::LONG_SECONDS),
        ("records", catalogue::RECORDS),
    ] {
        let bounds: Vec<_> = bounds.iter().map(ToString::to_string).collect();
        let _ = writeln!(page, "- {name}: {}", bounds.join(" "));
    }
    page
}

/// A catalogue as a table of the documentation.
#[must_use]
pub(crate) fn table(metrics: &[&catalogue::Metric]) -> String {
    use catalogue::{Kind, Values};
    use std::fmt::Write;
    let mut page = String::from("| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n");
    for metric in metrics {
        let mut labels = Vec::new();
        for label in metric.labels {
            let values = match label.values {
                Values::Of(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" "),
                Values::Routes => "templated paths".to_owned(),
                Values::Methods => "methods of the API".to_owned(),
                Values::Shards => format!("`0` to `{}`", catalogue::MAX_SHARDS - 1),
                Values::Currencies => format!("ISO 4217, at most {}", catalogue::MAX_CURRENCIES),
                Values::Build => "of this build".to_owned(),
                Values::Run => "of this run".to_owned(),
                Values::Checks => "readiness checks".to_owned(),
                Values::Metrics => "metrics of this table".to_owned(),
            };
            labels.push(format!("`{}`: {values}", label.key));
        }
        let kind = match metric.kind {
            Kind::Histogram(_) => "histogram",
            other => other.word(),
        };
        let _ = writeln!(page, "| `{}` | {kind} | {} | {} |", metric.name, labels.join("; "), metric.help);
    }
    page
}

#[cfg(test)]
mod tests;
