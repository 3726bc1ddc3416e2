//! The movement ledger: what each event did to the counters, and why. Its rows add up to the counters.

use super::Units;
use super::command::{End, Event, Part, Reason};
use super::state::Sku;
use crate::ids::{HoldId, LocationId, OpId, OrderId, Reference};
use crate::time::Timestamp;

/// Why units moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MovementReason {
    /// Units came in.
    Received,
    /// Stock was corrected.
    Adjusted(Reason),
    /// Units were claimed.
    Held,
    /// A hold was given back.
    Released,
    /// A hold ran out.
    Expired,
    /// A hold became firm.
    Allocated,
    /// Units left.
    Shipped,
    /// Allocated units went back to available.
    AllocationCancelled,
    /// Allocated units are gone without having been shipped.
    WrittenOff,
    /// Units came back.
    Returned,
}

impl MovementReason {
    /// Stable name, in the API and in the store.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            MovementReason::Received => "received",
            MovementReason::Adjusted(Reason::Count) => "adjusted_count",
            MovementReason::Adjusted(Reason::Damage) => "adjusted_damage",
            MovementReason::Adjusted(Reason::Loss) => "adjusted_loss",
            MovementReason::Adjusted(Reason::Found) => "adjusted_found",
            MovementReason::Adjusted(Reason::Other) => "adjusted_other",
            MovementReason::Held => "held",
            MovementReason::Released => "released",
            MovementReason::Expired => "expired",
            MovementReason::Allocated => "allocated",
            MovementReason::Shipped => "shipped",
            MovementReason::AllocationCancelled => "allocation_cancelled",
            MovementReason::WrittenOff => "written_off",
            MovementReason::Returned => "returned",
        }
    }
}

/// What a movement can be looked up by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MovementReference {
    /// The receipt, adjustment, shipment, reduction or return.
    pub operation: Option<OpId>,
    /// The claim.
    pub hold: Option<HoldId>,
    /// The claim's order.
    pub order: Option<OrderId>,
    /// What was noted with an adjustment.
    pub note: Option<Reference>,
}

/// What changed at one location, in units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// Where.
    pub location: LocationId,
    /// Units there.
    pub on_hand: i64,
    /// Units in holds.
    pub held: i64,
    /// Units in allocations.
    pub allocated: i64,
}

/// One row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// Why.
    pub reason: MovementReason,
    /// Because of what.
    pub reference: MovementReference,
    /// How many units it was about, over all locations; a return that is not restocked changes no counter.
    pub units: Units,
    /// What changed, location by location.
    pub deltas: Vec<Delta>,
    /// When.
    pub at: Timestamp,
}

impl Sku {
    /// The ledger's row for `event`, asked **before** the event is applied; `None` when no unit moves.
    #[must_use]
    pub fn movement(&self, event: &Event) -> Option<Movement> {
        use MovementReason as Why;
        match event {
            Event::Received { receipt, location, units, at, .. } => {
                let delta = Delta { location: location.clone(), on_hand: i64::from(*units), held: 0, allocated: 0 };
                let reference = MovementReference { operation: Some(*receipt), ..MovementReference::default() };
                Some(Movement { reason: Why::Received, reference, units: *units, deltas: vec![delta], at: *at })
            }
            Event::Adjusted { adjustment, location, delta, reason, reference, at, .. } => Some(Movement {
                reason: Why::Adjusted(*reason),
                reference: MovementReference {
                    operation: Some(*adjustment),
                    note: Some(reference.clone()),
                    ..MovementReference::default()
                },
                units: Units::try_from(delta.unsigned_abs()).unwrap_or(Units::MAX),
                deltas: vec![Delta { location: location.clone(), on_hand: *delta, held: 0, allocated: 0 }],
                at: *at,
            }),
            Event::Held { hold, order, parts, at, .. } => {
                let reference = MovementReference { hold: Some(*hold), order: *order, ..MovementReference::default() };
                Some(row(Why::Held, reference, parts, [0, 1, 0], *at))
            }
            Event::Ended { hold, how, at } => {
                let reason = match how {
                    End::Released => Why::Released,
                    End::Expired => Why::Expired,
                };
                Some(row(reason, self.claimed_by(*hold, None), &self.claim(*hold).parts, [0, -1, 0], *at))
            }
            Event::Allocated { hold, at, .. } => {
                Some(row(Why::Allocated, self.claimed_by(*hold, None), &self.claim(*hold).parts, [0, -1, 1], *at))
            }
            Event::Shipped { hold, shipment, parts, at } => {
                Some(row(Why::Shipped, self.claimed_by(*hold, Some(*shipment)), parts, [-1, 0, -1], *at))
            }
            Event::AllocationReduced { hold, reduction, parts, restock, at } => {
                let (reason, signs) =
                    if *restock { (Why::AllocationCancelled, [0, 0, -1]) } else { (Why::WrittenOff, [-1, 0, -1]) };
                Some(row(reason, self.claimed_by(*hold, Some(*reduction)), parts, signs, *at))
            }
            Event::AllocationCancelled { hold, at } => {
                let parts = &self.claim(*hold).parts;
                Some(row(Why::AllocationCancelled, self.claimed_by(*hold, None), parts, [0, 0, -1], *at))
            }
            Event::Returned { hold, return_id, location, units, restock, at, .. } => {
                let back = if *restock { i64::from(*units) } else { 0 };
                Some(Movement {
                    reason: Why::Returned,
                    reference: MovementReference {
                        operation: Some(*return_id),
                        hold: Some(*hold),
                        ..MovementReference::default()
                    },
                    units: *units,
                    deltas: vec![Delta { location: location.clone(), on_hand: back, held: 0, allocated: 0 }],
                    at: *at,
                })
            }
            Event::Listed(_)
            | Event::LocationSet { .. }
            | Event::Adopted { .. }
            | Event::Extended { .. }
            | Event::Paused
            | Event::Resumed => None,
        }
    }

    fn claimed_by(&self, hold: HoldId, operation: Option<OpId>) -> MovementReference {
        MovementReference { operation, hold: Some(hold), order: self.claim(hold).order, note: None }
    }
}

/// A row in which all parts move alike: `signs` are those of on-hand, held and allocated.
fn row(
    reason: MovementReason,
    reference: MovementReference,
    parts: &[Part],
    [on_hand, held, allocated]: [i64; 3],
    at: Timestamp,
) -> Movement {
    let delta = |part: &Part| {
        let units = i64::from(part.units);
        Delta {
            location: part.location.clone(),
            on_hand: on_hand * units,
            held: held * units,
            allocated: allocated * units,
        }
    };
    let units = parts.iter().map(|part| part.units).sum();
    Movement { reason, reference, units, deltas: parts.iter().map(delta).collect(), at }
}
