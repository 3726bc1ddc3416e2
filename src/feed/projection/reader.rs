//! Answers questions from any thread: entities, lists, due times, sums.

use super::cells::Shared;
use super::entity::EntityState;
use super::lists::{self, BadCursor, Filter, ListedOrder, Listing, Page};
use super::{Error, Mark, keys};
use crate::store::{Range, Table};
use crate::verify::{AuditSummary, Pair};
use stampede_actors::ids::{EntityId, HoldId, SkuId};
use stampede_actors::record::{Position, Version};
use stampede_actors::sku::{HoldView, Movement, Remembered, RememberedKey};
use stampede_actors::time::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// See the module.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

/// How far the projection is behind, for metrics and admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Committed records that were not taken in yet.
    pub not_taken_in: u64,
    /// Committed records that are not in the store yet.
    pub not_written: u64,
    /// Entities that changed and are not in the store yet.
    pub entities: u64,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Reader {
        Reader { shared }
    }

    /// The entity with everything of it that was taken in; `None` when nothing ever happened to it.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub fn current(&self, entity: &EntityId) -> Result<Option<(EntityState, Version)>, Error> {
        self.shared.current(entity)
    }

    /// Up to which position everything is in [`Reader::current`].
    #[must_use]
    pub fn readable(&self) -> Position {
        self.shared.readable()
    }

    /// Is there surely nothing of `entity`? Quick when the answer is yes.
    #[must_use]
    pub fn absent(&self, entity: &EntityId) -> bool {
        // When the store cannot say, somebody who can report it has to look.
        self.shared.absent(entity).unwrap_or(false)
    }

    /// What is known of an operation on this SKU in the last 24 hours (S17).
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub fn remembered(&self, sku: &SkuId, id: RememberedKey) -> Result<Option<Remembered>, Error> {
        self.shared.remembered(sku, id)
    }

    /// Entities that want to be woken at `from` or later and before `to`, the earliest first, as far as written.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub fn due_between(
        &self,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Timestamp, EntityId)>, Error> {
        let (from, to) = (keys::time(from), keys::time(to));
        let range = Range { from: &from, to: Some(&to), reverse: false, limit };
        let rows = self.shared.store.range(Table::Due, range)?;
        Ok(rows.iter().filter_map(|(key, _)| keys::read_due(key)).collect())
    }

    /// Orders, newest first, as far as written ([`super::worker::Handle::written`] waits for that).
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read. The inner one when the cursor is none of ours.
    pub fn orders(
        &self,
        filter: &Filter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Result<Page<ListedOrder>, BadCursor>, Error> {
        lists::orders(&self.shared, Listing::Filtered(filter), cursor, limit)
    }

    /// Orders that a person must look at, newest first, as far as written.
    ///
    /// # Errors
    /// As [`Reader::orders`].
    pub fn attention(&self, cursor: Option<&str>, limit: usize) -> Result<Result<Page<ListedOrder>, BadCursor>, Error> {
        lists::orders(&self.shared, Listing::Attention, cursor, limit)
    }

    /// What moved a SKU's units, newest first, as far as written.
    ///
    /// # Errors
    /// As [`Reader::orders`].
    pub fn movements(
        &self,
        sku: &SkuId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Result<Page<(Version, Movement)>, BadCursor>, Error> {
        lists::moved(&*self.shared.store, sku, cursor, limit)
    }

    /// Orders with steps that nobody has answered yet, those that will be asked again first, as far as written.
    ///
    /// # Errors
    /// As [`Reader::orders`].
    pub fn outbox(&self, cursor: Option<&str>, limit: usize) -> Result<Result<Page<ListedOrder>, BadCursor>, Error> {
        lists::outbox(&self.shared, cursor, limit)
    }

    /// Holds and allocations of a SKU by their ids, as far as written.
    ///
    /// # Errors
    /// As [`Reader::orders`].
    pub fn holds(
        &self,
        sku: &SkuId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Result<Page<(HoldId, HoldView)>, BadCursor>, Error> {
        lists::holds(&*self.shared.store, sku, cursor, limit)
    }

    /// The invariants in numbers, as of the last write.
    #[must_use]
    pub fn audit(&self) -> AuditSummary {
        self.audit_at().0
    }

    /// The same, with the frame that they are of.
    #[must_use]
    pub fn audit_at(&self) -> (AuditSummary, Mark) {
        let (totals, mark) = self.shared.totals();
        (totals.summary(), mark)
    }

    /// By how much sums differ that must agree, with the frame that they are of.
    #[must_use]
    pub fn differences(&self) -> ([(Pair, i64); 2], Mark) {
        let (totals, mark) = self.shared.totals();
        (totals.differences(), mark)
    }

    /// How far the store is.
    #[must_use]
    pub fn written(&self) -> Mark {
        self.shared.progress.lock().written
    }

    /// Why the projection stopped, if it did.
    #[must_use]
    pub fn stopped(&self) -> Option<String> {
        self.shared.progress.lock().stopped.clone()
    }

    /// How far everything is behind `committed`.
    #[must_use]
    pub fn lag(&self, committed: Position) -> Lag {
        Lag {
            not_taken_in: committed.0.saturating_sub(self.readable().0),
            not_written: committed.0.saturating_sub(self.written().position.0),
            entities: self.shared.changed(),
        }
    }

    /// Waits until `enough` says so of what was taken in and what was written.
    pub(super) fn wait(&self, patience: Duration, enough: impl Fn(Mark, Mark) -> bool) -> Result<(), Error> {
        let until = Instant::now() + patience;
        let mut progress = self.shared.progress.lock();
        while !enough(progress.taken_in, progress.written) {
            if let Some(why) = &progress.stopped {
                return Err(Error::Stopped(why.clone()));
            }
            if self.shared.moved.wait_until(&mut progress, until).timed_out() {
                return Err(Error::Behind);
            }
        }
        Ok(())
    }
}
