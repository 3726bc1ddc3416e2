//! Clients of the real server that write down what they ask and are told: they hold, give back, order at once, from a hold
//! and by a cart, cancel, take units in, and look.

use crate::history::{Entry, History};
use crate::shelf::Act;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use stampede::client::{Answer, Pool, Request, Says};
use stampede_actors::ids::HoldId;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Clients, and connections: none waits for another's.
pub const CLIENTS: usize = 8;
/// Longest wait for one answer: longer than the server's own limit.
const PATIENCE: Duration = Duration::from_secs(12);
/// Tries of what must be answered at last, with a pause of 20 ms in between.
const TRIES: usize = 500;

/// What they share.
pub struct Clients {
    pool: Pool,
    bearer: String,
    skus: Vec<String>,
    pub history: RefCell<History>,
    /// What has no answer, and may be asked for again.
    unknown: RefCell<Vec<Ask>>,
    /// Cancellations, whose units shall come back.
    cancelled: RefCell<Vec<(Claimed, Request)>>,
    /// What no correct server answers.
    pub nonsense: RefCell<Vec<String>>,
    numbers: Cell<u32>,
    down: Cell<bool>,
    leaving: Cell<bool>,
}

/// A request, and what it does when it is granted.
#[derive(Clone)]
struct Ask {
    shelf: usize,
    request: Request,
    act: Act,
}

/// An answer.
enum Told {
    Yes(Answer),
    No,
    /// None, or no definite one.
    Nothing,
}

/// A claim and where to look for it.
#[derive(Clone, Copy)]
struct Claimed {
    shelf: usize,
    claim: u32,
    hold: HoldId,
    /// Where in the history its end is, which comes when the server comes to it.
    end: Option<usize>,
}

impl Clients {
    /// Clients of these SKUs, which nobody else touches.
    pub fn new(api: SocketAddr, key: &str, skus: Vec<String>) -> Rc<Clients> {
        Rc::new(Clients {
            pool: Pool::new(api, CLIENTS),
            bearer: format!("Bearer {key}"),
            skus,
            history: RefCell::default(),
            unknown: RefCell::default(),
            cancelled: RefCell::default(),
            nonsense: RefCell::default(),
            numbers: Cell::new(0),
            down: Cell::new(false),
            leaving: Cell::new(false),
        })
    }

    /// Lists the SKUs and takes so many units of each in.
    pub async fn fill(&self, units: u32) -> anyhow::Result<()> {
        for (shelf, sku) in self.skus.iter().enumerate() {
            let body = json!({ "seller": "acme", "price": { "amount": 1999, "currency": "EUR" } }).to_string();
            let path = format!("/v1/skus/{sku}");
            let listing = Request::new("PUT", &path, &[("authorization", &self.bearer)], Some(&body));
            self.definite(&listing).await?;
            self.until_answered(&self.receipt(shelf, units)).await?;
        }
        Ok(())
    }

    /// They come, and stay until they are told to leave.
    pub fn begin(self: &Rc<Self>, rng: &mut StdRng) -> Vec<JoinHandle<()>> {
        let client = |_| {
            let (clients, mut rng) = (self.clone(), StdRng::seed_from_u64(rng.random()));
            tokio::task::spawn_local(async move {
                while !clients.leaving.get() {
                    if clients.down.get() {
                        sleep(Duration::from_millis(2)).await;
                    } else {
                        let _ = clients.visit(&mut rng).await;
                    }
                }
            })
        };
        (0..CLIENTS).map(client).collect()
    }

    pub fn leave(&self) {
        self.leaving.set(true);
    }

    /// Nobody asks for anything while the server is down. It is killed in between, and dead when this comes back.
    pub fn while_down(&self, kill: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.down.set(true);
        let invoked = self.history.borrow_mut().now();
        kill()?;
        self.pool.forget_idle();
        self.history.borrow_mut().killed(self.skus.len(), invoked);
        Ok(())
    }

    /// The server is ready again.
    pub fn up(&self) {
        self.down.set(false);
    }

