//! Every metric that the load generator exports, in the form of the server's own table (`src/metrics/catalogue.rs`).
//!
//! `docs/load-metrics.md` is written from this table and compared with it, and with a run, by tests.

use crate::metrics::catalogue::Values::{Build, Of, Run};

/// How an arrival can end: with an order, refused, or with no usable answer.
pub const OUTCOMES: &[&str] =
    &["accepted", "sold_out", "contended", "buyer_limit", "rate_limited", "unavailable", "refused", "failed"];
/// Answers whose latency is told.
pub const ANSWERS: &[&str] = &["accepted", "refused"];

crate::metrics::catalogue::catalogue! {
    /// Always 1.
    INFO = gauge "stampede_load_info" [scenario: Run, profile: Run, version: Build];
    /// Arrivals that the scenario has in all.
    PLANNED = gauge "stampede_load_planned_arrivals" [];
    /// What the scenario asks for at this moment, in arrivals per second; 0 before its first and after its last, and where buyers come one after the other.
    TARGET = gauge "stampede_load_target_arrivals_per_second" [];
    /// Arrivals whose moment has come.
    DUE = counter "stampede_load_due_arrivals_total" [];
    /// Arrivals that were started.
    ARRIVALS = counter "stampede_load_arrivals_total" [];
    /// Arrivals that were not started: too late by the generator's own fault, or too many at the counter. One makes the run void.
    DROPPED = counter "stampede_load_dropped_arrivals_total" [];
    /// Arrivals that were started and have not ended.
    BUYERS = gauge "stampede_load_buyers_in_flight" [];
    /// Requests that were sent or wait for a connection, and are not answered yet.
    REQUESTS = gauge "stampede_load_requests_in_flight" [];
    /// Arrivals that have ended, by how. `unavailable`: 503, `refused`: by another code, `failed`: without a usable answer. Those who come back after the arrivals are not counted.
    ENDS = counter "stampede_load_answers_total" [outcome: Of(OUTCOMES)];
    /// From the moment an arrival was meant for to the answer that decided it, in seconds: what buyers felt, queues of the generator included.
    ANSWER_DURATION = seconds "stampede_load_answer_duration_seconds" [answer: Of(ANSWERS)];
    /// From the moment an arrival was meant for to its start or its being dropped, in seconds: how late the generator itself was.
    LATENESS = seconds "stampede_load_lateness_seconds" [];
    /// Processor time used by the generator, in whole milliseconds. One thread does it all.
    CPU = counter "stampede_load_cpu_milliseconds_total" [];
}
