//! What each token does, and what the provider remembers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::super::tests::Counting;
use super::super::{Deed, Entry};
use super::*;
use crate::store::tests::copy_files;
use crate::workflows::provider::Operation;
use crate::workflows::simulated::Faults;
use stampede_actors::ids::OrderId;
use stampede_actors::money::{Money, currency};
use stampede_actors::order::Step;
use std::path::Path;

const T0: Timestamp = Timestamp(1_750_000_000_000_000);
const ORDER: OrderId = OrderId(7);

fn desk() -> Desk {
    Desk::new(ProviderConfig::default(), Books::default())
}

fn reference(text: &str) -> Reference {
    Reference::new(text).unwrap()
}

fn call(operation: Operation, token: &str, on: Option<&str>) -> Call {
    Call {
        reference: reference(&format!("{ORDER}:{}:1", operation.word())),
        order: ORDER,
        step: Step::Authorize { attempt: 1 },
        operation,
        amount: Money { minor: 1999, currency: currency("EUR").unwrap() },
        token: reference(token),
        on: on.map(reference),
    }
}

fn authorize(token: &str) -> Call {
    call(Operation::Authorize, token, None)
}

fn done(id: &str) -> Answer {
    Answer::Done { reference: Some(reference(id)) }
}

fn refused(code: &str) -> Answer {
    Answer::Refused { code: code.to_owned() }
}

fn heard(received: Received) -> Option<Answer> {
    received.answer.map(|(_, answer)| answer)
}

fn deeds(desk: &Desk) -> Vec<Deed> {
    desk.books().entries().map(|entry| entry.unwrap().operation).collect()
}

#[test]
fn tok_ok_is_done_once_however_often_it_is_asked() {
    let mut desk = desk();
    for _ in 0..3 {
        assert_eq!(heard(desk.receive(&authorize("tok_ok"), T0)), Some(done("au_1")));
    }
    assert_eq!(deeds(&desk), [Deed::Authorize]);
}

#[test]
fn tok_declined_funds_is_refused_and_nothing_is_reserved() {
    let mut desk = desk();
    assert_eq!(heard(desk.receive(&authorize("tok_declined_funds"), T0)), Some(refused("insufficient_funds")));
    assert_eq!(desk.books().by_order().unwrap()[&ORDER].authorisations, 0);
    assert_eq!(heard(desk.receive(&authorize("tok_of_nobody"), T0)), Some(refused("insufficient_funds")), "same key");
}

#[test]
fn an_unknown_token_is_refused() {
    assert_eq!(heard(desk().receive(&authorize("tok_of_nobody"), T0)), Some(refused("unknown_token")));
}

#[test]
fn tok_timeout_30s_happens_is_not_heard_and_is_said_later() {
    let mut desk = desk();
    let received = desk.receive(&authorize("tok_timeout_30s"), T0);
    assert_eq!(received.answer, None);
    let [(after, answer)] = &received.callbacks[..] else { panic!("one callback") };
    assert!(*after >= Span::seconds(30) && *answer == done("au_1"));
    assert_eq!(deeds(&desk), [Deed::Authorize]);
    assert_eq!(heard(desk.receive(&authorize("tok_timeout_30s"), T0)), Some(done("au_1")), "a repeat is answered");
}

#[test]
fn tok_timeout_lost_does_not_happen_the_first_time() {
    let mut desk = desk();
    assert_eq!(heard(desk.receive(&authorize("tok_timeout_lost"), T0)), None);
    assert_eq!(desk.look_up(&authorize("tok_ok").reference).1, Found::Nothing);
    assert_eq!(heard(desk.receive(&authorize("tok_timeout_lost"), T0)), Some(done("au_1")));
}

#[test]
fn tok_ok_after_2_retries_cannot_say_twice() {
    let mut desk = desk();
    let answers: Vec<_> = (0..3).map(|_| heard(desk.receive(&authorize("tok_ok_after_2_retries"), T0))).collect();
    assert_eq!(answers, [Some(Answer::Unknown), Some(Answer::Unknown), Some(done("au_1"))]);
    assert_eq!(deeds(&desk), [Deed::Authorize]);
}

