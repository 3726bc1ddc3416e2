//! Many orders at once, everything that can go wrong, from a seed: units and money balance in the end.

use super::world::World;
use stampede_actors::ids::{OpId, OrderId, Reference};
use stampede_actors::order::{self, Attention, State};
use stampede_actors::time::Span;
use std::collections::BTreeMap;

/// Tokens whose orders settle without a person.
pub const SETTLING: [&str; 10] = [
    "tok_ok",
    "tok_declined_funds",
    "tok_timeout_30s",
    "tok_timeout_lost",
    "tok_ok_after_2_retries",
    "tok_duplicate_callback",
    "tok_late_answer",
    "tok_forgets_key",
    "tok_capture_declined",
    "tok_capture_timeout",
];

/// Runs a sale; says how the orders ended, and the log's length.
fn sale(seed: u64, faults: &[&str], crashes: bool) -> (BTreeMap<State, u32>, Vec<u8>) {
    let mut world = World::new(seed, faults);
    world.entity_faults = 20;
    world.callbacks = !seed.is_multiple_of(3);
    let skus = [world.stock("hot", 12), world.stock("warm", 40), world.stock("cold", 100)];
    let mut orders = Vec::new();
    for n in 0..60u128 {
        let token = SETTLING[world.random.below(SETTLING.len() as u64) as usize];
        let first = world.random.below(3) as usize;
        let second = (first + 1) % 3;
        let units = 1 + world.random.below(3) as u32;
        let two_lines = [(&skus[first], units), (&skus[second], 1)];
        let lines = &two_lines[..1 + world.random.below(2) as usize];
        orders.extend(world.place(OrderId(n + 1), token, lines));
        for _ in 0..world.random.below(25) {
            world.step();
        }
        let any = orders[world.random.below(orders.len() as u64) as usize];
        let op = OpId((1 << 90) + n);
        // Refused as often as not: what matters is that it never does harm.
        let _ = match world.random.below(12) {
            0 => world.cancel(any),
            1 => {
                let token = Reference::new("tok_ok").unwrap();
                world.order(any, &order::Command::Pay { payment: op, fingerprint: 0, token }).map(|_| ())
            }
            _ => Ok(()),
        };
        if crashes && world.random.below(12) == 0 {
            let (stale, down_for) = (world.random.below(200), Span::millis(world.random.below(9_000) as i64));
            world.crash(stale, down_for);
        }
    }
    world.settle();
    world.check();
    let mut ended = BTreeMap::new();
    for order in orders {
        *ended.entry(world.state(order)).or_default() += 1;
    }
    let trace = format!("{:?} {:?} {:?}", world.now, world.ends, world.desk.books().entries().collect::<Vec<_>>());
    (ended, trace.into_bytes())
}

#[test]
fn s19_units_and_money_balance_whatever_goes_wrong() {
    let mut ended: BTreeMap<State, u32> = BTreeMap::new();
    for seed in 0..40 {
        for (state, count) in sale(seed, &[], false).0 {
            *ended.entry(state).or_default() += count;
        }
    }
    assert!(ended.keys().eq([&State::Fulfilled, &State::Cancelled, &State::Expired]), "{ended:?}");
}

#[test]
fn s19_units_and_money_balance_with_a_provider_that_times_out_and_a_process_that_dies() {
    for seed in 100..140 {
        sale(seed, &["payment=timeout:30%", "payment=late:10%", "payment=error:10%", "payment=duplicate:20%"], true);
    }
}

#[test]
fn s14_the_same_seed_is_the_same_sale_to_the_byte() {
    let faults = ["payment=timeout:30%", "payment=late:10%"];
    assert_eq!(sale(7, &faults, true).1, sale(7, &faults, true).1);
    assert_ne!(sale(7, &faults, true).1, sale(8, &faults, true).1);
}

#[test]
fn s19_what_stays_unknown_needs_attention_and_is_never_guessed() {
    let mut world = World::new(1, &["payment=lost:100%"]);
    let sku = world.stock("shirt", 10);
    let order = OrderId(1);
    world.place(order, "tok_ok", &[(&sku, 1)]).unwrap();
    world.run_until(|world| world.orders[&order].attention() == Some(Attention::Unanswered));
    assert_eq!(world.state(order), State::AwaitingPayment);
}

#[test]
fn s19_refunds_returns_and_call_offs_of_parts_balance() {
    let mut refunds = 0;
    for seed in 0..60 {
        let mut world = World::new(seed, &["payment=timeout:20%"]);
        world.entity_faults = 30;
        let (shirt, mug) = (world.stock("shirt", 10), world.stock("mug", 5));
        let order = OrderId(1);
        world.place(order, "tok_ok", &[(&shirt, 7), (&mug, 2)]).unwrap();
        for n in 0..400u128 {
            if !world.step() {
                break;
            }
            if world.random.below(10) == 0 {
                let line = world.random.below(2) as u32;
                let units = 1 + world.random.below(2) as u32;
                let lines = vec![order::LineUnits { line, units }];
                let restock = world.random.below(2) == 0;
                let refund = order::Command::Refund { refund: OpId((1 << 90) + n), fingerprint: 0, lines, restock };
                refunds += u32::from(world.order(order, &refund).is_ok());
            }
        }
        world.settle();
        let state = world.state(order);
        assert!(state.is_terminal(), "{state:?}");
        let money = world.desk.books().by_order().unwrap()[&order];
        let of_order = &world.orders[&order];
        assert_eq!(money.refunded, of_order.refunded().unwrap().minor);
        assert_eq!(money.captured, of_order.captured().unwrap().minor);
        for sku in world.skus.values() {
            let stock = sku.availability();
            assert_eq!((stock.held, stock.allocated), (0, 0));
            assert_eq!(i64::from(stock.on_hand), sku.totals().on_hand());
        }
    }
    assert!(refunds > 60, "{refunds} refunds in 60 orders");
}
