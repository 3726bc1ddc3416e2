//! When to flush. Each flush costs the same whatever it carries, so that under load a frame waits a little for company:
//! until as many records wait as the last one carried, or a bound has passed. With a few clients it never waits.

use stampede_actors::time::{Span, Timestamp};

/// As many records in a frame, with none waiting behind it, are no load.
const FEW: u64 = 4;
/// Under load at most one part in so many of the time is spent writing: a frame waits up to this many sync times.
const SYNC_SHARE: i64 = 4;
/// After waiting in vain for more than the last frame carried, so many frames go by before the next try.
const REST: u32 = 32;
/// Weight of the newest measurement in the smoothed one: one part in so many.
const SMOOTHING: i64 = 8;

/// The pace of one log.
#[derive(Debug)]
pub struct Pace {
    cap: Span,
    /// Records to wait for.
    want: u64,
    /// Smoothed time of a flush, in microseconds.
    sync: i64,
    /// Frames until it is tried again whether more come.
    rest: u32,
    last_began: Timestamp,
}

/// A flush that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Flush {
    /// Records in it.
    pub carried: u64,
    /// Records that came while it ran.
    pub left: u64,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
}

impl Pace {
    /// Waits at most `cap`.
    #[must_use]
    pub fn new(cap: Span) -> Pace {
        Pace { cap, want: 1, sync: 0, rest: 0, last_began: Timestamp::ZERO }
    }

    /// How many records to wait for.
    #[must_use]
    pub fn want(&self) -> u64 {
        self.want
    }

    /// Smoothed time of a flush.
    #[must_use]
    pub fn sync(&self) -> Span {
        Span(self.sync)
    }

    /// Until when to wait for more than the `waiting` records, the first of which was seen at `since`; `None`: flush.
    #[must_use]
    pub fn wait(&self, waiting: u64, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let until = since.plus(Span(self.cap.0.min(SYNC_SHARE * self.sync)));
        (waiting < self.want && now < until).then_some(until)
    }

    /// Learns from a flush.
    pub fn flushed(&mut self, flush: &Flush) {
        let took = flush.ended.since(flush.began).0;
        self.sync = if self.sync == 0 { took } else { self.sync + (took - self.sync) / SMOOTHING };
        let cycle = flush.began.since(self.last_began).0;
        self.last_began = flush.began;
        if flush.left == 0 && flush.carried <= FEW {
            self.want = 1;
            return;
        }
        let in_vain = flush.carried < self.want;
        self.want = flush.carried;
        if in_vain {
            self.rest = REST;
        } else if self.rest > 0 {
            self.rest -= 1;
        } else if cycle < SYNC_SHARE * self.sync {
            // Any size that comes faster than it is flushed would stay as it is: try a larger one.
            self.want += flush.carried / 4 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: i64 = 100;

    /// Runs `clients` that each wait for their answer, think for `think` µs one after the other (one CPU), and ask again.
    /// Answers records per flush and the longest wait for company, both after it has settled.
    fn closed_loop(clients: u64, think: i64) -> (u64, i64) {
        let mut pace = Pace::new(Span(400));
        let (mut now, mut flushes, mut records, mut longest) = (Timestamp(1), 0, 0, 0);
        let mut arrivals: std::collections::VecDeque<i64> = (1..=clients as i64).map(|i| i * think).collect();
        while flushes < 2_000 {
            let first = arrivals[0].max(now.0);
            now = Timestamp(first);
            let waiting = |now: Timestamp| arrivals.iter().filter(|&&at| at <= now.0).count() as u64;
            while pace.wait(waiting(now), Timestamp(first), now).is_some() {
                now = now.plus(Span(1));
            }
            let (carried, began) = (waiting(now), now);
            arrivals.drain(..carried as usize);
            now = now.plus(Span(SYNC));
            let busy_until = arrivals.back().copied().unwrap_or(0).max(now.0);
            arrivals.extend((1..=carried as i64).map(|i| busy_until + i * think));
            pace.flushed(&Flush {
                carried,
                left: arrivals.iter().filter(|&&at| at <= now.0).count() as u64,
                began,
                ended: now,
            });
            flushes += 1;
            if flushes > 1_000 {
                records += carried;
                longest = longest.max(began.0 - first);
            }
        }
        (records / 1_000, longest)
    }

    #[test]
    fn one_client_never_waits() {
        assert_eq!(closed_loop(1, 10), (1, 0));
        assert_eq!(closed_loop(1, 1_000), (1, 0));
    }

    #[test]
    fn under_load_a_frame_carries_what_comes_in_a_few_sync_times() {
        let (carried, waited) = closed_loop(64, 10);
        assert!((25..=64).contains(&carried), "{carried}");
        assert!(waited <= 400, "{waited}");
    }

    #[test]
    fn when_everybody_waits_for_the_log_it_seldom_waits_for_more() {
        let (carried, _) = closed_loop(8, 10);
        assert!((4..=8).contains(&carried), "{carried}");
    }

    #[test]
    fn the_wait_is_bounded_by_cap_and_sync_time() {
        let mut pace = Pace::new(Span(400));
        let flush =
            |at: i64, took: i64| Flush { carried: 50, left: 9, began: Timestamp(at), ended: Timestamp(at + took) };
        pace.flushed(&flush(1_000, 10));
        assert_eq!(pace.wait(1, Timestamp(2_000), Timestamp(2_000)), Some(Timestamp(2_040)));
        assert_eq!(pace.wait(1, Timestamp(2_000), Timestamp(2_040)), None);
        (2..50).for_each(|i| pace.flushed(&flush(i * 10_000, 5_000)));
        assert_eq!(pace.wait(1, Timestamp(0), Timestamp(0)), Some(Timestamp(400)), "the cap");
    }
}
