//! From the placement to the money: authorise, allocate, capture, and every way in which that goes wrong.

use super::*;

const AUTHORIZE: Step = Step::Authorize { attempt: 1 };
const CAPTURE: Step = Step::Capture { attempt: 1 };
const VOID: Step = Step::Void { attempt: 1 };

#[test]
fn an_order_is_placed_once() {
    let other = Placement { fingerprint: 43, ..placement() };
    Case { now: T0, ..Case::default() }
        .refuses(pay(1), Refusal::UnknownOrder)
        .then(Command::Place(placement()), &["placed 2300"])
        .refuses(Command::Place(other), Refusal::Reused)
        .is(State::AwaitingPayment)
        .wakes(Some(Span::seconds(30)));
}

#[test]
fn an_operator_has_open_steps_asked_for_at_once_and_the_order_goes_on_asking() {
    Case::default().refuses(Command::AskAgain, Refusal::UnknownOrder);
    Case::accepted().nothing(Command::AskAgain);
    let mut case = Case::placed().at(Span::seconds(3));
    let before = case.order.open_steps().to_vec();
    let events = case.order.decide(&Command::AskAgain, Moment::at(case.now), &terms()).unwrap().unwrap();
    let asked: Vec<String> = events.iter().map(words).collect();
    assert_eq!(asked, ["ask authorize 1"], "as often as before");
    events.iter().for_each(|event| case.order.apply(event));
    assert_eq!(case.order.open_steps().len(), before.len());
    assert_eq!(case.order.open_steps()[0].tries, before[0].tries);
    case.wakes(Some(Span::seconds(30)));
}

#[test]
fn a_placement_is_checked() {
    let refused = |change: fn(&mut Placement), why| {
        let mut placement = placement();
        change(&mut placement);
        Case::default().refuses(Command::Place(placement), Refusal::Invalid(why));
    };
    refused(|p| p.lines.clear(), "an order has at least one line");
    refused(|p| p.lines[0].units = 0, "units must be 1 to 1000000000");
    refused(|p| p.lines[0].units = 3, "the parts of a line add up to its units");
    refused(|p| p.lines[1].parts[1].location = location("berlin"), "the parts of a line are at different locations");
    refused(|p| p.lines[1].hold = p.lines[0].hold, "each line has a hold of its own");
    refused(|p| p.lines[1].unit_price.currency = Currency::JPY, "all lines of an order have one currency");
    refused(|p| p.lines[1].unit_price.minor = -1, "a price is not negative");
    refused(|p| p.lines[1].unit_price.minor = i64::MAX / 2, "the total is more than money can count");
    refused(|p| p.lines.iter_mut().for_each(|line| line.unit_price.minor = 0), "the total is more than zero");
    refused(
        |p| p.lines = (0..51).map(|i| line(i, "mug", 1, 1, &[("berlin", 1)])).collect(),
        "an order has at most 50 lines",
    );
}

#[test]
fn units_are_firm_before_money_is_taken() {
    Case::placed()
        .then(report(AUTHORIZE, done()), &["authorize done", "open allocate"])
        .is(State::Authorised)
        .then(report(Step::Allocate, done()), &["allocate done", "open capture"])
        .is(State::Allocated)
        .then(report(CAPTURE, done()), &["capture done", "open fulfil"])
        .is(State::Captured)
        .then(report(Step::Fulfil, done()), &["fulfil done"])
        .is(State::FulfilmentRequested)
        .wakes(Some(Span::hours(48)));
}

#[test]
fn an_authorisation_without_a_unit_is_voided() {
    Case::authorised()
        .then(report(Step::Allocate, no()), &["allocate refused", "open void", "open give_back"])
        .is(State::Cancelling)
        .then(report(Step::GiveBack, done()), &["give_back done"])
        .then(report(VOID, done()), &["void done", "expired"])
        .is(State::Expired)
        .wakes(None);
}

#[test]
fn a_refused_capture_gives_units_and_authorisation_back() {
    let case = Case::allocated()
        .then(report(CAPTURE, no()), &["capture refused", "open void", "open give_back"])
        .then(report(VOID, done()), &["void done"])
        .refuses(pay(1), Refusal::NotPayable)
        .then(report(Step::GiveBack, done()), &["give_back done", "cancelled payment_failed"])
        .is(State::Cancelled)
        .wakes(None);
    assert_eq!(case.order.captured(), Some(eur(0)));
}

