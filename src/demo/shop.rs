//! The shop as its visitors see it: how a request is sent until there is a definite answer, and what is written down.

use crate::client::{Answer, Failure, Pool, Request, Says};
use crate::demo::crowd::Crowd;
use crate::demo::ledger::Ledger;
use crate::demo::shelf::Shelf;
use crate::demo::stats::{Kind, Stats};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Longest wait for one answer; longer than the server's own limit.
const PATIENCE: Duration = Duration::from_secs(12);
/// A request without a definite answer after this is given up, and the run fails.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Connections of those who look after orders and shelves.
const WATCHERS: usize = 8;

/// What all visitors of one sale share. Everything lives on one thread.
#[derive(Debug)]
pub struct Shop {
    /// The way in.
    pub pool: Pool,
    /// For those who only look: they need not wait in line with the buyers.
    watchers: Pool,
    /// Who comes.
    pub crowd: Crowd,
    /// What is for sale.
    pub shelves: Vec<Shelf>,
    /// What was felt.
    pub stats: RefCell<Stats>,
    /// What was acknowledged.
    pub ledger: RefCell<Ledger>,
}

/// A definite answer.
#[derive(Debug)]
pub enum Reply {
    /// 2xx.
    Accepted(Answer),
    /// No, with this code; a later try may succeed.
    Refused(String),
}

impl Shop {
    /// A shop at this address, before the first visitor. Buyers share so many connections.
    #[must_use]
    pub fn new(address: SocketAddr, connections: usize, crowd: Crowd, shelves: Vec<Shelf>) -> Shop {
        let (pool, watchers) = (Pool::new(address, connections), Pool::new(address, WATCHERS));
        Shop { pool, watchers, crowd, shelves, stats: RefCell::default(), ledger: RefCell::default() }
    }

    /// Hangs up every idle connection: the server behind them is gone.
    pub fn forget_idle(&self) {
        self.pool.forget_idle();
        self.watchers.forget_idle();
    }

    /// Sends a request until there is a definite answer, the same bytes each time. The latency counts from `meant_at`,
    /// the moment at which the buyer meant to send it, so that waiting in any queue of ours is in it.
    /// Nothing: given up.
    pub async fn ask(&self, request: &Request, meant_at: Instant) -> Option<Reply> {
        loop {
            let (why, wait) = match self.pool.send(request, PATIENCE).await {
                Ok(answer) => match answer.says() {
                    Says::Busy(code) => self.polite(&answer, &code),
                    said => return Some(self.definite(answer, said, meant_at)),
                },
                Err(failure) => {
                    if let Failure::Malformed(what) = &failure {
                        self.stats.borrow_mut().unexpected(what.clone());
                    }
                    (failure.to_string(), Duration::from_millis(50))
                }
            };
            if meant_at.elapsed() > GIVE_UP {
                self.stats.borrow_mut().gave_up(request.line(), &why);
                return None;
            }
            self.stats.borrow_mut().sent_again += 1;
            // Spread, so that those who were cut off together do not come back together.
            sleep(wait.mul_f64(rand::random_range(1.0..1.5))).await;
        }
    }

    /// Looks at something without being a buyer: not counted, one try. Nothing: no 200 with JSON.
    pub async fn look(&self, path: &str) -> Option<serde_json::Value> {
        let answer = self.watchers.send(&Request::get(path), PATIENCE).await.ok()?;
        if answer.status() == 200 { answer.json() } else { None }
    }

    fn definite(&self, answer: Answer, said: Says, meant_at: Instant) -> Reply {
        let stats = &mut *self.stats.borrow_mut();
        let latency = meant_at.elapsed();
        let code = match said {
            Says::Yes => {
                stats.answered(Kind::Accepted, latency);
                return Reply::Accepted(answer);
            }
            Says::No(code) | Says::Busy(code) => code,
            Says::Nonsense => {
                let body = String::from_utf8_lossy(&answer.body);
                stats.unexpected(format!("{} {body}", answer.status()));
                answer.code()
            }
        };
        stats.answered(Kind::Refused, latency);
        stats.refused(&code);
        Reply::Refused(code)
    }

    /// A busy answer says when to come back; one that does not is counted as a defect.
    fn polite(&self, answer: &Answer, code: &str) -> (String, Duration) {
        let what = format!("{} {code}", answer.status());
        if answer.head.retry_after.is_none() {
            self.stats.borrow_mut().unexpected(format!("without Retry-After: {what}"));
        }
        (what, answer.wait())
    }
}
