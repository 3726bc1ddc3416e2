//! Stock, driven by random commands: what must hold after every one of them.
#![allow(clippy::unwrap_used)] // a test that cannot make its example has failed

use super::*;
use crate::ids::{BuyerRef, HoldId, LocationId, OpId, OrderId, Reference, SellerId};
use crate::money::Money;
use crate::time::{Moment, Timestamp};
use iso_currency::Currency;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::collections::BTreeMap;

const HOLDS: u128 = 5;

fn terms() -> Terms {
    Terms { max_hold: Span::seconds(8), remember: Span::seconds(60), ..Terms::default() }
}

fn hold_id() -> impl Strategy<Value = HoldId> {
    (0..HOLDS).prop_map(HoldId)
}

fn operation() -> impl Strategy<Value = OpId> {
    (0..12u128).prop_map(OpId)
}

fn order_id() -> impl Strategy<Value = OrderId> {
    (0..2u128).prop_map(OrderId)
}

fn location() -> impl Strategy<Value = LocationId> {
    prop_oneof![1 => Just("east"), 1 => Just("west"), 4 => Just("main")].prop_map(|code| LocationId::new(code).unwrap())
}

fn buyer() -> impl Strategy<Value = BuyerRef> {
    prop_oneof![Just("ann"), Just("bob")].prop_map(|name| BuyerRef::new(name).unwrap())
}

/// No parts stand for everything that is left of the claim.
fn parts() -> impl Strategy<Value = Vec<Part>> {
    let part = || (location(), 0..3u32).prop_map(|(location, units)| Part { location, units });
    prop_oneof![2 => Just(Vec::new()), 4 => vec(part(), 1), 1 => vec(part(), 2)]
}

fn with_all_parts(command: Command, sku: &Sku) -> Command {
    let all = |hold: &HoldId| sku.hold(*hold).map(|view| view.parts).unwrap_or_default();
    match command {
        Command::Ship { hold, shipment, parts } if parts.is_empty() => {
            Command::Ship { hold, shipment, parts: all(&hold) }
        }
        Command::ReduceAllocation { hold, reduction, parts, restock } if parts.is_empty() => {
            Command::ReduceAllocation { hold, reduction, parts: all(&hold), restock }
        }
        other => other,
    }
}

fn listing() -> impl Strategy<Value = Listing> {
    (-1..100i64, option::weighted(0.3, 1..9u32)).prop_map(|(minor, buyer_limit)| Listing {
        seller: SellerId::new("acme").unwrap(),
        price: Money::new(minor, Currency::EUR),
        buyer_limit,
    })
}

fn holding() -> impl Strategy<Value = Command> {
    prop_oneof![
        6 => (hold_id(), 0..6u32, buyer(), option::of(order_id()), 0..5i64, any::<bool>()).prop_map(
            |(hold, units, buyer, order, ttl, tentative)| {
                Command::Hold { hold, units, buyer, order, ttl: Span::seconds(1 + ttl), tentative }
            }
        ),
        2 => (hold_id(), 0..40i64).prop_map(|(hold, s)| Command::Extend { hold, until: Timestamp(s * 1_000_000) }),
        1 => (hold_id(), option::of(order_id())).prop_map(|(hold, order)| Command::Release { hold, order }),
        1 => Just(Command::Tick),
    ]
}

fn allocating() -> impl Strategy<Value = Command> {
    let back = (hold_id(), buyer(), operation(), location(), 0..4u32, any::<bool>());
    prop_oneof![
        6 => (hold_id(), order_id(), option::weighted(0.1, parts())).prop_map(|(hold, order, parts)| {
            Command::Allocate { hold, order, parts: parts.unwrap_or_default() }
        }),
        6 => (hold_id(), operation(), parts()).prop_map(|(hold, shipment, parts)| {
            Command::Ship { hold, shipment, parts }
        }),
        3 => (hold_id(), operation(), parts(), any::<bool>()).prop_map(|(hold, reduction, parts, restock)| {
            Command::ReduceAllocation { hold, reduction, parts, restock }
        }),
        1 => hold_id().prop_map(|hold| Command::CancelAllocation { hold }),
        4 => back.prop_map(|(hold, buyer, return_id, location, units, restock)| {
            Command::Return { hold, buyer, return_id, location, units, restock }
        }),
    ]
}

