//! Buyers and a seller, many at a time, each request under a key of its own. They give up nothing: what has no definite
//! answer stays in the ledger, to be repeated after the crash.

use crate::ledger::{Ledger, Told, What, text};
use crate::since::Since;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use stampede::client::{Answer, Pool, Request};
use stampede_actors::ids::HoldId;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Connections, and so requests at a time.
const CONNECTIONS: usize = 16;
/// Longest wait for one answer: longer than the server's own limit.
const PATIENCE: Duration = Duration::from_secs(12);
/// Longest time until there must be a definite answer.
pub const SETTLE: Duration = Duration::from_secs(30);

/// What a run of buyers shares.
pub struct Buyers {
    pub pool: Pool,
    pub ledger: RefCell<Ledger>,
    bearer: String,
    /// SKUs for sale: `sku-0` and so on.
    skus: usize,
    /// In every key and name, so that no two runs share any.
    run: String,
    names: Cell<u64>,
    leaving: Cell<bool>,
    /// How long a hold lasts without its order.
    pub hold_ttl: Duration,
}

impl Buyers {
    pub fn new(api: SocketAddr, key: &str, skus: usize, run: &str, hold_ttl: Duration) -> Rc<Buyers> {
        Rc::new(Buyers {
            pool: Pool::new(api, CONNECTIONS),
            ledger: RefCell::default(),
            bearer: format!("Bearer {key}"),
            skus,
            run: run.to_owned(),
            names: Cell::new(0),
            leaving: Cell::new(false),
            hold_ttl,
        })
    }

    /// Lists the SKUs and takes units of each in.
    pub async fn fill(&self, units: u32) -> anyhow::Result<()> {
        self.try_to_fill(units).await;
        self.settle().await
    }

    /// The same, without a second try of what has no answer.
    pub async fn try_to_fill(&self, units: u32) {
        for sku in 0..self.skus {
            let body = json!({ "seller": "acme", "price": { "amount": 1999, "currency": "EUR" } }).to_string();
            let headers = [("authorization", self.bearer.as_str())];
            let listing = Request::new("PUT", &format!("/v1/skus/sku-{sku}"), &headers, Some(&body));
            self.ask(What::Listing, listing).await;
            self.receive(sku, units).await;
        }
    }

    /// Buys and sells, with so many at a time, until they are told to leave. They end at the first moment without a
    /// request, so at the latest when the server dies.
    pub fn begin(self: &Rc<Self>, seed: u64, at_a_time: usize, visits: usize) -> Vec<JoinHandle<()>> {
        self.leaving.set(false);
        let work = (0..at_a_time).map(|worker| {
            let rng = StdRng::seed_from_u64(seed ^ ((worker as u64) << 32));
            tokio::task::spawn_local(self.clone().work(rng, visits.div_ceil(at_a_time)))
        });
        work.collect()
    }

    /// Was everything listed and received that was tried?
    pub fn is_filled(&self) -> bool {
        let ledger = self.ledger.borrow();
        let basic = |what: &What| matches!(what, What::Listing | What::Receipt { .. });
        ledger.deeds.iter().filter(|deed| basic(&deed.what)).all(|deed| deed.told != Told::Nothing)
    }

    /// Nobody begins anything new.
    pub fn leave(&self) {
        self.leaving.set(true);
    }

    async fn work(self: Rc<Self>, mut rng: StdRng, visits: usize) {
        for _ in 0..visits {
            if self.leaving.get() {
                return;
            }
            let _ = self.visit(&mut rng).await;
            sleep(Duration::from_millis(rng.random_range(0..20))).await;
        }
    }

