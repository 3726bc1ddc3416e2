//! Availability as Redis keeps it for readers: believed only when it is ours, whole, and young.
//!
//! A value is sealed with a key that only this log's servers have, over the SKU, the version, the moment and the text. So
//! whatever else stands under a key is noticed: it is not shown, and written over. An old value put back is too old.

use super::link::{Link, Operation, Unavailable};
use crate::engine::Engine;
use foldhash::fast::FixedState;
use hashbrown::HashSet;
use parking_lot::Mutex;
use stampede_actors::ids::SkuId;
use stampede_actors::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// First byte of a value: the layout of the rest.
const LAYOUT: u8 = 1;
/// Layout, seal, version, moment.
const HEAD: usize = 1 + 32 + 8 + 8;
/// SKUs that were read and not found, and wait to be published.
const TOUCHED_MAX: usize = 4_096;
/// Largest text that is believed: 256 locations need about 50 KiB.
const TEXT_MAX: usize = 128 * 1024;

/// How a look ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It was there.
    Hit,
    /// Nothing was there.
    Miss,
    /// It was too old.
    Stale,
    /// It was not ours.
    Wrong,
    /// No answer.
    Unavailable,
}

impl Found {
    /// All of them.
    pub const ALL: [Found; 5] = [Found::Hit, Found::Miss, Found::Stale, Found::Wrong, Found::Unavailable];

    /// The label value.
    #[must_use]
    pub fn word(self) -> &'static str {
        ["hit", "miss", "stale", "wrong", "unavailable"][self as usize]
    }
}

/// What a reader gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// As it was rendered.
    pub text: Vec<u8>,
    /// When it was so.
    pub observed_at: Timestamp,
}

/// Reads, and what they leave to be published.
pub struct Reads {
    link: Arc<Link>,
    seal: [u8; 32],
    prefix: String,
    /// Nothing older is shown.
    pub max_age: Duration,
    touched: Mutex<HashSet<SkuId, FixedState>>,
    found: [AtomicU64; Found::ALL.len()],
}

impl Reads {
    /// Of this engine's log: other logs have other stock under the same names.
    #[must_use]
    pub fn new(link: Arc<Link>, engine: &Engine) -> Reads {
        let redis = &engine.config().redis;
        let log: String = engine.log().id().0.iter().map(|byte| format!("{byte:02x}")).collect();
        Reads {
            link,
            seal: engine.ids().key_for("availability in redis"),
            prefix: format!("{}:availability:{log}:", redis.namespace),
            max_age: redis.reads_max_age,
            touched: Mutex::default(),
            found: Default::default(),
        }
    }

    /// Looks for a SKU. `None`: ask the SKU itself, which has the last word anyway. `now`: engine time.
    pub async fn read(&self, sku: &SkuId, now: Timestamp) -> Option<Hit> {
        let key = self.key(sku);
        let get = async |mut connection| {
            deadpool_redis::redis::cmd("GET").arg(key).query_async::<Option<Vec<u8>>>(&mut connection).await
        };
        let (found, hit) = match self.link.call(Operation::Get, get).await {
            Err(Unavailable::Failed) => (Found::Unavailable, None),
            Err(Unavailable::WrongType) => (Found::Wrong, None),
            Ok(None) => (Found::Miss, None),
            Ok(Some(value)) => match self.open(sku, value) {
                None => (Found::Wrong, None),
                Some(hit) if !self.is_young(hit.observed_at, now) => (Found::Stale, None),
                Some(hit) => (Found::Hit, Some(hit)),
            },
        };
        self.found[found as usize].fetch_add(1, Relaxed);
        hit
    }

    /// It was asked for and not there: publish it.
    pub fn touch(&self, sku: &SkuId) {
        let mut touched = self.touched.lock();
        if touched.len() < TOUCHED_MAX {
            touched.insert(sku.clone());
        }
    }

    /// What was touched since the last call.
    pub(super) fn take_touched(&self) -> HashSet<SkuId, FixedState> {
        std::mem::take(&mut self.touched.lock())
    }

    /// Looks that ended so.
    #[must_use]
    pub fn found(&self, found: Found) -> u64 {
        self.found[found as usize].load(Relaxed)
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    pub(super) fn key(&self, sku: &SkuId) -> String {
        format!("{}{sku}", self.prefix)
    }

    /// A value for Redis.
    pub(super) fn close(&self, sku: &SkuId, version: u64, observed_at: Timestamp, text: &[u8]) -> Vec<u8> {
        let mut value = Vec::with_capacity(HEAD + text.len());
        value.push(LAYOUT);
        value.extend_from_slice(&[0; 32]);
        value.extend_from_slice(&version.to_be_bytes());
        value.extend_from_slice(&observed_at.0.to_be_bytes());
        value.extend_from_slice(text);
        let seal = self.seal_of(sku, &value[33..]);
        value[1..33].copy_from_slice(&seal);
        value
    }

    fn open(&self, sku: &SkuId, mut value: Vec<u8>) -> Option<Hit> {
        if value.len() < HEAD || value.len() > HEAD + TEXT_MAX || value[0] != LAYOUT {
            return None;
        }
        let seal: [u8; 32] = value[1..33].try_into().ok()?;
        // Compared in constant time by BLAKE3's own type.
        if blake3::Hash::from_bytes(seal) != blake3::Hash::from_bytes(self.seal_of(sku, &value[33..])) {
            return None;
        }
        let observed_at = Timestamp(i64::from_be_bytes(value[41..49].try_into().ok()?));
        value.drain(..HEAD);
        Some(Hit { text: value, observed_at })
    }

    fn seal_of(&self, sku: &SkuId, rest: &[u8]) -> [u8; 32] {
        let name = sku.as_str().as_bytes();
        let mut hasher = blake3::Hasher::new_keyed(&self.seal);
        // The length first, so that no other name and text read the same.
        hasher.update(&(name.len() as u64).to_be_bytes()).update(name).update(rest);
        *hasher.finalize().as_bytes()
    }

    /// Engine time does not go back, so that what was observed in the future was not observed by us.
    fn is_young(&self, observed_at: Timestamp, now: Timestamp) -> bool {
        observed_at <= now && u128::from(now.since(observed_at).0.unsigned_abs()) <= self.max_age.as_micros()
    }
}
