//! Deadlines: expiry, asking again, reminders.

use super::*;

const AUTHORIZE: Step = Step::Authorize { attempt: 1 };

#[test]
fn an_unpaid_order_expires_with_its_holds() {
    Case::placed()
        .and(report(AUTHORIZE, no()))
        .at(Span(HOLDS.0 - 1))
        .nothing(Command::Tick)
        .at(HOLDS)
        .then(Command::Tick, &["expired", "open give_back"])
        .is(State::Expired)
        .wakes(Some(Span(HOLDS.0 + Span::seconds(5).0)))
        .then(report(Step::GiveBack, done()), &["give_back done"])
        .wakes(None);
}

#[test]
fn s18_nothing_expires_until_waiting_results_are_in() {
    let case = Case::placed().and(report(AUTHORIZE, no()));
    let after_start = Moment { now: T0.plus(Span::hours(1)), overdue: T0 };
    assert_eq!(case.order.decide(&Command::Tick, after_start, &terms()), Ok(None));
    assert!(case.order.decide(&pay(1), after_start, &terms()).is_ok(), "nor is it too late to pay");
}

#[test]
fn s19_an_open_step_is_asked_again_for_ever_and_a_person_is_told_once() {
    let mut case = Case::placed();
    let mut pauses = Vec::new();
    let mut told = 0;
    for _ in 0..12 {
        let due = case.order.deadline().unwrap();
        let events = case.order.decide(&Command::Tick, Moment::at(due), &terms()).unwrap().unwrap();
        events.iter().for_each(|event| case.order.apply(event));
        told += events.iter().filter(|event| matches!(event, Event::AttentionNeeded { .. })).count();
        pauses.push(case.order.deadline().unwrap().since(due).0 / Span::seconds(30).0);
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 32, 32, 32, 32, 32, 32, 32]);
    assert_eq!(told, 1);
    let case = case.needs(Some(Attention::Unanswered)).then(report(AUTHORIZE, no()), &["authorize refused"]);
    assert!(case.needs(None).order.timeline().len() < 8, "askings are one entry");
}

#[test]
fn a_paid_order_that_does_not_ship_is_reported_again_and_again() {
    Case::accepted()
        .at(Span::hours(48))
        .then(Command::Tick, &["attention unfulfilled"])
        .needs(Some(Attention::Unfulfilled))
        .wakes(Some(Span::hours(96)))
        .at(Span::hours(96))
        .then(Command::Tick, &["attention unfulfilled"])
        .and(ship(1, "berlin", &[(MUG, 2), (PEN, 1)]))
        .and(ship(2, "hamburg", &[(PEN, 2)]))
        .needs(None);
}

#[test]
fn the_timeline_keeps_both_ends() {
    let mut case = Case::accepted().and(ship(1, "berlin", &[(MUG, 2)]));
    for id in 0..MAX_OPERATIONS as u128 {
        case = case.and(refund(5_000 + id, &[(MUG, 1)]));
        case = case.and(report(Step::Refund { refund: OpId(5_000 + id) }, no()));
    }
    let timeline = case.order.timeline();
    assert_eq!(timeline.len(), timeline::MAX_ENTRIES);
    assert_eq!(timeline[0].word, "placed");
    assert_eq!(timeline[timeline.len() - 1].word, "attention_needed");
    let omitted = &timeline[64];
    let made = 9 + 4 * MAX_OPERATIONS;
    assert_eq!((omitted.word, omitted.times as usize), ("omitted", made - 255), "every entry is counted");
}

#[test]
fn opening_events_name_their_step() {
    let case = Case::placed();
    let placed = Event::Placed { placement: placement(), total: eur(2300), at: T0, ask_at: T0 };
    assert_eq!(opens(&placed), Some(AUTHORIZE));
    assert!(case.order.is_open(AUTHORIZE));
    assert!(!case.order.is_open(Step::Allocate), "S20: a worker that asks is told no");
}
