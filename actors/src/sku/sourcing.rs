//! Which locations serve a hold: a rule that can be replaced.

use super::state::LocationStock;
use super::{Part, Units};
use std::cmp::Reverse;
use std::fmt;

/// Decides where, never whether: it is asked only when enough units are available, and must place them all, so that
/// what availability says is what a hold gets.
pub trait Sourcing: fmt::Debug + Send + Sync {
    /// Parts that add up to `units`, none more than its location has available. A line may be split.
    fn choose(&self, locations: &[LocationStock], units: Units) -> Vec<Part>;
}

/// The default: lower priority first, then most stock, then the smaller id. Among locations of one priority, one that
/// can serve everything is thus preferred, and a line is split only when none can.
#[derive(Debug, Clone, Copy, Default)]
pub struct ByPriority;

impl Sourcing for ByPriority {
    fn choose(&self, locations: &[LocationStock], units: Units) -> Vec<Part> {
        let candidates = || locations.iter().filter(|location| location.available() > 0);
        let rank = |location: &&LocationStock| (location.priority, Reverse(location.available()));
        let by_rank =
            |a: &&LocationStock, b: &&LocationStock| rank(a).cmp(&rank(b)).then_with(|| a.location.cmp(&b.location));
        // Nearly always the first location has everything.
        if let Some(first) = candidates().min_by(by_rank)
            && first.available() >= units
        {
            return vec![Part { location: first.location.clone(), units }];
        }
        let mut sorted: Vec<&LocationStock> = candidates().collect();
        sorted.sort_by(by_rank);
        let mut wanted = units;
        let mut parts = Vec::new();
        for location in sorted {
            let taken = location.available().min(wanted);
            if taken > 0 {
                parts.push(Part { location: location.location.clone(), units: taken });
            }
            wanted -= taken;
        }
        parts
    }
}
