//! Follows the committed frames and keeps Redis up to date for readers: each SKU that changed, once per turn at most.
//!
//! It asks the SKU itself, so what is published is what a reader would have got a moment ago. What it leaves out, for
//! lack of room or of a Redis, gets too old to be shown, and readers ask the SKU.

use super::circuit::State;
use super::link::Operation;
use super::reads::Reads;
use crate::engine::Engine;
use crate::feed::Inlet;
use deadpool_redis::redis;
use foldhash::fast::FixedState;
use futures_util::future::join_all;
use hashbrown::HashSet;
use stampede_actors::ids::{EntityId, SkuId};
use stampede_actors::shell::lane;
use stampede_actors::shell::message::{Question, SkuView, View};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Least time between two turns.
const PACE: Duration = Duration::from_millis(20);
/// SKUs per turn.
const PER_TURN: usize = 256;
/// Changed SKUs that may wait.
const WAITING_MAX: usize = 65_536;
/// How long a SKU may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Kept longer than it may be shown, so that being too old is told from being gone.
const KEPT_LONGER: Duration = Duration::from_secs(1);

/// Writes a SKU as readers get it, up to where its age comes.
pub type Render = fn(&SkuId, u64, &SkuView) -> Vec<u8>;

/// SKUs that wait, each once, the first that changed first.
#[derive(Default)]
struct Waiting {
    order: VecDeque<SkuId>,
    known: HashSet<SkuId, FixedState>,
}

impl Waiting {
    fn push(&mut self, sku: &SkuId) {
        if self.order.len() < WAITING_MAX && !self.known.contains(sku) {
            self.known.insert(sku.clone());
            self.order.push_back(sku.clone());
        }
    }

    fn take(&mut self, most: usize) -> Vec<SkuId> {
        let taken: Vec<SkuId> = self.order.drain(..most.min(self.order.len())).collect();
        for sku in &taken {
            self.known.remove(sku);
        }
        taken
    }

    fn clear(&mut self) {
        self.order.clear();
        self.known.clear();
    }
}

/// The follower. Runs on a thread that is a lane.
pub(super) struct Publisher {
    changes: Option<Arc<Inlet>>,
    reads: Arc<Reads>,
    render: Render,
    waiting: Waiting,
}

impl Publisher {
    pub fn new(engine: Engine, reads: Arc<Reads>, render: Render) -> Publisher {
        Publisher { changes: engine.changes().cloned(), reads, render, waiting: Waiting::default() }
    }

    /// Never returns.
    pub async fn run(mut self) {
        let mut turns = tokio::time::interval(PACE);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            self.turn().await;
        }
    }

    async fn turn(&mut self) {
        for frame in self.changes.iter().flat_map(|changes| changes.take().frames) {
            for entry in frame.records.iter().flat_map(|record| &record.entries) {
                if let EntityId::Sku(sku) = &entry.entity {
                    self.waiting.push(sku);
                }
            }
        }
        for sku in self.reads.take_touched() {
            self.waiting.push(&sku);
        }
        if self.reads.link().state() != State::Closed {
            return self.waiting.clear();
        }
        let batch = self.waiting.take(PER_TURN);
        if !batch.is_empty() {
            self.publish(batch).await;
        }
    }

    async fn publish(&self, batch: Vec<SkuId>) {
        let asked = batch.iter().map(|sku| lane::ask(EntityId::Sku(sku.clone()), Question::ReadSku, PATIENCE));
        let answers = join_all(asked).await;
        let keep = u64::try_from((self.reads.max_age + KEPT_LONGER).as_millis()).unwrap_or(u64::MAX);
        let mut pipeline = redis::pipe();
        for (sku, answer) in batch.iter().zip(answers) {
            // One that does not answer now is published after its next change, or the next read.
            let Ok(done) = answer else { continue };
            let View::Sku(view) = &done.view else { continue };
            let text = (self.render)(sku, done.version, view);
            let value = self.reads.close(sku, done.version, view.observed_at, &text);
            pipeline.cmd("SET").arg(self.reads.key(sku)).arg(value).arg("PX").arg(keep).ignore();
        }
        // When that fails, what is there gets too old.
        let write = async |mut connection| pipeline.query_async::<()>(&mut connection).await;
        let _ = self.reads.link().call(Operation::Write, write).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_sku_waits_once_and_the_first_is_the_first() {
        let mut waiting = Waiting::default();
        let skus: Vec<SkuId> = (0..5).map(|n| SkuId::new(&format!("sku-{n}")).unwrap()).collect();
        for sku in skus.iter().chain(&skus).chain(&skus) {
            waiting.push(sku);
        }
        assert_eq!(waiting.take(2), skus[..2]);
        waiting.push(&skus[0]);
        assert_eq!(waiting.take(10), [&skus[2..], &skus[..1]].concat());
        assert!(waiting.known.is_empty());
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let mut waiting = Waiting::default();
        for n in 0..WAITING_MAX + 10 {
            waiting.push(&SkuId::new(&format!("sku-{n}")).unwrap());
        }
        assert_eq!((waiting.order.len(), waiting.known.len()), (WAITING_MAX, WAITING_MAX));
    }
}