    /// One visit; nothing: it ended without a definite answer, or with a refusal.
    pub async fn visit(&self, rng: &mut StdRng) -> Option<()> {
        let (sku, units) = (rng.random_range(0..self.skus), rng.random_range(1..4));
        let buyer = self.name("buyer");
        let pays = rng.random_bool(0.9);
        match rng.random_range(0..100) {
            0..45 => drop(self.order(&buyer, vec![(sku, units)], None, pays).await?),
            45..55 => {
                let other = (sku + 1) % self.skus;
                drop(self.order(&buyer, vec![(sku, units), (other, 1)], None, pays).await?);
            }
            55..68 => {
                let (index, hold) = self.hold(&buyer, sku, units).await?;
                self.taken(index);
                drop(self.order(&buyer, vec![(sku, units)], Some(hold), pays).await?);
            }
            68..78 => {
                let (index, hold) = self.hold(&buyer, sku, units).await?;
                self.taken(index);
                let path = format!("/v1/skus/sku-{sku}/holds/{hold}");
                self.ask(What::Release, Request::new("DELETE", &path, &[], None)).await?;
            }
            78..82 => drop(self.hold(&buyer, sku, units).await?),
            82..93 => self.cart(&buyer, sku, units).await?,
            93..96 => drop(self.receive(sku, units).await?),
            _ => {
                let placed = self.order(&buyer, vec![(sku, units)], None, true).await?;
                let order = text(&placed.body, "order")?;
                let path = format!("/v1/orders/{order}/cancel");
                self.ask(What::Cancel, Request::post(&path, &self.key(), "{}")).await?;
            }
        }
        Some(())
    }

    async fn order(&self, buyer: &str, wants: Vec<(usize, u32)>, hold: Option<HoldId>, pays: bool) -> Option<Answer> {
        let line = |(sku, units): &(usize, u32)| match hold {
            Some(hold) => json!({ "sku": format!("sku-{sku}"), "units": units, "hold": hold.to_string() }),
            None => json!({ "sku": format!("sku-{sku}"), "units": units }),
        };
        let token = if pays { "tok_ok" } else { "tok_declined_funds" };
        let lines: Vec<_> = wants.iter().map(line).collect();
        let body = json!({ "buyer": buyer, "payment_token": token, "lines": lines }).to_string();
        let lines = wants.iter().map(|(sku, units)| (format!("sku-{sku}"), *units)).collect();
        let what = What::Order { buyer: buyer.to_owned(), lines };
        self.ask(what, Request::post("/v1/orders", &self.key(), &body)).await
    }

    /// Holds units; where in the ledger it is, and its id.
    pub async fn hold(&self, buyer: &str, sku: usize, units: u32) -> Option<(usize, HoldId)> {
        let hold = HoldId(rand::random());
        let path = format!("/v1/skus/sku-{sku}/holds/{hold}");
        let body = json!({ "units": units, "buyer": buyer }).to_string();
        let index = self.ledger.borrow().deeds.len();
        self.ask(What::Hold { since: Since::now(), taken: false }, Request::put(&path, &body)).await?;
        Some((index, hold))
    }

    fn taken(&self, index: usize) {
        if let What::Hold { taken, .. } = &mut self.ledger.borrow_mut().deeds[index].what {
            *taken = true;
        }
    }

    async fn cart(&self, buyer: &str, sku: usize, units: u32) -> Option<()> {
        let body = json!({ "buyer": buyer }).to_string();
        let opened = self.ask(What::Cart, Request::post("/v1/carts", &self.key(), &body)).await?;
        let cart = text(&opened.body, "cart")?;
        let path = format!("/v1/carts/{cart}/lines/sku-{sku}");
        self.ask(What::Line, Request::put(&path, &json!({ "units": units }).to_string())).await?;
        let what = What::Order { buyer: buyer.to_owned(), lines: vec![(format!("sku-{sku}"), units)] };
        let body = json!({ "payment_token": "tok_ok" }).to_string();
        self.ask(what, Request::post(&format!("/v1/carts/{cart}/checkout"), &self.key(), &body)).await?;
        Some(())
    }

    /// Takes units in; nothing: there was no definite answer.
    pub async fn receive(&self, sku: usize, units: u32) -> Option<Answer> {
        let path = format!("/v1/skus/sku-{sku}/receipts");
        let body = json!({ "location": "berlin", "units": units }).to_string();
        let headers = [("authorization", self.bearer.as_str()), ("idempotency-key", &self.key())];
        let what = What::Receipt { sku: format!("sku-{sku}"), units: i64::from(units) };
        self.ask(what, Request::new("POST", &path, &headers, Some(&body))).await
    }

