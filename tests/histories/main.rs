//! What clients of the real server see, over `kill -9`, is linearisable; and what is not is noticed, in the same histories.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod clients;
mod history;
#[path = "../simulation/linear.rs"]
mod linear;
mod round;
mod shelf;

use history::{Entry, History};
use rand::SeedableRng;
use rand::rngs::StdRng;
use round::{Options, round};
use shelf::Act;
use stampede::demo::{Server, Setup};
use std::path::Path;
use std::time::Duration;

/// A real history of three lives, of which every outcome was found out in the end.
fn real_history() -> History {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let directory = tempfile::tempdir().unwrap();
        let flags = [
            "--fulfilment-auto-ship=false",
            "--start-grace=500ms",
            "--log-segment-bytes=256KiB",
            "--log-frame-bytes=32KiB",
        ];
        let setup = Setup::new(Path::new(env!("CARGO_BIN_EXE_stampede")), directory.path(), &flags).unwrap();
        let key = stampede::keys::create(&setup.data, "histories").unwrap().secret;
        let mut server = Server::start(setup).unwrap();
        server.ready(Duration::from_secs(30)).await.unwrap();
        let options = Options { name: "round", key: &key, kills: 2, left_unknown: 0 };
        let history = round(&mut server, &options, &mut StdRng::seed_from_u64(1)).await.unwrap();
        server.stop(Duration::from_secs(30)).await.unwrap();
        history
    })
}

#[track_caller]
fn red(what: &str, history: &History) {
    // Where the search is given up, at least nothing was found.
    let verdict = history.check();
    assert!(!verdict.as_ref().is_ok_and(|checked| checked.undecided == 0), "{what}: {verdict:?}");
}

/// The history with one entry left out, or another one in its place.
fn doctored(history: &History, at: usize, instead: Option<Act>) -> History {
    let (mut history, shelf) = (history.clone(), history.entries[at].shelf);
    match instead {
        Some(act) => history.entries[at].act = act,
        None => drop(history.entries.remove(at)),
    }
    // The other SKUs are as they were.
    history.entries.retain(|entry| entry.shelf == shelf);
    history
}

/// The last entry of its SKU, once nobody else was there: so many units were free.
fn last_look(history: &History, shelf: usize) -> (usize, i64) {
    let last = history.entries.iter().rposition(|entry| entry.shelf == shelf).unwrap();
    let Act::Look { available } = history.entries[last].act else { panic!("{:?}", history.entries[last]) };
    assert!(available > 0, "units had just come in");
    (last, available)
}

#[test]
fn what_clients_see_over_kills_is_linearisable_and_every_doctored_history_is_not() {
    let history = real_history();
    let checked = history.check().unwrap();
    println!("{checked:?}, over {} kills", history.life);
    assert_eq!(checked.undecided, 0, "{checked:?}");
    assert!(history.life == 2 && checked.answered > 1_000 && checked.refused > 20, "{checked:?}");

    // Where an outcome stays unknown, it may be what makes up for a wrong answer.
    let is_certain =
        |&shelf: &usize| !history.entries.iter().any(|entry| entry.shelf == shelf && entry.returned.is_none());
    let certain: Vec<usize> = (0..6).filter(is_certain).collect();
    assert!(certain.len() > 2, "{certain:?}");

    // An acknowledged order or hold that still stood in the end: it never was.
    let is = |entry: &Entry, wanted: u32| match entry.act {
        Act::Claim { claim, .. } | Act::End { claim } => claim == wanted,
        _ => false,
    };
    let stood = |at: &usize| match history.entries[*at] {
        Entry { shelf, act: Act::Claim { claim, .. }, returned: Some(_), .. } if certain.contains(&shelf) => {
            history.entries.iter().filter(|entry| is(entry, claim)).count() == 1
        }
        _ => false,
    };
    let standing: Vec<usize> = (0..history.entries.len()).filter(stood).collect();
    assert!(standing.len() > 5, "{}", standing.len());
    for &at in standing.iter().take(4) {
        red("an order that was acknowledged is gone", &doctored(&history, at, None));
        let Act::Claim { claim, units, again } = history.entries[at].act else { unreachable!("they are claims") };
        let more = Act::Claim { claim, units: units + 1, again };
        red("a unit more than was there for it", &doctored(&history, at, Some(more)));
    }

    for shelf in certain {
        let (at, available) = last_look(&history, shelf);
        red("a stale look", &doctored(&history, at, Some(Act::Look { available: available - 1 })));
        let refused = Act::Refused { claim: u32::MAX, units: available };
        red("a refusal while so many were free", &doctored(&history, at, Some(refused)));
        let oversold = Act::Claim { claim: u32::MAX, units: available + 1, again: None };
        red("oversold by one", &doctored(&history, at, Some(oversold)));
        let granted = Act::Claim { claim: u32::MAX, units: available, again: None };
        assert!(doctored(&history, at, Some(granted)).check().is_ok(), "all that were free");
    }

    // A claim that was acknowledged before the first kill, and was taken away by it.
    let kill = history.entries.iter().position(|entry| entry.act == Act::Kill).unwrap();
    let before = standing.iter().find(|&&at| at < kill).expect("one from before the first kill");
    let Act::Claim { claim, .. } = history.entries[*before].act else { unreachable!("it is a claim") };
    let (last, _) = last_look(&history, history.entries[*before].shelf);
    red("lost by the kill", &doctored(&history, last, Some(Act::Sought { claim, found: false })));
}

