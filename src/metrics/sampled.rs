//! What others count in atomics of their own, copied when somebody scrapes.

use crate::broker;
use crate::cache::{Cache, Found, Operation as CacheOperation, Outcome, State};
use crate::cql::vitals::Vitals;
use crate::engine::Engine;
use crate::feed::Queue;
use crate::limits::{Decision, Limits, Policy};
use crate::metrics::catalogue::{self, ACTORS, MAX_SHARDS, Metric, OTHER};
use crate::metrics::families::{self, Families};
use crate::metrics::truth;
use crate::store;
use crate::traces::{self, Counts};
use crate::workflows::{self, Operation, PaymentOutcome};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// Copies what rate limits count, and what goes to Redis; zero where that is not used.
pub fn sample_limits(limits: &Limits, cache: Option<&Cache>) {
    let families = families::get();
    for policy in Policy::ALL {
        for (index, decision) in Decision::WORDS.iter().enumerate() {
            let count = limits.decisions(policy, index);
            families.counter(&catalogue::RATE_LIMITS, &[policy.word(), decision]).absolute(count);
        }
    }
    families.counter(&catalogue::RATE_LIMIT_FALLBACKS, &[]).absolute(limits.fallbacks());
    let link = cache.map(Cache::link);
    for operation in CacheOperation::ALL {
        for outcome in Outcome::ALL {
            let labels = ["redis", operation.word(), outcome.word()];
            let count = link.map_or(0, |link| link.count(operation, outcome));
            families.counter(&catalogue::STORE_OPERATIONS_TOTAL, &labels).absolute(count);
        }
    }
    for state in State::ALL {
        let is_so = link.is_some_and(|link| link.state() == state);
        set(families, &catalogue::CIRCUIT, &["redis", state.word()], f64::from(u8::from(is_so)));
    }
    for found in Found::ALL {
        let count = cache.and_then(Cache::reads).map_or(0, |reads| reads.found(found));
        families.counter(&catalogue::CACHE_READS, &[found.word()]).absolute(count);
    }
    let durations = link.map(|link| Arc::clone(&link.durations)).unwrap_or_default();
    families.own.show(&catalogue::STORE_DURATION, &["redis"], &durations);
}

/// Copies everything that the engine and the event streams count.
pub fn sample(engine: &Engine, streams: usize) {
    let families = families::get();
    set(families, &catalogue::STREAMS, &[], streams as f64);
    for check in &engine.health().checks {
        set(families, &catalogue::READY, &[check.check], f64::from(u8::from(check.ok)));
    }
    scenarios(families, engine);
    actors(families, engine);
    hot(families, engine);
    shards(families, engine);
    journal(families, engine);
    cql(families, engine);
    store(families, engine);
    truth::sample(families, engine);
    workflows(families, engine);
    spans(families);
}

/// Zero while tracing is off.
fn spans(families: &Families) {
    for (outcome, count) in Counts::WORDS.iter().zip(traces::COUNTS.all()) {
        families.counter(&catalogue::TRACING_SPANS, &[outcome]).absolute(count);
    }
}

fn scenarios(families: &Families, engine: &Engine) {
    let config = engine.config();
    let fault = !engine.faults().now().0.is_empty() || engine.log().sync_delay().0 > 0;
    for (kind, active) in [("fault", fault), ("load_test", config.measure)] {
        set(families, &catalogue::SCENARIO, &[kind], f64::from(u8::from(active)));
    }
}

fn actors(families: &Families, engine: &Engine) {
    let stats = &engine.fabric().stats;
    for (index, actor) in ACTORS.iter().enumerate() {
        set(families, &catalogue::ACTORS_WARM, &[actor], stats.warm[index].load(Relaxed) as f64);
        copy(families, &catalogue::ACTOR_ACTIVATIONS, &[actor], &stats.activations[index]);
        copy(families, &catalogue::ACTOR_PASSIVATIONS, &[actor], &stats.passivations[index]);
        copy(families, &catalogue::ACTOR_RESTARTS, &[actor, "panic"], &stats.crashes[index]);
        families.own.show(&catalogue::ACTOR_HANDLE, &[actor], &stats.handling[index]);
    }
    families.own.show(&catalogue::CHECKOUT_DURATION, &["reserve"], &stats.reserving);
    set(families, &catalogue::ACTORS_QUARANTINED, &[], stats.quarantined.load(Relaxed) as f64);
    copy(families, &catalogue::ACTOR_DROPPED, &["full"], &stats.refused_full);
    copy(families, &catalogue::ACTOR_DROPPED, &["stale_reply"], &stats.stale_replies);
    copy(families, &catalogue::TIMERS_FIRED, &[], &stats.timers_fired);
}

fn hot(families: &Families, engine: &Engine) {
    let shares = families.hot.lock().shares(engine.now());
    for (rank, share) in catalogue::RANKS.iter().zip(shares) {
        set(families, &catalogue::HOT_SKU_SHARE, &[rank], share);
    }
}

