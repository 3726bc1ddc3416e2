//! Every metric that the process exports: name, type, help, labels and the values that each label may have.
//!
//! `docs/metrics.md` is written from this table and compared with it, and with a running server, by tests.

use crate::verify::Invariant;

/// What kind of number it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations in buckets with these upper bounds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word in the exposition format.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        }
    }
}

/// What values a label may have. Anything else is exported as [`OTHER`] and counted as an overflow.
#[derive(Debug, Clone, Copy)]
pub enum Values {
    /// These.
    Of(&'static [&'static str]),
    /// The templated paths of the API.
    Routes,
    /// The methods of the API.
    Methods,
    /// `0`, `1`, … below the number of shards, at most [`MAX_SHARDS`].
    Shards,
    /// ISO 4217 codes, at most [`MAX_CURRENCIES`] of them.
    Currencies,
    /// One constant of this build.
    Build,
    /// One constant of this run of the load generator.
    Run,
    /// Names of the readiness checks of this build.
    Checks,
    /// Names of this catalogue.
    Metrics,
}

/// One label.
#[derive(Debug, Clone, Copy)]
pub struct Label {
    /// Its key.
    pub key: &'static str,
    /// Its values.
    pub values: Values,
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// `stampede_…`.
    pub name: &'static str,
    /// What kind of number.
    pub kind: Kind,
    /// One sentence, with the unit.
    pub help: &'static str,
    /// In this order.
    pub labels: &'static [Label],
}

/// Stands for values that no label set knows.
pub const OTHER: &str = "_other";
/// Most shards that are exported one by one.
pub const MAX_SHARDS: usize = stampede_actors::shell::stats::SHARDS_APART;
/// Most currencies that are exported one by one.
pub const MAX_CURRENCIES: usize = 32;

/// Latencies of the edge and of the log, in seconds; every service-level limit is one of the bounds.
pub const SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Holds and workflows, in seconds.
pub const LONG_SECONDS: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0];
/// Records per frame.
pub const RECORDS: &[f64] =
    &[0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0];

/// `409`, `429` and `503` stand alone: sold out, throttled and shed are told apart from faults.
pub const STATUS_CLASSES: &[&str] = &["2xx", "3xx", "4xx", "409", "429", "5xx", "503"];

macro_rules! kind {
    (counter) => {
        $crate::metrics::catalogue::Kind::Counter
    };
    (gauge) => {
        $crate::metrics::catalogue::Kind::Gauge
    };
    (seconds) => {
        $crate::metrics::catalogue::Kind::Histogram($crate::metrics::catalogue::SECONDS)
    };
    (long_seconds) => {
        $crate::metrics::catalogue::Kind::Histogram($crate::metrics::catalogue::LONG_SECONDS)
    };
    (records) => {
        $crate::metrics::catalogue::Kind::Histogram($crate::metrics::catalogue::RECORDS)
    };
}
pub(crate) use kind;