    /// Sends it once. Nothing: refused, or no definite answer.
    async fn ask(&self, what: What, request: Request) -> Option<Answer> {
        let request = Arc::new(request);
        let index = self.ledger.borrow_mut().begin(what, request.clone());
        let answer = self.pool.send(&request, PATIENCE).await.ok()?;
        self.ledger.borrow_mut().told(index, &answer);
        matches!(self.ledger.borrow().deeds[index].told, Told::Yes(..)).then_some(answer)
    }

    /// Repeats what has no definite answer until it has one; listings first, since the rest rests on them.
    pub async fn settle(&self) -> anyhow::Result<()> {
        use futures_util::StreamExt;
        let unknown = self.ledger.borrow().unknown();
        let is_listing = |&index: &usize| matches!(self.ledger.borrow().deeds[index].what, What::Listing);
        let (listings, others): (Vec<usize>, Vec<usize>) = unknown.into_iter().partition(is_listing);
        for indices in [listings, others] {
            let repeats = indices.into_iter().map(|index| self.settle_one(index));
            let done: Vec<_> = futures_util::stream::iter(repeats).buffer_unordered(CONNECTIONS).collect().await;
            done.into_iter().collect::<anyhow::Result<()>>()?;
        }
        Ok(())
    }

    async fn settle_one(&self, index: usize) -> anyhow::Result<()> {
        let request = self.ledger.borrow().deeds[index].request.clone();
        let answer = self.definite(&request).await?;
        let mut ledger = self.ledger.borrow_mut();
        ledger.told(index, &answer);
        ledger.resolved += 1;
        Ok(())
    }

    /// Sends every one of these acknowledged requests once more.
    pub async fn repeat(&self, indices: Vec<usize>) -> anyhow::Result<()> {
        use futures_util::StreamExt;
        let repeats = indices.into_iter().map(|index| async move {
            let deed = self.ledger.borrow().deeds[index].clone();
            let answer = self.definite(&deed.request).await?;
            let lasts = |since: Since| since.at_most() < self.hold_ttl.mul_f64(0.9);
            let lasts = if let What::Hold { since, .. } = deed.what { lasts(since) } else { true };
            self.ledger.borrow_mut().repeated(index, &answer, lasts);
            Ok(())
        });
        let done: Vec<_> = futures_util::stream::iter(repeats).buffer_unordered(CONNECTIONS).collect().await;
        done.into_iter().collect()
    }

    /// The same request until there is a definite answer.
    pub async fn definite(&self, request: &Request) -> anyhow::Result<Answer> {
        let began = Instant::now();
        let mut last = String::new();
        while began.elapsed() < SETTLE {
            match self.pool.send(request, PATIENCE).await {
                Ok(answer)
                    if !matches!(answer.status(), 408 | 421 | 429 | 503)
                        && answer.code() != "idempotency_key_in_flight" =>
                {
                    return Ok(answer);
                }
                Ok(answer) => last = format!("{} {}", answer.status(), answer.code()),
                Err(failure) => last = failure.to_string(),
            }
            sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("{}: no definite answer within {SETTLE:?}; the last was {last}", request.line())
    }

    /// `GET` with the API key: 200 and its JSON.
    pub async fn look(&self, path: &str) -> anyhow::Result<serde_json::Value> {
        let request = Request::new("GET", path, &[("authorization", &self.bearer)], None);
        let answer = self.definite(&request).await?;
        anyhow::ensure!(answer.status() == 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        answer.json().ok_or_else(|| anyhow::anyhow!("{path}: no JSON"))
    }

    pub fn violation(&self, what: String) {
        self.ledger.borrow_mut().violations.push(what);
    }

    pub fn name(&self, of: &str) -> String {
        let number = self.names.get();
        self.names.set(number + 1);
        format!("{of}-{}-{number}", self.run)
    }

    fn key(&self) -> String {
        self.name("key")
    }
}
