//! Carries a checked file out: many SKUs at a time, each one's listing before its rows.

use super::{Problem, Row, SHOWN, SkuRows, Stock, receipt_key};
use futures_util::StreamExt;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Where stock goes.
pub trait Target {
    /// Says what a SKU is, and what its locations are. Repeating it changes nothing.
    fn list(&self, rows: &SkuRows) -> impl Future<Output = Result<(), Trouble>>;

    /// Takes a row's units in under `key`; `true` when that had happened before.
    fn receive(&self, rows: &SkuRows, row: &Row, key: &str) -> impl Future<Output = Result<bool, Trouble>>;
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// This one was refused; others may be done.
    Refused(String),
    /// Nothing more can be done now; the same import may be repeated later.
    Unavailable(String),
    /// Nothing at all will be done for this caller.
    Denied(String),
}

/// Hears how far it is.
pub trait Progress {
    /// So many rows more are done.
    fn rows(&self, done: u64);
}

/// What became of an import.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// Of the file.
    pub hash: String,
    /// SKUs listed.
    pub skus: usize,
    /// Rows in the file.
    pub rows: usize,
    /// Rows whose units came in now.
    pub received: usize,
    /// Rows that had been taken in before.
    pub already: usize,
    /// Rows without units: they only name a location.
    pub empty: usize,
    /// Rows refused.
    pub refused: usize,
    /// The first of them: line and reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
    /// Why the import ended before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// It ended because the API key is not good.
    pub denied: bool,
    /// How long it took.
    pub seconds: f64,
}

/// A row that was refused.
#[derive(Debug, Serialize)]
pub struct Refusal {
    /// Line of the file.
    pub line: u64,
    /// Why.
    pub reason: String,
}

impl Summary {
    /// Every row is in.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.refused == 0 && self.stopped.is_none()
    }

    /// Rows that are in, one way or the other.
    #[must_use]
    pub fn done(&self) -> usize {
        self.received + self.already + self.empty
    }

    fn refuse(&mut self, Problem { line, message }: Problem) {
        self.refused += 1;
        if self.refusals.len() < SHOWN {
            self.refusals.push(Refusal { line, reason: message });
        }
    }
}

