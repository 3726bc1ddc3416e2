//! Shipments, returns and refunds of lines.

use super::*;

const SHIP: Step = Step::ShipStock { shipment: OpId(1) };
const MONEY: Step = Step::Refund { refund: REFUND };
const CALL_OFF: Step = Step::CallOff { refund: REFUND };
const GIVE_UNITS: Step = Step::GiveBackUnits { refund: REFUND };

#[test]
fn an_order_is_fulfilled_when_all_its_units_have_left() {
    Case::accepted()
        .then(ship(1, "berlin", &[(MUG, 2), (PEN, 1)]), &["shipped"])
        .is(State::PartlyShipped)
        .then(report(SHIP, done()), &["ship_stock done"])
        .wakes(Some(Span::hours(48)))
        .then(ship(2, "hamburg", &[(PEN, 2)]), &["shipped"])
        .is(State::Fulfilled)
        .then(report(Step::ShipStock { shipment: OpId(2) }, done()), &["ship_stock done"])
        .wakes(None);
}

#[test]
fn only_what_was_paid_for_and_is_there_is_shipped() {
    Case::allocated().refuses(ship(1, "berlin", &[(MUG, 1)]), Refusal::NotShippable);
    let other = Command::Ship {
        shipment: OpId(1),
        fingerprint: 2,
        location: location("berlin"),
        lines: units(&[(MUG, 2)]),
        tracking: None,
    };
    Case::accepted()
        .refuses(ship(1, "berlin", &[]), Refusal::NotShippable)
        .refuses(ship(1, "berlin", &[(MUG, 0)]), Refusal::NotShippable)
        .refuses(ship(1, "berlin", &[(MUG, 3)]), Refusal::NotShippable)
        .refuses(ship(1, "berlin", &[(MUG, 1), (MUG, 1)]), Refusal::NotShippable)
        .refuses(ship(1, "berlin", &[(7, 1)]), Refusal::NotShippable)
        .refuses(ship(1, "hamburg", &[(MUG, 1)]), Refusal::NotShippable)
        .refuses(ship(1, "berlin", &[(PEN, 2)]), Refusal::NotShippable)
        .and(ship(1, "berlin", &[(MUG, 2)]))
        .refuses(other, Refusal::Reused)
        .refuses(ship(2, "berlin", &[(MUG, 1)]), Refusal::NotShippable);
}

#[test]
fn units_come_back_once_and_move_no_money() {
    let case = Case::accepted()
        .refuses(take_back(3, &[(MUG, 1)]), Refusal::NotReturnable)
        .and(ship(1, "berlin", &[(MUG, 2)]))
        .then(take_back(3, &[(MUG, 1)]), &["returned"])
        .then(report(SHIP, done()), &["ship_stock done", "open return_stock"])
        .then(report(Step::ReturnStock { return_id: OpId(3) }, done()), &["return_stock done"])
        .refuses(take_back(4, &[(MUG, 2)]), Refusal::NotReturnable)
        .then(take_back(4, &[(MUG, 1)]), &["returned", "open return_stock"]);
    assert_eq!(case.order.refunded(), Some(eur(0)));
    assert_eq!(case.order.tallies()[0].returned, 2);
}

#[test]
fn a_refund_counts_when_it_is_requested() {
    Case::allocated().refuses(refund(2_000, &[]), Refusal::NotRefundable);
    Case::accepted()
        .and(ship(1, "berlin", &[(MUG, 2)]))
        .then(refund(2_000, &[(MUG, 1)]), &["refund 1000 withheld 0", "open refund"])
        .refuses(refund(6, &[(MUG, 2)]), Refusal::NotRefundable)
        .refuses(refund(6, &[(MUG, 0)]), Refusal::NotRefundable)
        .refuses(refund(6, &[(7, 1)]), Refusal::NotRefundable)
        .then(report(MONEY, no()), &["refund refused", "attention refund_refused"])
        .needs(Some(Attention::RefundRefused))
        .then(refund(6, &[(MUG, 2)]), &["refund 2000 withheld 0", "open refund"])
        .needs(None);
}

