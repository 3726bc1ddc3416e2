//! Whatever buyers, sellers, providers and warehouses do, a shop that runs the aggregates breaks no rule of the books,
//! and the projection's sums are those of the books.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;
use crate::feed::projection::tests::shop::{LOG, Shop, buyer, depot, reference};
use crate::feed::projection::{Limits, Projection};
use crate::store::MemoryStore;
use proptest::prelude::*;
use stampede_actors::ids::{HoldId, OpId};
use stampede_actors::order::{self, Answer, LineUnits};
use stampede_actors::sku::{Command, Reason};
use stampede_actors::time::Span;
use std::sync::Arc;

#[derive(Debug, Clone)]
enum Act {
    Buy { order: u128, buyer: u8, pen: bool, units: u32 },
    Hold { hold: u128, buyer: u8, units: u32 },
    Release { hold: u128 },
    Pass { seconds: i64 },
    Answer { order: u128, pick: usize, answer: u8 },
    Pay { order: u128, payment: u128 },
    Cancel { order: u128, cancel: u128 },
    Refund { order: u128, refund: u128, units: u32, restock: bool },
    Ship { order: u128, shipment: u128, units: u32 },
    Return { order: u128, back: u128, units: u32, restock: bool },
    Adjust { adjustment: u128, delta: i64 },
    Frame,
}

fn act() -> impl Strategy<Value = Act> {
    let order = || 1..9u128;
    let (id, units) = (|| 1..4u128, || 1..4u32);
    prop_oneof![
        6 => (order(), 0..3u8, any::<bool>(), units())
            .prop_map(|(order, buyer, pen, units)| Act::Buy { order, buyer, pen, units }),
        2 => (20..24u128, 0..3u8, units()).prop_map(|(hold, buyer, units)| Act::Hold { hold, buyer, units }),
        1 => (20..24u128).prop_map(|hold| Act::Release { hold }),
        3 => prop_oneof![Just(1), Just(40), Just(400)].prop_map(|seconds| Act::Pass { seconds }),
        24 => (order(), 0..3usize, 0..8u8).prop_map(|(order, pick, answer)| Act::Answer { order, pick, answer }),
        1 => (order(), id()).prop_map(|(order, payment)| Act::Pay { order, payment }),
        1 => (order(), id()).prop_map(|(order, cancel)| Act::Cancel { order, cancel }),
        2 => (order(), id(), 0..3u32, any::<bool>())
            .prop_map(|(order, refund, units, restock)| Act::Refund { order, refund, units, restock }),
        3 => (order(), id(), units()).prop_map(|(order, shipment, units)| Act::Ship { order, shipment, units }),
        2 => (order(), id(), units(), any::<bool>())
            .prop_map(|(order, back, units, restock)| Act::Return { order, back, units, restock }),
        1 => (id(), -5..5i64).prop_map(|(adjustment, delta)| Act::Adjust { adjustment, delta }),
        3 => Just(Act::Frame),
    ]
}

fn lines(units: u32) -> Vec<LineUnits> {
    if units == 0 { vec![] } else { vec![LineUnits { line: 0, units }] }
}

