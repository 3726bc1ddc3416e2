//! Damages directories that servers have left, one thing at a time, and starts on them: either the start is refused and
//! says why, or everything that was acknowledged is there. Most cases run in this process, on the library's own opening,
//! recovery and verification; one in a hundred goes through the real program as well.

mod damage;
mod judge;
mod real;
mod template;

use damage::Damage;
use judge::Verdict;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use template::{Made, Template};

/// One case in so many goes through the real program.
const REAL_EVERY: u64 = 100;

/// What to do.
pub struct Options {
    pub program: PathBuf,
    pub cases: u64,
    pub seed: u64,
    /// Only this one.
    pub case: Option<u64>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Counts {
    verdicts: BTreeMap<(bool, Verdict), u64>,
    real: u64,
    violations: u64,
}

impl Counts {
    pub fn violations(&self) -> u64 {
        self.violations
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} corruptions", self.verdicts.values().sum::<u64>())?;
        for (crashed, name) in [(false, "after a clean stop"), (true, "after a crash")] {
            write!(f, "; {name}:")?;
            let of_this = self.verdicts.iter().filter(|((after, _), _)| *after == crashed);
            for (index, ((_, verdict), count)) in of_this.enumerate() {
                write!(f, "{} {count} {}", if index == 0 { "" } else { "," }, verdict.words())?;
            }
        }
        write!(f, "; {} also through the real program; {} violations", self.real, self.violations)
    }
}

/// Draws, damages and judges so many cases.
pub async fn run(options: &Options) -> anyhow::Result<Counts> {
    let mut made = Vec::new();
    for plan in template::PLANS {
        made.push(template::make(&options.program, plan, options.seed).await?);
    }
    let templates: Vec<&Template> = made.iter().map(|made| &made.template).collect();
    let counts = Mutex::new(Counts::default());
    let room = tempfile::Builder::new().prefix("stampede-corrupt-").tempdir_in(crate::fast_disk())?;
    // What a damaged file makes panic is caught, judged and told in one line.
    std::panic::set_hook(Box::new(|_| {}));
    let cases = options.case.map_or(0..options.cases, |case| case..case + 1);
    let next = AtomicU64::new(cases.start);
    std::thread::scope(|scope| {
        for worker in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let (templates, next, counts, cases) = (&templates, &next, &counts, &cases);
            let room = room.path().join(worker.to_string());
            scope.spawn(move || {
                while let Some(case) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|case| cases.contains(case)) {
                    let (template, damage) = draw(templates, options.seed, case);
                    let outcome = judge::judge(template, &damage, &room);
                    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                    match outcome {
                        Ok(verdict) => {
                            *counts.verdicts.entry((template.crashed, verdict)).or_default() += 1;
                            if options.case.is_some() {
                                println!("{}: {damage}: {}", template.name, verdict.words());
                            }
                        }
                        Err(why) => tell(&mut counts, options.seed, case, template, &damage, &why),
                    }
                }
            });
        }
    });
    let mut counts = counts.into_inner().unwrap_or_else(PoisonError::into_inner);
    let _ = std::panic::take_hook();
    for case in cases.filter(|case| case % REAL_EVERY == 0 || options.case.is_some()) {
        through_the_program(options, &made, case, &mut counts).await;
    }
    Ok(counts)
}

/// The same seed and case: the same damage to the same kind of directory.
fn draw<'a>(templates: &[&'a Template], seed: u64, case: u64) -> (&'a Template, Damage) {
    let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(case));
    let template = templates[usize::try_from(case).unwrap_or_default() % templates.len()];
    (template, Damage::draw(template, &mut rng))
}

async fn through_the_program(options: &Options, made: &[Made], case: u64, counts: &mut Counts) {
    let templates: Vec<&Template> = made.iter().map(|made| &made.template).collect();
    let (template, damage) = draw(&templates, options.seed, case);
    let made = made.iter().find(|made| std::ptr::eq(&made.template, template));
    counts.real += 1;
    let outcome = match made {
        Some(made) => real::judge(&options.program, made, &damage).await,
        None => Ok(()),
    };
    if let Err(why) = outcome {
        tell(counts, options.seed, case, template, &damage, &format!("through the program: {why:#}"));
    }
}

fn tell(counts: &mut Counts, seed: u64, case: u64, template: &Template, damage: &Damage, why: &str) {
    counts.violations += 1;
    println!("VIOLATION  --seed {seed} --case {case}, {}: {damage}: {why}", template.name);
}
