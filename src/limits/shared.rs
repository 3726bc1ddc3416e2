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
        let (allowed, debts) = answer.split_first()?;
        let debts: Vec<u64> = debts.iter().map(|debt| u64::try_from(*debt).unwrap_or(0)).collect();
        (debts.len() == subjects.len()).then(|| Verdict::new(subjects, &debts, *allowed == 1))
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
