#![allow(clippy::unwrap_used)] // a panic is how a test fails

//! A verdict that cannot be FAIL proves nothing: each lie has its test.

use super::*;
use crate::client::Request;
use crate::demo::charges::Charges;
use crate::demo::crowd::{Visit, Want};
use crate::demo::ledger::Acknowledged;
use crate::workflows::simulated::{self, Deed};
use stampede_actors::ids::{EntityId, HoldId, OrderId, Reference};
use stampede_actors::money::{Money, currency};
use stampede_actors::order::{Answer, Event, Line, Placement, Step};
use stampede_actors::record::{self, Entry, Record};
use stampede_actors::time::Timestamp;
use std::rc::Rc;

#[test]
fn what_all_three_accounts_tell_alike_passes() {
    let verdict = Story::default().judge();
    assert_eq!((verdict.verdict, &verdict.reasons), (Word::Pass, &Vec::new()));
    assert_eq!((verdict.sold, verdict.units, verdict.orders, verdict.charges), (3, 3, 2, 2));
    assert_eq!(verdict.complete_timelines, 2);
    let text = verdict.text();
    assert!(
        text.starts_with("sold 3/3  oversold 0  undersold 0  orders 2 = charges 2  acknowledged all there"),
        "{text}"
    );
    assert!(text.ends_with("PASS"), "{text}");
}

#[test]
fn a_unit_sold_twice_fails() {
    let verdict = Story { units: 2, ..Story::default() }.judge();
    assert_eq!((verdict.verdict, verdict.oversold), (Word::Fail, 1));
}

#[test]
fn a_unit_left_over_fails_only_while_somebody_wants_it() {
    let left = Story { units: 5, ..Story::default() };
    assert_eq!(left.judge().verdict, Word::Pass);
    let wanted = Story { units: 5, in_line: 1, ..Story::default() }.judge();
    assert_eq!((wanted.verdict, wanted.undersold), (Word::Fail, 1), "one buyer can take one unit of the two");
}

#[test]
fn an_acknowledged_order_that_is_not_in_the_log_fails() {
    let verdict = Story { acknowledged: vec![(1, 1), (2, 2), (3, 1)], ..Story::default() }.judge();
    assert_eq!((verdict.verdict, verdict.lost_acknowledged), (Word::Fail, 1));
    assert!(verdict.text().contains("acknowledged 1 of 3 LOST"), "{}", verdict.text());
}

#[test]
fn an_acknowledged_order_with_other_units_fails() {
    let verdict = Story { acknowledged: vec![(1, 2), (2, 2)], ..Story::default() }.judge();
    assert_eq!((verdict.verdict, verdict.lost_acknowledged), (Word::Fail, 1));
}

#[test]
fn an_order_that_nobody_was_told_of_fails() {
    assert_eq!(Story { acknowledged: vec![(1, 1)], ..Story::default() }.judge().verdict, Word::Fail);
}

#[test]
fn money_without_an_order_and_an_order_without_money_fail() {
    for charges in [
        vec![(1, 100)],
        vec![(1, 100), (2, 200), (2, 200)],
        vec![(1, 100), (2, 200), (9, 100)],
        vec![(1, 100), (2, 199)],
    ] {
        let verdict = Story { charges: charges.clone(), ..Story::default() }.judge();
        assert_eq!(verdict.verdict, Word::Fail, "{charges:?}");
    }
}

#[test]
fn an_order_without_an_end_fails() {
    let story =
        Story { placed: vec![(1, 1), (2, 2), (3, 1)], acknowledged: vec![(1, 1), (2, 2), (3, 1)], ..Story::default() };
    assert_eq!(story.judge().verdict, Word::Fail);
}

#[test]
fn a_broken_rule_a_strange_answer_and_an_unsettled_sale_fail() {
    assert_eq!(Story { violations: vec!["oversell".into()], ..Story::default() }.judge().verdict, Word::Fail);
    assert_eq!(Story { unexpected: 1, ..Story::default() }.judge().verdict, Word::Fail);
    assert_eq!(Story { settled: false, ..Story::default() }.judge().verdict, Word::Fail);
}

#[test]
fn an_order_that_cannot_be_followed_fails() {
    let verdict = Story { untold: true, ..Story::default() }.judge();
    assert_eq!((verdict.verdict, verdict.complete_timelines), (Word::Fail, 0));
    assert!(verdict.text().contains("authorize_done is missing"), "{}", verdict.text());
}

#[test]
fn dropped_arrivals_make_it_void_but_do_not_hide_a_failure() {
    assert_eq!(Story { dropped: 1, ..Story::default() }.judge().verdict, Word::Void);
    assert_eq!(Story { dropped: 1, units: 1, ..Story::default() }.judge().verdict, Word::Fail);
}

