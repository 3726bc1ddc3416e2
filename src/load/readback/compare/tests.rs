//! A comparison that finds nothing proves nothing: each lie has its test.

use super::*;
use crate::load::buyer::{Purchase, Via};
use crate::load::clerk::{ListedLine, ListedPayment};
use stampede_actors::ids::OrderId;

/// Buyers 0 and 1 were told of orders 0 and 1, of SKU 0.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new(2);
    for buyer in 0..2 {
        ledger.acknowledge(Purchase { buyer, visit: 0, sku: 0, via: Via::Express }, OrderId(buyer.into()), b"");
    }
    ledger
}

fn order(buyer: u32) -> Listed {
    Listed {
        order: OrderId(buyer.into()).to_string(),
        state: "fulfilled".to_owned(),
        buyer: format!("run-b{buyer}"),
        lines: vec![ListedLine { sku: "run-0".to_owned(), units: 1 }],
        payments: vec![ListedPayment { state: "captured".to_owned() }],
    }
}

fn compared(orders: &[Listed], unclear: &[u32]) -> (Compared, Vec<(&'static str, u64)>) {
    let (ledger, words, mut tally) = (ledger(), Words::new("run".to_owned()), Tally::default());
    let mut read = ReadBack::new(&words, unclear.iter().copied().collect());
    orders.iter().for_each(|order| read.take(order, &ledger, &mut tally));
    let compared = read.finish(&ledger, &mut tally);
    let violated = tally.outcome(&[]).into_iter().map(|(invariant, seen)| (invariant.word(), seen.violated));
    (compared, violated.collect())
}

#[test]
fn what_both_tell_alike_is_right() {
    let other = Listed { buyer: "somebody-else".to_owned(), ..order(7) };
    let (compared, violated) = compared(&[order(0), other, order(1)], &[]);
    assert!(violated.is_empty(), "{violated:?}");
    assert_eq!((compared.orders, compared.unpaid, compared.paid["run-0"]), (2, 0, 2));
}

#[test]
fn an_acknowledged_order_that_is_not_there_is_lost() {
    assert_eq!(compared(&[order(0)], &[]).1, [("lost_order", 1)]);
    assert_eq!(compared(&[], &[0, 1]).1, [("lost_order", 2)]);
}

#[test]
fn an_order_that_nobody_was_told_of_is_found_unless_it_was_unclear() {
    let all = [order(0), order(1), order(2)];
    assert_eq!(compared(&all, &[]).1, [("lost_order", 1)]);
    assert!(compared(&all, &[2]).1.is_empty());
    let twice = Listed { order: OrderId(9).to_string(), ..order(1) };
    assert_eq!(compared(&[order(0), order(1), twice], &[]).1, [("lost_order", 1)], "one key, two orders");
    let stranger = Listed { buyer: "run-bx".to_owned(), ..order(3) };
    assert_eq!(compared(&[order(0), order(1), stranger], &[]).1, [("lost_order", 1)]);
}

#[test]
fn an_order_of_something_else_is_lost() {
    for (sku, units) in [("run-1", 1), ("run-0", 2)] {
        let other = Listed { lines: vec![ListedLine { sku: sku.to_owned(), units }], ..order(1) };
        assert_eq!(compared(&[order(0), other], &[]).1, [("lost_order", 1)], "{sku} {units}");
    }
}

#[test]
fn money_is_taken_once_and_only_for_what_is_sold() {
    let with = |state: &str, payments: &[&str]| Listed {
        state: state.to_owned(),
        payments: payments.iter().map(|&state| ListedPayment { state: state.to_owned() }).collect(),
        ..order(1)
    };
    for wrong in [with("fulfilled", &["captured", "captured"]), with("captured", &[]), with("expired", &["captured"])] {
        assert_eq!(compared(&[order(0), wrong], &[]).1, [("double_charge", 1)]);
    }
    let (compared, violated) = compared(&[order(0), with("expired", &["voided"])], &[]);
    assert!(violated.is_empty() && compared.paid["run-0"] == 1, "an order that came to nothing sells nothing");
}

#[test]
fn an_order_is_looked_at_again_until_it_is_paid() {
    let (ledger, words, mut tally) = (ledger(), Words::new("run".to_owned()), Tally::default());
    let mut read = ReadBack::new(&words, HashSet::default());
    let waiting = Listed { state: "authorised".to_owned(), payments: Vec::new(), ..order(1) };
    [order(0), waiting.clone(), waiting.clone()].iter().for_each(|order| read.take(order, &ledger, &mut tally));
    assert_eq!(read.unpaid(), [waiting.order]);
    read.take(&order(1), &ledger, &mut tally);
    assert!(read.unpaid().is_empty());
    let compared = read.finish(&ledger, &mut tally);
    assert_eq!((compared.orders, compared.paid["run-0"], compared.unpaid), (2, 2, 0));
    assert_eq!(tally.evaluated(Invariant::LostOrder), 3, "two orders, and the look itself");
}
