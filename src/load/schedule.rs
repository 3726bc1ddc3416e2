//! When each buyer arrives: fixed before the first one, so that a slow server cannot make the load wait for it.

use crate::load::scenario::Arrivals;
use std::time::Duration;

/// The moments of all arrivals, from the beginning of the run, in order.
#[derive(Debug, Clone)]
pub struct Schedule {
    stretches: Vec<Stretch>,
    expected: f64,
    next: u64,
    /// Index of the stretch that the next arrival is in.
    current: usize,
}

/// A time in which the rate moves evenly from one value to another.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    begins_at: f64,
    seconds: f64,
    from: f64,
    to: f64,
    /// Arrivals before it; not a whole number.
    before: f64,
}

impl Stretch {
    fn area(&self) -> f64 {
        (self.from + self.to) / 2.0 * self.seconds
    }

    /// Its rate so many seconds after its beginning.
    fn rate(&self, within: f64) -> f64 {
        self.from + (self.to - self.from) * within / self.seconds
    }

    /// When, from its beginning, `count` arrivals have come: the root of `from·t + (to − from)/(2·seconds)·t² = count`.
    fn when(&self, count: f64) -> f64 {
        let bend = (self.to - self.from) / (2.0 * self.seconds);
        let root = (self.from * self.from + 4.0 * bend * count).max(0.0).sqrt();
        if count <= 0.0 { 0.0 } else { (2.0 * count / (self.from + root)).min(self.seconds) }
    }
}

impl Schedule {
    /// The schedule of rates. Iterations come one after the other, whenever the one before is done: they have no moments
    /// of their own, only a number.
    #[must_use]
    pub fn new(arrivals: &Arrivals) -> Schedule {
        let mut schedule = Schedule { stretches: Vec::new(), expected: 0.0, next: 0, current: 0 };
        match arrivals {
            Arrivals::Iterations(count) => schedule.expected = f64::from(*count),
            Arrivals::Rates { start_rate, stages } => {
                let (mut begins_at, mut from) = (0.0, *start_rate);
                for stage in stages {
                    let before = schedule.expected;
                    let stretch = Stretch { begins_at, seconds: stage.seconds, from, to: stage.rate, before };
                    schedule.expected += stretch.area();
                    schedule.stretches.push(stretch);
                    (begins_at, from) = (begins_at + stage.seconds, stage.rate);
                }
            }
        }
        schedule
    }

    /// The area under the rates.
    #[must_use]
    pub fn expected(&self) -> f64 {
        self.expected
    }

    /// How many arrivals there are in all.
    #[must_use]
    pub fn arrivals(&self) -> u64 {
        self.expected.round() as u64
    }

    /// How many have come due so long after the beginning. Nothing: they come one after the other.
    #[must_use]
    pub fn due(&self, elapsed: Duration) -> Option<u64> {
        let elapsed = elapsed.as_secs_f64();
        let stretch = self.stretches.iter().rev().find(|stretch| stretch.begins_at <= elapsed)?;
        let within = (elapsed - stretch.begins_at).min(stretch.seconds);
        let area = (stretch.from + stretch.rate(within)) / 2.0 * within;
        // The first is due at once.
        Some(((stretch.before + area).floor() as u64 + 1).min(self.arrivals()))
    }

    /// Arrivals per second that are asked for so long after the beginning; 0 when it is over.
    #[must_use]
    pub fn rate(&self, elapsed: Duration) -> f64 {
        let elapsed = elapsed.as_secs_f64();
        let is_in = |stretch: &&Stretch| (stretch.begins_at..stretch.begins_at + stretch.seconds).contains(&elapsed);
        self.stretches.iter().find(is_in).map_or(0.0, |stretch| stretch.rate(elapsed - stretch.begins_at))
    }

