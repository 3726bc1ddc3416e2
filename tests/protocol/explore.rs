//! All that can happen to two processes, three frames each, one roll: every crash, every lost or late statement, every
//! order of steps, so every pause as well.

use crate::database::Rules;
use crate::process::Role;
use crate::world::{Action, Fate, World};
use foldhash::fast::FixedState;
use std::collections::HashSet;
use std::hash::BuildHasher;

const FRAMES: u8 = 3;
const ROLL_AT: u64 = 2;

/// How much may go wrong in one history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Budget {
    unknown: u8,
    crashes: u8,
    trims: u8,
}

const BUDGET: Budget = Budget { unknown: 2, crashes: 1, trims: 1 };

/// How many different states there are, or the history that breaks a promise.
fn explore(rules: Rules, budget: Budget) -> Result<usize, (Vec<Action>, String)> {
    // Two hashes of 64 bits: that two states share both is out of the question for some millions of them.
    let (one, other) = (FixedState::with_seed(1), FixedState::with_seed(2));
    let mut seen: HashSet<(u64, u64), FixedState> = HashSet::default();
    let mut open = vec![(World::new(2, FRAMES), budget, Vec::new())];
    while let Some((world, budget, history)) = open.pop() {
        for (action, left) in actions(&world, budget) {
            let mut next = world.clone();
            let outcome = next.act(action, rules, ROLL_AT);
            let history = || history.iter().copied().chain([action]).collect::<Vec<_>>();
            if let Err(what) = outcome {
                return Err((history(), what));
            }
            if seen.insert((one.hash_one((&next, left)), other.hash_one((&next, left)))) {
                open.push((next, left, history()));
            }
        }
    }
    Ok(seen.len())
}

fn actions(world: &World, budget: Budget) -> Vec<(Action, Budget)> {
    let mut actions = Vec::new();
    for (index, process) in world.processes.iter().enumerate() {
        if process.role == Role::Down {
            if process.starts < 2 - index as u8 {
                actions.push((Action::Start(index), budget));
            }
            continue;
        }
        if process.clone().send(ROLL_AT).is_some() {
            actions.push((Action::Send(index, Fate::Answered), budget));
            if budget.unknown > 0 {
                let left = Budget { unknown: budget.unknown - 1, ..budget };
                for fate in [Fate::AnswerLost, Fate::Lost, Fate::Delayed] {
                    actions.push((Action::Send(index, fate), left));
                }
            }
        }
        if budget.crashes > 0 {
            actions.push((Action::Crash(index), Budget { crashes: budget.crashes - 1, ..budget }));
        }
        if budget.trims > 0 && matches!(process.role, Role::Owning(_)) {
            actions.push((Action::Checkpoint(index), budget));
        }
    }
    actions.extend((0..world.late.len()).map(|index| (Action::Arrive(index), budget)));
    if budget.trims > 0 {
        let left = Budget { trims: budget.trims - 1, ..budget };
        actions.extend(world.database.trimmable().map(|bucket| (Action::Trim(bucket), left)));
    }
    actions
}

#[test]
fn nothing_breaks_a_promise() {
    match explore(Rules::ALL, BUDGET) {
        Ok(states) => {
            println!("{states} states, every promise kept in each");
            assert!(states > 100_000, "only {states} states: nothing was explored");
        }
        Err((history, what)) => panic!("{what}\n{history:#?}"),
    }
}

/// Each part of each condition is there for a history that breaks a promise without it.
#[test]
fn without_a_condition_a_promise_breaks() {
    let all = Rules::ALL;
    let mutants = [
        ("epoch", Rules { epoch: false, ..all }, BUDGET),
        ("head", Rules { head: false, ..all }, BUDGET),
        ("open bucket in the fence", Rules { fence_open: false, ..all }, BUDGET),
        ("headers are kept", Rules { keep_headers: false, ..all }, BUDGET),
    ];
    for (name, rules, budget) in mutants {
        match explore(rules, budget) {
            Ok(states) => {
                panic!("without {name} nothing breaks in {states} states: it is not needed, or not looked at")
            }
            Err((history, what)) => println!("without {name}: {what} (after {} steps)", history.len()),
        }
    }
}