/// Beyond the bound, shards are exported as one.
fn shards(families: &Families, engine: &Engine) {
    let fabric = engine.fabric();
    let capacity = fabric.settings.permits_per_shard;
    for (shard, waits) in fabric.stats.waits.iter().enumerate() {
        let label = if shard < MAX_SHARDS { shard.to_string() } else { OTHER.to_owned() };
        families.own.show(&catalogue::SHARD_WAIT, &[&label], waits);
    }
    let mut rest = (0, 0, 0);
    for (shard, (questions, in_use)) in fabric.stats.questions.iter().zip(fabric.permits_in_use()).enumerate() {
        let questions = questions.load(Relaxed);
        if shard < MAX_SHARDS {
            let label = shard.to_string();
            families.counter(&catalogue::SHARD_REQUESTS, &[&label]).absolute(questions);
            set(families, &catalogue::PERMITS_IN_USE, &[&label], in_use as f64);
            set(families, &catalogue::PERMITS_CAPACITY, &[&label], capacity as f64);
        } else {
            rest = (rest.0 + questions, rest.1 + in_use, rest.2 + capacity);
        }
    }
    if fabric.shards() > MAX_SHARDS {
        families.counter(&catalogue::SHARD_REQUESTS, &[OTHER]).absolute(rest.0);
        set(families, &catalogue::PERMITS_IN_USE, &[OTHER], rest.1 as f64);
        set(families, &catalogue::PERMITS_CAPACITY, &[OTHER], rest.2 as f64);
    }
}

fn journal(families: &Families, engine: &Engine) {
    let log = engine.log().health();
    let backend = engine.config().log.store.word();
    let at: &[&str] = &[backend];
    families.counter(&catalogue::JOURNAL_FRAMES, at).absolute(log.frames);
    families.counter(&catalogue::JOURNAL_RECORDS, at).absolute(log.records);
    families.counter(&catalogue::JOURNAL_WRITTEN, at).absolute(log.bytes);
    families.counter(&catalogue::JOURNAL_ARCHIVED, at).absolute(log.archived);
    families.counter(&catalogue::JOURNAL_UPKEEP_FAILURES, at).absolute(log.upkeep_failures);
    set(families, &catalogue::JOURNAL_SYNC, at, log.sync_micros as f64 / 1e6);
    set(families, &catalogue::JOURNAL_PACE, at, log.pace_micros as f64 / 1e6);
    set(families, &catalogue::JOURNAL_PACE_RECORDS, at, log.pace_records as f64);
    set(families, &catalogue::JOURNAL_WAITING, at, log.waiting as f64);
    set(families, &catalogue::JOURNAL_EPOCH, at, log.epoch as f64);
    set(families, &catalogue::JOURNAL_CUTS, at, log.cuts as f64);
    set(families, &catalogue::JOURNAL_SEGMENTS, &[backend, "live"], log.live as f64);
    set(families, &catalogue::JOURNAL_SEGMENTS, &[backend, "spare"], log.spares as f64);
    let bytes = (log.live + log.spares) * engine.config().log.segment_bytes.0;
    set(families, &catalogue::JOURNAL_BYTES, at, bytes as f64);
    set(families, &catalogue::JOURNAL_RECOVERY, at, engine.recovered().took.as_secs_f64());
    let lag = engine.reader().lag(engine.committed());
    set(families, &catalogue::PROJECTION_LAG, &[], lag.not_written as f64);
}

fn cql(families: &Families, engine: &Engine) {
    // With the log in the data directory all of them are there, and stay 0.
    let none = Vitals::default();
    let vitals = engine.tenancy().map_or(&none, |tenancy| tenancy.cluster().vitals());
    for (statement, outcome, count) in vitals.requests() {
        families.counter(&catalogue::CQL_REQUESTS, &[statement, outcome]).absolute(count);
    }
    for (statement, seconds) in vitals.seconds() {
        families.counter(&catalogue::CQL_WAITED, &[statement]).absolute((seconds * 1e3) as u64);
    }
    families.counter(&catalogue::CQL_AGAIN, &[]).absolute(vitals.again());
    families.counter(&catalogue::CQL_CONFIRMATIONS, &[]).absolute(vitals.confirmations());
    families.counter(&catalogue::CQL_TRIMMED, &[]).absolute(vitals.trimmed());
    set(families, &catalogue::CQL_OWNER, &[], f64::from(u8::from(vitals.is_owner())));
}

fn store(families: &Families, engine: &Engine) {
    let vitals = engine.store();
    for operation in store::Operation::ALL {
        let word = operation.word();
        for (outcome, count) in [("done", vitals.done(operation)), ("failed", vitals.failed(operation))] {
            families.counter(&catalogue::STORE_OPERATIONS_TOTAL, &["embedded", word, outcome]).absolute(count);
        }
    }
    families.own.show(&catalogue::STORE_DURATION, &["embedded"], &vitals.durations);
}

