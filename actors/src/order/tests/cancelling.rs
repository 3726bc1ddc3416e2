//! Cancelling is a wish until every open step has answered.

use super::*;

const CALL_OFF: Step = Step::CallOff { refund: CANCEL };
const GIVE_UNITS: Step = Step::GiveBackUnits { refund: CANCEL };
const MONEY: Step = Step::Refund { refund: CANCEL };

#[test]
fn with_nothing_open_the_holds_go_back_at_once() {
    Case::placed()
        .and(report(Step::Authorize { attempt: 1 }, no()))
        .then(cancel(), &["wish", "open give_back"])
        .is(State::Cancelling)
        .refuses(pay(1), Refusal::NotPayable)
        .then(report(Step::GiveBack, done()), &["give_back done", "cancelled changed_mind"])
        .is(State::Cancelled)
        .wakes(None);
}

#[test]
fn a_repeat_is_told_by_its_content_and_a_second_wish_is_the_same_wish() {
    let other = |cancel, fingerprint| Command::Cancel { cancel, fingerprint, reason: "x".to_owned() };
    Case::placed()
        .and(cancel())
        .refuses(other(CANCEL, 2), Refusal::Reused)
        .nothing(other(OpId(5), 2))
        .is(State::Cancelling);
}

#[test]
fn s19_cancel_waits_for_the_authorisation() {
    Case::placed()
        .then(cancel(), &["wish"])
        .is(State::Cancelling)
        .at(HOLDS)
        .then(Command::Tick, &["ask authorize 2"])
        .then(report(Step::Authorize { attempt: 1 }, done()), &["authorize done", "open void", "open give_back"])
        .then(report(Step::Void { attempt: 1 }, done()), &["void done"])
        .then(report(Step::GiveBack, done()), &["give_back done", "cancelled changed_mind"]);
    Case::placed()
        .and(cancel())
        .then(report(Step::Authorize { attempt: 1 }, no()), &["authorize refused", "open give_back"]);
}

#[test]
fn s19_cancel_waits_for_the_allocation() {
    Case::authorised()
        .then(cancel(), &["wish"])
        .then(report(Step::Allocate, done()), &["allocate done", "open void", "open give_back"]);
    Case::authorised()
        .and(cancel())
        .then(report(Step::Allocate, no()), &["allocate refused", "open void", "open give_back"])
        .and(report(Step::Void { attempt: 1 }, done()))
        .then(report(Step::GiveBack, done()), &["give_back done", "cancelled changed_mind"]);
}

#[test]
fn s19_cancel_waits_for_the_capture_and_then_gives_everything_back() {
    let case = Case::allocated()
        .then(cancel(), &["wish"])
        .then(
            report(Step::Capture { attempt: 1 }, done()),
            &["capture done", "refund 2300 withheld 5", "open refund", "open give_back_units"],
        )
        .is(State::Cancelling)
        .then(report(MONEY, done()), &["refund done"])
        .then(report(GIVE_UNITS, done()), &["give_back_units done", "cancelled changed_mind"])
        .wakes(None);
    assert_eq!(case.order.refunded(), Some(eur(2300)));
    Case::allocated()
        .and(cancel())
        .then(report(Step::Capture { attempt: 1 }, no()), &["capture refused", "open void", "open give_back"]);
}

#[test]
fn s19_nothing_is_restocked_that_the_warehouse_ships() {
    let case = Case::accepted()
        .then(cancel(), &["wish", "refund 2300 withheld 5", "open call_off"])
        .is(State::Cancelling)
        .refuses(ship(1, "berlin", &[(MUG, 1)]), Refusal::BeingCalledOff)
        .then(report(CALL_OFF, no()), &["call_off refused"])
        .is(State::FulfilmentRequested)
        .wakes(Some(Span::hours(48)))
        .then(ship(1, "berlin", &[(MUG, 1)]), &["shipped"])
        .refuses(Command::Cancel { cancel: OpId(9), fingerprint: 1, reason: String::new() }, Refusal::NotCancellable);
    assert!(case.order.timeline().iter().any(|entry| entry.word == "cancel_lapsed"));
    assert_eq!(case.order.refund(CANCEL).unwrap().state, RefundState::Lapsed);
}

