//! Do the lanes turn? A lane ticks many times a second; one that does not is held up by something, and so is everything
//! that waits on it.

use std::time::{Duration, Instant};

/// A lane that has not ticked for this long hangs.
pub(super) const HANGS_AFTER: Duration = Duration::from_secs(5);

/// When each lane was last seen to have ticked.
#[derive(Debug)]
pub(super) struct Pulse {
    lanes: Vec<(u64, Instant)>,
}

impl Pulse {
    pub fn new(lanes: usize, now: Instant) -> Pulse {
        Pulse { lanes: vec![(0, now); lanes] }
    }

    /// Takes in how often each lane has ticked, and says which hang. One that has not started has not ticked.
    pub fn look(&mut self, beats: impl Iterator<Item = u64>, now: Instant) -> Vec<usize> {
        let mut hanging = Vec::new();
        for (lane, ((seen, at), beats)) in self.lanes.iter_mut().zip(beats).enumerate() {
            if beats == 0 || *seen != beats {
                (*seen, *at) = (beats, now);
            } else if now.duration_since(*at) >= HANGS_AFTER {
                hanging.push(lane);
            }
        }
        hanging
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [usize; 0] = [];

    #[test]
    fn a_lane_that_does_not_tick_hangs_and_may_come_back() {
        let start = Instant::now();
        let mut pulse = Pulse::new(3, start);
        let mut look = |beats: [u64; 3], seconds| pulse.look(beats.into_iter(), start + Duration::from_secs(seconds));
        assert_eq!(look([0, 1, 1], 0), NONE);
        assert_eq!(look([0, 2, 1], 4), NONE, "the first has not started");
        assert_eq!(look([0, 3, 1], 6), [2]);
        assert_eq!(look([1, 3, 2], 8), NONE, "it goes on");
        assert_eq!(look([1, 4, 2], 13), [0, 2]);
    }
}