/// Copies what a worker's process counts.
pub fn sample_worker(workflows: &workflows::Vitals, broker: &broker::Vitals) {
    let families = families::get();
    workflow_vitals(families, workflows, Some(broker), 0);
    spans(families);
}

fn workflows(families: &Families, engine: &Engine) {
    let broker = engine.broker().map(|broker| broker.vitals().as_ref());
    workflow_vitals(families, engine.workflows().vitals(), broker, engine.now().0);
}

/// `now`: engine time, microseconds.
fn workflow_vitals(families: &Families, vitals: &workflows::Vitals, broker: Option<&broker::Vitals>, now: i64) {
    let mut outbox_oldest: f64 = 0.0;
    set(families, &catalogue::OUTBOX_PENDING, &[], vitals.lag.load(Relaxed) as f64);
    copy(families, &catalogue::FEED_REREAD, &[], &vitals.frames_reread);
    for queue in Queue::ALL {
        let (word, of) = (queue.word(), vitals.queue(queue));
        let working = of.working.load(Relaxed);
        let carried = broker.and_then(|broker| broker.work(queue));
        let ready = carried.map_or(0, |work| work.ready.load(Relaxed));
        let died = carried.map_or(0, |work| work.died.load(Relaxed));
        set(families, &catalogue::QUEUE_DEPTH, &[word], (of.waiting.load(Relaxed) + working + ready) as f64);
        families.counter(&catalogue::CONSUMED, &[word, "dead_lettered"]).absolute(died);
        set(families, &catalogue::WORKFLOWS_IN_FLIGHT, &[word], working as f64);
        let oldest = of.oldest_at.load(Relaxed);
        let age = if oldest == 0 { 0.0 } else { (now - oldest).max(0) as f64 / 1e6 };
        set(families, &catalogue::QUEUE_OLDEST, &[word], age);
        outbox_oldest = outbox_oldest.max(age);
        copy(families, &catalogue::CONSUMED, &[word, "reported"], &of.reported);
        copy(families, &catalogue::CONSUMED, &[word, "not_open"], &of.not_open);
        copy(families, &catalogue::CONSUMED, &[word, "unknown"], &of.unknown);
        copy(families, &catalogue::CONSUMED, &[word, "left_to_order"], &of.left_to_order);
        copy(families, &catalogue::CONSUMED, &[word, "duplicate"], &of.duplicates);
    }
    set(families, &catalogue::OUTBOX_OLDEST, &[], outbox_oldest);
    for operation in Operation::ALL {
        for outcome in PaymentOutcome::ALL {
            let labels = ["simulated", operation.word(), outcome.word()];
            families.counter(&catalogue::PAYMENT_ATTEMPTS, &labels).absolute(vitals.calls(operation, outcome));
        }
    }
    self::broker(families, broker);
    copy(families, &catalogue::PAYMENT_CALLBACKS, &["simulated"], &vitals.callbacks);
    copy(families, &catalogue::SHIPMENTS, &["taken_in"], &vitals.shipments);
    copy(families, &catalogue::SHIPMENTS, &["refused"], &vitals.shipments_refused);
}

/// Zero where none is used.
fn broker(families: &Families, vitals: Option<&broker::Vitals>) {
    let none = broker::Vitals::default();
    let vitals = vitals.unwrap_or(&none);
    for queue in broker::topology::WORKS {
        let (word, Some(work)) = (queue.word(), vitals.work(queue)) else { continue };
        for outcome in broker::Published::ALL {
            families.counter(&catalogue::PUBLISHED, &[word, outcome.word()]).absolute(work.published(outcome));
        }
        for (outcome, count) in work.settled() {
            families.counter(&catalogue::DELIVERIES, &[word, outcome]).absolute(count);
        }
        copy(families, &catalogue::REDELIVERED, &[word], &work.redelivered);
        set(families, &catalogue::DEAD_LETTERS, &[word], work.dead.load(Relaxed) as f64);
        set(families, &catalogue::REPEATS_WAITING, &[word], work.later.load(Relaxed) as f64);
    }
    let flag = |flag: &AtomicBool| f64::from(u8::from(flag.load(Relaxed)));
    set(families, &catalogue::UNCONFIRMED, &[], vitals.unconfirmed.load(Relaxed) as f64);
    set(families, &catalogue::BROKER_UP, &[], flag(&vitals.up));
    set(families, &catalogue::BROKER_BLOCKED, &[], flag(&vitals.blocked));
    copy(families, &catalogue::BROKER_CONNECTIONS, &[], &vitals.connections);
}

pub(super) fn set(families: &Families, metric: &'static Metric, values: &[&str], value: f64) {
    families.gauge(metric, values).set(value);
}

fn copy(families: &Families, metric: &'static Metric, values: &[&str], counted: &AtomicU64) {
    families.counter(metric, values).absolute(counted.load(Relaxed));
}