macro_rules! catalogue {
    ($( $(#[doc = $help:literal])+ $id:ident = $kind:ident $name:literal [$($key:ident: $values:expr),*]; )+) => {
        $(
            $(#[doc = $help])+
            pub const $id: $crate::metrics::catalogue::Metric = $crate::metrics::catalogue::Metric {
                name: $name,
                kind: $crate::metrics::catalogue::kind!($kind),
                help: concat!($($help),+).trim_ascii_start(),
                labels: &[$($crate::metrics::catalogue::Label { key: stringify!($key), values: $values }),*],
            };
        )+

        /// All of them, in the order of the documentation.
        pub const ALL: &[&$crate::metrics::catalogue::Metric] = &[$(&$id),+];
    };
}
// The load generator has a table of its own in the same form: src/load/metrics/catalogue.rs.
pub(crate) use catalogue;

use Values::{Build, Checks, Currencies, Methods, Metrics, Of, Routes, Shards};

/// Kinds of work outside an order.
pub const QUEUES: &[&str] = &["payment", "fulfilment", "stock"];
/// How a message ends.
pub const CONSUMED_OUTCOMES: &[&str] =
    &["reported", "not_open", "unknown", "left_to_order", "duplicate", "dead_lettered"];
/// What a broker carries.
pub const BROKER_QUEUES: &[&str] = &["payment", "fulfilment"];
/// What became of publishing a message once.
pub const PUBLISHED_OUTCOMES: &[&str] = &["confirmed", "nacked", "returned", "unconfirmed"];
/// Payment providers.
pub const PROVIDERS: &[&str] = &["simulated"];
/// What a payment provider can be asked for.
pub const OPERATIONS: &[&str] = &["authorize", "capture", "void", "refund"];
/// What a call to it leads to.
pub const PAYMENT_OUTCOMES: &[&str] = &["authorised", "declined", "error", "timeout"];
/// Where the log is kept.
pub const BACKENDS: &[&str] = &["embedded", "scylla"];
/// States of units.
pub const UNIT_STATES: &[&str] = &["supplied", "available", "held", "allocated", "shipped", "returned"];
/// States of orders.
pub const ORDER_STATES: &[&str] = &[
    "awaiting_payment",
    "authorised",
    "allocated",
    "captured",
    "fulfilment_requested",
    "partly_shipped",
    "fulfilled",
    "cancelling",
    "cancelled",
    "expired",
];
/// What is kept beside the log: the embedded store, and a Redis for limits and reads.
pub const STORES: &[&str] = &["embedded", "redis"];
/// What a store is asked for; `decide` and `ping` only Redis.
pub const STORE_OPERATIONS: &[&str] = &["get", "contains", "range", "write", "flush", "sync", "decide", "ping"];
/// How that ends; `timed_out` and `skipped`, because the circuit was open, only with Redis.
pub const STORE_OUTCOMES: &[&str] = &["done", "failed", "timed_out", "skipped"];
/// Whose requests are limited.
pub const POLICIES: &[&str] = &["buyer", "api_key", "address"];
/// How a look for availability in Redis ends.
pub const READ_OUTCOMES: &[&str] = &["hit", "miss", "stale", "wrong", "unavailable"];
/// Where a circuit stands.
pub const CIRCUIT_STATES: &[&str] = &["closed", "open", "half_open"];
/// Rules that are evaluated while the server runs.
pub const INVARIANTS: [&str; Invariant::RUNNING.len()] = {
    let mut words = [""; Invariant::RUNNING.len()];
    let mut index = 0;
    while index < words.len() {
        words[index] = Invariant::RUNNING[index].code();
        index += 1;
    }
    words
};
/// Ranks of the most wanted SKUs.
pub const RANKS: &[&str] = &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
/// What may go on that is not daily business.
pub const SCENARIOS: &[&str] = &["fault", "load_test"];
/// Kinds of entities.
pub const ACTORS: &[&str] = &["sku", "cart", "order", "shop"];

catalogue! {
    /// Requests answered, by templated route; 409, 429 and 503 are counted apart from other 4xx and 5xx. `_other`: no route.
    HTTP_REQUESTS = counter "stampede_http_requests_total" [route: Routes, method: Methods, status_class: Of(STATUS_CLASSES)];
    /// From the request's head being read to its answer being ready, in seconds.
    HTTP_DURATION = seconds "stampede_http_request_duration_seconds" [route: Routes, method: Methods];
    /// Requests being served now.
    HTTP_IN_FLIGHT = gauge "stampede_http_requests_in_flight" [route: Routes];
    /// Requests refused to protect the node or because it cannot take them now.
    HTTP_SHED = counter "stampede_http_requests_shed_total" [reason: Of(super::Shed::WORDS)];
    /// Decisions of rate limits; `uncounted` are let through because as many are counted as there is room for.
    RATE_LIMITS = counter "stampede_rate_limit_decisions_total" [policy: Of(POLICIES), decision: Of(crate::limits::Decision::WORDS)];
    /// Decisions of rate limits by this process alone because Redis gave no answer.
    RATE_LIMIT_FALLBACKS = counter "stampede_rate_limit_fallbacks_total" [];
    /// Requests that need an idempotency key, by what the key led to.
    IDEMPOTENCY = counter "stampede_idempotency_requests_total" [outcome: Of(super::KeyOutcome::WORDS)];
    /// Event streams open now.
    STREAMS = gauge "stampede_http_streams" [];

    /// Purchases asked for, by outcome; only `error` and `shed_after_admission` spend error budget.
    CHECKOUTS = counter "stampede_checkout_requests_total" [outcome: Of(super::Checkout::WORDS)];
    /// Purchases, in seconds: `admission` until the permit, `reserve` from reaching the order to all units being held, `journal` from being placed to being committed, `total` until the answer.
    CHECKOUT_DURATION = seconds "stampede_checkout_duration_seconds" [stage: Of(super::Stage::WORDS)];
    /// What became of orders, counted when committed.
    ORDERS = counter "stampede_orders_total" [outcome: Of(super::OrderOutcome::WORDS)];
    /// Money captured, in minor units, as of the store's last write; counted from the log, so a restart does not reset it.
    REVENUE = counter "stampede_revenue_minor_units_total" [currency: Currencies];
    /// Holds that came to this state, counted when committed.
    HOLD_TRANSITIONS = counter "stampede_hold_transitions_total" [to: Of(super::HoldState::WORDS)];

    /// How long holds lasted, by how they ended, in seconds, counted when the store takes it in.
    HOLD_DURATION = long_seconds "stampede_hold_duration_seconds" [end: Of(super::HoldEnd::WORDS)];

    /// Units claimed beyond what is on hand; anything but 0 is a bug.
    OVERSOLD = counter "stampede_oversold_units_total" [];
    /// Times that a rule was checked, in an entity that had changed or in the sums; no violation means nothing while this stands still.
    INVARIANT_CHECKS = counter "stampede_invariant_checks_total" [invariant: Of(&INVARIANTS)];
    /// Violations found by those checks. `_other`: by an earlier version, which kept no count by rule.
    INVARIANT_VIOLATIONS = counter "stampede_invariant_violations_total" [invariant: Of(&INVARIANTS)];
    /// When two sums of the log that must agree were last seen to, in Unix seconds: `orders_charges`, orders whose money was taken against charges; `stock_movements`, units on hand against those that came in and did not leave. Looked at with every scrape, as of what the store has taken in.
    RECONCILED = gauge "stampede_reconciliation_last_success_timestamp_seconds" [pair: Of(crate::verify::Pair::WORDS)];
    /// 1 while an operator has the whole shop take no new orders or holds.
    SHOP_PAUSED = gauge "stampede_shop_paused" [];
    /// Units by state, over all SKUs, as of the store's last write.
    UNITS = gauge "stampede_units" [state: Of(UNIT_STATES)];
    /// Orders by state, as of the store's last write.
    ORDERS_BY_STATE = gauge "stampede_orders" [state: Of(ORDER_STATES)];
    /// Orders whose money was taken, less charges: anything but 0 is a bug.
    LEDGER = gauge "stampede_ledger_discrepancy_charges" [];
    /// Share of all holds of the last half minute or so that went to the most wanted SKU, the next, and so on: 0 to 1, and at least that much.
    HOT_SKU_SHARE = gauge "stampede_hot_sku_share_ratio" [rank: Of(RANKS)];
    /// Questions delivered to a shard's entities.
    SHARD_REQUESTS = counter "stampede_shard_requests_total" [shard: Shards];

    /// Purchases admitted to a shard and not answered yet.
    PERMITS_IN_USE = gauge "stampede_shard_permits_in_use" [shard: Shards];
    /// Most purchases that a shard admits at once.
    PERMITS_CAPACITY = gauge "stampede_shard_permits_capacity" [shard: Shards];
    /// From a question's being sent to its being handled, in seconds: how saturated a shard is. One question in 13 is timed.
    SHARD_WAIT = seconds "stampede_shard_wait_seconds" [shard: Shards];
    /// How long handling a question took, in seconds. One question in 13 is timed.
    ACTOR_HANDLE = seconds "stampede_actor_handle_duration_seconds" [actor: Of(ACTORS)];
    /// Entities in memory.
    ACTORS_WARM = gauge "stampede_actors_warm" [actor: Of(ACTORS)];
    /// Entities started.
    ACTOR_ACTIVATIONS = counter "stampede_actor_activations_total" [actor: Of(ACTORS)];
    /// Idle entities put away.
    ACTOR_PASSIVATIONS = counter "stampede_actor_passivations_total" [actor: Of(ACTORS)];
    /// Entities reloaded after a crash of theirs.
    ACTOR_RESTARTS = counter "stampede_actor_restarts_total" [actor: Of(ACTORS), reason: Of(&["panic"])];
    /// Entities that take no commands after repeated crashes.
    ACTORS_QUARANTINED = gauge "stampede_actors_quarantined" [];
    /// Messages refused because a bounded queue was full, or answers whose asker had given up.
    ACTOR_DROPPED = counter "stampede_actor_messages_dropped_total" [reason: Of(&["full", "stale_reply"])];
    /// Deadlines that came up in entities.
    TIMERS_FIRED = counter "stampede_timers_fired_total" [];

    /// From the decision of a frame's oldest record to its commit, in seconds.
    JOURNAL_APPEND = seconds "stampede_journal_append_duration_seconds" [backend: Of(BACKENDS)];
    /// Records per frame.
    JOURNAL_BATCH = records "stampede_journal_batch_records" [backend: Of(BACKENDS)];
    /// Frames committed since the start, empty seals included.
    JOURNAL_FRAMES = counter "stampede_journal_frames_total" [backend: Of(BACKENDS)];
    /// Records committed since the start.
    JOURNAL_RECORDS = counter "stampede_journal_records_total" [backend: Of(BACKENDS)];
    /// Bytes written for frames since the start, padding included.
    JOURNAL_WRITTEN = counter "stampede_journal_written_bytes_total" [backend: Of(BACKENDS)];
    /// Smoothed time of one write and sync, in seconds.
    JOURNAL_SYNC = gauge "stampede_journal_sync_seconds" [backend: Of(BACKENDS)];
    /// How long the last frame waited for company, in seconds.
    JOURNAL_PACE = gauge "stampede_journal_pace_seconds" [backend: Of(BACKENDS)];
    /// How many records the next frame waits for under load.
    JOURNAL_PACE_RECORDS = gauge "stampede_journal_pace_records" [backend: Of(BACKENDS)];
    /// Records handed over and not committed yet.
    JOURNAL_WAITING = gauge "stampede_journal_waiting_records" [backend: Of(BACKENDS)];
    /// Epoch of this opening of the log.
    JOURNAL_EPOCH = gauge "stampede_journal_epoch" [backend: Of(BACKENDS)];
    /// Incomplete last frames that were cut off at the start.
    JOURNAL_CUTS = gauge "stampede_journal_cut_frames" [backend: Of(BACKENDS)];
    /// Segments of the log by what they are for: `live` or `spare`.
    JOURNAL_SEGMENTS = gauge "stampede_journal_segments" [backend: Of(BACKENDS), state: Of(&["live", "spare"])];
    /// Segments archived since the start.
    JOURNAL_ARCHIVED = counter "stampede_journal_archived_segments_total" [backend: Of(BACKENDS)];
    /// Failed tries to archive, reuse or preallocate a segment; they are tried again.
    JOURNAL_UPKEEP_FAILURES = counter "stampede_journal_upkeep_failures_total" [backend: Of(BACKENDS)];
    /// Size of the log's live and spare segments on disk, in bytes.
    JOURNAL_BYTES = gauge "stampede_journal_bytes" [backend: Of(BACKENDS)];
    /// How long reading the log back took at the start, in seconds.
    JOURNAL_RECOVERY = gauge "stampede_journal_recovery_seconds" [backend: Of(BACKENDS)];
    /// Requests to the database that keeps the log, by statement and outcome; `unknown`: an error or no answer, so that it may have been done. All of `stampede_cql` stays 0 while the log is in the data directory.
    CQL_REQUESTS = counter "stampede_cql_requests_total" [statement: Of(&crate::cql::vitals::WORDS), outcome: Of(&crate::cql::vitals::OUTCOMES)];
    /// Time spent waiting for answers to them, in whole milliseconds.
    CQL_WAITED = counter "stampede_cql_request_milliseconds_total" [statement: Of(&crate::cql::vitals::WORDS)];
    /// Statements sent again because their outcome was unknown.
    CQL_AGAIN = counter "stampede_cql_resubmissions_total" [];
    /// Answers from memory that had to wait until the ownership of the log was confirmed.
    CQL_CONFIRMATIONS = counter "stampede_cql_confirmations_total" [];
    /// Buckets of the log whose frames went to the archive.
    CQL_TRIMMED = counter "stampede_cql_trimmed_buckets_total" [];
    /// 1 while this process owns the log in the database.
    CQL_OWNER = gauge "stampede_cql_owner" [];

    /// Operations of the store, and of Redis.
    STORE_OPERATIONS_TOTAL = counter "stampede_store_operations_total" [backend: Of(STORES), op: Of(STORE_OPERATIONS), outcome: Of(STORE_OUTCOMES)];
    /// How long operations of the store took, all but `contains`, and calls to Redis, in seconds.
    STORE_DURATION = seconds "stampede_store_operation_duration_seconds" [backend: Of(STORES)];
    /// Reads of availability that looked into Redis; all but `hit` were answered by the SKU. `wrong`: what was there was not ours.
    CACHE_READS = counter "stampede_cache_reads_total" [outcome: Of(READ_OUTCOMES)];
    /// 1 for the state that the circuit before this target is in; all 0 when it is not used.
    CIRCUIT = gauge "stampede_circuit_breaker_state" [target: Of(&["redis"]), state: Of(CIRCUIT_STATES)];
    /// Committed records that the store does not hold yet.
    PROJECTION_LAG = gauge "stampede_projection_lag_records" [];

    /// Committed records whose work the workers have not taken over yet.
    OUTBOX_PENDING = gauge "stampede_outbox_pending_messages" [];
    /// Age of the oldest message that no worker has finished, over all queues, in seconds.
    OUTBOX_OLDEST = gauge "stampede_outbox_oldest_age_seconds" [];
    /// Messages waiting for a worker or being worked on, here and in RabbitMQ.
    QUEUE_DEPTH = gauge "stampede_queue_depth_messages" [queue: Of(QUEUES)];
    /// Age of the oldest unfinished message, in seconds.
    QUEUE_OLDEST = gauge "stampede_queue_oldest_message_age_seconds" [queue: Of(QUEUES)];
    /// Messages that came to an end; `dead_lettered`: seen to come into RabbitMQ's dead letters.
    CONSUMED = counter "stampede_messages_consumed_total" [queue: Of(QUEUES), outcome: Of(CONSUMED_OUTCOMES)];
    /// Messages published to RabbitMQ, each time, by what became of it. `nacked`: refused, the queue is full; `returned`: there was no queue; `unconfirmed`: the connection ended before.
    PUBLISHED = counter "stampede_messages_published_total" [queue: Of(BROKER_QUEUES), outcome: Of(PUBLISHED_OUTCOMES)];
    /// Deliveries of RabbitMQ by what was said of them. `retried`: sent back; `lost`: the connection ended before, so they come again; `poison`: none that this version can read.
    DELIVERIES = counter "stampede_broker_deliveries_total" [queue: Of(BROKER_QUEUES), outcome: Of(&crate::broker::SETTLED)];
    /// Deliveries that had been delivered before.
    REDELIVERED = counter "stampede_broker_redelivered_total" [queue: Of(BROKER_QUEUES)];
    /// Dead letters in RabbitMQ: see `stampede dlq`.
    DEAD_LETTERS = gauge "stampede_dead_letters" [queue: Of(BROKER_QUEUES)];
    /// Steps whose repeat waits here until RabbitMQ is there and its queue is empty.
    REPEATS_WAITING = gauge "stampede_broker_repeats_waiting" [queue: Of(BROKER_QUEUES)];
    /// Messages published to RabbitMQ and not confirmed yet.
    UNCONFIRMED = gauge "stampede_broker_unconfirmed_messages" [];
    /// 1 while a connection to RabbitMQ stands and its queues are right.
    BROKER_UP = gauge "stampede_broker_up" [];
    /// 1 while RabbitMQ takes no messages, being short of memory or disk.
    BROKER_BLOCKED = gauge "stampede_broker_blocked" [];
    /// Connections to RabbitMQ made.
    BROKER_CONNECTIONS = counter "stampede_broker_connections_total" [];
    /// Messages being worked on.
    WORKFLOWS_IN_FLIGHT = gauge "stampede_workflows_in_flight" [workflow: Of(QUEUES)];
    /// From a step being asked for to its definite answer being committed, in seconds.
    WORKFLOW_DURATION = long_seconds "stampede_workflow_duration_seconds" [workflow: Of(QUEUES)];
    /// Frames read again from the log because a queue had had no room.
    FEED_REREAD = counter "stampede_feed_frames_reread_total" [];
    /// Calls to the payment provider, by operation and what they led to; `authorised` means done.
    PAYMENT_ATTEMPTS = counter "stampede_payment_attempts_total" [provider: Of(PROVIDERS), operation: Of(OPERATIONS), outcome: Of(PAYMENT_OUTCOMES)];
    /// Callbacks of the payment provider taken in.
    PAYMENT_CALLBACKS = counter "stampede_payment_callbacks_total" [provider: Of(PROVIDERS)];
    /// Shipments reported by the warehouse.
    SHIPMENTS = counter "stampede_warehouse_shipments_total" [outcome: Of(&["taken_in", "refused"])];
    /// Orders that a person was asked to look at, counted when committed.
    ATTENTION = counter "stampede_orders_attention_total" [reason: Of(super::ATTENTION)];

    /// Spans of traced orders, by what became of them. `dropped`: the queue before the collector was full; `failed`: the collector was away or did not want them.
    TRACING_SPANS = counter "stampede_tracing_spans_total" [outcome: Of(crate::traces::Counts::WORDS)];

    /// Always 1.
    BUILD = gauge "stampede_build_info" [version: Build, commit: Build, rustc: Build];
    /// 1 when this readiness check passes.
    READY = gauge "stampede_ready" [check: Checks];
    /// 1 while this goes on: `fault` while the server is told to do things wrong or slowly, `load_test` while it is told to measure.
    SCENARIO = gauge "stampede_scenario_active" [kind: Of(SCENARIOS)];
    /// Series that this process exports.
    SERIES = gauge "stampede_metrics_series" [];
    /// Label values that no label set knew and that were exported as `_other`.
    OVERFLOW = counter "stampede_metrics_overflow_total" [metric: Metrics];
    /// Resident memory, in bytes.
    RESIDENT = gauge "stampede_process_resident_memory_bytes" [];
    /// Processor time used, in whole milliseconds.
    CPU = counter "stampede_process_cpu_milliseconds_total" [];
    /// Open file descriptors.
    DESCRIPTORS = gauge "stampede_process_open_fds" [];
    /// Threads.
    THREADS = gauge "stampede_process_threads" [];
    /// When the process started, in Unix seconds.
    STARTED = gauge "stampede_process_start_time_seconds" [];
}
