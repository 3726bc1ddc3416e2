//! The provider and the warehouse, each with books of its own, and each as good as its word.

use crate::Fate;
use stampede_actors::ids::{LocationId, OpId, OrderId, Reference};
use stampede_actors::order::{Answer, LinePart, LineUnits, Order, Step};
use stampede_actors::sku::Units;
use std::collections::{BTreeMap, BTreeSet};

/// What the provider did with one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    Declined,
    Reserved,
    Captured,
    CaptureRefused,
    Voided,
}

/// Money, as the provider sees it. Every call carries a key: the same key gets the same answer. It may say no and do
/// it all the same; then it tells the truth later, by itself.
#[derive(Debug, Default)]
pub struct Provider {
    pub attempts: BTreeMap<(OrderId, u32), (Attempt, i64)>,
    pub refunds: BTreeMap<(OrderId, OpId), i64>,
    /// Steps that it said no to.
    refused: BTreeSet<(OrderId, Step)>,
    /// What it will admit later.
    pub admits: Vec<(OrderId, Step)>,
}

impl Provider {
    pub fn call(&mut self, id: OrderId, order: &Order, step: Step, fate: Fate) -> Answer {
        let total = order.total().unwrap().minor;
        if self.refused.contains(&(id, step)) {
            return refused("no");
        }
        let says_no = fate == Fate::Refused;
        let lies = says_no && self.attempts.len().is_multiple_of(2);
        let does = !says_no || lies;
        let done = match step {
            Step::Authorize { attempt } => {
                let outcome = if does { Attempt::Reserved } else { Attempt::Declined };
                let before = self.attempts.get(&(id, attempt)).copied();
                self.attempts.entry((id, attempt)).or_insert((outcome, total));
                before.is_some() || !says_no
            }
            Step::Capture { attempt } => {
                let (state, _) = self.attempts.get_mut(&(id, attempt)).expect("captured without an authorisation");
                let before = *state;
                if before == Attempt::Reserved {
                    *state = if does { Attempt::Captured } else { Attempt::CaptureRefused };
                }
                before == Attempt::Captured || !says_no
            }
            Step::Void { attempt } => {
                let (state, _) = self.attempts.get_mut(&(id, attempt)).expect("voided without an authorisation");
                if *state == Attempt::Captured {
                    assert!(self.refused.contains(&(id, Step::Capture { attempt })), "voided what was taken");
                    return refused("captured");
                }
                *state = Attempt::Voided;
                true
            }
            Step::Refund { refund } => {
                let amount = order.refund(refund).unwrap().amount.minor;
                let before = *self.refunds.entry((id, refund)).or_insert(amount);
                assert_eq!(before, amount, "one key, two amounts");
                assert!(self.net(id) >= 0, "more went back than was taken");
                true
            }
            other => panic!("{other:?} is no work of the provider"),
        };
        if done {
            return self::done();
        }
        self.refused.insert((id, step));
        if lies {
            self.admits.push((id, step));
        }
        refused("no")
    }

    /// What the seller has of this order's money.
    pub fn net(&self, id: OrderId) -> i64 {
        let captured = self.attempts.range((id, 0)..=(id, u32::MAX));
        let captured: i64 = captured.filter(|(_, (state, _))| *state == Attempt::Captured).map(|(_, (_, m))| m).sum();
        let refunded: i64 = self.refunds.range((id, OpId(0))..=(id, OpId(u128::MAX))).map(|(_, amount)| amount).sum();
        captured - refunded
    }
}

/// Parcels, as the warehouse sees them.
#[derive(Debug, Default)]
pub struct Warehouse {
    orders: BTreeMap<OrderId, Job>,
    /// Parcels that have left, and whether the order knows.
    pub parcels: Vec<Parcel>,
}

#[derive(Debug)]
struct Job {
    accepted: bool,
    /// Still to be sent.
    left: Vec<LinePart>,
    called_off: BTreeSet<OpId>,
    not_called_off: BTreeSet<OpId>,
}

/// A parcel.
#[derive(Debug, Clone)]
pub struct Parcel {
    pub order: OrderId,
    pub id: OpId,
    pub location: LocationId,
    pub lines: Vec<LineUnits>,
    pub reported: bool,
}

impl Warehouse {
    pub fn call(&mut self, id: OrderId, order: &Order, step: Step, fate: Fate) -> Answer {
        match step {
            Step::Fulfil => {
                let job = self.orders.entry(id).or_insert_with(|| {
                    let lines = &order.placement().unwrap().lines;
                    let part = |(line, of): (u32, &stampede_actors::order::Line)| {
                        let part = |part: &stampede_actors::sku::Part| LinePart {
                            line,
                            location: part.location.clone(),
                            units: part.units,
                        };
                        of.parts.iter().map(part).collect::<Vec<_>>()
                    };
                    Job {
                        accepted: fate != Fate::Refused,
                        left: (0..).zip(lines).flat_map(part).collect(),
                        called_off: BTreeSet::new(),
                        not_called_off: BTreeSet::new(),
                    }
                });
                if job.accepted { done() } else { refused("closed") }
            }
            Step::CallOff { refund } => {
                let job = self.orders.get_mut(&id).expect("called off what was never asked for");
                if job.called_off.contains(&refund) {
                    return done();
                }
                let units = order.units_to_give_back(refund);
                let here = |part: &LinePart| {
                    let left = job.left.iter().find(|left| left.line == part.line && left.location == part.location);
                    left.is_some_and(|left| left.units >= part.units)
                };
                if job.not_called_off.contains(&refund) || fate == Fate::Refused || !units.iter().all(here) {
                    job.not_called_off.insert(refund);
                    return refused("shipping");
                }
                job.called_off.insert(refund);
                for part in units {
                    take(&mut job.left, part.line, &part.location, part.units);
                }
                done()
            }
            other => panic!("{other:?} is no work of the warehouse"),
        }
    }

    /// Sends a parcel with at most so many units of one location.
    pub fn send_off(&mut self, id: OrderId, most: Units) {
        let number = self.parcels.len();
        let Some(job) = self.orders.get_mut(&id).filter(|job| job.accepted) else { return };
        let Some(location) = job.left.iter().find(|left| left.units > 0).map(|left| left.location.clone()) else {
            return;
        };
        let mut room = most;
        let mut lines = Vec::new();
        for left in job.left.iter_mut().filter(|left| left.location == location) {
            let units = left.units.min(room);
            if units > 0 {
                left.units -= units;
                room -= units;
                lines.push(LineUnits { line: left.line, units });
            }
        }
        self.parcels.push(Parcel { order: id, id: OpId(9_000 + number as u128), location, lines, reported: false });
    }

    /// Does the warehouse refuse to ship this order at all?
    pub fn refuses(&self, id: OrderId) -> bool {
        self.orders.get(&id).is_some_and(|job| !job.accepted)
    }

    /// Orders that it works on.
    pub fn orders(&self) -> Vec<OrderId> {
        self.orders.keys().copied().collect()
    }
}

fn take(left: &mut [LinePart], line: u32, location: &LocationId, units: Units) {
    let part = left.iter_mut().find(|left| left.line == line && left.location == *location).unwrap();
    part.units -= units;
}

pub fn done() -> Answer {
    Answer::Done { reference: Some(Reference::new("ref").unwrap()) }
}

pub fn refused(code: &str) -> Answer {
    Answer::Refused { code: code.to_owned() }
}
