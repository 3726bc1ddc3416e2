//! What a person must look at, and that somebody takes care of it.

use super::*;

const AUTHORIZE: Step = Step::Authorize { attempt: 1 };

/// Asked for until a person was told.
fn unanswered() -> Case {
    let mut case = Case::placed();
    while case.order.attention().is_none() {
        case.now = case.order.deadline().unwrap();
        case.given(Command::Tick);
    }
    case
}

#[test]
fn an_acknowledged_order_needs_nobody() {
    let case = unanswered()
        .needs(Some(Attention::Unanswered))
        .then(acknowledge(1, None), &["acknowledged ticket-1"])
        .needs(None);
    let last = case.order.timeline().last().unwrap();
    assert_eq!((last.word, last.detail.as_str()), ("attention_acknowledged", "ticket-1"));
    assert_eq!(case.order.state(), Some(State::AwaitingPayment), "it changes nothing else");
}

#[test]
fn what_nobody_needs_to_see_cannot_be_acknowledged() {
    Case::placed().refuses(acknowledge(1, None), Refusal::NoAttention);
    let case = unanswered().refuses(acknowledge(1, Some(Attention::Contradiction)), Refusal::NoAttention);
    let case = case.then(acknowledge(1, Some(Attention::Unanswered)), &["acknowledged ticket-1"]);
    case.refuses(acknowledge(2, None), Refusal::NoAttention)
        .refuses(acknowledge(1, None), Refusal::Reused)
        .nothing(acknowledge(1, Some(Attention::Unanswered)));
    assert_eq!(Order::default().decide(&acknowledge(1, None), Moment::at(T0), &terms()), Err(Refusal::UnknownOrder));
}

/// The step is still unanswered, and a person knows: nobody is told again of just that.
#[test]
fn the_same_open_step_is_not_reported_twice() {
    let mut case = unanswered().and(acknowledge(1, None));
    for _ in 0..20 {
        case.now = case.order.deadline().unwrap();
        case.given(Command::Tick);
    }
    case.needs(None);
}

#[test]
fn a_new_reason_needs_a_person_again() {
    unanswered()
        .and(acknowledge(1, None))
        .and(cancel())
        .and(report(AUTHORIZE, done()))
        .then(report(Step::Void { attempt: 1 }, no()), &["void refused", "attention void_refused"])
        .needs(Some(Attention::VoidRefused));
}

/// Only what was seen is acknowledged: what came up meanwhile stays.
#[test]
fn one_reason_is_acknowledged_and_another_stays() {
    let accepted_late = Case::captured().and(report(Step::Fulfil, no())).needs(Some(Attention::FulfilmentRefused));
    accepted_late
        .at(Span::hours(48))
        .then(Command::Tick, &["attention unfulfilled"])
        .then(acknowledge(1, Some(Attention::FulfilmentRefused)), &["acknowledged ticket-1"])
        .needs(Some(Attention::Unfulfilled));
}

#[test]
fn a_reminder_brings_it_back() {
    Case::accepted()
        .at(Span::hours(48))
        .and(Command::Tick)
        .then(acknowledge(1, None), &["acknowledged ticket-1"])
        .needs(None)
        .wakes(Some(Span::hours(96)))
        .at(Span::hours(96))
        .then(Command::Tick, &["attention unfulfilled"])
        .needs(Some(Attention::Unfulfilled));
}

#[test]
fn acknowledgements_are_bounded() {
    let mut case = Case::accepted();
    for n in 1..=MAX_OPERATIONS as u128 {
        case = case.at(Span::hours(48 * n as i64)).and(Command::Tick).and(acknowledge(n, None));
    }
    case.at(Span::hours(48 * (MAX_OPERATIONS as i64 + 1)))
        .and(Command::Tick)
        .refuses(acknowledge(9_999, None), Refusal::TableFull { what: "acknowledgements" });
}