/// One SKU; orders by number with their units, at a price of one Euro.
struct Story {
    units: u32,
    in_line: u32,
    placed: Vec<(u128, u32)>,
    captured: Vec<u128>,
    acknowledged: Vec<(u128, u32)>,
    charges: Vec<(u128, i64)>,
    violations: Vec<String>,
    unexpected: u64,
    dropped: u64,
    settled: bool,
    /// Timelines say that money was taken, and not how it came to that.
    untold: bool,
}

impl Default for Story {
    fn default() -> Story {
        Story {
            units: 3,
            in_line: 0,
            placed: vec![(1, 1), (2, 2)],
            captured: vec![1, 2],
            acknowledged: vec![(1, 1), (2, 2)],
            charges: vec![(1, 100), (2, 200)],
            violations: Vec::new(),
            unexpected: 0,
            dropped: 0,
            settled: true,
            untold: false,
        }
    }
}

impl Story {
    #[track_caller]
    fn judge(&self) -> Verdict {
        let mut books = Books::default();
        for (number, units) in &self.placed {
            books.record(&happened(*number, placed(*number, *units)));
        }
        for number in &self.captured {
            let at = Timestamp::ZERO;
            let done = |step| Event::Answered { step, answer: Answer::Done { reference: None }, at };
            let opened = |step| Event::Opened { step, at, ask_at: at, due: None };
            let (authorize, capture) = (Step::Authorize { attempt: 1 }, Step::Capture { attempt: 1 });
            let way = [done(authorize), opened(Step::Allocate), done(Step::Allocate), opened(capture), done(capture)];
            let told = if self.untold { &way[4..] } else { &way[..] };
            told.iter().for_each(|event| books.record(&happened(*number, event.clone())));
        }
        let entries = self.charges.iter().zip(1..).map(|((number, amount), line)| charge(*number, *amount, line));
        books.charged(Charges::of(&entries.collect::<Vec<_>>()));
        books.verified(7, self.violations.clone());
        let mut ledger = Ledger::default();
        for (number, units) in &self.acknowledged {
            ledger.acknowledge(Acknowledged {
                order: OrderId(*number).to_string(),
                visit: Visit { buyer: *number as u32, number: 0 },
                wants: vec![Want { sku: 0, units: *units }],
                request: Rc::new(Request::get("/")),
                body: blake3::hash(b"body"),
                wants_it: true,
                end: None,
            });
        }
        let mut stats = Stats::default();
        (stats.unexpected, stats.dropped) = (self.unexpected, self.dropped);
        let shelves = [Shelf { sku: "tee".to_owned(), units: self.units }];
        let in_line = [self.in_line];
        let (settled, seconds) = (self.settled, 1.0);
        Run {
            shelves: &shelves,
            ledger: &ledger,
            stats: &stats,
            in_line: &in_line,
            seconds,
            settled,
            generator_cpu_percent: 50,
            outage_ms: None,
            seed: 1,
        }
        .judge(&books)
    }
}

fn charge(order: u128, amount: i64, number: u64) -> simulated::Entry {
    let reference: Reference = format!("reference-{number}").parse().unwrap();
    simulated::Entry {
        number,
        at: Timestamp::ZERO,
        operation: Deed::Capture,
        order: OrderId(order),
        reference: reference.clone(),
        amount,
        currency: "EUR".to_owned(),
        id: reference,
        on: None,
        code: None,
        key_forgotten: false,
    }
}

fn placed(number: u128, units: u32) -> Event {
    let price = Money { minor: 100, currency: currency("EUR").unwrap() };
    let line = Line {
        sku: "tee".parse().unwrap(),
        seller: "seller".parse().unwrap(),
        units,
        unit_price: price,
        hold: HoldId(number),
        parts: Vec::new(),
    };
    let placement = Placement {
        cart: None,
        buyer: format!("buyer-{number}").parse().unwrap(),
        delivery: None,
        token: "tok_ok".parse().unwrap(),
        fingerprint: 0,
        lines: vec![line],
        hold_expires_at: Timestamp::ZERO,
        trace: None,
    };
    let total = Money { minor: 100 * i64::from(units), ..price };
    Event::Placed { placement, total, at: Timestamp::ZERO, ask_at: Timestamp::ZERO }
}

fn happened(order: u128, event: Event) -> Record {
    let entity = EntityId::Order(OrderId(order));
    Record {
        at: Timestamp::ZERO,
        entries: vec![Entry { entity, version: 1, event: record::Event::Order(event) }],
        trace: None,
    }
}
