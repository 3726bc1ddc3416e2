//! The generic cell rate algorithm: a subject owes one interval of time per request, and may owe at most a window.
//!
//! All that is kept of a subject is until when it owes, one number. Times and debts are in microseconds.

use super::{Policy, Standing};
use crate::config::Quota;
use std::time::Duration;

/// A quota in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    quota: Quota,
    /// What one request adds to the debt.
    pub interval: u64,
    /// The most that may be owed.
    pub window: u64,
}

impl From<Quota> for Terms {
    fn from(quota: Quota) -> Terms {
        let window = u64::from(quota.seconds) * 1_000_000;
        // Rounded down, so that the whole quota fits into the window.
        Terms { quota, interval: window / u64::from(quota.requests), window }
    }
}

impl Terms {
    /// What is owed at `now` by whoever owes until `until`. Never more than a window: a clock that was set back makes
    /// nobody wait longer.
    #[must_use]
    pub fn debt(self, until: u64, now: u64) -> u64 {
        until.saturating_sub(now).min(self.window)
    }

    /// May a request be added to this debt?
    #[must_use]
    pub fn allows(self, debt: u64) -> bool {
        debt + self.interval <= self.window
    }

    /// What a debt means.
    pub(super) fn standing(self, policy: Policy, debt: u64) -> Standing {
        let debt = debt.min(self.window);
        let remaining = ((self.window - debt) / self.interval).min(u64::from(self.quota.requests));
        Standing {
            policy,
            quota: self.quota,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset: Duration::from_micros(debt),
            wait: Duration::from_micros((debt + self.interval).saturating_sub(self.window)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How many of these requests, at such times, are let through.
    fn allowed(terms: Terms, times: impl Iterator<Item = u64>) -> u64 {
        let mut until = 0;
        times
            .filter(|now| {
                let debt = terms.debt(until, *now);
                let allowed = terms.allows(debt);
                if allowed {
                    until = now + debt + terms.interval;
                }
                allowed
            })
            .count() as u64
    }

    #[test]
    fn a_burst_gets_the_quota_and_a_stream_the_rate() {
        let terms = Terms::from(Quota { requests: 20, seconds: 1 });
        assert_eq!(allowed(terms, std::iter::repeat_n(5, 1000)), 20);
        // Ten seconds, a request each millisecond: the burst, and 20 per second.
        assert_eq!(allowed(terms, (0..10_000).map(|ms| ms * 1_000)), 20 + 199);
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        let terms = Terms::from(Quota { requests: 4, seconds: 2 });
        let full = terms.standing(Policy::Buyer, 2_000_000);
        assert_eq!((full.remaining, full.wait, full.reset), (0, Duration::from_millis(500), Duration::from_secs(2)));
        let one = terms.standing(Policy::Buyer, 1_400_000);
        assert_eq!((one.remaining, one.wait), (1, Duration::ZERO));
    }

    proptest! {
        #[test]
        fn the_whole_quota_fits_and_no_more(requests in 1u32..=10_000, seconds in 1u32..=60) {
            let terms = Terms::from(Quota { requests, seconds });
            let burst = allowed(terms, std::iter::repeat_n(7, requests as usize * 2));
            // Rounding may add one in a hundred where many requests share few microseconds.
            prop_assert!((u64::from(requests)..=u64::from(requests) * 101 / 100).contains(&burst), "{burst}");
        }

        #[test]
        fn who_waits_as_long_as_told_is_let_through(requests in 1u32..100, seconds in 1u32..10, debt in 0u64..20_000_000) {
            let terms = Terms::from(Quota { requests, seconds });
            let standing = terms.standing(Policy::Address, debt);
            let waited = u64::try_from(standing.wait.as_micros()).unwrap_or(u64::MAX);
            prop_assert!(terms.allows(terms.debt(debt, 0).saturating_sub(waited)));
        }
    }
}