    /// Asks again for what has no answer, but for one in so many (0: for all), and looks whether cancelled units are back.
    pub async fn settle(&self, rng: &mut StdRng, left_unknown: u32) -> anyhow::Result<()> {
        for ask in self.unknown.take() {
            if left_unknown == 0 || rng.random_range(0..left_unknown) > 0 {
                self.until_answered(&ask).await?;
            }
        }
        for (claimed, request) in self.cancelled.take() {
            self.definite(&request).await?;
            anyhow::ensure!(
                self.comes_back(claimed).await,
                "{} was cancelled, and its units are not back",
                claimed.hold
            );
        }
        Ok(())
    }

    /// Units come in, and everybody sees how many are free.
    pub async fn look_at_all(&self, units: u32) -> anyhow::Result<()> {
        for shelf in 0..self.skus.len() {
            self.until_answered(&self.receipt(shelf, units)).await?;
            anyhow::ensure!(self.look(shelf).await.is_some(), "no look at {}", self.skus[shelf]);
        }
        Ok(())
    }

    /// One visit. Nothing: it ended with a refusal, or without an answer.
    async fn visit(&self, rng: &mut StdRng) -> Option<()> {
        let (shelf, units) = (rng.random_range(0..self.skus.len()), rng.random_range(1..4));
        match rng.random_range(0..100) {
            0..40 => self.hold(rng, shelf, units).await,
            40..58 => {
                let body = self.order(shelf, units);
                let ask = self.claiming(shelf, units, |key| Request::post("/v1/orders", key, &body));
                self.order_and_cancel(rng, ask).await
            }
            58..66 => {
                let buyer = json!({ "buyer": self.name("buyer") }).to_string();
                let opened = self.granted(&Request::post("/v1/carts", &self.name("key"), &buyer)).await?;
                let cart = text(&opened.json()?, "cart")?;
                let path = format!("/v1/carts/{cart}/lines/{}", self.skus[shelf]);
                self.granted(&Request::put(&path, &json!({ "units": units }).to_string())).await?;
                let (path, body) =
                    (format!("/v1/carts/{cart}/checkout"), json!({ "payment_token": "tok_ok" }).to_string());
                let ask = self.claiming(shelf, units, |key| Request::post(&path, key, &body));
                self.order_and_cancel(rng, ask).await
            }
            66..92 => self.look(shelf).await,
            _ => self.try_once(self.receipt(shelf, units)).await.map(drop),
        }
    }

    /// Holds units; then they are given back, ordered, looked for, or left.
    async fn hold(&self, rng: &mut StdRng, shelf: usize, units: u32) -> Option<()> {
        let (hold, buyer) = (HoldId(rand::random()), self.name("buyer"));
        let (path, claim) = (format!("/v1/skus/{}/holds/{hold}", self.skus[shelf]), self.number());
        let body = json!({ "units": units, "buyer": buyer }).to_string();
        let act = Act::Claim { claim, units: i64::from(units), again: None };
        self.try_once(Ask { shelf, request: Request::put(&path, &body), act }).await?;
        match rng.random_range(0..100) {
            0..60 => {
                let request = Request::new("DELETE", &path, &[], None);
                self.try_once(Ask { shelf, request, act: Act::End { claim } }).await?;
            }
            60..85 => {
                let line = json!({ "sku": self.skus[shelf], "units": units, "hold": hold.to_string() });
                let body = json!({ "buyer": buyer, "payment_token": "tok_ok", "lines": [line] }).to_string();
                let request = Request::post("/v1/orders", &self.name("key"), &body);
                self.order_and_cancel(rng, Ask { shelf, request, act: Act::TakeOver { claim } }).await?;
            }
            85..95 => drop(self.seek(Claimed { shelf, claim, hold, end: None }).await?),
            _ => {}
        }
        Some(())
    }

