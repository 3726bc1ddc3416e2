//! What the rules themselves cost: deciding and applying, per aggregate, without actors, log or clock.
#![allow(clippy::unwrap_used)] // a benchmark may fail by panicking

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use iso_currency::Currency;
use stampede_actors::cart::{self, Cart};
use stampede_actors::ids::{BuyerRef, HoldId, LocationId, OpId, OrderId, Reference, SellerId, SkuId};
use stampede_actors::money::Money;
use stampede_actors::order::{self, Answer, Order, Placement, Step};
use stampede_actors::sku::{self, Sku};
use stampede_actors::time::{Moment, Span, Timestamp};
use std::hint::black_box;

const NOW: Timestamp = Timestamp(1_750_000_000_000_000);

fn price() -> Money {
    Money { minor: 1_999, currency: Currency::EUR }
}

fn buyer() -> BuyerRef {
    BuyerRef::new("buyer-17").unwrap()
}

/// Decides and applies; how many events came of it.
fn change(sku: &mut Sku, command: &sku::Command, terms: &sku::Terms) -> usize {
    let events = sku.decide(command, Moment::at(NOW), terms, None).unwrap().unwrap_or_default();
    events.iter().for_each(|event| sku.apply(event));
    events.len()
}

fn hold(number: u128) -> sku::Command {
    let (hold, order) = (HoldId(number), Some(OrderId(number)));
    sku::Command::Hold { hold, units: 1, buyer: buyer(), order, ttl: Span::minutes(10), tentative: false }
}

/// A SKU with so many live holds.
fn sku_with(holds: u128, terms: &sku::Terms) -> Sku {
    let mut sku = Sku::default();
    let listing = sku::Listing { seller: SellerId::new("acme").unwrap(), price: price(), buyer_limit: None };
    let location = LocationId::new("berlin").unwrap();
    let receive = sku::Command::Receive { receipt: OpId(1), fingerprint: 1, location, units: 1_000_000_000 };
    for command in [sku::Command::List(listing), receive] {
        assert!(change(&mut sku, &command, terms) > 0);
    }
    for number in 0..holds {
        assert_eq!(change(&mut sku, &hold(number), terms), 1);
    }
    sku
}

fn skus(criterion: &mut Criterion) {
    let terms = sku::Terms::default();
    let mut group = criterion.benchmark_group("sku");
    group.throughput(Throughput::Elements(1));
    for holds in [0, 1_000, 100_000] {
        let mut sku = sku_with(holds, &terms);
        group.bench_function(BenchmarkId::new("decide a hold, live holds", holds), |bencher| {
            let command = hold(u128::MAX);
            bencher.iter(|| sku.decide(black_box(&command), Moment::at(NOW), &terms, None).unwrap());
        });
        let mut number = 1 << 64;
        group.bench_function(BenchmarkId::new("hold and release, live holds", holds), |bencher| {
            bencher.iter(|| {
                number += 1;
                let release = sku::Command::Release { hold: HoldId(number), order: Some(OrderId(number)) };
                assert_eq!(change(&mut sku, &hold(number), &terms), 1);
                assert_eq!(change(&mut sku, &release, &terms), 1);
            });
        });
    }
    group.bench_function("refuse a hold: sold out", |bencher| {
        let sku = sku_with(0, &terms);
        let (hold, units) = (HoldId(7), 1_000_000_000);
        let all =
            sku::Command::Hold { hold, units, buyer: buyer(), order: None, ttl: Span::minutes(10), tentative: false };
        let mut sku = sku;
        assert_eq!(change(&mut sku, &all, &terms), 1);
        let command = self::hold(8);
        bencher.iter(|| sku.decide(black_box(&command), Moment::at(NOW), &terms, None).unwrap_err());
    });
    group.finish();
}

fn carts(criterion: &mut Criterion) {
    let open = cart::Command::Open { buyer: buyer(), ttl: Span::hours(1) };
    let line = |number: usize| {
        let sku = SkuId::new(&format!("sku-{number}")).unwrap();
        cart::Command::SetLine(cart::Line {
            sku,
            seller: SellerId::new("acme").unwrap(),
            units: 1,
            unit_price: price(),
        })
    };
    let change = |cart: &mut Cart, command: &cart::Command| {
        for event in cart.decide(command, Moment::at(NOW)).unwrap().unwrap_or_default() {
            cart.apply(&event);
        }
    };
    let mut group = criterion.benchmark_group("cart");
    for lines in [1, 10] {
        let commands: Vec<_> = std::iter::once(open.clone()).chain((0..lines).map(line)).collect();
        group.throughput(Throughput::Elements(commands.len() as u64));
        group.bench_function(BenchmarkId::new("open and set lines", lines), |bencher| {
            bencher.iter_batched_ref(
                Cart::default,
                |cart| commands.iter().for_each(|command| change(cart, command)),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn placement(lines: usize) -> Placement {
    let line = |index: usize| order::Line {
        sku: SkuId::new(&format!("sku-{index}")).unwrap(),
        seller: SellerId::new("acme").unwrap(),
        units: 1,
        unit_price: price(),
        hold: OrderId(7).hold(index),
        parts: vec![sku::Part { location: LocationId::new("berlin").unwrap(), units: 1 }],
    };
    Placement {
        cart: None,
        buyer: buyer(),
        delivery: None,
        token: Reference::new("tok_ok").unwrap(),
        fingerprint: 42,
        lines: (0..lines).map(line).collect(),
        hold_expires_at: NOW.plus(Span::minutes(10)),
        trace: None,
    }
}

/// Answers every step that is open until none is; how many events came of it.
fn settle(order: &mut Order, terms: &order::Terms) -> usize {
    let mut count = 0;
    while let Some(step) = order.open_steps().first().map(|open| open.step) {
        let answer = match step {
            // Units leave with their shipment, which is not part of this.
            Step::Fulfil => return count,
            _ => Answer::Done { reference: Some(Reference::new("ref-1").unwrap()) },
        };
        let report = order::Command::Report { step, answer };
        let events = order.decide(&report, Moment::at(NOW), terms).unwrap().unwrap_or_default();
        assert!(!events.is_empty(), "{step:?} goes nowhere");
        count += events.len();
        events.iter().for_each(|event| order.apply(event));
    }
    count
}

fn orders(criterion: &mut Criterion) {
    let terms = order::Terms {
        ask_again: Span::seconds(30),
        ask_stock_again: Span::seconds(5),
        attention_after: 3,
        fulfil_within: Span::hours(48),
        payment_attempts: 3,
    };
    let mut group = criterion.benchmark_group("order");
    for lines in [1, 10] {
        let place = order::Command::Place(placement(lines));
        let place = |order: &mut Order| {
            let events = order.decide(&place, Moment::at(NOW), &terms).unwrap().unwrap_or_default();
            events.iter().for_each(|event| order.apply(event));
            events.len()
        };
        group.bench_function(BenchmarkId::new("place, lines", lines), |bencher| {
            bencher.iter_batched_ref(Order::default, place, BatchSize::SmallInput);
        });
        let mut placed = Order::default();
        assert!(place(&mut placed) > 0);
        let events = settle(&mut placed.clone(), &terms);
        assert!(events >= 3, "authorised, allocated, captured: {events}");
        group.bench_function(BenchmarkId::new("settle until it can be shipped, lines", lines), |bencher| {
            bencher.iter_batched_ref(|| placed.clone(), |order| settle(order, &terms), BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group!(benches, skus, carts, orders);
criterion_main!(benches);