/// Carries the file out, `at_once` SKUs at a time. Ends early when nothing more can be done.
pub async fn run(stock: &Stock, target: &impl Target, at_once: usize, progress: &impl Progress) -> Summary {
    let started = Instant::now();
    let mut summary = Summary { hash: stock.hash.clone(), rows: stock.rows, ..Summary::default() };
    let mut ended = futures_util::stream::iter(&stock.skus)
        .map(|rows| one_sku(&stock.hash, rows, target))
        .buffer_unordered(at_once.max(1));
    while let Some(done) = ended.next().await {
        progress.rows(done.rows());
        summary.skus += usize::from(done.listed);
        summary.received += done.received;
        summary.already += done.already;
        summary.empty += done.empty;
        done.refused.into_iter().for_each(|problem| summary.refuse(problem));
        if let Some(trouble) = done.stopped {
            summary.denied = matches!(trouble, Trouble::Denied(_));
            let (Trouble::Refused(why) | Trouble::Unavailable(why) | Trouble::Denied(why)) = trouble;
            summary.stopped = Some(why);
            break;
        }
    }
    summary.seconds = (started.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0;
    summary
}

/// What became of one SKU.
#[derive(Default)]
struct Done {
    listed: bool,
    received: usize,
    already: usize,
    empty: usize,
    refused: Vec<Problem>,
    stopped: Option<Trouble>,
}

impl Done {
    fn rows(&self) -> u64 {
        (self.received + self.already + self.empty + self.refused.len()) as u64
    }
}

async fn one_sku(hash: &str, rows: &SkuRows, target: &impl Target) -> Done {
    let mut done = Done::default();
    match target.list(rows).await {
        Ok(()) => done.listed = true,
        Err(trouble @ (Trouble::Unavailable(_) | Trouble::Denied(_))) => done.stopped = Some(trouble),
        Err(Trouble::Refused(why)) => {
            let refused = |row: &Row| Problem { line: row.line, message: format!("SKU {}: {why}", rows.sku) };
            done.refused = rows.rows.iter().map(refused).collect();
        }
    }
    if !done.listed {
        return done;
    }
    for row in &rows.rows {
        if row.units == 0 {
            done.empty += 1;
            continue;
        }
        match target.receive(rows, row, &receipt_key(hash, row.line)).await {
            Ok(true) => done.already += 1,
            Ok(false) => done.received += 1,
            Err(Trouble::Refused(message)) => done.refused.push(Problem { line: row.line, message }),
            Err(trouble @ (Trouble::Unavailable(_) | Trouble::Denied(_))) => {
                done.stopped = Some(trouble);
                break;
            }
        }
    }
    done
}

/// Waits between tries of one request: soon at first, then every two seconds, and not for ever.
#[derive(Debug)]
pub struct Patience {
    until: Instant,
    next: Duration,
}

impl Patience {
    /// Keeps trying for so long.
    #[must_use]
    pub fn lasting(within: Duration) -> Patience {
        Patience { until: Instant::now() + within, next: Duration::from_millis(50) }
    }

    /// Waits at least `at_least`, or returns `false` at once when patience has run out.
    pub async fn wait(&mut self, at_least: Option<Duration>) -> bool {
        let pause = self.next.max(at_least.unwrap_or_default());
        if Instant::now() + pause > self.until {
            return false;
        }
        self.next = (self.next * 2).min(Duration::from_secs(2));
        tokio::time::sleep(pause).await;
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::import::file::parse;
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    /// Takes receipts in, and fails when the given number of them is reached.
    #[derive(Default)]
    struct Shelf {
        receipts: RefCell<BTreeSet<String>>,
        dies_after: Option<usize>,
    }

    impl Target for Shelf {
        async fn list(&self, rows: &SkuRows) -> Result<(), Trouble> {
            if rows.sku.as_str() == "bad" { Err(Trouble::Refused("no".into())) } else { Ok(()) }
        }

        async fn receive(&self, _: &SkuRows, _: &Row, key: &str) -> Result<bool, Trouble> {
            if self.dies_after.is_some_and(|most| self.receipts.borrow().len() >= most) {
                return Err(Trouble::Unavailable("gone".into()));
            }
            Ok(!self.receipts.borrow_mut().insert(key.to_owned()))
        }
    }

    struct Silent;

    impl Progress for Silent {
        fn rows(&self, _: u64) {}
    }

    fn stock() -> Stock {
        let rows: String = (0..50).map(|i| format!("sku-{i},acme,berlin,{},1,EUR\n", i % 5)).collect();
        parse(format!("sku,seller,location,units,price,currency\n{rows}").as_bytes()).unwrap()
    }

    async fn import(target: &Shelf) -> Summary {
        run(&stock(), target, 4, &Silent).await
    }

    #[tokio::test]
    async fn s22_an_import_that_died_half_way_is_completed_by_repeating_it() {
        let mut shelf = Shelf { dies_after: Some(17), ..Shelf::default() };
        let first = import(&shelf).await;
        assert_eq!((first.received, first.complete(), first.stopped.as_deref()), (17, false, Some("gone")));

        shelf.dies_after = None;
        let second = import(&shelf).await;
        assert_eq!((second.already, second.received, second.empty), (17, 23, 10));
        assert!(second.complete());

        let third = import(&shelf).await;
        assert_eq!((third.already, third.received), (40, 0), "a complete import changes nothing");
    }

    #[tokio::test]
    async fn a_refused_listing_refuses_its_rows_and_no_others() {
        let text = "sku,seller,location,units,price,currency\nbad,a,x,1,1,EUR\nbad,a,y,1,1,EUR\ntee,a,x,1,1,EUR\n";
        let summary = run(&parse(text.as_bytes()).unwrap(), &Shelf::default(), 4, &Silent).await;
        assert_eq!((summary.refused, summary.received, summary.skus), (2, 1, 1));
        assert_eq!((summary.refusals[0].line, summary.refusals[0].reason.as_str()), (2, "SKU bad: no"));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let mut patience = Patience::lasting(Duration::ZERO);
        assert!(!patience.wait(None).await);
    }
}