#[test]
fn tok_duplicate_callback_says_it_three_times_and_does_it_once() {
    let mut desk = desk();
    let received = desk.receive(&authorize("tok_duplicate_callback"), T0);
    assert_eq!(received.callbacks.iter().map(|(_, answer)| answer).collect::<Vec<_>>(), [&done("au_1"), &done("au_1")]);
    assert_eq!(heard(received), Some(done("au_1")));
    assert_eq!(deeds(&desk), [Deed::Authorize]);
}

#[test]
fn tok_late_answer_happens_after_the_caller_gave_up() {
    let mut desk = desk();
    let late = authorize("tok_late_answer");
    let received = desk.receive(&late, T0);
    assert_eq!(received.answer, None);
    assert!(received.late.unwrap() > ProviderConfig::default().timeout);
    assert_eq!(deeds(&desk), []);
    assert_eq!(
        heard(desk.receive(&late, T0)),
        Some(Answer::Unknown),
        "a repeat meanwhile learns nothing, and does nothing"
    );
    assert_eq!(desk.perform_late(&late, T0), done("au_1"));
    assert_eq!(heard(desk.receive(&late, T0)), Some(done("au_1")));
    assert_eq!(deeds(&desk), [Deed::Authorize]);
}

#[test]
fn s20_tok_forgets_key_does_it_twice_for_whoever_just_repeats_but_can_be_looked_up() {
    let mut desk = desk();
    assert_eq!(heard(desk.receive(&authorize("tok_forgets_key"), T0)), None);
    assert_eq!(desk.look_up(&authorize("tok_ok").reference).1, Found::Known(done("au_1")));
    assert_eq!(heard(desk.receive(&authorize("tok_forgets_key"), T0)), Some(done("au_2")));
    assert_eq!(desk.books().by_order().unwrap()[&ORDER].authorisations, 2);
}

#[test]
fn s20_a_key_is_forgotten_after_its_lifetime_and_its_reference_never() {
    let mut desk = desk();
    desk.receive(&authorize("tok_ok"), T0);
    let later = T0.plus(Span::hours(23));
    assert_eq!(heard(desk.receive(&authorize("tok_ok"), later)), Some(done("au_1")));
    let too_late = T0.plus(Span::hours(24));
    assert_eq!(desk.look_up(&authorize("tok_ok").reference).1, Found::Known(done("au_1")));
    assert_eq!(heard(desk.receive(&authorize("tok_ok"), too_late)), Some(done("au_2")));
}

#[test]
fn tok_capture_declined_reserves_and_does_not_take() {
    let mut desk = desk();
    desk.receive(&authorize("tok_capture_declined"), T0);
    let capture = call(Operation::Capture, "tok_capture_declined", Some("au_1"));
    assert_eq!(heard(desk.receive(&capture, T0)), Some(refused("capture_declined")));
    assert_eq!(desk.books().by_order().unwrap()[&ORDER].still_reserved(), 1);
    assert_eq!(
        heard(desk.receive(&call(Operation::Void, "tok_capture_declined", Some("au_1")), T0)),
        Some(done("vo_3"))
    );
    assert_eq!(desk.books().by_order().unwrap()[&ORDER].still_reserved(), 0);
}

#[test]
fn money_is_taken_once_given_up_or_given_back_within_bounds() {
    let mut desk = desk();
    desk.receive(&authorize("tok_ok"), T0);
    let other = |mut call: Call| {
        call.reference = reference("another");
        call
    };
    assert_eq!(
        heard(desk.receive(&call(Operation::Capture, "tok_ok", Some("au_9")), T0)),
        Some(refused("unknown_reference"))
    );
    let capture = other(call(Operation::Capture, "tok_ok", Some("au_1")));
    assert_eq!(heard(desk.receive(&capture, T0)), Some(done("ca_3")));
    assert_eq!(
        heard(desk.receive(&call(Operation::Void, "tok_ok", Some("au_1")), T0)),
        Some(refused("already_captured"))
    );
    let mut refund = call(Operation::Refund, "tok_ok", Some("ca_3"));
    assert_eq!(heard(desk.receive(&refund, T0)), Some(done("re_5")));
    refund.reference = reference("a-second-refund");
    assert_eq!(heard(desk.receive(&refund, T0)), Some(refused("amount_too_large")));
    let money = desk.books().by_order().unwrap()[&ORDER];
    assert_eq!((money.captured, money.refunded, money.captures, money.refunds), (1999, 1999, 1, 1));
}