#[test]
fn a_declined_order_may_be_paid_again_until_its_holds_run_out() {
    Case::placed()
        .refuses(pay(1), Refusal::PaymentOpen)
        .then(report(AUTHORIZE, no()), &["authorize refused"])
        .is(State::AwaitingPayment)
        .wakes(Some(HOLDS))
        .then(pay(1), &["attempt 2"])
        .refuses(Command::Pay { payment: OpId(1), fingerprint: 2, token: reference("tok_2") }, Refusal::Reused)
        .refuses(pay(2), Refusal::PaymentOpen)
        .and(report(Step::Authorize { attempt: 2 }, no()))
        .and(pay(2))
        .and(report(Step::Authorize { attempt: 3 }, no()))
        .refuses(pay(3), Refusal::TooManyAttempts)
        .at(HOLDS)
        .refuses(pay(3), Refusal::NotPayable);
}

#[test]
fn the_second_attempt_is_the_one_that_is_captured() {
    Case::placed()
        .and(report(AUTHORIZE, no()))
        .and(pay(1))
        .then(report(Step::Authorize { attempt: 2 }, done()), &["authorize done", "open allocate"])
        .then(report(Step::Allocate, done()), &["allocate done", "open capture"])
        .nothing(report(CAPTURE, no()))
        .then(report(Step::Capture { attempt: 2 }, done()), &["capture done", "open fulfil"]);
}

#[test]
fn s19_nothing_starts_while_an_attempt_is_unknown() {
    Case::placed()
        .nothing(report(AUTHORIZE, Answer::Unknown))
        .refuses(pay(1), Refusal::PaymentOpen)
        .at(HOLDS)
        .then(Command::Tick, &["ask authorize 2"])
        .is(State::AwaitingPayment)
        .then(report(AUTHORIZE, done()), &["authorize done", "open allocate"]);
}

#[test]
fn s19_a_late_yes_is_voided() {
    let late = report(AUTHORIZE, done());
    Case::placed()
        .and(report(AUTHORIZE, no()))
        .then(late.clone(), &["authorize done", "open void"])
        .refuses(pay(1), Refusal::PaymentOpen)
        .then(report(VOID, done()), &["void done"])
        .then(pay(1), &["attempt 2"]);
    Case::placed()
        .and(report(AUTHORIZE, no()))
        .and(pay(1))
        .then(late, &["authorize done", "open void"])
        .then(report(Step::Authorize { attempt: 2 }, done()), &["authorize done", "open allocate"]);
    Case::placed()
        .then(report(Step::Authorize { attempt: 9 }, done()), &["authorize done", "open void"])
        .then(report(AUTHORIZE, done()), &["authorize done", "open allocate"]);
}

#[test]
fn s19_a_late_yes_is_voided_even_after_the_end() {
    Case::placed()
        .and(report(AUTHORIZE, no()))
        .at(HOLDS)
        .then(Command::Tick, &["expired", "open give_back"])
        .then(report(Step::GiveBack, done()), &["give_back done"])
        .wakes(None)
        .then(report(AUTHORIZE, done()), &["authorize done", "open void"])
        .is(State::Expired)
        .wakes(Some(HOLDS + 30))
        .then(report(VOID, done()), &["void done"])
        .wakes(None);
}

#[test]
fn s19_money_taken_after_a_definite_no_goes_back() {
    let case = Case::allocated()
        .and(report(CAPTURE, no()))
        .then(
            report(CAPTURE, done()),
            &["capture done", "refund 2300 withheld 0", "attention contradiction", "open refund"],
        )
        .needs(Some(Attention::Contradiction))
        .and(report(VOID, no()))
        .and(report(Step::GiveBack, done()))
        .is(State::Cancelling)
        .then(report(Step::Refund { refund: OpId(1) }, done()), &["refund done", "cancelled payment_failed"]);
    assert_eq!((case.order.captured(), case.order.refunded()), (Some(eur(2300)), Some(eur(2300))));
}

#[test]
fn an_authorisation_that_cannot_be_given_up_needs_a_person() {
    Case::authorised()
        .and(report(Step::Allocate, no()))
        .then(report(VOID, no()), &["void refused", "attention void_refused"])
        .then(report(Step::GiveBack, done()), &["give_back done", "expired"])
        .needs(Some(Attention::VoidRefused));
}

impl std::ops::Add<i64> for Span {
    type Output = Span;
    fn add(self, seconds: i64) -> Span {
        Span(self.0 + Span::seconds(seconds).0)
    }
}
