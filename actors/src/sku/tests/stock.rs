//! Listing, locations, receipts and corrections; which location serves.

use super::*;

#[test]
fn a_sku_exists_from_its_listing_on() {
    let unlisted = Sku::default();
    let decide = |command: Command| unlisted.decide(&command, Moment::at(NOW), &Terms::default(), None);
    assert_eq!(decide(hold(A, 1)), Err(Refusal::UnknownSku));
    assert_eq!(decide(receive(1, 1, 1)), Err(Refusal::UnknownSku));
    assert_eq!(decide(Command::Tick), Err(Refusal::UnknownSku));
    assert_eq!(decide(Command::List(listing(None))), Ok(Some(vec![listed(None)])));
    check(&[], Command::List(listing(None)), Ok(vec![]));
    check(&[], Command::List(listing(Some(2))), Ok(vec![listed(Some(2))]));
    check(&[], Command::List(listing(Some(0))), Err(Refusal::BadUnits));
    let given_away = Listing { price: Money::new(-1, Currency::EUR), ..listing(None) };
    check(&[], Command::List(given_away), Err(Refusal::BadPrice));
}

#[test]
fn stock_has_bounds() {
    check(&[], receive(1, 1, 0), Err(Refusal::BadUnits));
    check(&[], receive(1, 1, MAX_UNITS + 1), Err(Refusal::BadUnits));
    check(&[received(1)], receive(9, 1, MAX_UNITS), Err(Refusal::BadUnits));
    check(&[received(5)], adjust(0), Err(Refusal::BadUnits));
    check(&[received(5)], adjust(i64::MIN), Err(Refusal::BadUnits));
    check(&[received(5)], adjust(i64::from(MAX_UNITS)), Err(Refusal::BadUnits));
    check(&[received(5)], hold(A, 0), Err(Refusal::BadUnits));
    check(&[received(5)], hold(A, MAX_UNITS + 1), Err(Refusal::BadUnits));
    let locations: Vec<Event> = (0..MAX_LOCATIONS).map(|i| received_at(&format!("l{i}"), 1)).collect();
    check(&locations, receive(999, 1, 1), Err(Refusal::TableFull { what: "locations" }));
}

#[test]
fn a_correction_leaves_what_is_claimed() {
    let given = [received(5), held(A, 3)];
    check(&given, adjust(-3), Err(Refusal::BelowClaimed { claimed: 3 }));
    let adjusted = |delta| match adjust(delta) {
        Command::Adjust { adjustment, fingerprint, location, delta, reason, reference } => {
            Event::Adjusted { adjustment, fingerprint, location, delta, reason, reference, at: NOW }
        }
        _ => unreachable!(),
    };
    check(&given, adjust(-2), Ok(vec![adjusted(-2)]));
    check(&[received(5), held(A, 3), adjusted(-2)], hold(B, 1), Err(sold_out(1, 0)));
    check(&[], adjust(-1), Err(Refusal::BelowClaimed { claimed: 0 }));
    check(&[], adjust(4), Ok(vec![adjusted(4)]));
}

#[test]
fn safety_stock_is_kept_back_and_never_taken_from_another_location() {
    let safe = |location: &str, safety_stock| Event::LocationSet {
        location: at_location(location),
        priority: DEFAULT_PRIORITY,
        safety_stock,
    };
    check(&[received(5), safe("main", 2)], hold(A, 4), Err(sold_out(4, 3)));
    // More is kept back at one location than there is: the other still sells all it has.
    let stock = sku(&[received(5), safe("main", 9), received_at("east", 3)]).availability();
    assert_eq!((stock.on_hand, stock.available, stock.safety_stock), (8, 3, 5));
    let again = Command::SetLocation { location: at_location("main"), priority: DEFAULT_PRIORITY, safety_stock: 2 };
    check(&[safe("main", 2)], again, Ok(vec![]));
}

#[test]
fn priority_serves_first_then_most_stock_and_a_line_may_split() {
    let first = Event::LocationSet { location: at_location("near"), priority: 1, safety_stock: 0 };
    let given = [first, received_at("near", 2), received_at("big", 5), received_at("small", 3)];
    let parts = |units| match decide_at(NOW, &given, &hold(A, units)).unwrap().unwrap().remove(0) {
        Event::Held { parts, .. } => parts,
        other => panic!("{other:?}"),
    };
    assert_eq!(parts(2), [part("near", 2)]);
    assert_eq!(parts(3), [part("near", 2), part("big", 1)]);
    assert_eq!(parts(10), [part("near", 2), part("big", 5), part("small", 3)]);
    check(&given, hold(A, 11), Err(sold_out(11, 10)));
}

/// Serves everything from the location that was named last.
#[derive(Debug)]
struct LastOnly;

impl Sourcing for LastOnly {
    fn choose(&self, locations: &[LocationStock], units: Units) -> Vec<Part> {
        let last = locations.last().unwrap();
        vec![Part { location: last.location.clone(), units }]
    }
}

fn hold_by_another_rule(units: Units) -> Vec<Event> {
    let terms = Terms { sourcing: Arc::new(LastOnly), ..Terms::default() };
    let sku = sku(&[received_at("big", 5), received_at("small", 3)]);
    sku.decide(&hold(A, units), Moment::at(NOW), &terms, None).unwrap().unwrap()
}

#[test]
fn another_rule_can_choose_the_location() {
    assert!(matches!(&hold_by_another_rule(3)[0], Event::Held { parts, .. } if *parts == [part("small", 3)]));
}

#[test]
#[should_panic(expected = "the sourcing rule placed")]
fn a_rule_that_places_more_than_there_is_is_not_believed() {
    hold_by_another_rule(4);
}

#[test]
fn a_paused_sale_refuses_new_holds_only() {
    let given = [received(5), held(A, 1), Event::Paused];
    check(&given, hold(B, 1), Err(Refusal::SalePaused));
    check(&given, hold(A, 1), Ok(vec![]));
    check(&given, hold_for(A, 1, ORDER), Ok(vec![Event::Adopted { hold: A, order: ORDER }]));
    check(&given, Command::Pause, Ok(vec![]));
    check(&given, Command::Resume, Ok(vec![Event::Resumed]));
    check(&[received(5)], Command::Resume, Ok(vec![]));
}
