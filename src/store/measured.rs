//! A store whose operations are counted and timed.

use super::{Batch, Error, Failure, Range, Read, Row, Store, Table};
use stampede_actors::shell::durations::Durations;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// What a store is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// One row.
    Get = 0,
    /// Is there such a row?
    Contains = 1,
    /// Rows in order.
    Range = 2,
    /// A batch.
    Write = 3,
    /// Out of this process.
    Flush = 4,
    /// Durable.
    Sync = 5,
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 6] =
        [Operation::Get, Operation::Contains, Operation::Range, Operation::Write, Operation::Flush, Operation::Sync];

    /// The label in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Operation::Get => "get",
            Operation::Contains => "contains",
            Operation::Range => "range",
            Operation::Write => "write",
            Operation::Flush => "flush",
            Operation::Sync => "sync",
        }
    }
}

/// What was counted so far; of a store and of what took its place.
#[derive(Debug, Default)]
pub struct Vitals {
    /// By operation: done, failed.
    operations: [[AtomicU64; 2]; 6],
    /// How long they took, all but [`Operation::Contains`]: a filter in memory mostly answers that, and reading the clock
    /// twice would cost as much as the answer.
    pub durations: Arc<Durations>,
}

impl Vitals {
    /// Operations that were done.
    #[must_use]
    pub fn done(&self, operation: Operation) -> u64 {
        self.operations[operation as usize][0].load(Relaxed)
    }

    /// Operations that failed.
    #[must_use]
    pub fn failed(&self, operation: Operation) -> u64 {
        self.operations[operation as usize][1].load(Relaxed)
    }

    fn count<T>(&self, operation: Operation, outcome: Result<T, Error>) -> Result<T, Error> {
        self.operations[operation as usize][usize::from(outcome.is_err())].fetch_add(1, Relaxed);
        outcome
    }

    fn time<T>(&self, operation: Operation, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let began = Instant::now();
        let outcome = work();
        self.durations.record(began.elapsed());
        self.count(operation, outcome)
    }
}

/// See the module.
pub struct Measured<S> {
    store: S,
    vitals: Arc<Vitals>,
}

impl<S: Store> Measured<S> {
    /// Counts what `store` is asked for in `vitals`.
    pub fn new(store: S, vitals: Arc<Vitals>) -> Measured<S> {
        Measured { store, vitals }
    }
}

impl<S: Store> Read for Measured<S> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.vitals.time(Operation::Get, || self.store.get(table, key))
    }

    fn contains(&self, table: Table, key: &[u8]) -> Result<bool, Error> {
        self.vitals.count(Operation::Contains, self.store.contains(table, key))
    }

    fn range(&self, table: Table, range: Range<'_>) -> Result<Vec<Row>, Error> {
        self.vitals.time(Operation::Range, || self.store.range(table, range))
    }
}

impl<S: Store> Store for Measured<S> {
    fn write(&self, batch: &Batch) -> Result<(), Error> {
        self.vitals.time(Operation::Write, || self.store.write(batch))
    }

    fn write_durably(&self, batch: &Batch) -> Result<bool, Error> {
        let began = Instant::now();
        let outcome = self.store.write_durably(batch);
        if matches!(outcome, Ok(false)) {
            return outcome;
        }
        self.vitals.durations.record(began.elapsed());
        self.vitals.count(Operation::Write, outcome)
    }

    fn flush(&self) -> Result<(), Error> {
        self.vitals.time(Operation::Flush, || self.store.flush())
    }

    fn sync(&self) -> Result<(), Error> {
        self.vitals.time(Operation::Sync, || self.store.sync())
    }

    fn view(&self) -> Box<dyn Read> {
        self.store.view()
    }

    fn failure(&self) -> Failure {
        self.store.failure()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed step fails the test
    use super::*;
    use crate::store::MemoryStore;

    /// Fails to sync.
    struct Broken(MemoryStore);

    impl Read for Broken {
        fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
            self.0.get(table, key)
        }

        fn contains(&self, table: Table, key: &[u8]) -> Result<bool, Error> {
            self.0.contains(table, key)
        }

        fn range(&self, table: Table, range: Range<'_>) -> Result<Vec<Row>, Error> {
            self.0.range(table, range)
        }
    }

    impl Store for Broken {
        fn write(&self, batch: &Batch) -> Result<(), Error> {
            self.0.write(batch)
        }

        fn flush(&self) -> Result<(), Error> {
            self.0.flush()
        }

        fn sync(&self) -> Result<(), Error> {
            Err(Error::Failed("no disk".to_owned()))
        }

        fn view(&self) -> Box<dyn Read> {
            self.0.view()
        }
    }

    #[test]
    fn operations_are_counted_by_outcome_and_timed() {
        let vitals = Arc::new(Vitals::default());
        let store = Measured::new(Broken(MemoryStore::default()), Arc::clone(&vitals));
        let mut batch = Batch::default();
        batch.put(Table::Meta, b"a", b"1");
        store.write(&batch).unwrap();
        assert_eq!(store.get(Table::Meta, b"a").unwrap(), Some(b"1".to_vec()));
        assert!(store.contains(Table::Meta, b"a").unwrap() && !store.contains(Table::Meta, b"b").unwrap());
        assert!(store.sync().is_err());
        let counted = Operation::ALL.map(|operation| (vitals.done(operation), vitals.failed(operation)));
        assert_eq!(counted, [(1, 0), (2, 0), (0, 0), (1, 0), (0, 0), (0, 1)]);
        assert_eq!(vitals.durations.observed().up_to[14], 3, "all but those that only ask whether there is a row");
    }
}
