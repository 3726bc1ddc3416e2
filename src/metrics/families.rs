//! The handles behind the typed functions, registered once, so that every known series is exported as 0 from the start.

use crate::http::routes::Route;
use crate::metrics::catalogue::{self, ALL, Kind, Metric, OTHER, STATUS_CLASSES};
use crate::metrics::exemplars::Exemplars;
use crate::metrics::histograms::Histograms;
use crate::metrics::hot::Sketch;
use crate::metrics::words::{ATTENTION, Checkout, HoldEnd, HoldState, KeyOutcome, OrderOutcome, Shed, Stage};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;
use stampede_actors::shell::durations::Durations;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// All handles.
pub struct Families {
    pub(super) exporter: PrometheusHandle,
    recorder: PrometheusRecorder,
    pub(super) routes: Vec<OfRoute>,
    /// Requests that no route takes, by class.
    pub(super) unmatched: Vec<Counter>,
    pub(super) shed: Vec<Counter>,
    pub(super) keys: Vec<Counter>,
    pub(super) checkouts: Vec<Counter>,
    pub(super) checkout_stages: Vec<Arc<Durations>>,
    pub(super) orders: Vec<Counter>,
    pub(super) holds: Vec<Counter>,
    pub(super) hold_ends: Vec<Histogram>,
    pub(super) attention: Vec<Counter>,
    pub(super) workflows: Vec<Histogram>,
    pub(super) journal_append: Histogram,
    pub(super) journal_batch: Histogram,
    pub(super) series: Gauge,
    /// Those that the exporter does not know.
    pub(super) own: Histograms,
    /// Who gets the holds.
    pub(super) hot: Mutex<Sketch>,
    /// Traces of slow and failed requests.
    pub(super) exemplars: Exemplars,
    /// The currencies seen so far.
    currencies: Mutex<BTreeSet<String>>,
}

/// The handles of one route.
pub(super) struct OfRoute {
    pub(super) by_class: Vec<Counter>,
    pub(super) duration: Histogram,
    pub(super) in_flight: Gauge,
}

/// The handles; made at the first call.
pub fn get() -> &'static Families {
    static FAMILIES: OnceLock<Families> = OnceLock::new();
    FAMILIES.get_or_init(Families::new)
}

pub(crate) const METADATA: Metadata<'static> = Metadata::new("stampede", Level::INFO, None);

