//! Rate limits by buyer, API key and address: how often one of them may ask.
//!
//! Every process counts for itself ([`local`]), in bounded memory. With Redis ([`shared`]) the limits hold over all
//! servers that share it: one script, one round trip, after this process's own count has nothing against it. Without an
//! answer from there the own count decides alone. Both count the same way ([`gcra`]). No order rests on any of this.

pub mod gcra;
mod local;
mod shared;

use crate::cache::Link;
use crate::config::{Config, Quota};
use gcra::Terms;
use local::Local;
use shared::Shared;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Whose requests are counted. The order is that in which counts are locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// Who buys.
    Buyer,
    /// Whose API key.
    ApiKey,
    /// From which address.
    Address,
}

impl Policy {
    /// All of them.
    pub const ALL: [Policy; 3] = [Policy::Buyer, Policy::ApiKey, Policy::Address];

    /// The name in headers, and the label of the metric.
    #[must_use]
    pub fn word(self) -> &'static str {
        ["buyer", "api_key", "address"][self as usize]
    }
}

/// What a policy led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Go on.
    Allow,
    /// Come later.
    Deny,
    /// Go on: as many are counted as there is room for.
    Uncounted,
}

impl Decision {
    /// The label values, in the order of the variants.
    pub const WORDS: &'static [&'static str] = &["allow", "deny", "uncounted"];
}

/// Who asks, under one policy.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The policy.
    pub policy: Policy,
    /// The buyer, key or address.
    pub name: &'a str,
    terms: Terms,
}

/// Where a subject stands after a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Under which policy.
    pub policy: Policy,
    /// What it allows.
    pub quota: Quota,
    /// Requests that would be let through now.
    pub remaining: u32,
    /// Until all of the quota is there again.
    pub reset: Duration,
    /// Until one more request is let through; zero when it would be now.
    wait: Duration,
}

/// What was decided about a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// One per policy that applied.
    pub standings: Vec<Standing>,
    /// It is refused, and this long from now it would not be.
    pub refused: Option<Duration>,
}

impl Verdict {
    /// Of the debts of all subjects: after the request when it is allowed, else as they were.
    fn new(subjects: &[Subject<'_>], debts: &[u64], allowed: bool) -> Verdict {
        let standings: Vec<Standing> =
            subjects.iter().zip(debts).map(|(subject, debt)| subject.terms.standing(subject.policy, *debt)).collect();
        let wait = standings.iter().map(|standing| standing.wait).max().unwrap_or_default();
        Verdict { standings, refused: (!allowed).then_some(wait) }
    }
}

/// All limits of this process.
pub struct Limits {
    terms: [Option<Terms>; 3],
    /// Say in answers what is left.
    pub told: bool,
    local: Local,
    shared: Option<Shared>,
    decisions: [[AtomicU64; 3]; 3],
    fallbacks: AtomicU64,
}

impl Limits {
    /// As configured; `link` leads to the Redis that counts for all servers.
    #[must_use]
    pub fn new(config: &Config, link: Option<Arc<Link>>) -> Limits {
        let limits = &config.limits;
        Limits {
            terms: [limits.buyer, limits.api_key, limits.address].map(|rate| rate.0.map(Terms::from)),
            told: limits.headers,
            local: Local::new(limits.keys),
            shared: link.map(|link| Shared::new(link, &config.redis.namespace)),
            decisions: Default::default(),
            fallbacks: AtomicU64::new(0),
        }
    }

    /// Is anything limited at all?
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.terms.iter().any(Option::is_some)
    }

    /// This subject, when its policy limits anybody.
    #[must_use]
    pub fn subject<'a>(&self, policy: Policy, name: &'a str) -> Option<Subject<'a>> {
        self.terms[policy as usize].map(|terms| Subject { policy, name, terms })
    }

    /// Counts one request for each of them, or for none when one has no room left. `subjects`: at most one per policy,
    /// in the order of the policies.
    pub async fn decide(&self, subjects: &[Subject<'_>]) -> Verdict {
        if subjects.is_empty() {
            return Verdict::default();
        }
        let own = self.local.decide(subjects);
        // Who has asked this process alone too often need not be asked about: that keeps floods away from Redis.
        let verdict = match &self.shared {
            Some(shared) if own.allowed => match shared.decide(subjects).await {
                Some(verdict) => verdict,
                None => {
                    self.fallbacks.fetch_add(1, Relaxed);
                    Verdict::new(subjects, &own.debts, true)
                }
            },
            _ => Verdict::new(subjects, &own.debts, own.allowed),
        };
        self.count(&verdict, own.uncounted);
        verdict
    }

    fn count(&self, verdict: &Verdict, uncounted: Option<Policy>) {
        for standing in &verdict.standings {
            let decision = match verdict.refused {
                None if uncounted == Some(standing.policy) => Decision::Uncounted,
                None => Decision::Allow,
                Some(_) if standing.wait.is_zero() => continue,
                Some(_) => Decision::Deny,
            };
            self.decisions[standing.policy as usize][decision as usize].fetch_add(1, Relaxed);
        }
    }

    /// Decisions so far.
    #[must_use]
    pub fn decisions(&self, policy: Policy, decision: usize) -> u64 {
        self.decisions[policy as usize][decision].load(Relaxed)
    }

    /// Decisions of this process alone, because Redis gave no answer.
    #[must_use]
    pub fn fallbacks(&self) -> u64 {
        self.fallbacks.load(Relaxed)
    }
}
