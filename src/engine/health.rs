//! Is the engine well enough to take requests? One check each, so that an operator sees which one is not.

use super::Inner;
use crate::store;
use serde::Serialize;
use std::sync::atomic::Ordering;

/// Committed records that may wait for the projection before readiness fails.
const MAX_LAG: u64 = 1_000_000;

/// All checks.
#[derive(Debug, Clone, Serialize)]
pub struct Health {
    /// In a stable order.
    pub checks: Vec<Check>,
}

/// One of them.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// Stable name: the label of `stampede_ready`.
    pub check: &'static str,
    /// Well?
    pub ok: bool,
    /// What is wrong; empty when nothing is.
    pub detail: String,
}

/// Names of all checks.
pub const CHECKS: [&str; 6] = ["log", "disk", "projection", "workflows", "lanes", "draining"];

impl Health {
    /// All well?
    #[must_use]
    pub fn ready(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }
}

/// What has died that settles orders, or that it settles them with.
pub(super) fn dead_workflows(inner: &Inner) -> Option<String> {
    let thread = inner.workflows.is_finished().then(|| "the workflow thread has ended".to_owned());
    let broker = || {
        let ended = inner.broker.as_ref().is_some_and(crate::broker::Broker::is_finished);
        ended.then(|| "the thread beside RabbitMQ has ended".to_owned())
    };
    let thread = thread.or_else(broker);
    let outside = || inner.outside.iter().find_map(store::Failure::get);
    thread.or_else(|| outside().map(|why| format!("a simulated outside party cannot write its books: {why}")))
}

fn lanes(inner: &Inner) -> Option<String> {
    if let Some(why) = inner.fabric.dead() {
        return Some(format!("{why}; the process is going down"));
    }
    let (attached, workers) = (inner.workers_attached.load(Ordering::SeqCst), inner.config.workers);
    if attached < workers {
        return Some(format!("{attached} of {workers} workers have started"));
    }
    let hanging = inner.hanging.lock();
    (!hanging.is_empty()).then(|| format!("lanes that hang: {hanging:?}"))
}

pub(super) fn health(inner: &Inner) -> Health {
    let log = inner.log.health();
    let lag = inner.reader.lag(stampede_actors::journal::Journal::committed(&*inner.queue));
    let stopped = inner.reader.stopped();
    let findings = [
        log.stopped.then(|| "the commit log has stopped; the process is going down".to_owned()),
        log.disk_full.then(|| "the disk is full; only settlement goes on".to_owned()),
        stopped.or_else(|| {
            let behind = lag.not_taken_in > MAX_LAG;
            behind.then(|| format!("{} committed records behind", lag.not_taken_in))
        }),
        dead_workflows(inner),
        lanes(inner),
        inner
            .draining
            .load(Ordering::SeqCst)
            .then(|| "no new purchases: the server is drained or going down".to_owned()),
    ];
    let checks = CHECKS.iter().zip(findings).map(|(&check, finding)| Check {
        check,
        ok: finding.is_none(),
        detail: finding.unwrap_or_default(),
    });
    Health { checks: checks.collect() }
}
