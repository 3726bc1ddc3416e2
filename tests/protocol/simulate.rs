//! Long histories at random, from seeds: many more frames, rolls, processes, lost answers and pauses than can be explored
//! whole. `STAMPEDE_SEED` repeats one.

use crate::database::Rules;
use crate::process::Role;
use crate::world::{Action, Fate, World};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const UNKNOWN: u64 = 10_000;
const PAUSES: u64 = 10_000;
const STEPS: usize = 600;
const ROLL_AT: u64 = 3;

#[derive(Debug, Default)]
struct Totals {
    seeds: u64,
    unknown: u64,
    /// Owners that slept through somebody else's take-over and then went on.
    zombies: u64,
    late: u64,
    crashes: u64,
    takeovers: u64,
    frames: u64,
    fenced: u64,
    rolls: u64,
    trims: u64,
}

fn run(seed: u64, totals: &mut Totals) -> Result<(), String> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::new(3, 60);
    // A process stands still until this step.
    let mut asleep = [0_usize; 3];
    for step in 0..STEPS {
        let index = random.random_range(0..3);
        let action = match random.random_range(0..100) {
            0 if !world.late.is_empty() => Action::Arrive(random.random_range(0..world.late.len())),
            1..=6 if !world.late.is_empty() => Action::Arrive(0),
            7 => Action::Checkpoint(index),
            8 => match world.database.trimmable().next() {
                Some(bucket) => Action::Trim(bucket),
                None => continue,
            },
            9 if random.random_bool(0.2) && world.processes[index].role != Role::Down => Action::Crash(index),
            10 | 11 => {
                asleep[index] = step + random.random_range(1..40);
                continue;
            }
            _ if step < asleep[index] => continue,
            _ if world.processes[index].role == Role::Down => {
                // Seldom, or nobody would ever own it for long.
                if !random.random_bool(0.15) {
                    continue;
                }
                Action::Start(index)
            }
            _ => Action::Send(index, fate(&mut random, world.late.len())),
        };
        totals.note(&world, action);
        let counts =
            world.act(action, Rules::ALL, ROLL_AT).map_err(|what| format!("step {step}, {action:?}: {what}"))?;
        totals.frames += counts.acknowledged;
        totals.takeovers += counts.takeovers;
        totals.fenced += counts.fenced;
    }
    totals.rolls += world.database.headers.len() as u64 - 1;
    Ok(())
}

fn fate(random: &mut StdRng, late: usize) -> Fate {
    match random.random_range(0..10) {
        0 => Fate::AnswerLost,
        1 => Fate::Lost,
        2 if late < 6 => Fate::Delayed,
        _ => Fate::Answered,
    }
}

impl Totals {
    fn note(&mut self, world: &World, action: Action) {
        match action {
            Action::Send(index, fate) => {
                self.unknown += u64::from(fate != Fate::Answered);
                // Answered, it stops: so each is counted once.
                self.zombies += u64::from(fate == Fate::Answered && world.is_zombie(index));
            }
            Action::Arrive(_) => self.late += 1,
            Action::Crash(_) => self.crashes += 1,
            Action::Trim(_) => self.trims += 1,
            Action::Start(_) | Action::Checkpoint(_) => {}
        }
    }
}

#[test]
fn ten_thousand_unknown_outcomes_and_ten_thousand_zombies() {
    let repeat = std::env::var("STAMPEDE_SEED").ok().map(|seed| seed.parse::<u64>().expect("a number"));
    let mut totals = Totals::default();
    let mut seed = repeat.unwrap_or(1);
    while totals.unknown < UNKNOWN || totals.zombies < PAUSES {
        if let Err(what) = run(seed, &mut totals) {
            panic!("STAMPEDE_SEED={seed}: {what}");
        }
        totals.seeds += 1;
        seed += 1;
        if repeat.is_some() {
            break;
        }
        assert!(totals.seeds < 100_000, "it does not come to it: {totals:?}");
    }
    println!("0 violations: {totals:?}");
    assert!(totals.trims > 100 && totals.rolls > 1_000 && totals.late > 1_000, "too little went on: {totals:?}");
}