    /// Orders, and mostly cancels.
    async fn order_and_cancel(&self, rng: &mut StdRng, ask: Ask) -> Option<()> {
        let (shelf, act) = (ask.shelf, ask.act);
        let (Act::Claim { claim, .. } | Act::TakeOver { claim }) = act else { return None };
        let body = self.try_once(ask).await?.json()?;
        let hold = text(body.get("lines")?.get(0)?, "hold")?.parse().ok()?;
        let order = text(&body, "order")?;
        if rng.random_bool(0.85) {
            let invoked = self.history.borrow_mut().now();
            // The units come back when the server comes to it.
            let end = Some(self.note(Entry { shelf, invoked, returned: None, life: None, act: Act::End { claim } }));
            let claimed = Claimed { shelf, claim, hold, end };
            let request = Request::post(&format!("/v1/orders/{order}/cancel"), &self.name("key"), "{}");
            self.cancelled.borrow_mut().push((claimed, request.clone()));
            self.granted(&request).await?;
            if rng.random_bool(0.75) {
                self.comes_back(claimed).await;
            }
        }
        Some(())
    }

    /// Looks until the claim is gone, and will stay so. Is it?
    async fn comes_back(&self, claimed: Claimed) -> bool {
        for _ in 0..TRIES {
            if self.down.get() {
                return false;
            }
            // That nothing is found may rest on what is not committed; what is looked at afterwards waits for that.
            if self.seek(claimed).await == Some(false) && self.look(claimed.shelf).await.is_some() {
                let mut history = self.history.borrow_mut();
                let now = history.now();
                if let Some(end) = claimed.end {
                    history.entries[end].returned.get_or_insert(now);
                }
                return true;
            }
            sleep(Duration::from_millis(20)).await;
        }
        false
    }

    /// Looks for a claim: is it there?
    async fn seek(&self, Claimed { shelf, claim, hold, .. }: Claimed) -> Option<bool> {
        let request = Request::get(&format!("/v1/skus/{}/holds/{hold}", self.skus[shelf]));
        let invoked = self.history.borrow_mut().now();
        let answer = self.send(&request).await?;
        let found = answer.status() == 200;
        if !found && answer.code() != "hold_ended" {
            self.complain(&request, &answer);
            return None;
        }
        self.answered(shelf, invoked, Act::Sought { claim, found });
        Some(found)
    }

    async fn look(&self, shelf: usize) -> Option<()> {
        let request = Request::get(&format!("/v1/skus/{}/availability", self.skus[shelf]));
        let invoked = self.history.borrow_mut().now();
        let body = self.granted(&request).await?.json()?;
        let [available, on_hand, held, allocated] =
            ["available", "on_hand", "held", "allocated"].map(|field| body.get(field).and_then(Value::as_i64));
        let available = available?;
        if available != on_hand? - held? - allocated? {
            self.nonsense.borrow_mut().push(format!("stock that does not add up: {body}"));
        }
        self.answered(shelf, invoked, Act::Look { available });
        Some(())
    }

    /// Asks once. What has no answer is left to be asked for again. The answer, if it was granted.
    async fn try_once(&self, ask: Ask) -> Option<Answer> {
        match self.ask(&ask).await {
            Told::Yes(answer) => return Some(answer),
            Told::No => {}
            Told::Nothing => self.unknown.borrow_mut().push(ask),
        }
        None
    }

    /// Asks once, and writes it down.
    async fn ask(&self, ask: &Ask) -> Told {
        let (invoked, life) = {
            let mut history = self.history.borrow_mut();
            (history.now(), Some(history.life))
        };
        let shelf = ask.shelf;
        let Some(answer) = self.send(&ask.request).await else {
            // Of an order from a hold, nothing is known that the SKU shows.
            if !matches!(ask.act, Act::TakeOver { .. }) {
                self.note(Entry { shelf, invoked, returned: None, life, act: ask.act });
            }
            return Told::Nothing;
        };
        let replayed = answer.head.replayed;
        let granted = match ask.act {
            Act::Receive { receipt, units, .. } => Act::Receive { receipt, units, again: Some(replayed) },
            // A hold says so by its status. An order whose claim a kill has left without it is placed anew.
            Act::Claim { claim, units, .. } if ask.request.line().starts_with("PUT") => {
                Act::Claim { claim, units, again: Some(answer.status() == 200) }
            }
            Act::Claim { claim, units, .. } => Act::Claim { claim, units, again: replayed.then_some(true) },
            other => other,
        };
        match (answer.says(), ask.act) {
            (Says::Yes, _) => {
                self.answered(shelf, invoked, granted);
                return Told::Yes(answer);
            }
            (Says::No(code), Act::Claim { claim, units, .. }) if code == "sold_out" => {
                self.answered(shelf, invoked, Act::Refused { claim, units });
            }
            // Units that an order may still give back: it says nothing about how many are free.
            (Says::No(code), Act::Claim { .. }) if code == "contended" => {}
            _ => self.complain(&ask.request, &answer),
        }
        Told::No
    }

