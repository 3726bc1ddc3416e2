//! Which counters an answer moves.

use crate::http::call::Answer;
use crate::http::problem::{Kind, kinds};
use crate::http::spec::Spec;
use crate::metrics::{self, Checkout, KeyOutcome, Shed};
use std::time::Duration;

/// Counts an answer.
pub fn count(spec: &'static Spec, answer: &Answer, took: Duration) {
    let kind = answer.as_ref().err().map(|problem| problem.kind);
    let replayed = answer.as_ref().is_ok_and(|reply| reply.replayed);
    if spec.idempotent {
        metrics::key(key_outcome(kind, replayed));
    }
    if spec.purchase {
        metrics::checkout(checkout_outcome(kind, replayed), took);
    }
    if let Some(reason) = kind.and_then(shed) {
        metrics::shed(reason);
    }
}

fn key_outcome(kind: Option<&'static Kind>, replayed: bool) -> KeyOutcome {
    match kind {
        None if replayed => KeyOutcome::Replayed,
        Some(kind) if *kind == kinds::IDEMPOTENCY_KEY_MISSING => KeyOutcome::Missing,
        Some(kind) if *kind == kinds::IDEMPOTENCY_KEY_MALFORMED => KeyOutcome::Malformed,
        Some(kind) if *kind == kinds::IDEMPOTENCY_KEY_REUSED => KeyOutcome::Mismatch,
        Some(kind) if *kind == kinds::IDEMPOTENCY_KEY_IN_FLIGHT => KeyOutcome::InFlight,
        None | Some(_) => KeyOutcome::New,
    }
}

fn checkout_outcome(kind: Option<&'static Kind>, replayed: bool) -> Checkout {
    let Some(kind) = kind else {
        return if replayed { Checkout::Duplicate } else { Checkout::Accepted };
    };
    match kind.code {
        "sold_out" => Checkout::SoldOut,
        "contended" => Checkout::Contended,
        "buyer_limit" => Checkout::BuyerLimit,
        "sale_paused" => Checkout::Paused,
        "price_changed" => Checkout::PriceChanged,
        "idempotency_key_in_flight" => Checkout::Duplicate,
        "rate_limited" => Checkout::RateLimited,
        "overloaded" | "draining" | "disk_full" | "log_stopped" => Checkout::NotAdmitted,
        "outcome_unknown" => Checkout::ShedAfterAdmission,
        _ if kind.status >= 500 => Checkout::Error,
        _ => Checkout::Invalid,
    }
}

/// Requests refused to protect the node; what is called `overloaded` is counted where it is known why.
fn shed(kind: &'static Kind) -> Option<Shed> {
    match kind.code {
        "outcome_unknown" => Some(Shed::Deadline),
        "draining" => Some(Shed::Draining),
        "disk_full" => Some(Shed::DiskFull),
        "log_stopped" => Some(Shed::Busy),
        _ => None,
    }
}
