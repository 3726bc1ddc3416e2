//! What became of orders and holds, counted from the frames of the log as they are committed: nothing is counted that a
//! crash could still undo.

use crate::journal::Committed;
use crate::metrics::families::{self, Families};
use crate::metrics::{ATTENTION, HoldState, OrderOutcome, catalogue};
use stampede_actors::order::{self, Answer, Step};
use stampede_actors::record::Event;
use stampede_actors::sku;
use stampede_actors::time::Timestamp;

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
            Event::Order(event) => count_order(families, event),
            Event::Cart(_) => {}
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
