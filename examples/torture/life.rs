//! The life of one data directory: a server on it, buyers at it, and what must hold whenever it is looked at.

use crate::buyers::{Buyers, SETTLE};
use crate::ledger::{Deed, What};
use crate::power::{Shadow, Shim};
use crate::way::Way;
use anyhow::{Context, bail, ensure};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use stampede::client::Request;
use stampede::demo::books::Books;
use stampede::demo::{Server, Setup};
use std::path::Path;
use std::rc::Rc;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::sleep;

/// Longest time that a start may take.
pub const START: Duration = Duration::from_secs(60);
/// Between two looks at whether all is at rest.
const LOOK: Duration = Duration::from_millis(50);
/// Looks until it must be: those of half a minute. Not a time, since on a machine that is busy with something else the server
/// comes less far in it, and we come to look less often.
const LOOKS: u32 = 600;
/// SKUs and units of each at the beginning: enough to sell, little enough to sell out.
const SKUS: usize = 6;
const UNITS: u32 = 1_500;
/// Acknowledged requests of earlier cycles that are repeated after each crash; at the end all of them are.
const SAMPLE: usize = 200;

/// Between its fork and its exec, a child has all files of this process open, and their locks: nobody is started while
/// somebody reads a log.
static FORKS: RwLock<()> = RwLock::new(());

/// Reads everything back from the directory of a server that has ended.
pub fn books(data: &Path) -> anyhow::Result<Books> {
    let _no_forks = FORKS.write().unwrap_or_else(PoisonError::into_inner);
    Books::read(data, data)
}

/// See the module.
pub struct Life {
    pub setup: Setup,
    server: Option<Server>,
    pub buyers: Rc<Buyers>,
    pub way: Way,
    pub key: String,
    /// Of the ledger, checked after an earlier crash.
    checked: usize,
    dir: TempDir,
}

impl Life {
    /// A fresh directory, a server on it and stock in it.
    pub async fn begin(program: &Path, run: &str, way: Way, env: Vec<(String, String)>) -> anyhow::Result<Life> {
        let mut life = Life::lay_out(program, &std::env::temp_dir(), run, way)?;
        life.restart(env).await?;
        life.buyers.fill(UNITS).await?;
        Ok(life)
    }

    /// A fresh directory; no server runs yet.
    pub fn lay_out(program: &Path, room: &Path, run: &str, way: Way) -> anyhow::Result<Life> {
        let dir = tempfile::Builder::new().prefix("stampede-torture-").tempdir_in(room)?;
        let flags: Vec<&str> = way.flags.iter().map(String::as_str).collect();
        let setup = Setup::new(program, dir.path(), &flags)?;
        let key = stampede::keys::create(&setup.data, "torture")?.secret;
        let buyers = Buyers::new(setup.api, &key, SKUS, run, way.hold_ttl);
        Ok(Life { setup, server: None, buyers, way, key, checked: 0, dir })
    }

    /// Starts a server with this environment; it is not ready yet.
    pub fn start(&mut self, env: Vec<(String, String)>) -> anyhow::Result<&mut Server> {
        self.server = None;
        self.setup.env = env;
        let _forks = FORKS.read().unwrap_or_else(PoisonError::into_inner);
        Ok(self.server.insert(Server::start(self.setup.clone())?))
    }

    /// The server.
    pub fn server(&mut self) -> anyhow::Result<&mut Server> {
        self.server.as_mut().context("no server was started")
    }

    /// Takes over what was acknowledged on a directory of which this one is a copy.
    pub fn inherit(&mut self, key: &str, deeds: Vec<Deed>) {
        self.key = key.to_owned();
        self.buyers = Buyers::new(self.setup.api, key, SKUS, "heir", self.way.hold_ttl);
        self.buyers.ledger.borrow_mut().deeds = deeds;
    }

    /// The server has ended.
    pub fn put_away(&mut self) {
        self.server = None;
    }

    /// Where everything of it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Keeps the directory for whoever looks into what went wrong.
    pub fn leave_behind(self) -> std::path::PathBuf {
        self.dir.keep()
    }

    /// Starts a server with this environment, and waits until it is ready.
    pub async fn restart(&mut self, env: Vec<(String, String)>) -> anyhow::Result<()> {
        self.start(env)?.ready(START).await?;
        Ok(())
    }

    /// The environment with the shim; and the shadow, where the power may go.
    pub fn under(&self, shim: &Shim, shadow: Option<&Shadow>) -> Vec<(String, String)> {
        let mut env = shim.env(&self.setup.data);
        env.extend(shadow.map(Shadow::env));
        env
    }

    /// What must hold after every crash: whatever was acknowledged is answered as before, whatever was not has one outcome.
    pub async fn check(&mut self, rng: &mut StdRng) -> anyhow::Result<()> {
        self.buyers.settle().await?;
        let acknowledged = self.buyers.ledger.borrow().acknowledged();
        let (old, new): (Vec<usize>, Vec<usize>) = acknowledged.iter().partition(|&&index| index < self.checked);
        let sample: Vec<usize> = old.choose_multiple(rng, SAMPLE).copied().collect();
        self.buyers.repeat([new, sample].concat()).await?;
        self.checked = self.buyers.ledger.borrow().deeds.len();
        self.audit().await?;
        self.violations()
    }

