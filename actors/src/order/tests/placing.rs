//! How an order gets its holds.

use super::*;
use crate::order::placing::{HoldAnswer, HoldRequest, LineRefusal, Next, PlaceRequest, Placing, Wanted};
use crate::sku::Refusal as StockRefusal;

const ORDER: OrderId = OrderId(77);

fn wanted(sku: &str, units: Units) -> Wanted {
    let sku = SkuId::new(sku).unwrap();
    Wanted { sku, units, expected_price: None, cart_price: None, hold: None }
}

fn request(wanted: Vec<Wanted>) -> PlaceRequest {
    PlaceRequest {
        cart: None,
        buyer: Some(BuyerRef::new("buyer-1").unwrap()),
        delivery: None,
        token: reference("tok_ok"),
        fingerprint: 42,
        currency: None,
        wanted,
        trace: None,
    }
}

fn start(wanted: Vec<Wanted>) -> (Placing<&'static str>, Vec<HoldRequest>) {
    let mut placing = Placing::new(ORDER, request(wanted)).unwrap();
    let Next::Hold(requests) = placing.start() else { panic!("it asks first") };
    (placing, requests)
}

fn granted(units: Units, price: i64, expires_after: i64) -> HoldAnswer<&'static str> {
    HoldAnswer::Granted {
        parts: vec![Part { location: location("berlin"), units }],
        expires_at: T0.plus(Span::seconds(expires_after)),
        unit_price: eur(price),
        seller: SellerId::new("acme").unwrap(),
    }
}

fn sold_out(contended: bool) -> HoldAnswer<&'static str> {
    HoldAnswer::Refused(StockRefusal::SoldOut { requested: 1, available: 0, contended })
}

fn sku(code: &str) -> SkuId {
    SkuId::new(code).unwrap()
}

#[test]
fn all_skus_are_asked_at_once_and_each_for_the_sum() {
    let (mut placing, requests) = start(vec![wanted("mug", 1), wanted("pen", 2), wanted("mug", 3)]);
    let asked: Vec<_> = requests.iter().map(|request| (request.sku.as_str(), request.units)).collect();
    assert_eq!(asked, [("mug", 4), ("pen", 2)]);
    assert!(requests.iter().all(|request| request.tentative));
    assert_eq!([requests[0].hold, requests[1].hold], [ORDER.hold(0), ORDER.hold(1)], "S15: the same at every repeat");
    assert_eq!(placing.answered(ORDER.hold(1), granted(2, 100, 500)), Next::Wait);
    assert_eq!(placing.answered(HoldId(1), sold_out(false)), Next::Wait, "nobody asked for that");
    assert_eq!(placing.answered(ORDER.hold(1), sold_out(false)), Next::Wait, "answered already");
    let Next::Place(placement) = placing.answered(ORDER.hold(0), granted(4, 1000, 600)) else { panic!() };
    assert_eq!(placement.hold_expires_at, T0.plus(Span::seconds(500)), "the earliest");
    let lines: Vec<_> = placement.lines.iter().map(|l| (l.sku.as_str(), l.units, l.unit_price.minor)).collect();
    assert_eq!(lines, [("mug", 4, 1000), ("pen", 2, 100)]);
    assert_eq!(placing.granted().len(), 2);
}

#[test]
fn one_sku_alone_is_not_tentative() {
    let (_, requests) = start(vec![wanted("mug", 1)]);
    assert!(!requests[0].tentative);
}

#[test]
fn one_refusal_gives_all_back_and_names_every_short_line() {
    let (mut placing, _) = start(vec![wanted("a", 1), wanted("b", 1), wanted("c", 1)]);
    placing.answered(ORDER.hold(0), sold_out(false));
    placing.answered(ORDER.hold(1), granted(1, 100, 1));
    let paused = StockRefusal::SalePaused;
    let Next::Refuse { release, refusal } = placing.answered(ORDER.hold(2), HoldAnswer::Refused(paused)) else {
        panic!()
    };
    assert_eq!(release, [(sku("b"), ORDER.hold(1))]);
    let short: Vec<_> = refusal.lines.iter().map(|line| line.sku.as_str()).collect();
    assert_eq!(short, ["a", "c"]);
    assert_eq!(refusal.code(), "sold_out");
}

#[test]
fn s21_a_contended_refusal_is_tried_once_more() {
    let (mut placing, _) = start(vec![wanted("a", 1), wanted("b", 1)]);
    placing.answered(ORDER.hold(0), granted(1, 100, 1));
    let Next::RetryAfter { release, after } = placing.answered(ORDER.hold(1), sold_out(true)) else { panic!() };
    assert_eq!(release, [(sku("a"), ORDER.hold(0))]);
    assert!(after >= Span::millis(5) && after <= Span::millis(36));
    let Next::Hold(requests) = placing.start() else { panic!() };
    assert_eq!(requests.len(), 2);
    placing.answered(ORDER.hold(0), granted(1, 100, 1));
    let Next::Refuse { release, refusal } = placing.answered(ORDER.hold(1), sold_out(true)) else { panic!() };
    assert_eq!(release, [(sku("a"), ORDER.hold(0))]);
    assert_eq!(refusal.lines.len(), 1);
    assert_eq!(refusal.code(), "contended");
}

