//! One run as all its parts see it. Everything lives on one thread.

use crate::client::{Answer, Failure, Pool, Request, Says};
use crate::demo::stats::{Kind, Stats};
use crate::load::buyer::{Buyers, Purchase, Words};
use crate::load::compared::{Compared, Visit};
use crate::load::ledger::{Ledger, Told};
use crate::load::metrics::Metrics;
use crate::load::scenario::Scenario;
use crate::load::tally::{Invariant, Tally};
use serde::Deserialize;
use stampede_actors::ids::{HoldId, OrderId};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A run.
#[derive(Debug)]
pub struct Sale {
    /// Its names and requests.
    pub words: Words,
    /// What is played.
    pub scenario: Scenario,
    /// Who comes.
    pub buyers: Buyers,
    /// The way in.
    pub pool: Pool,
    /// What was felt, during the arrivals.
    pub stats: RefCell<Stats>,
    /// What is compared with an ordinary day.
    pub compared: RefCell<Compared>,
    /// What held.
    pub tally: RefCell<Tally>,
    /// What was acknowledged.
    pub ledger: RefCell<Ledger>,
    /// How arrivals ended.
    pub counts: Counts,
    /// What is to be done after the arrivals.
    pub open: RefCell<Open>,
    /// What is counted for those who watch.
    pub metrics: Arc<Metrics>,
}

/// How arrivals ended. Those that were dropped are in the statistics.
#[derive(Debug, Default)]
pub struct Counts {
    /// Started.
    pub started: Cell<u64>,
    /// With an order.
    pub accepted: Cell<u64>,
    /// Refused.
    pub refused: Cell<u64>,
    /// Neither: no answer in time, a broken connection, an answer that should not be.
    pub failed: Cell<u64>,
    /// Still at the counter.
    pub active: Cell<usize>,
    /// Orders of those who came back after the arrivals.
    pub came_back: Cell<u64>,
    /// Units that were held and given back.
    pub given_back: Cell<u64>,
}

/// What arrivals left behind.
#[derive(Debug, Default)]
pub struct Open {
    /// Buyers who were refused and have nothing.
    pub refused: Vec<u32>,
    /// Purchases of which nobody knows whether they happened.
    pub unclear: Vec<Purchase>,
    /// Holds that may be there and that nobody will use, with the SKU.
    pub holds: Vec<(u32, HoldId)>,
    /// How many were told that a SKU was sold out, by SKU.
    pub sold_out: Vec<u32>,
}

/// What came back.
#[derive(Debug)]
pub enum Came {
    /// It is done.
    Yes(Answer),
    /// It is refused for certain, with this code.
    No(String),
    /// Not now, with this code. For a purchase it may be unknown whether it happened.
    Busy(String),
    /// No answer, or one that should not be.
    Nothing(String),
}

/// Adds one.
pub fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

impl Sale {
    /// A run before its first arrival.
    #[must_use]
    pub fn new(
        run: String,
        api: SocketAddr,
        connections: u32,
        seed: u64,
        scenario: Scenario,
        metrics: Arc<Metrics>,
    ) -> Sale {
        let skus = scenario.stock.skus as usize;
        Sale {
            words: Words::new(run),
            buyers: Buyers::new(seed, &scenario),
            pool: Pool::new(api, connections as usize),
            stats: RefCell::default(),
            compared: RefCell::new(Compared::new(&scenario)),
            tally: RefCell::default(),
            ledger: RefCell::new(Ledger::new(skus)),
            counts: Counts::default(),
            open: RefCell::new(Open { sold_out: vec![0; skus], ..Open::default() }),
            metrics,
            scenario,
        }
    }

    /// Units that nobody was acknowledged yet.
    #[must_use]
    pub fn stock_left(&self) -> u64 {
        u64::from(self.scenario.stock.units).saturating_sub(self.ledger.borrow().len() as u64)
    }

    /// Sends a buyer's request and waits for the answer, in all for `within` once a connection is free.
    ///
    /// # Errors
    /// [`Failure`]: the outcome is unknown; the same request may be sent again.
    pub async fn send(&self, request: &Request, within: Duration) -> Result<Answer, Failure> {
        let _under_way = self.metrics.request();
        self.pool.send(request, within).await
    }

    /// Somebody got an answer this long after it was due.
    pub fn answered(&self, kind: Kind, visit: Visit, latency: Duration) {
        self.stats.borrow_mut().answered(kind, latency);
        self.metrics.answered(kind, latency);
        self.compared.borrow_mut().answered(kind, visit, latency);
    }

    /// Looked once at an invariant: it must be so.
    pub fn must(&self, invariant: Invariant, holds: bool, otherwise: impl FnOnce() -> String) {
        self.tally.borrow_mut().must(invariant, holds, otherwise);
    }

    /// Reads what came back, and looks at its manners.
    pub fn weigh(&self, came: Result<Answer, Failure>) -> Came {
        let answer = match came {
            Ok(answer) => answer,
            Err(failure) => return Came::Nothing(failure.to_string()),
        };
        match answer.says() {
            Says::Yes => Came::Yes(answer),
            Says::No(code) => {
                self.must(Invariant::PoliteRefusal, !code.is_empty(), || format!("{} without a code", answer.status()));
                Came::No(code)
            }
            Says::Busy(code) => {
                let polite = answer.head.retry_after.is_some();
                self.must(Invariant::PoliteRefusal, polite, || {
                    format!("{} {code} without Retry-After", answer.status())
                });
                Came::Busy(code)
            }
            Says::Nonsense => {
                let what = format!("{} {}", answer.status(), String::from_utf8_lossy(&answer.body));
                self.stats.borrow_mut().unexpected(what.clone());
                Came::Nothing(what)
            }
        }
    }

    /// Writes an acknowledged order down and compares it with what the buyer was told before. Answers whether it is one.
    pub fn acknowledge(&self, purchase: Purchase, answer: &Answer) -> bool {
        #[derive(Deserialize)]
        struct Placed<'a> {
            order: &'a str,
        }
        let placed = serde_json::from_slice::<Placed>(&answer.body).ok();
        let order = placed.and_then(|placed| placed.order.parse::<OrderId>().ok());
        self.must(Invariant::PoliteRefusal, order.is_some() && answer.status() == 201, || {
            format!("{} that is no order: {}", answer.status(), String::from_utf8_lossy(&answer.body))
        });
        let Some(order) = order else { return false };
        let told = self.ledger.borrow_mut().acknowledge(purchase, order, &answer.body);
        match told {
            Told::First => {}
            Told::Same => self.must(Invariant::IdempotentReplay, answer.head.replayed, || {
                format!("{order}: a repeat was answered without Idempotency-Replayed")
            }),
            Told::Otherwise(what) => self.must(Invariant::IdempotentReplay, false, || what),
        }
        true
    }
}