    /// The rules, as the server counts them.
    async fn audit(&self) -> anyhow::Result<serde_json::Value> {
        let audit = self.buyers.look("/v1/audit").await?;
        let bad = audit["verdict"] != "ok" || audit["violated"] != 0 || audit["oversold"] != 0;
        if bad {
            self.buyers.violation(format!("the audit: {audit}"));
        }
        let received = audit["allocated_supply"].as_i64();
        let known: i64 = self.buyers.ledger.borrow().stock().values().sum();
        if received != Some(known) {
            self.buyers.violation(format!("{received:?} units came in, and {known} were acknowledged"));
        }
        Ok(audit)
    }

    /// Reads the log of the killed server back: what was acknowledged is there, and no rule is broken.
    pub fn check_offline(&self) -> anyhow::Result<()> {
        if !self.way.keeps_history {
            return Ok(());
        }
        let books = books(&self.setup.data)?;
        for violation in books.violations() {
            self.buyers.violation(format!("offline: {violation}"));
        }
        for (order, buyer, lines) in self.buyers.ledger.borrow().orders() {
            if let Err(why) = books.has(&order, buyer, lines.to_vec()) {
                bail!("{order}: acknowledged, but {why}");
            }
        }
        Ok(())
    }

    /// The end of it: all comes to rest, all is repeated, and log, provider and clients agree.
    pub async fn end(&mut self) -> anyhow::Result<()> {
        self.come_to_rest().await?;
        let acknowledged = self.buyers.ledger.borrow().acknowledged();
        self.buyers.repeat(acknowledged).await?;
        self.server()?.stop(Duration::from_secs(30)).await?;
        let words = std::fs::read_to_string(self.setup.log())?;
        ensure!(!words.contains("panicked"), "the server has panicked: {}", self.setup.log().display());
        if self.way.keeps_history {
            let books = books(&self.setup.data)?;
            books.complaints().into_iter().for_each(|complaint| self.buyers.violation(complaint));
            let ledger = self.buyers.ledger.borrow();
            let told: std::collections::HashSet<String> = ledger.orders().into_iter().map(|(id, ..)| id).collect();
            let untold: Vec<&str> = books.orders().filter(|&order| !told.contains(order)).collect();
            ensure!(untold.is_empty(), "orders that nobody was told of: {untold:?}");
            for (sku, units) in ledger.stock() {
                let sold = books.sold(sku);
                ensure!(sold <= units, "{sku}: {sold} sold of {units}");
            }
            drop(ledger);
            self.check_offline()?;
        }
        self.violations()
    }

    /// Gives holds back, cancels what is not paid, and waits until nothing is under way.
    async fn come_to_rest(&self) -> anyhow::Result<()> {
        let mut holds = Vec::new();
        for deed in &mut self.buyers.ledger.borrow_mut().deeds {
            if let What::Hold { taken, .. } = &mut deed.what {
                *taken = true;
                holds.push(deed.request.line().trim_start_matches("PUT ").to_owned());
            }
        }
        for hold in holds {
            self.buyers.definite(&Request::new("DELETE", &hold, &[], None)).await?;
        }
        let mut looks = 0;
        loop {
            let audit = self.audit().await?;
            let open = audit["orders"].as_object().context("orders")?.iter();
            let open: i64 = open
                .filter(|(state, _)| !["fulfilled", "cancelled", "expired"].contains(&state.as_str()))
                .filter_map(|(_, count)| count.as_i64())
                .sum();
            // What a crash leaves of an order that was then refused ends with its hold, which may take ten minutes.
            let held = audit["held"] == 0 || self.way.hold_ttl > SETTLE;
            if open == 0 && held && audit["charges"] == audit["captured_orders"] {
                return Ok(());
            }
            looks += 1;
            ensure!(looks < LOOKS, "it does not come to rest: {audit}");
            if audit["orders"].get("awaiting_payment").is_some_and(|count| *count != 0) {
                self.cancel_unpaid().await?;
            }
            sleep(LOOK).await;
        }
    }

    async fn cancel_unpaid(&self) -> anyhow::Result<()> {
        let unpaid = self.buyers.look("/v1/orders?state=awaiting_payment&limit=100").await?;
        for order in unpaid["data"].as_array().context("data")? {
            let path = format!("/v1/orders/{}/cancel", order["order"].as_str().context("order")?);
            self.buyers.definite(&Request::post(&path, &self.buyers.name("cancel"), "{}")).await?;
        }
        Ok(())
    }

    fn violations(&self) -> anyhow::Result<()> {
        match self.buyers.ledger.borrow().violations.as_slice() {
            [] => Ok(()),
            violations => {
                bail!("{} violations: {}", violations.len(), violations[..violations.len().min(5)].join("; "))
            }
        }
    }
}
