//! Old messages and forgotten keys (S20).

use super::world::{T0, World};
use crate::feed::{Message, MessageId};
use crate::workflows::{Ask, End, Found, Job, Reply, Terms, Turn};
use stampede_actors::ids::OrderId;
use stampede_actors::order::{Answer, Order, State, Step};
use stampede_actors::record::Position;
use stampede_actors::shell::{Done, Question, View};
use stampede_actors::time::{Span, Timestamp};

const ORDER: OrderId = OrderId(1);
const AUTHORIZE: Step = Step::Authorize { attempt: 1 };

fn placed() -> World {
    let mut world = World::new(1, &[]);
    let sku = world.stock("shirt", 10);
    world.place(ORDER, "tok_ok", &[(&sku, 2)]).unwrap();
    world
}

fn message(step: Step, inherited: bool) -> Message {
    let id = MessageId { log: 0, seq: 1, index: 0 };
    Message { id, position: Position(1), order: ORDER, step, at: T0, inherited, again: false, trace: None }
}

/// What the job asks once it has read the order.
fn after_reading(order: &Order, message: Message, now: Timestamp) -> (Job, Turn) {
    let (mut job, turn) = Job::start(message, Terms::default());
    let Turn::Ask(asks) = turn else { panic!("{turn:?}") };
    assert!(matches!(&asks[..], [Ask::Entity(_, Question::ReadOrder)]), "the order is asked before anything else");
    let view = View::Order(Box::new(order.clone()));
    let turn = job.resume(vec![Reply::Entity(Ok(Done { version: 1, replayed: false, view }))], now);
    (job, turn)
}

/// The one question of a turn; holds are extended on the way.
fn question(job: &mut Job, turn: Turn, now: Timestamp) -> Ask {
    let Turn::Ask(mut asks) = turn else { panic!("{turn:?}") };
    if let [Ask::Entity(_, Question::Sku(stampede_actors::sku::Command::Extend { .. }))] = &asks[..] {
        let done = Done { version: 1, replayed: true, view: View::Nothing };
        let turn = job.resume(vec![Reply::Entity(Ok(done))], now);
        return question(job, turn, now);
    }
    assert_eq!(asks.len(), 1);
    asks.remove(0)
}

#[test]
fn s20_a_message_that_is_30_hours_old_does_nothing_for_an_order_that_moved_on() {
    let mut world = placed();
    world.settle();
    assert_eq!(world.state(ORDER), State::Fulfilled);
    let late = T0.plus(Span::hours(30));
    let (_, turn) = after_reading(&world.orders[&ORDER], message(AUTHORIZE, true), late);
    assert!(matches!(turn, Turn::Over(End::NotOpen)), "{turn:?}");
}

#[test]
fn s20_a_first_call_is_made_at_once_and_a_perhaps_repeated_one_is_looked_up_first() {
    let world = placed();
    let order = &world.orders[&ORDER];
    let (mut job, turn) = after_reading(order, message(AUTHORIZE, false), T0);
    assert!(matches!(question(&mut job, turn, T0), Ask::Pay(_)));
    let (mut job, turn) = after_reading(order, message(AUTHORIZE, true), T0);
    assert!(matches!(question(&mut job, turn, T0), Ask::LookUp(_)), "an earlier process may have made it");
}

#[test]
fn s20_within_the_keys_lifetime_what_is_not_found_is_called_again_with_the_same_key() {
    let world = placed();
    let (mut job, turn) = after_reading(&world.orders[&ORDER], message(AUTHORIZE, true), T0);
    let Ask::LookUp(reference) = question(&mut job, turn, T0) else { panic!("looked up first") };
    let turn = job.resume(vec![Reply::Found(Found::Nothing)], T0);
    let Ask::Pay(call) = question(&mut job, turn, T0) else { panic!("it may still arrive: only the key decides") };
    assert_eq!(call.reference, reference);
}

#[test]
fn s20_after_the_keys_lifetime_a_call_is_only_looked_up() {
    let world = placed();
    let late = T0.plus(Span::hours(22));
    for inherited in [true, false] {
        let (mut job, turn) = after_reading(&world.orders[&ORDER], message(AUTHORIZE, inherited), late);
        assert!(matches!(question(&mut job, turn, late), Ask::LookUp(_)));
        let turn = job.resume(vec![Reply::Found(Found::Nothing)], late);
        let Turn::Ask(asks) = turn else { panic!("{turn:?}") };
        let [Ask::Entity(_, Question::Order(command))] = &asks[..] else { panic!("{asks:?}") };
        let refused = Answer::Refused { code: "lapsed".to_owned() };
        assert_eq!(**command, stampede_actors::order::Command::Report { step: AUTHORIZE, answer: refused });
    }
}

#[test]
fn s20_what_was_done_is_found_by_our_reference_however_late() {
    let world = placed();
    let late = T0.plus(Span::hours(30));
    let (mut job, turn) = after_reading(&world.orders[&ORDER], message(AUTHORIZE, true), late);
    assert!(matches!(question(&mut job, turn, late), Ask::LookUp(_)));
    let done = Answer::Done { reference: None };
    let turn = job.resume(vec![Reply::Found(Found::Known(done.clone()))], late);
    let Turn::Ask(asks) = turn else { panic!("{turn:?}") };
    let [Ask::Entity(_, Question::Order(command))] = &asks[..] else { panic!("{asks:?}") };
    assert_eq!(**command, stampede_actors::order::Command::Report { step: AUTHORIZE, answer: done });
}

#[test]
fn s20_books_that_do_not_answer_leave_it_to_the_orders_timer() {
    let world = placed();
    let (mut job, turn) = after_reading(&world.orders[&ORDER], message(AUTHORIZE, true), T0);
    assert!(matches!(question(&mut job, turn, T0), Ask::LookUp(_)));
    let turn = job.resume(vec![Reply::Found(Found::Unknown)], T0);
    assert!(matches!(turn, Turn::Over(End::Unknown)), "{turn:?}");
}

#[test]
fn s20_a_provider_that_forgets_our_key_charges_once() {
    let mut world = World::new(1, &[]);
    let sku = world.stock("shirt", 10);
    world.place(ORDER, "tok_forgets_key", &[(&sku, 2)]).unwrap();
    world.settle();
    world.check();
    assert_eq!(world.state(ORDER), State::Fulfilled);
    assert_eq!(world.desk.books().by_order().unwrap()[&ORDER].authorisations, 1);
}

#[test]
fn s20_a_provider_that_forgets_our_key_charges_once_although_we_crash_with_the_call_on_its_way() {
    for steps in 0..20 {
        let mut world = World::new(1, &[]);
        let sku = world.stock("shirt", 10);
        world.place(ORDER, "tok_forgets_key", &[(&sku, 2)]).unwrap();
        for _ in 0..steps {
            world.step();
        }
        world.crash(0, Span::seconds(1));
        world.settle();
        world.check();
        assert_eq!(world.desk.books().by_order().unwrap()[&ORDER].authorisations, 1, "crashed after {steps} steps");
    }
}