#[test]
fn the_books_survive_a_kill_and_an_entry_that_was_cut_short() {
    let dir = tempfile::tempdir().unwrap();
    let (running, killed) = (dir.path().join("running"), dir.path().join("killed"));
    let mut desk = Desk::new(ProviderConfig::default(), Books::open(&running).unwrap());
    let capture = call(Operation::Capture, "tok_ok", Some("au_1"));
    desk.receive(&authorize("tok_ok"), T0);
    assert_eq!(heard(desk.receive(&capture, T0)), Some(done("ca_2")));

    // What the system can copy now is what a killed process leaves behind.
    copy_files(&running, &killed);
    let left = Books::read(&killed).unwrap();
    assert_eq!(entries(&left), entries(desk.books()));
    assert_eq!(left.by_order().unwrap()[&ORDER].captured, 1999);
    drop(left);

    std::fs::remove_dir_all(&killed).unwrap();
    copy_files(&running, &killed);
    cut_last_write(&killed.join("0.jnl"));
    let mut desk = Desk::new(ProviderConfig::default(), Books::open(&killed).unwrap());
    assert_eq!(deeds(&desk), [Deed::Authorize]);
    assert_eq!(heard(desk.receive(&authorize("tok_ok"), T0)), Some(done("au_1")), "it still knows the key");
    assert_eq!(heard(desk.receive(&capture, T0)), Some(done("ca_2")));
}

fn entries(books: &Books) -> Vec<Entry> {
    books.entries().map(Result::unwrap).collect()
}

/// The store's journal, without the last bytes that were written to it: after them are zeros only.
fn cut_last_write(journal: &Path) {
    let bytes = std::fs::read(journal).unwrap();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap();
    std::fs::OpenOptions::new().write(true).open(journal).unwrap().set_len(end as u64 - 3).unwrap();
}

#[test]
fn nobody_has_left_books_where_there_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let nothing = dir.path().join("nothing");
    assert_eq!(Books::read(&nothing).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(!nothing.exists());
}

#[test]
fn however_many_entries_there_are_opening_reads_one_and_a_call_a_few() {
    let store = Counting::default();
    let mut books = Books::kept_in(Arc::new(store.clone())).unwrap();
    for n in 0..200_000 {
        let call = Call { reference: reference(&format!("call-{n}")), ..authorize("tok_ok") };
        books.perform(&call, None, false, T0).unwrap();
    }
    store.rows_read();

    let books = Books::kept_in(Arc::new(store.clone())).unwrap();
    assert_eq!(store.rows_read(), 1);
    let mut desk = Desk::new(ProviderConfig::default(), books);
    assert_eq!(heard(desk.receive(&authorize("tok_ok"), T0)), Some(done("au_200001")));
    let capture = call(Operation::Capture, "tok_ok", Some("au_77"));
    assert_eq!(heard(desk.receive(&capture, T0)), Some(done("ca_200002")));
    assert_eq!(desk.look_up(&reference("call-5")).1, Found::Known(done("au_6")));
    assert!(store.rows_read() < 10);
}

#[test]
fn s14_faults_and_latencies_repeat_with_their_seed() {
    let answers = |seed| {
        let faults = Faults(vec!["payment=timeout:30%".parse().unwrap(), "payment=error:10%".parse().unwrap()]);
        let mut desk =
            Desk::new(ProviderConfig { seed, faults: faults.into(), ..ProviderConfig::default() }, Books::default());
        let mut nth_call = |n: u32| {
            let call = Call { reference: reference(&format!("call-{n}")), ..authorize("tok_ok") };
            desk.receive(&call, T0)
        };
        (0..1000).map(&mut nth_call).collect::<Vec<_>>()
    };
    assert_eq!(answers(1), answers(1));
    assert_ne!(answers(1), answers(2));
    let unheard = answers(1).iter().filter(|received| received.answer.is_none()).count();
    assert!((250..350).contains(&unheard), "{unheard} of 1000");
}

#[test]
fn a_fault_that_makes_no_sense_is_no_fault() {
    use super::super::{Fault, Kind, Target};
    let fault = "payment=timeout:30%".parse::<Fault>().unwrap();
    assert_eq!(fault, Fault { target: Target::Payment, kind: Kind::Timeout, per_million: 300_000 });
    for text in
        ["", "payment", "payment=timeout", "payment=timeout:30", "payment=timeout:101%", "disk=full:1%", "payment=x:1%"]
    {
        assert!(text.parse::<Fault>().is_err(), "{text}");
    }
}
