//! What a Redis counts for all servers: one script decides about all subjects of a request.

use super::{Subject, Verdict};
use crate::cache::{Link, Operation};
use deadpool_redis::redis::Script;
use std::fmt::Write;
use std::sync::Arc;

/// Asks Redis.
pub struct Shared {
    link: Arc<Link>,
    script: Script,
    prefix: String,
}

impl Shared {
    /// Keys begin with the namespace.
    pub fn new(link: Arc<Link>, namespace: &str) -> Shared {
        Shared { link, script: Script::new(include_str!("gcra.lua")), prefix: format!("{namespace}:rate:") }
    }

    /// `None`: no answer in time, or none that can be.
    pub async fn decide(&self, subjects: &[Subject<'_>]) -> Option<Verdict> {
        let mut call = self.script.prepare_invoke();
        for subject in subjects {
            call.key(self.key(subject)).arg(subject.terms.interval).arg(subject.terms.window);
        }
        let answer: Vec<i64> = self
            .link
            .call(Operation::Decide, async |mut connection| call.invoke_async(&mut connection).await)
            .await
            .ok()?;
        believed(subjects, &answer)
    }

    /// Names are hashed, so that a key is short and says nothing at a glance. It is no secret: whoever knows all names can
    /// find one again, and it is gone after a window.
    fn key(&self, subject: &Subject<'_>) -> String {
        let mut key = String::with_capacity(self.prefix.len() + 48);
        key.push_str(&self.prefix);
        key.push_str(subject.policy.word());
        key.push(':');
        for byte in &blake3::hash(subject.name.as_bytes()).as_bytes()[..16] {
            // Writing to a String cannot fail.
            let _ = write!(key, "{byte:02x}");
        }
        key
    }
}

/// What an answer says, when it can be so: who is let through owes for it, and nobody is refused who has room.
fn believed(subjects: &[Subject<'_>], answer: &[i64]) -> Option<Verdict> {
    let (allowed, debts) = answer.split_first()?;
    let debts = debts.iter().map(|debt| u64::try_from(*debt).ok()).collect::<Option<Vec<u64>>>()?;
    if debts.len() != subjects.len() {
        return None;
    }
    let mut both = subjects.iter().map(|subject| subject.terms).zip(debts.iter().copied());
    let possible = match allowed {
        1 => both.all(|(terms, debt)| (terms.interval..=terms.window).contains(&debt)),
        0 => both.clone().all(|(terms, debt)| debt <= terms.window) && both.any(|(terms, debt)| !terms.allows(debt)),
        _ => false,
    };
    possible.then(|| Verdict::new(subjects, &debts, *allowed == 1))
}

#[cfg(test)]
mod tests {
    use super::super::Policy;
    use super::*;
    use crate::config::Quota;

    #[test]
    fn an_answer_that_cannot_be_is_none() {
        let of = |policy, requests| Subject { policy, name: "ada", terms: Quota { requests, seconds: 1 }.into() };
        let subjects = [of(Policy::Buyer, 4), of(Policy::Address, 2)];
        let refused = |answer: &[i64]| believed(&subjects, answer).map(|verdict| verdict.refused.is_some());
        assert_eq!(refused(&[1, 250_000, 1_000_000]), Some(false));
        assert_eq!(refused(&[0, 0, 900_000]), Some(true));
        for wrong in [
            &[][..],
            &[1],
            &[1, 250_000],
            &[1, 250_000, 500_000, 0],
            &[2, 250_000, 500_000],
            // Let through, and not counted, or over the quota.
            &[1, 0, 500_000],
            &[1, 250_000, 1_000_001],
            // Refused, and there is room.
            &[0, 0, 0],
            &[0, -5, 900_000],
            &[0, 0, i64::MAX],
        ] {
            assert_eq!(refused(wrong), None, "{wrong:?}");
        }
    }
}