fn stocking() -> impl Strategy<Value = Command> {
    let reference = Reference::new("note").unwrap();
    prop_oneof![
        1 => listing().prop_map(Command::List),
        1 => (location(), 0..3u32, 0..3u32).prop_map(|(location, priority, safety_stock)| {
            Command::SetLocation { location, priority, safety_stock }
        }),
        4 => (operation(), 0..2u64, location(), 0..12u32).prop_map(|(receipt, fingerprint, location, units)| {
            Command::Receive { receipt, fingerprint, location, units }
        }),
        2 => (operation(), 0..2u64, location(), -4..6i64).prop_map(
            move |(adjustment, fingerprint, location, delta)| {
                let (reason, reference) = (Reason::Count, reference.clone());
                Command::Adjust { adjustment, fingerprint, location, delta, reason, reference }
            }
        ),
        1 => Just(Command::Pause),
        4 => Just(Command::Resume),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![7 => holding(), 7 => allocating(), 2 => stocking()]
}

/// A SKU with the bookkeeping that it is compared with.
#[derive(Default)]
struct Watched {
    sku: Sku,
    events: Vec<Event>,
    ledger: BTreeMap<LocationId, [i64; 3]>,
}

impl Watched {
    fn take(&mut self, command: &Command, at: Moment) -> Result<(), TestCaseError> {
        let command = &self.informed(command);
        let Ok(decided) = self.sku.decide(command, at, &terms(), None) else { return Ok(()) };
        for event in decided.into_iter().flatten() {
            if let Some(movement) = self.sku.movement(&event) {
                for delta in movement.deltas {
                    let row = self.ledger.entry(delta.location).or_default();
                    row[0] += delta.on_hand;
                    row[1] += delta.held;
                    row[2] += delta.allocated;
                }
            }
            self.sku.apply(&event);
            let bytes = codec::encode_event(&event);
            prop_assert_eq!(codec::decode_event(&bytes), Ok(event.clone()));
            self.events.push(event);
        }
        prop_assert_eq!(self.sku.decide(command, at, &terms(), None), Ok(None), "a repeat of {:?}", command);
        Ok(())
    }

    /// An order knows where its units are held; only sometimes it was told something else.
    fn informed(&self, command: &Command) -> Command {
        match command {
            Command::Allocate { hold, order, parts } if parts.is_empty() => {
                let parts = self.sku.hold(*hold).map(|hold| hold.parts).unwrap_or_default();
                Command::Allocate { hold: *hold, order: *order, parts }
            }
            other => other.clone(),
        }
    }

    fn check(&self, at: Moment) -> Result<(), TestCaseError> {
        let stock = self.sku.availability();
        prop_assert_eq!(i64::from(stock.on_hand), self.sku.totals().on_hand(), "units are conserved");
        for place in &stock.locations {
            let counted = [place.on_hand, place.held, place.allocated].map(i64::from);
            let in_ledger = self.ledger.get(&place.location).copied().unwrap_or_default();
            prop_assert_eq!(counted, in_ledger, "the ledger adds up");
            prop_assert!(place.claimed() <= place.on_hand, "oversold");
        }
        let live: Vec<HoldView> = (0..HOLDS).filter_map(|id| self.sku.hold(HoldId(id))).collect();
        let first = live.iter().filter(|hold| !hold.firm).map(|hold| hold.expires_at).min();
        prop_assert_eq!(self.sku.deadline(), first, "a live hold has a deadline");
        self.check_that_availability_is_what_a_hold_gets(at)?;
        self.check_snapshot()
    }

    /// "Can I?" and "do it" are the same code.
    fn check_that_availability_is_what_a_hold_gets(&self, at: Moment) -> Result<(), TestCaseError> {
        let limited = self.sku.listing().is_none_or(|listing| listing.buyer_limit.is_some());
        if limited || self.sku.paused() {
            return Ok(());
        }
        let nothing_overdue = Moment { now: at.now, overdue: Timestamp(-1) };
        let ask = |units| {
            let buyer = BuyerRef::new("cid").unwrap();
            let hold = HoldId(999);
            let command = Command::Hold { hold, units, buyer, order: None, ttl: Span::seconds(1), tentative: false };
            self.sku.decide(&command, nothing_overdue, &terms(), None)
        };
        let available = self.sku.available();
        if available > 0 {
            let granted = ask(available).is_ok_and(|events| events.is_some());
            prop_assert!(granted);
        }
        let refused = ask(available + 1);
        let sold_out = matches!(refused, Err(Refusal::SoldOut { available: left, .. }) if left == available);
        prop_assert!(sold_out);
        Ok(())
    }

    /// The snapshot counts claims anew, so equality also says that the counters are what the claims add up to.
    fn check_snapshot(&self) -> Result<(), TestCaseError> {
        let bytes = codec::encode_state(&self.sku);
        let read = codec::decode_state(&bytes).unwrap();
        prop_assert_eq!(&read, &self.sku);
        prop_assert_eq!(codec::encode_state(&read), bytes);
        Ok(())
    }
}

/// Holds begin and end in turns: nothing ends twice, and nothing ends that never began.
fn check_that_every_hold_ends_once(events: &[Event]) -> Result<(), TestCaseError> {
    let mut left: BTreeMap<HoldId, Units> = BTreeMap::new();
    let sum = |parts: &[Part]| parts.iter().map(|part| part.units).sum::<Units>();
    for event in events {
        match event {
            Event::Held { hold, parts, .. } => prop_assert_eq!(left.insert(*hold, sum(parts)), None),
            Event::Ended { hold, .. } | Event::AllocationCancelled { hold, .. } => {
                prop_assert!(left.remove(hold).is_some());
            }
            Event::Shipped { hold, parts, .. } | Event::AllocationReduced { hold, parts, .. } => {
                let rest = left.remove(hold).and_then(|units| units.checked_sub(sum(parts)));
                prop_assert!(rest.is_some());
                if let Some(rest) = rest.filter(|rest| *rest > 0) {
                    left.insert(*hold, rest);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stock_is_right_whatever_is_asked(
        steps in vec((command(), 0..700i64, 0..3000i64), 1..150),
    ) {
        let mut watched = Watched::default();
        let seller = SellerId::new("acme").unwrap();
        let listing = Listing { seller, price: Money::new(5, Currency::EUR), buyer_limit: None };
        let mut now = Timestamp(1_000_000);
        watched.take(&Command::List(listing), Moment::at(now))?;
        for (command, pause, lag) in &steps {
            now = now.plus(Span::millis(*pause));
            // Sometimes expiry lags behind, as it does after a start.
            let overdue = if *lag < 1000 { Timestamp(now.0 - lag * 1000) } else { now };
            let at = Moment { now, overdue };
            let command = with_all_parts(command.clone(), &watched.sku);
            watched.take(&command, at)?;
            watched.check(at)?;
        }
        check_that_every_hold_ends_once(&watched.events)?;
        let mut replayed = Sku::default();
        watched.events.iter().for_each(|event| replayed.apply(event));
        prop_assert_eq!(&replayed, &watched.sku);
    }
}