#[test]
fn a_lapsed_cancellation_may_be_asked_for_again() {
    Case::accepted().and(cancel()).and(report(CALL_OFF, no())).nothing(cancel()).then(
        Command::Cancel { cancel: OpId(9), fingerprint: 1, reason: "again".to_owned() },
        &["wish", "refund 2300 withheld 5", "open call_off"],
    );
}

#[test]
fn what_the_warehouse_called_off_goes_back() {
    Case::accepted()
        .and(cancel())
        .then(report(CALL_OFF, done()), &["call_off done", "open refund", "open give_back_units"])
        .nothing(report(CALL_OFF, no()))
        .and(report(GIVE_UNITS, done()))
        .then(report(MONEY, done()), &["refund done", "cancelled changed_mind"])
        .is(State::Cancelled)
        .refuses(ship(1, "berlin", &[(MUG, 1)]), Refusal::NotShippable)
        .needs(None)
        .wakes(None);
}

#[test]
fn s19_calling_off_waits_until_the_warehouse_has_the_order() {
    Case::captured()
        .then(cancel(), &["wish", "refund 2300 withheld 5"])
        .then(report(Step::Fulfil, done()), &["fulfil done", "open call_off"]);
    Case::captured().and(cancel()).then(
        report(Step::Fulfil, no()),
        &["fulfil refused", "attention fulfilment_refused", "open refund", "open give_back_units"],
    );
}

#[test]
fn what_was_refunded_before_is_not_refunded_again() {
    let case = Case::accepted()
        .and(refund(2_000, &[(PEN, 3)]))
        .then(cancel(), &["wish"])
        .refuses(ship(1, "berlin", &[(MUG, 1)]), Refusal::BeingCalledOff)
        .then(
            report(Step::CallOff { refund: REFUND }, done()),
            &["call_off done", "open refund", "open give_back_units", "refund 2000 withheld 2", "open call_off"],
        )
        .and(report(CALL_OFF, done()))
        .and(report(MONEY, done()))
        .and(report(GIVE_UNITS, done()))
        .is(State::Cancelling)
        .and(report(Step::Refund { refund: REFUND }, done()))
        .then(
            report(Step::GiveBackUnits { refund: REFUND }, done()),
            &["give_back_units done", "cancelled changed_mind"],
        );
    assert_eq!(case.order.refunded(), Some(eur(2300)));
}

#[test]
fn units_of_a_lapsed_refund_are_cancelled_with_the_rest() {
    Case::accepted().and(refund(2_000, &[(PEN, 3)])).and(cancel()).then(
        report(Step::CallOff { refund: REFUND }, no()),
        &["call_off refused", "refund 2300 withheld 5", "open call_off"],
    );
}

#[test]
fn what_has_left_cannot_be_cancelled() {
    Case::accepted().and(ship(1, "berlin", &[(MUG, 1)])).refuses(cancel(), Refusal::NotCancellable);
    Case::placed()
        .and(report(Step::Authorize { attempt: 1 }, no()))
        .at(HOLDS)
        .and(Command::Tick)
        .refuses(cancel(), Refusal::NotCancellable);
}

#[test]
fn a_refund_that_the_provider_refuses_needs_a_person() {
    let case = Case::accepted()
        .and(cancel())
        .and(report(CALL_OFF, done()))
        .and(report(GIVE_UNITS, done()))
        .then(report(MONEY, no()), &["refund refused", "attention refund_refused", "cancelled changed_mind"])
        .needs(Some(Attention::RefundRefused))
        .then(refund(3_000, &[]), &["refund 2300 withheld 0", "open refund"])
        .needs(None)
        .then(report(Step::Refund { refund: OpId(3_000) }, done()), &["refund done"]);
    assert_eq!(case.order.refunded(), Some(eur(2300)));
}
