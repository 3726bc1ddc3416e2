//! What became of orders and holds, counted from the frames of the log once they are committed: nothing is counted that
//! a crash could still undo.

use crate::journal::Committed;
use crate::metrics::families::{self, Families};
use crate::metrics::{ATTENTION, HoldState, OrderOutcome, Stage, catalogue};
use stampede_actors::ids::EntityId;
use stampede_actors::order::{self, Answer, Step};
use stampede_actors::record::Event;
use stampede_actors::sku;
use stampede_actors::time::Timestamp;
use std::time::Duration;

/// Counts a frame that was just committed. `now`: engine time.
pub fn committed(frame: &Committed, now: Timestamp) {
    let families = families::get();
    families.journal_batch.record(frame.records.len() as f64);
    if let Some(oldest) = frame.records.first() {
        families.journal_append.record(now.since(oldest.at).0 as f64 / 1e6);
    }
    for entry in frame.records.iter().flat_map(|record| &record.entries) {
        match &entry.event {
            Event::Sku(event) => count_hold(families, event),
            Event::Order(event) => {
                if let order::Event::Placed { at, .. } = event {
                    let took = u64::try_from(now.since(*at).0).unwrap_or(0);
                    families.checkout_stages[Stage::Journal as usize].record(Duration::from_micros(took));
                }
                count_order(families, event);
            }
            Event::Cart(_) | Event::Shop(_) => {}
        }
    }
}

/// Counts what nobody waits for, from a frame that the projection takes in, off the log's thread.
pub fn followed(frame: &Committed) {
    let mut hot = families::get().hot.lock();
    for entry in frame.records.iter().flat_map(|record| &record.entries) {
        if let (EntityId::Sku(sku), Event::Sku(sku::Event::Held { at, .. })) = (&entry.entity, &entry.event) {
            hot.held(sku, *at);
        }
    }
}

fn count_hold(families: &Families, event: &sku::Event) {
    let to = match event {
        sku::Event::Held { .. } => HoldState::Held,
        sku::Event::Allocated { .. } => HoldState::Confirmed,
        sku::Event::Ended { how: sku::End::Released, .. } => HoldState::Released,
        sku::Event::Ended { how: sku::End::Expired, .. } => HoldState::Expired,
        sku::Event::AllocationCancelled { .. } | sku::Event::AllocationReduced { .. } => HoldState::Reclaimed,
        sku::Event::Listed(_)
        | sku::Event::LocationSet { .. }
        | sku::Event::Received { .. }
        | sku::Event::Adjusted { .. }
        | sku::Event::Adopted { .. }
        | sku::Event::Extended { .. }
        | sku::Event::Shipped { .. }
        | sku::Event::Returned { .. }
        | sku::Event::Paused
        | sku::Event::Resumed => return,
    };
    families.holds[to as usize].increment(1);
}

fn count_order(families: &Families, event: &order::Event) {
    let outcome = match event {
        order::Event::Placed { .. } => OrderOutcome::Placed,
        order::Event::Answered { step, answer, .. } => match (step, answer) {
            (Step::Capture { .. }, Answer::Done { .. }) => OrderOutcome::Paid,
            (Step::Authorize { .. }, Answer::Refused { .. }) => OrderOutcome::PaymentFailed,
            (Step::Refund { .. }, Answer::Done { .. }) => OrderOutcome::Refunded,
            _ => return,
        },
        order::Event::Cancelled { .. } => OrderOutcome::Cancelled,
        order::Event::Expired { .. } => OrderOutcome::Expired,
        order::Event::Shipped { .. } => OrderOutcome::Shipped,
        order::Event::AttentionNeeded { reason, .. } => {
            match ATTENTION.iter().position(|word| *word == reason.word()) {
                Some(index) => families.attention[index].increment(1),
                None => families::overflow(&catalogue::ATTENTION),
            }
            return;
        }
        order::Event::PaymentRetried { .. }
        | order::Event::Opened { .. }
        | order::Event::Asked { .. }
        | order::Event::CancelRequested { .. }
        | order::Event::RefundRequested { .. }
        | order::Event::Returned { .. }
        | order::Event::AttentionAcknowledged { .. } => return,
    };
    families.orders[outcome as usize].increment(1);
}
