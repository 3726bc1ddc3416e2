//! S12: no wake-up of a lane is lost. The harbour is the very file of the shells, over primitives whose interleavings a
//! scheduler chooses: thousands at random, and all of the smallest case. Whoever waits for a wake-up that never comes is
//! a deadlock there. (Memory orders weaker than sequential are not tried; the harbour uses none.)
//!
//! Each test has a twin with two steps in the wrong order, which must be found out: else the test would see nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "what is spawned here is shuttle's")]

#[path = "../src/shell/harbour.rs"]
#[allow(dead_code, reason = "each part is used by some test")]
mod harbour;

/// Takes the place of `shell/sync.rs`.
mod sync {
    use shuttle::sync::MutexGuard;
    pub use shuttle::sync::atomic::{AtomicBool, Ordering, fence};
    use std::task::Waker;

    /// With the lock of parking_lot.
    pub struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Mutex<T> {
            Mutex(shuttle::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }

    /// What futures' own promises: the last one registered is woken, once.
    pub struct AtomicWaker(Mutex<Option<Waker>>);

    impl AtomicWaker {
        pub fn new() -> AtomicWaker {
            AtomicWaker(Mutex::new(None))
        }

        pub fn register(&self, waker: &Waker) {
            *self.0.lock() = Some(waker.clone());
        }

        pub fn wake(&self) {
            let waker = self.0.lock().take();
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

use harbour::Harbour;
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::{future, thread};
use std::future::poll_fn;
use std::task::{Poll, Waker};

const RUNS: usize = 2_000;

type Collect = fn(&Harbour<u32>, &Waker, &mut Vec<u32>);

/// Threads leave mail while a pump collects it, until it has everything.
fn mail_comes(threads: u32, pieces: u32, collect: Collect) {
    let harbour = Arc::new(Harbour::default());
    for thread in 0..threads {
        let harbour = Arc::clone(&harbour);
        thread::spawn(move || {
            (0..pieces).for_each(|piece| harbour.mail(std::iter::once(thread * pieces + piece)));
        });
    }
    let mut collected = Vec::new();
    future::block_on(poll_fn(|context| {
        collect(&harbour, context.waker(), &mut collected);
        if collected.len() < (threads * pieces) as usize { Poll::Pending } else { Poll::Ready(()) }
    }));
    collected.sort_unstable();
    assert_eq!(collected, (0..threads * pieces).collect::<Vec<_>>(), "each piece once");
}

#[test]
fn s12_mail_always_wakes_the_pump() {
    shuttle::check_dfs(|| mail_comes(1, 1, Harbour::collect), None);
    shuttle::check_random(|| mail_comes(2, 3, Harbour::collect), RUNS);
    shuttle::check_pct(|| mail_comes(3, 2, Harbour::collect), RUNS, 3);
}

/// Clears the flag after emptying the inbox: mail in between wakes nobody.
fn empties_first(harbour: &Harbour<u32>, waker: &Waker, into: &mut Vec<u32>) {
    harbour.waker.register(waker);
    into.append(&mut harbour.inbox.lock());
    harbour.flag.store(false, Ordering::SeqCst);
}

#[test]
#[should_panic(expected = "deadlock")]
fn s12_a_flag_cleared_too_late_is_found_out() {
    shuttle::check_random(|| mail_comes(2, 3, empties_first), RUNS);
}

/// Registers itself last: whoever comes before finds nobody to wake, and says no more that there is something.
fn registers_last(harbour: &Harbour<u32>, waker: &Waker, into: &mut Vec<u32>) {
    harbour.flag.store(false, Ordering::SeqCst);
    into.append(&mut harbour.inbox.lock());
    harbour.waker.register(waker);
}

#[test]
#[should_panic(expected = "deadlock")]
fn s12_a_pump_that_registers_too_late_is_found_out() {
    shuttle::check_random(|| mail_comes(2, 3, registers_last), RUNS);
}

/// A lane holds an answer back until `RESTS_ON` is committed, as `Lane::answer` and `Lane::let_go_committed` do it,
/// while the log commits one position after the other.
fn an_answer_waits(looks_first: bool) {
    const RESTS_ON: u64 = 2;
    let harbours = Arc::new([Harbour::<u32>::default()]);
    let position = Arc::new(AtomicU64::new(0));
    let log = {
        let (harbours, position) = (Arc::clone(&harbours), Arc::clone(&position));
        thread::spawn(move || {
            for committed in 1..=RESTS_ON {
                position.store(committed, Ordering::SeqCst);
                Harbour::committed(&harbours[..]);
            }
        })
    };
    let harbour = &harbours[0];
    let is_committed = || position.load(Ordering::SeqCst) >= RESTS_ON;
    let mut asked = false;
    future::block_on(poll_fn(|context| {
        harbour.collect(context.waker(), &mut Vec::new());
        // Each turn lets go what is committed; the answer comes in the first one.
        let mut free = asked && is_committed();
        if !asked {
            asked = true;
            if looks_first {
                free = is_committed();
                harbour.set_awaits_commit(!free);
            } else {
                harbour.set_awaits_commit(true);
                free = is_committed();
            }
        }
        if !free {
            return Poll::Pending;
        }
        harbour.set_awaits_commit(false);
        Poll::Ready(())
    }));
    assert!(is_committed(), "no answer leaves before its commit");
    log.join().unwrap();
}

#[test]
fn s12_a_commit_always_lets_its_answers_go() {
    shuttle::check_dfs(|| an_answer_waits(false), None);
    shuttle::check_pct(|| an_answer_waits(false), RUNS, 3);
}

#[test]
#[should_panic(expected = "deadlock")]
fn s12_a_lane_that_looks_before_it_says_that_it_waits_is_found_out() {
    shuttle::check_random(|| an_answer_waits(true), RUNS);
}