    async fn until_answered(&self, ask: &Ask) -> anyhow::Result<()> {
        for _ in 0..TRIES {
            if !matches!(self.ask(ask).await, Told::Nothing) {
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("{}: no definite answer", ask.request.line())
    }

    async fn definite(&self, request: &Request) -> anyhow::Result<()> {
        for _ in 0..TRIES {
            if let Some(answer) = self.send(request).await {
                anyhow::ensure!(answer.says() == Says::Yes, "{}: {answer:?}", request.line());
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("{}: no definite answer", request.line())
    }

    /// Asks for what nobody may refuse. Nothing: there was no answer.
    async fn granted(&self, request: &Request) -> Option<Answer> {
        let answer = self.send(request).await?;
        if answer.says() == Says::Yes {
            return Some(answer);
        }
        self.complain(request, &answer);
        None
    }

    fn complain(&self, request: &Request, answer: &Answer) {
        let (status, body) = (answer.status(), String::from_utf8_lossy(&answer.body));
        self.nonsense.borrow_mut().push(format!("{}: {status} {body}", request.line()));
    }

    /// A definite answer, or nothing.
    async fn send(&self, request: &Request) -> Option<Answer> {
        let answer = self.pool.send(request, PATIENCE).await.ok()?;
        // 408: an idle connection that the server had given up when it was used once more.
        (answer.status() != 408 && !matches!(answer.says(), Says::Busy(_))).then_some(answer)
    }

    fn answered(&self, shelf: usize, invoked: u64, act: Act) {
        let (returned, life) = {
            let mut history = self.history.borrow_mut();
            (Some(history.now()), Some(history.life))
        };
        self.note(Entry { shelf, invoked, returned, life, act });
    }

    /// Writes it down; where it stands.
    fn note(&self, entry: Entry) -> usize {
        let entries = &mut self.history.borrow_mut().entries;
        entries.push(entry);
        entries.len() - 1
    }

    fn receipt(&self, shelf: usize, units: u32) -> Ask {
        let receipt = self.number();
        let body = json!({ "location": "berlin", "units": units }).to_string();
        let headers = [("authorization", self.bearer.as_str()), ("idempotency-key", &self.name("key"))];
        let request = Request::new("POST", &format!("/v1/skus/{}/receipts", self.skus[shelf]), &headers, Some(&body));
        Ask { shelf, request, act: Act::Receive { receipt, units: i64::from(units), again: None } }
    }

    fn claiming(&self, shelf: usize, units: u32, request: impl FnOnce(&str) -> Request) -> Ask {
        let act = Act::Claim { claim: self.number(), units: i64::from(units), again: None };
        Ask { shelf, request: request(&self.name("key")), act }
    }

    fn order(&self, shelf: usize, units: u32) -> String {
        let line = json!({ "sku": self.skus[shelf], "units": units });
        json!({ "buyer": self.name("buyer"), "payment_token": "tok_ok", "lines": [line] }).to_string()
    }

    fn number(&self) -> u32 {
        self.numbers.set(self.numbers.get() + 1);
        self.numbers.get()
    }

    /// No other round has it, since its SKUs are named otherwise.
    fn name(&self, of: &str) -> String {
        format!("{of}-{}-{}", self.skus[0], self.number())
    }
}

fn text(body: &Value, field: &str) -> Option<String> {
    Some(body.get(field)?.as_str()?.to_owned())
}