fn run(shop: &mut Shop, act: Act) {
    match act {
        Act::Buy { order, buyer, pen, units } => {
            let code = if pen { "pen" } else { "mug" };
            if shop.orders.get(&OrderId(order)).is_none_or(|order| order.placed_at().is_none()) {
                shop.buy(order, &format!("buyer-{buyer}"), code, units);
            }
        }
        Act::Hold { hold, buyer: number, units } => {
            let (buyer, ttl) = (buyer(&format!("buyer-{number}")), Span::seconds(60));
            let hold = Command::Hold { hold: HoldId(hold), units, buyer, order: None, ttl, tentative: false };
            shop.sku("pen", hold);
        }
        Act::Release { hold } => {
            shop.sku("pen", Command::Release { hold: HoldId(hold), order: None });
        }
        Act::Pass { seconds } => {
            shop.pass(Span::seconds(seconds));
            for code in ["mug", "pen"] {
                shop.sku(code, Command::Tick);
            }
            for id in shop.orders.keys().copied().collect::<Vec<_>>() {
                shop.order(id, order::Command::Tick);
            }
        }
        Act::Answer { order, pick, answer } => {
            let order = OrderId(order);
            let open = shop.orders.get(&order).map(|order| order.open_steps().to_vec()).unwrap_or_default();
            let Some(step) = open.get(pick % open.len().max(1)).map(|open| open.step) else { return };
            let answer = match (step.is_stock(), answer) {
                (true, 0) => Answer::Unknown,
                (true, _) if shop.stock_work(order, step) => Answer::Done { reference: None },
                (false, 0) | (true, _) => Answer::Refused { code: "no".to_owned() },
                (false, 1) => Answer::Unknown,
                (false, _) => Answer::Done { reference: None },
            };
            shop.order(order, order::Command::Report { step, answer });
        }
        Act::Pay { order, payment } => {
            let token = reference("tok_again");
            shop.order(OrderId(order), order::Command::Pay { payment: OpId(payment), fingerprint: 1, token });
        }
        Act::Cancel { order, cancel } => {
            let (cancel, reason) = (OpId(100 + cancel), "no".to_owned());
            shop.order(OrderId(order), order::Command::Cancel { cancel, fingerprint: 1, reason });
        }
        Act::Refund { order, refund, units, restock } => {
            let (refund, lines) = (OpId(200 + refund), lines(units));
            shop.order(OrderId(order), order::Command::Refund { refund, fingerprint: 1, lines, restock });
        }
        Act::Ship { order, shipment, units } => {
            shop.ship(OrderId(order), 300 + shipment, units);
        }
        Act::Return { order, back, units, restock } => {
            let (return_id, location, lines) = (OpId(400 + back), depot(), lines(units));
            let command = order::Command::Return { return_id, fingerprint: 1, location, lines, restock };
            shop.order(OrderId(order), command);
        }
        Act::Adjust { adjustment, delta } => {
            let (adjustment, location, reference) = (OpId(500 + adjustment), depot(), reference("count"));
            let reason = Reason::Count;
            shop.sku("mug", Command::Adjust { adjustment, fingerprint: 1, location, delta, reason, reference });
        }
        Act::Frame => shop.frame(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn no_history_of_the_aggregates_breaks_a_rule(acts in prop::collection::vec(act(), 1..160)) {
        let mut shop = Shop::new();
        shop.stocked("mug", 9, None);
        shop.stocked("pen", 6, Some(4));
        acts.into_iter().for_each(|act| run(&mut shop, act));
        shop.frame();

        let (mut ledger, store) = (Ledger::default(), Arc::new(MemoryStore::default()));
        let limits = Limits { entities: 4, changed: 8 };
        let mut projection = Projection::new(store.clone(), LOG, limits).unwrap();
        for frame in &shop.frames {
            for record in &frame.records {
                prop_assert_eq!(ledger.record(record), []);
            }
            projection.ingest(frame).unwrap();
        }
        prop_assert_eq!(ledger.close(), []);
        projection.flush().unwrap();
        let (audit, books) = (projection.reader().audit(), ledger.totals().summary());
        prop_assert_eq!(&audit.violations, &[]);
        let without = |audit: super::super::AuditSummary| {
            super::super::AuditSummary { orders: Default::default(), evaluated: 0, rules: Default::default(), ..audit }
        };
        prop_assert_eq!(without(audit), without(books));
        // Nothing of this one is in memory.
        let stored = Projection::new(store, LOG, limits).unwrap();
        for (entity, state, version) in shop.entities() {
            prop_assert_eq!(stored.reader().current(&entity).unwrap(), Some((state.clone(), version)));
            prop_assert_eq!(projection.reader().current(&entity).unwrap(), Some((state, version)));
        }
    }
}