#[test]
fn s21_a_line_that_is_really_sold_out_is_not_tried_again() {
    let (mut placing, _) = start(vec![wanted("a", 1), wanted("b", 1)]);
    placing.answered(ORDER.hold(0), sold_out(true));
    assert!(matches!(placing.answered(ORDER.hold(1), sold_out(false)), Next::Refuse { .. }));
}

#[test]
fn what_may_have_been_granted_is_given_back() {
    let (mut placing, _) = start(vec![wanted("a", 1), wanted("b", 1), wanted("c", 1)]);
    placing.answered(ORDER.hold(0), granted(1, 100, 1));
    placing.answered(ORDER.hold(1), HoldAnswer::Failed("no answer"));
    let Next::Fail { release, failure } = placing.answered(ORDER.hold(2), sold_out(false)) else { panic!() };
    assert_eq!(release, [(sku("a"), ORDER.hold(0)), (sku("b"), ORDER.hold(1))]);
    assert_eq!(failure, "no answer");
}

#[test]
fn the_price_that_the_buyer_saw_holds_or_the_order_is_refused() {
    let expecting = |minor| Wanted { expected_price: Some(eur(minor)), ..wanted("a", 1) };
    let (mut placing, _) = start(vec![expecting(100)]);
    assert!(matches!(placing.answered(ORDER.hold(0), granted(1, 100, 1)), Next::Place(_)));
    let (mut placing, _) = start(vec![expecting(100)]);
    let Next::Refuse { release, refusal } = placing.answered(ORDER.hold(0), granted(1, 120, 1)) else { panic!() };
    assert_eq!(release.len(), 1, "the hold was granted all the same");
    assert_eq!(refusal.lines[0].why, LineRefusal::PriceChanged { expected: eur(100), actual: eur(120) });
    assert!(refusal.to_string().contains("the price is 120 minor units, not 100"), "{refusal}");
}

#[test]
fn a_cart_keeps_its_price() {
    let (mut placing, _) = start(vec![Wanted { cart_price: Some(eur(90)), ..wanted("a", 1) }]);
    let Next::Place(placement) = placing.answered(ORDER.hold(0), granted(1, 120, 1)) else { panic!() };
    assert_eq!(placement.lines[0].unit_price, eur(90));
}

#[test]
fn an_order_has_one_currency() {
    let mut yen = request(vec![wanted("a", 1)]);
    yen.currency = Some(Currency::JPY);
    let mut placing: Placing<&str> = Placing::new(ORDER, yen).unwrap();
    placing.start();
    let Next::Refuse { refusal, .. } = placing.answered(ORDER.hold(0), granted(1, 1, 1)) else { panic!() };
    let mismatch = LineRefusal::CurrencyMismatch { expected: Currency::JPY, actual: Currency::EUR };
    assert_eq!(refusal.lines[0].why, mismatch);
}

#[test]
fn a_hold_of_the_buyers_own_is_taken_over_last() {
    let own = Wanted { hold: Some(HoldId(5)), ..wanted("mug", 1) };
    let (mut placing, requests) = start(vec![own.clone(), wanted("mug", 2)]);
    assert_eq!(requests.len(), 1, "new holds first");
    assert_eq!((requests[0].hold, requests[0].units), (ORDER.hold(1), 2));
    let Next::Hold(requests) = placing.answered(ORDER.hold(1), granted(2, 100, 1)) else { panic!() };
    assert_eq!(requests[0].hold, HoldId(5));
    assert!(matches!(placing.answered(HoldId(5), granted(1, 100, 1)), Next::Place(_)));
    // Refused for the new line, the buyer keeps what was held before.
    let (mut placing, _) = start(vec![own, wanted("mug", 2)]);
    let Next::Refuse { release, .. } = placing.answered(ORDER.hold(1), sold_out(false)) else { panic!() };
    assert_eq!(release, []);
}

#[test]
fn a_bad_request_asks_for_nothing() {
    let refused = |request| Placing::<&str>::new(ORDER, request).unwrap_err();
    let invalid = |wanted, why| assert_eq!(refused(request(wanted)), Refusal::Invalid(why));
    let own = |code, units| Wanted { hold: Some(HoldId(5)), ..wanted(code, units) };
    invalid(vec![], "an order has at least one line");
    invalid(vec![wanted("a", 0)], "units must be 1 to 1000000000");
    invalid(vec![wanted("a", u32::MAX), wanted("a", 5)], "units must be 1 to 1000000000");
    invalid((0..51).map(|i| wanted(&format!("s{i}"), 1)).collect(), "an order has at most 50 lines");
    invalid(vec![own("a", 1), own("a", 1)], "two lines of one SKU contradict each other");
    invalid(vec![own("a", 1), own("b", 1)], "a hold is of one SKU");
    let other_price = Wanted { expected_price: Some(eur(1)), ..wanted("a", 1) };
    invalid(vec![wanted("a", 1), other_price], "two lines of one SKU contradict each other");
    let nobody = PlaceRequest { buyer: None, ..request(vec![wanted("a", 1)]) };
    assert_eq!(refused(nobody), Refusal::Invalid("an order names its buyer"));
}

#[test]
fn a_grant_of_other_units_is_no_grant() {
    let (mut placing, _) = start(vec![wanted("a", 2)]);
    let Next::Refuse { release, refusal } = placing.answered(ORDER.hold(0), granted(1, 100, 1)) else { panic!() };
    assert_eq!(release, [(sku("a"), ORDER.hold(0))]);
    assert_eq!(refusal.code(), "hold_differs");
}