/// A history of one SKU with four units, of which the first claim wants all, and where nothing overlaps.
fn told(rest: &[(bool, Option<u32>, Act)]) -> Result<history::Checked, String> {
    let mut history = History::default();
    let receipt = (true, Some(0), Act::Receive { receipt: 1, units: 4, again: Some(false) });
    for &(is_answered, life, act) in std::iter::once(&receipt).chain(rest) {
        let (invoked, returned) = (history.now(), history.now());
        if act == Act::Kill {
            history.killed(1, invoked);
        } else {
            history.entries.push(Entry { shelf: 0, invoked, returned: is_answered.then_some(returned), life, act });
        }
    }
    history.check()
}

#[test]
fn a_refusal_may_rest_on_what_a_kill_undoes_and_nothing_else_may() {
    let claim = |claim| Act::Claim { claim, units: 4, again: Some(false) };
    let maybe = (false, Some(0), Act::Claim { claim: 1, units: 4, again: None });
    let refused = (true, Some(0), Act::Refused { claim: 2, units: 1 });
    let kill = (true, None, Act::Kill);
    let all_free = (true, Some(1), Act::Look { available: 4 });
    let none_free = |life| (true, Some(life), Act::Look { available: 0 });

    assert!(told(&[maybe, refused, kill, all_free]).is_ok(), "the claim was not committed");
    assert!(told(&[maybe, refused, kill, none_free(1)]).is_ok(), "it was");
    assert!(told(&[maybe, kill, all_free]).is_ok(), "or never reached the server");
    assert!(told(&[refused, kill, all_free]).is_err(), "nobody had asked for the units");
    assert!(told(&[(true, Some(0), claim(1)), refused, kill, all_free]).is_err(), "it was acknowledged");
    assert!(told(&[maybe, refused, all_free, kill]).is_err(), "nobody undid it");
    assert!(told(&[maybe, none_free(0), kill, all_free]).is_err(), "a look waits for the commit");
    let later = (true, Some(1), Act::Refused { claim: 2, units: 1 });
    assert!(told(&[maybe, kill, later, all_free]).is_err(), "a kill undoes nothing that comes later");
    let seen = (true, Some(0), Act::Sought { claim: 1, found: true });
    assert!(told(&[maybe, seen, kill, all_free]).is_err(), "a look for it waits as well");
    let end = (false, None, Act::End { claim: 1 });
    let free_after = [(true, Some(0), claim(1)), end, kill, (true, Some(1), claim(3))];
    assert!(told(&free_after).is_ok(), "a cancelled order's units come back when they do");
    assert!(told(&[free_after[0], kill, free_after[3]]).is_err(), "and nobody else's");
}

#[test]
fn a_repeat_says_whether_it_was_done_before() {
    let claim = |again| Act::Claim { claim: 1, units: 4, again };
    let maybe = (false, Some(0), claim(None));
    let kill = (true, None, Act::Kill);
    let (new, old) = ((true, Some(1), claim(Some(false))), (true, Some(1), claim(Some(true))));
    assert!(told(&[maybe, kill, new]).is_ok() && told(&[maybe, kill, old]).is_ok());
    let held = (true, Some(0), claim(Some(false)));
    assert!(told(&[held, kill, old]).is_ok() && told(&[held, kill, new]).is_err());
    assert!(told(&[kill, old]).is_err(), "nobody had asked for it");
    let receipt = |again| (true, Some(1), Act::Receive { receipt: 1, units: 4, again: Some(again) });
    assert!(told(&[kill, receipt(true)]).is_ok() && told(&[kill, receipt(false)]).is_err());
}
