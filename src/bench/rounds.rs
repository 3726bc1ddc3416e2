//! Rounds: measured one after the other, between two looks at the machine. A round whose disk was not the same afterwards,
//! whose cores were taken away, or that says of itself that it proves nothing, does not count; a bounded number of further
//! ones makes up for it.

use crate::bench::figure::{Figure, Sample, Spec};
use crate::bench::process::Cores;
use crate::demo::live::note;
use crate::disk::SyncTimes;
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A disk whose median time of a sync changed by more than this factor during a round was not the same disk.
const UNSTEADY: f64 = 2.0;
/// More than this part of the cores' time went to somebody else's machine: then it was not this one that was measured.
const STOLEN: f64 = 0.05;
/// Syncs of one look at the disk.
const SYNCS: usize = 400;
/// Longest look.
const PATIENCE: Duration = Duration::from_secs(2);

/// What one round said: one sample per figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// In the order of the figures.
    pub samples: Vec<Sample>,
    /// Why it does not count.
    pub void: Option<String>,
}

impl From<Vec<Sample>> for Round {
    fn from(samples: Vec<Sample>) -> Round {
        Round { samples, void: None }
    }
}

impl From<Sample> for Round {
    fn from(sample: Sample) -> Round {
        Round { samples: vec![sample], void: None }
    }
}

/// The machine at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Median of a 4 KiB write and its sync.
    pub p50: Duration,
    /// Its 99th percentile.
    pub p99: Duration,
    /// Of the cores.
    pub cores: Cores,
}

/// Looks at the disk of a directory.
#[derive(Debug)]
pub struct Probe {
    directory: PathBuf,
}

impl Probe {
    /// The disk of this directory.
    #[must_use]
    pub fn new(directory: &Path) -> Probe {
        Probe { directory: directory.to_owned() }
    }

    /// Writes and syncs for a moment; blocks.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn look(&self) -> anyhow::Result<Look> {
        let path = self.directory.join(format!("probe-{:08x}", rand::random::<u32>()));
        let times = SyncTimes::measure(&path, SYNCS, PATIENCE);
        // It may never have been made.
        let _ = std::fs::remove_file(&path);
        let times = times.with_context(|| format!("cannot write to {}", path.display()))?;
        Ok(Look { p50: times.at(50), p99: times.at(99), cores: Cores::now() })
    }
}

/// The rounds of some figures that are measured together.
#[derive(Debug)]
pub struct Tally {
    wanted: usize,
    valid: Vec<Vec<Sample>>,
    discarded: usize,
}

impl Tally {
    /// So many valid rounds are wanted.
    #[must_use]
    pub fn new(wanted: usize) -> Tally {
        Tally { wanted: wanted.max(1), valid: Vec::new(), discarded: 0 }
    }

    /// Is another round due? As many again as are wanted may be discarded, and one more.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        self.valid.len() < self.wanted && self.discarded <= self.wanted
    }

    /// Takes a round in; why it does not count, when it does not.
    pub fn take(&mut self, mut round: Round, before: Look, after: Look) -> Option<String> {
        let why = round.void.take().or_else(|| unsteady(before, after)).or_else(|| stolen(before, after));
        if why.is_some() {
            self.discarded += 1;
            return why;
        }
        let us = |one: Duration, other: Duration| (one + other).as_secs_f64() * 5e5;
        for sample in &mut round.samples {
            sample.detail.push(("fdatasync_p50_us", us(before.p50, after.p50)));
            sample.detail.push(("fdatasync_p99_us", us(before.p99, after.p99)));
        }
        self.valid.push(round.samples);
        None
    }

    /// Fewer than half of the rounds wanted are valid.
    #[must_use]
    pub fn is_void(&self) -> bool {
        self.valid.len() * 2 < self.wanted
    }

    /// What the rounds said about each figure.
    #[must_use]
    pub fn figures(&self, specs: &'static [Spec]) -> Vec<(&'static Spec, Figure)> {
        let of = |(index, spec): (usize, &'static Spec)| {
            let samples: Vec<&Sample> = self.valid.iter().filter_map(|round| round.get(index)).collect();
            (spec, Figure::of(spec, &samples, self.discarded, self.is_void()))
        };
        specs.iter().enumerate().map(of).collect()
    }
}

fn unsteady(before: Look, after: Look) -> Option<String> {
    let (one, other) = (before.p50.as_secs_f64(), after.p50.as_secs_f64());
    let factor = one.max(other) / one.min(other).max(1e-9);
    (factor > UNSTEADY)
        .then(|| format!("the disk was unsteady: fdatasync p50 {:.2?} before and {:.2?} after", before.p50, after.p50))
}

fn stolen(before: Look, after: Look) -> Option<String> {
    let part = after.cores.stolen_since(before.cores);
    (part > STOLEN).then(|| format!("{:.0} % of the cores' time went to another machine", part * 100.0))
}

