//! A cart, by example and by random commands.
#![allow(clippy::unwrap_used)] // a test that cannot make its example has failed

use super::*;
use iso_currency::Currency;
use proptest::collection::vec;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
const TTL: Span = Span::hours(1);
const ORDER: OrderId = OrderId(1);

/// The one place that calls the API: signatures may change without touching a test.
#[track_caller]
fn check(given: &[Event], when: Command, then: Result<Vec<Event>, Refusal>) {
    check_at(NOW, given, when, then);
}

#[track_caller]
fn check_at(now: Timestamp, given: &[Event], when: Command, then: Result<Vec<Event>, Refusal>) {
    assert_eq!(cart(given).decide(&when, Moment::at(now)).map(Option::unwrap_or_default), then);
}

fn cart(given: &[Event]) -> Cart {
    let mut cart = Cart::default();
    given.iter().for_each(|event| cart.apply(event));
    cart
}

fn buyer(name: &str) -> BuyerRef {
    BuyerRef::new(name).unwrap()
}

fn open(name: &str) -> Command {
    Command::Open { buyer: buyer(name), ttl: TTL }
}

fn opened() -> Event {
    Event::Opened { buyer: buyer("ann"), ttl: TTL, at: NOW }
}

fn line(sku: &str, units: Units, minor: i64) -> Line {
    Line {
        sku: SkuId::new(sku).unwrap(),
        seller: SellerId::new("acme").unwrap(),
        units,
        unit_price: Money::new(minor, Currency::EUR),
    }
}

fn set(line: &Line) -> Event {
    Event::LineSet { line: line.clone(), at: NOW }
}

fn checked_out(order: OrderId) -> Event {
    Event::CheckedOut { order, at: NOW }
}

#[test]
fn a_cart_is_opened_once_by_its_buyer() {
    check(&[], open("ann"), Ok(vec![opened()]));
    check(&[opened()], open("ann"), Ok(vec![]));
    check(&[opened()], open("bob"), Err(Refusal::Reused));
    check(&[], Command::SetLine(line("cap", 1, 5)), Err(Refusal::UnknownCart));
    check(&[], Command::CheckOut { order: ORDER }, Err(Refusal::UnknownCart));
    check(&[], Command::Tick, Ok(vec![]));
}

#[test]
fn a_line_is_set_changed_and_removed() {
    let (one, two) = (line("cap", 1, 5), line("cap", 2, 5));
    check(&[opened()], Command::SetLine(one.clone()), Ok(vec![set(&one)]));
    check(&[opened(), set(&one)], Command::SetLine(one.clone()), Ok(vec![]));
    check(&[opened(), set(&one)], Command::SetLine(two.clone()), Ok(vec![set(&two)]));
    let remove = Command::RemoveLine { sku: one.sku.clone() };
    let removed = Event::LineRemoved { sku: one.sku.clone(), at: NOW };
    check(&[opened(), set(&one)], remove.clone(), Ok(vec![removed]));
    check(&[opened()], remove, Ok(vec![]));
    let full = cart(&[opened(), set(&one), set(&two), set(&line("mug", 3, 7))]);
    assert_eq!(full.total(), Some(Money::new(31, Currency::EUR)));
    assert_eq!(cart(&[opened()]).total(), None);
}

#[test]
fn lines_have_bounds() {
    let refused = |line: Line, why: Refusal| check(&[opened()], Command::SetLine(line), Err(why));
    refused(line("cap", 0, 5), Refusal::BadUnits);
    refused(line("cap", MAX_UNITS + 1, 5), Refusal::BadUnits);
    refused(line("cap", 1, -1), Refusal::BadPrice);
    refused(line("cap", 2, i64::MAX), Refusal::BadPrice);
    let given = [opened(), set(&line("cap", 1, i64::MAX))];
    check(&given, Command::SetLine(line("mug", 1, 1)), Err(Refusal::BadPrice));
    let yen = Line { unit_price: Money::new(5, Currency::JPY), ..line("mug", 1, 5) };
    check(&[opened(), set(&line("cap", 1, 5))], Command::SetLine(yen.clone()), Err(Refusal::CurrencyMismatch));
    // The only line may change its currency.
    let yen_cap = Line { sku: SkuId::new("cap").unwrap(), ..yen };
    check(&[opened(), set(&line("cap", 1, 5))], Command::SetLine(yen_cap.clone()), Ok(vec![set(&yen_cap)]));
    let mut full = vec![opened()];
    full.extend((0..MAX_LINES).map(|i| set(&line(&format!("s{i}"), 1, 5))));
    check(&full, Command::SetLine(line("one-more", 1, 5)), Err(Refusal::TooManyLines));
    let changed = line("s7", 2, 5);
    check(&full, Command::SetLine(changed.clone()), Ok(vec![set(&changed)]));
}