    /// From the beginning to the end of the last stage.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.stretches.iter().map(|stretch| stretch.seconds).sum())
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.next >= self.arrivals() {
            return None;
        }
        let number = self.next as f64;
        loop {
            let stretch = self.stretches.get(self.current)?;
            let last = self.current + 1 == self.stretches.len();
            if last || number < stretch.before + stretch.area() {
                self.next += 1;
                return Some(Duration::from_secs_f64(stretch.begins_at + stretch.when(number - stretch.before)));
            }
            self.current += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::scenario::Stage;

    fn moments(start_rate: f64, stages: &[(f64, f64)]) -> Vec<f64> {
        let stages = stages.iter().map(|&(seconds, rate)| Stage { seconds, rate }).collect();
        let schedule = Schedule::new(&Arrivals::Rates { start_rate, stages });
        let count = schedule.arrivals();
        let moments: Vec<f64> = schedule.map(|moment| moment.as_secs_f64()).collect();
        assert_eq!(moments.len() as u64, count);
        assert!(moments.is_sorted(), "{moments:?}");
        moments
    }

    #[test]
    fn what_is_due_are_the_moments_that_have_passed() {
        let stages = [(4.0, 50.0), (2.0, 50.0), (3.0, 0.0)];
        let moments = moments(10.0, &stages);
        let stages = stages.iter().map(|&(seconds, rate)| Stage { seconds, rate }).collect();
        let schedule = Schedule::new(&Arrivals::Rates { start_rate: 10.0, stages });
        // Between two moments, where rounding decides nothing.
        for (number, pair) in moments.windows(2).enumerate() {
            let between = Duration::from_secs_f64((pair[0] + pair[1]) / 2.0);
            assert_eq!(schedule.due(between), Some(number as u64 + 1), "at {between:?}");
        }
        assert_eq!(schedule.due(Duration::from_secs(60)), Some(schedule.arrivals()));
        let rates = [0.0, 2.0, 5.0, 7.5, 9.0, 60.0].map(|at| schedule.rate(Duration::from_secs_f64(at)));
        assert_eq!(rates, [10.0, 30.0, 50.0, 25.0, 0.0, 0.0]);
        let one_by_one = Schedule::new(&Arrivals::Iterations(5));
        assert_eq!((one_by_one.due(Duration::from_secs(1)), one_by_one.rate(Duration::ZERO)), (None, 0.0));
    }

    #[test]
    fn a_constant_rate_is_evenly_spaced() {
        let moments = moments(200.0, &[(3.0, 200.0)]);
        assert_eq!(moments.len(), 600);
        for (number, moment) in moments.iter().enumerate() {
            assert!((moment - number as f64 / 200.0).abs() < 1e-6, "{number} at {moment}");
        }
    }

    #[test]
    fn a_ramp_has_the_area_under_it_and_gets_denser() {
        let moments = moments(0.0, &[(10.0, 100.0)]);
        assert_eq!(moments.len(), 500);
        // After t seconds 5·t² have come.
        for second in 1..=10 {
            let so_far = moments.iter().filter(|moment| **moment < f64::from(second)).count();
            assert!(so_far.abs_diff(5 * second as usize * second as usize) <= 1, "{so_far} in {second} s");
        }
    }

    #[test]
    fn a_spike_rises_holds_and_falls() {
        let moments = moments(10.0, &[(1.0, 500.0), (60.0, 500.0), (1.0, 0.0)]);
        assert_eq!(moments.len(), 255 + 30_000 + 250);
        let between = |from: f64, to: f64| moments.iter().filter(|moment| (from..to).contains(*moment)).count();
        assert!(between(0.0, 1.0).abs_diff(255) <= 1 && between(61.0, 62.01).abs_diff(250) <= 1);
        assert!((1..61).all(|second| between(f64::from(second), f64::from(second + 1)).abs_diff(500) <= 1));
    }

    #[test]
    fn nobody_comes_while_the_rate_is_zero() {
        let moments = moments(0.0, &[(5.0, 0.0), (1.0, 20.0), (3.0, 0.0)]);
        assert_eq!(moments.len(), 40);
        assert!(moments[0] >= 5.0 && moments[39] <= 9.0, "{moments:?}");
        assert!(self::moments(0.0, &[(5.0, 0.0)]).is_empty());
    }

    #[test]
    fn iterations_have_a_number_and_no_moments() {
        let mut schedule = Schedule::new(&Arrivals::Iterations(5));
        assert_eq!((schedule.arrivals(), schedule.length(), schedule.next()), (5, Duration::ZERO, None));
    }
}