#[test]
fn a_late_yes_to_a_refund_counts_while_there_is_money_for_it() {
    let refused = || {
        Case::accepted().and(ship(1, "berlin", &[(MUG, 2)])).and(refund(2_000, &[(MUG, 2)])).and(report(MONEY, no()))
    };
    let case = refused().then(report(MONEY, done()), &["refund done"]);
    assert_eq!(case.order.refunded(), Some(eur(2000)));
    let case = refused()
        .and(refund(6, &[(MUG, 2)]))
        .and(report(Step::Refund { refund: OpId(6) }, done()))
        .then(report(MONEY, done()), &["refund done", "attention contradiction"]);
    assert_eq!(case.order.refunded(), Some(eur(2000)), "not more than once, whatever the provider says");
}

#[test]
fn refunded_units_that_have_not_left_stay_and_go_back() {
    let case = Case::accepted()
        .and(ship(1, "berlin", &[(MUG, 1)]))
        .then(refund(2_000, &[(MUG, 1), (PEN, 2)]), &["refund 1200 withheld 3", "open call_off"])
        .refuses(ship(2, "berlin", &[(MUG, 1)]), Refusal::BeingCalledOff)
        .then(report(CALL_OFF, done()), &["call_off done", "open refund", "open give_back_units"])
        .and(report(MONEY, done()))
        .and(report(GIVE_UNITS, done()))
        .refuses(ship(2, "berlin", &[(MUG, 1)]), Refusal::NotShippable)
        .is(State::PartlyShipped);
    let back = case.order.units_to_give_back(REFUND).to_vec();
    let part = |line, name, units| LinePart { line, location: location(name), units };
    assert_eq!(back, [part(MUG, "berlin", 1), part(PEN, "hamburg", 2)]);
    case.then(ship(2, "berlin", &[(PEN, 1)]), &["shipped"]).is(State::Fulfilled);
}

#[test]
fn a_refund_lapses_when_its_units_have_left() {
    Case::accepted()
        .and(refund(2_000, &[(MUG, 2)]))
        .then(report(CALL_OFF, no()), &["call_off refused"])
        .then(ship(1, "berlin", &[(MUG, 2)]), &["shipped"])
        .then(refund(2_001, &[(MUG, 2)]), &["refund 2000 withheld 0", "open refund"]);
}

#[test]
fn an_order_refunded_wholly_before_it_left_is_cancelled() {
    Case::accepted()
        .then(refund(2_000, &[]), &["refund 2300 withheld 5", "open call_off"])
        .is(State::FulfilmentRequested)
        .and(report(CALL_OFF, done()))
        .and(report(MONEY, done()))
        .then(report(GIVE_UNITS, done()), &["give_back_units done", "cancelled refunded"])
        .is(State::Cancelled)
        .wakes(None);
}

#[test]
fn a_refund_first_covers_what_came_back() {
    Case::accepted()
        .and(ship(1, "berlin", &[(MUG, 1)]))
        .and(report(SHIP, done()))
        .and(take_back(3, &[(MUG, 1)]))
        .then(refund(2_000, &[(MUG, 1)]), &["refund 1000 withheld 0", "open refund"])
        .then(refund(2_001, &[(MUG, 1)]), &["refund 1000 withheld 1", "open call_off"])
        .refuses(refund(2_002, &[(MUG, 1)]), Refusal::NotRefundable);
}

#[test]
fn tables_are_bounded() {
    let mut case = Case::accepted().and(ship(1, "berlin", &[(MUG, 2)]));
    for id in 0..MAX_OPERATIONS as u128 {
        case = case.and(refund(5_000 + id, &[(MUG, 1)]));
        case = case.and(report(Step::Refund { refund: OpId(5_000 + id) }, no()));
    }
    case.refuses(refund(9_000, &[(MUG, 1)]), Refusal::TableFull { what: "refunds" });
}