impl Families {
    fn new() -> Families {
        let mut builder = PrometheusBuilder::new();
        for metric in ALL {
            if let Kind::Histogram(bounds) = metric.kind {
                builder = builder
                    .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)
                    .expect("the catalogue's bounds are not empty");
            }
        }
        let recorder = builder.build_recorder();
        for metric in ALL {
            let (name, help) = (KeyName::from_const_str(metric.name), SharedString::const_str(metric.help));
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Histogram(_) => recorder.describe_histogram(name, None, help),
            }
        }
        let families = Families {
            exporter: recorder.handle(),
            routes: Route::ALL.iter().map(|route| OfRoute::new(&recorder, *route)).collect(),
            unmatched: by_class(&recorder, OTHER, OTHER),
            shed: counters(&recorder, &catalogue::HTTP_SHED, Shed::WORDS),
            keys: counters(&recorder, &catalogue::IDEMPOTENCY, KeyOutcome::WORDS),
            checkouts: counters(&recorder, &catalogue::CHECKOUTS, Checkout::WORDS),
            checkout_stages: Stage::WORDS.iter().map(|_| Arc::default()).collect(),
            orders: counters(&recorder, &catalogue::ORDERS, OrderOutcome::WORDS),
            holds: counters(&recorder, &catalogue::HOLD_TRANSITIONS, HoldState::WORDS),
            hold_ends: histograms(&recorder, &catalogue::HOLD_DURATION, HoldEnd::WORDS),
            attention: counters(&recorder, &catalogue::ATTENTION, ATTENTION),
            workflows: histograms(&recorder, &catalogue::WORKFLOW_DURATION, catalogue::QUEUES),
            journal_append: recorder
                .register_histogram(&key(&catalogue::JOURNAL_APPEND, &[super::backend()]), &METADATA),
            journal_batch: recorder.register_histogram(&key(&catalogue::JOURNAL_BATCH, &[super::backend()]), &METADATA),
            series: recorder.register_gauge(&key(&catalogue::SERIES, &[]), &METADATA),
            own: Histograms::default(),
            hot: Mutex::default(),
            exemplars: Exemplars::default(),
            currencies: Mutex::default(),
            recorder,
        };
        families.zero();
        families
    }

    /// Registers what is set when scraped, so that the first scrape has it too.
    fn zero(&self) {
        for metric in ALL.iter().filter(|metric| metric.labels.is_empty()) {
            match metric.kind {
                Kind::Counter => self.counter(metric, &[]).increment(0),
                Kind::Gauge => self.gauge(metric, &[]).increment(0.0),
                Kind::Histogram(_) => {}
            }
        }
        self.counter(&catalogue::OVERFLOW, &[catalogue::OVERFLOW.name]).increment(0);
        self.counter(&catalogue::REVENUE, &["EUR"]).increment(0);
        let build = [env!("CARGO_PKG_VERSION"), env!("BUILD_COMMIT"), env!("BUILD_RUSTC")];
        self.gauge(&catalogue::BUILD, &build).set(1.0);
        for (stage, counted) in Stage::WORDS.iter().zip(&self.checkout_stages) {
            self.own.show(&catalogue::CHECKOUT_DURATION, &[stage], counted);
        }
        for rank in catalogue::RANKS {
            self.gauge(&catalogue::HOT_SKU_SHARE, &[rank]).set(0.0);
        }
        for kind in catalogue::SCENARIOS {
            self.gauge(&catalogue::SCENARIO, &[kind]).set(0.0);
        }
    }

    /// The counter of these label values, in the catalogue's order.
    pub(super) fn counter(&self, metric: &'static Metric, values: &[&str]) -> Counter {
        self.recorder.register_counter(&key(metric, values), &METADATA)
    }

    /// The gauge of these label values, in the catalogue's order.
    pub(super) fn gauge(&self, metric: &'static Metric, values: &[&str]) -> Gauge {
        self.recorder.register_gauge(&key(metric, values), &METADATA)
    }

    /// Says how much money was captured so far, by currency; beyond the bound, under [`OTHER`].
    pub(super) fn revenue<'a>(&self, flows: impl Iterator<Item = (&'a str, u64)>) {
        let mut known = self.currencies.lock();
        let mut others = None;
        for (currency, minor) in flows {
            if known.contains(currency) || known.len() < catalogue::MAX_CURRENCIES {
                known.insert(currency.to_owned());
                self.counter(&catalogue::REVENUE, &[currency]).absolute(minor);
            } else {
                overflow(&catalogue::REVENUE);
                others = Some(others.unwrap_or(0) + minor);
            }
        }
        if let Some(minor) = others {
            self.counter(&catalogue::REVENUE, &[OTHER]).absolute(minor);
        }
    }
}

/// Counts a label value that no set knows.
pub(super) fn overflow(metric: &'static Metric) {
    get().counter(&catalogue::OVERFLOW, &[metric.name]).increment(1);
}

impl OfRoute {
    fn new(recorder: &PrometheusRecorder, route: Route) -> OfRoute {
        let spec = route.spec();
        let (path, method) = (spec.path, spec.method.as_str());
        OfRoute {
            by_class: by_class(recorder, path, method),
            duration: recorder.register_histogram(&key(&catalogue::HTTP_DURATION, &[path, method]), &METADATA),
            in_flight: recorder.register_gauge(&key(&catalogue::HTTP_IN_FLIGHT, &[path]), &METADATA),
        }
    }
}

fn by_class(recorder: &PrometheusRecorder, path: &str, method: &str) -> Vec<Counter> {
    let counter =
        |class: &&str| recorder.register_counter(&key(&catalogue::HTTP_REQUESTS, &[path, method, class]), &METADATA);
    STATUS_CLASSES.iter().map(counter).collect()
}

fn counters(recorder: &PrometheusRecorder, metric: &'static Metric, words: &[&str]) -> Vec<Counter> {
    words.iter().map(|word| recorder.register_counter(&key(metric, &[word]), &METADATA)).collect()
}

fn histograms(recorder: &PrometheusRecorder, metric: &'static Metric, words: &[&str]) -> Vec<Histogram> {
    words.iter().map(|word| recorder.register_histogram(&key(metric, &[word]), &METADATA)).collect()
}

/// The series of these label values, in the catalogue's order.
pub(crate) fn key(metric: &'static Metric, values: &[&str]) -> Key {
    assert_eq!(values.len(), metric.labels.len(), "{} has its labels from the catalogue", metric.name);
    let labels = metric.labels.iter().zip(values);
    Key::from_parts(
        metric.name,
        labels.map(|(label, value)| Label::new(label.key, (*value).to_owned())).collect::<Vec<_>>(),
    )
}