#[test]
fn a_checked_out_cart_answers_with_its_order_for_ever() {
    let cap = line("cap", 1, 5);
    check(&[opened()], Command::CheckOut { order: ORDER }, Err(Refusal::Empty));
    check(&[opened(), set(&cap)], Command::CheckOut { order: ORDER }, Ok(vec![checked_out(ORDER)]));
    let given = [opened(), set(&cap), checked_out(ORDER)];
    let refusal = Refusal::CheckedOut { order: ORDER };
    check(&given, Command::CheckOut { order: ORDER }, Ok(vec![]));
    check(&given, Command::CheckOut { order: OrderId(2) }, Err(refusal.clone()));
    check(&given, Command::SetLine(cap.clone()), Err(refusal.clone()));
    check(&given, Command::RemoveLine { sku: cap.sku }, Err(refusal));
    check(&given, open("ann"), Ok(vec![]));
    check_at(NOW.plus(Span::hours(9)), &given, Command::Tick, Ok(vec![]));
    assert_eq!(cart(&given).order(), Some(ORDER));
    assert_eq!(cart(&given).deadline(), None);
}

#[test]
fn a_cart_that_nobody_changes_is_abandoned() {
    let late = NOW.plus(TTL);
    check_at(Timestamp(late.0 - 1), &[opened()], Command::Tick, Ok(vec![]));
    check_at(late, &[opened()], Command::Tick, Ok(vec![Event::Abandoned { at: late }]));
    let changed = Event::LineSet { line: line("cap", 1, 5), at: NOW.plus(Span::minutes(30)) };
    check_at(late, &[opened(), changed], Command::Tick, Ok(vec![]));
    let gone = [opened(), Event::Abandoned { at: late }];
    check_at(late, &gone, Command::Tick, Ok(vec![]));
    check_at(late, &gone, Command::SetLine(line("cap", 1, 5)), Err(Refusal::Abandoned));
    check_at(late, &gone, Command::CheckOut { order: ORDER }, Err(Refusal::Abandoned));
}

fn command() -> impl Strategy<Value = Command> {
    let line = |(sku, units, minor, currency): (u32, Units, i64, Currency)| Line {
        unit_price: Money::new(minor, currency),
        ..line(&format!("s{sku}"), units, 0)
    };
    let currency = prop_oneof![9 => Just(Currency::EUR), 1 => Just(Currency::JPY)];
    prop_oneof![
        2 => prop_oneof![Just("ann"), Just("bob")].prop_map(open),
        6 => (0..4u32, 0..9u32, -1..1000i64, currency).prop_map(move |parts| Command::SetLine(line(parts))),
        2 => (0..4u32).prop_map(|sku| Command::RemoveLine { sku: SkuId::new(&format!("s{sku}")).unwrap() }),
        1 => (0..2u128).prop_map(|order| Command::CheckOut { order: OrderId(order) }),
        1 => Just(Command::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_cart_is_right_whatever_is_asked(steps in vec((command(), 0..2000i64), 1..40)) {
        let mut cart = Cart::default();
        let mut events = Vec::new();
        let mut now = NOW;
        for (command, seconds) in &steps {
            now = now.plus(Span::seconds(*seconds));
            let ended = cart.order();
            let Ok(decided) = cart.decide(command, Moment::at(now)) else { continue };
            for event in decided.into_iter().flatten() {
                cart.apply(&event);
                prop_assert_eq!(codec::decode_event(&codec::encode_event(&event)), Ok(event.clone()));
                events.push(event);
            }
            prop_assert_eq!(cart.decide(command, Moment::at(now)), Ok(None), "a repeat of {:?}", command);
            prop_assert_eq!(cart.deadline().is_some(), cart.state() == State::Open, "an open cart has a deadline");
            prop_assert!(ended.is_none() || cart.order() == ended, "checked out for ever");
            let sum: i64 = cart.lines().iter().map(|line| line.unit_price.minor * i64::from(line.units)).sum();
            prop_assert_eq!(cart.total().map_or(0, |total| total.minor), sum);
            prop_assert_eq!(&codec::decode_state(&codec::encode_state(&cart)).unwrap(), &cart);
        }
        let mut replayed = Cart::default();
        events.iter().for_each(|event| replayed.apply(event));
        prop_assert_eq!(&replayed, &cart);
    }
}