/// Plays rounds until there are as many valid ones as wanted, or too many were discarded.
///
/// # Errors
/// Those of a round, which ends the measurement, and those of the disk.
pub async fn play(
    specs: &'static [Spec],
    wanted: usize,
    probe: &Probe,
    mut round: impl AsyncFnMut() -> anyhow::Result<Round>,
) -> anyhow::Result<Vec<(&'static Spec, Figure)>> {
    let mut tally = Tally::new(wanted);
    let name = specs.first().map_or("", |spec| spec.name);
    let mut before = probe.look()?;
    while tally.wants_more() {
        let played = round().await.with_context(|| name.to_owned())?;
        let after = probe.look()?;
        let values: Vec<String> = played.samples.iter().map(|sample| format!("{:.4}", sample.value)).collect();
        match tally.take(played, before, after) {
            None => note(&format!("{name}: {}", values.join(", "))),
            Some(why) => note(&format!("{name}: {}, discarded: {why}", values.join(", "))),
        }
        before = after;
    }
    Ok(tally.figures(specs))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a panic is how a test fails

    use super::*;
    use crate::bench::figure::Rounded;

    const SPECS: &[Spec] = &[
        Spec { name: "one", unit: "ratio", bar: None, what: "" },
        Spec { name: "other", unit: "ratio", bar: None, what: "" },
    ];

    fn look(p50: u64) -> Look {
        Look { p50: Duration::from_micros(p50), p99: Duration::from_micros(10 * p50), cores: Cores::default() }
    }

    fn round(value: f64) -> Round {
        vec![Sample::new(value), Sample::new(-value)].into()
    }

    #[test]
    fn a_round_on_an_unsteady_disk_does_not_count_whichever_way_it_changed() {
        let mut tally = Tally::new(5);
        assert_eq!(tally.take(round(1.0), look(100), look(200)), None);
        assert!(tally.take(round(2.0), look(100), look(201)).unwrap().contains("unsteady"));
        assert!(tally.take(round(3.0), look(201), look(100)).is_some());
        let figures = tally.figures(SPECS);
        assert_eq!((figures[0].1.rounds, figures[0].1.discarded), (1, 2));
    }

    #[test]
    fn a_round_whose_cores_were_taken_away_does_not_count() {
        let after = |all, stolen| Look { cores: Cores { all, stolen }, ..look(100) };
        let mut tally = Tally::new(5);
        assert_eq!(tally.take(round(1.0), look(100), after(1_000, 50)), None);
        assert!(tally.take(round(1.0), look(100), after(1_000, 51)).unwrap().contains("5 % of the cores"));
    }

    #[test]
    fn a_round_that_proves_nothing_does_not_count() {
        let mut tally = Tally::new(1);
        let void = Round { void: Some("the generator was busy".into()), ..round(1.0) };
        assert_eq!(tally.take(void, look(1), look(1)).unwrap(), "the generator was busy");
        assert!(tally.wants_more());
    }

    #[test]
    fn further_rounds_are_bounded_and_too_few_valid_ones_are_void() {
        let mut tally = Tally::new(5);
        let mut played = 0;
        while tally.wants_more() {
            let after = if played % 3 == 0 { look(100) } else { look(500) };
            tally.take(round(1.0), look(100), after);
            played += 1;
        }
        assert_eq!((played, tally.valid.len(), tally.discarded), (9, 3, 6));
        assert!(!tally.is_void(), "three of five will do");

        let mut tally = Tally::new(5);
        while tally.wants_more() {
            tally.take(round(1.0), look(100), look(500));
        }
        assert_eq!(tally.discarded, 6);
        assert!(tally.is_void() && tally.figures(SPECS)[0].1.void);
    }

    #[test]
    fn as_many_as_wanted_are_enough_and_every_figure_has_its_own_value() {
        let mut tally = Tally::new(3);
        for value in [1.0, 3.0, 2.0] {
            assert!(tally.wants_more());
            tally.take(round(value), look(100), look(140));
        }
        assert!(!tally.wants_more());
        let figures = tally.figures(SPECS);
        assert_eq!(figures.iter().map(|(spec, _)| spec.name).collect::<Vec<_>>(), ["one", "other"]);
        assert_eq!(figures[0].1.median, Some(Rounded(2.0)));
        assert_eq!(figures[1].1.median, Some(Rounded(-2.0)));
        assert_eq!(figures[0].1.detail["fdatasync_p50_us"], Rounded(120.0));
    }

    #[test]
    fn a_real_disk_can_be_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        let look = Probe::new(directory.path()).look().unwrap();
        assert!(look.p50 <= look.p99 && look.p99 > Duration::ZERO);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "it leaves nothing behind");
    }
}
