//! `stampede ops` and `stampede fault`: what operators may do to a running server, over its API.

use crate::cli::{Exit, Outcome, Stop, out};
use crate::client::{Answer, Pool, Request};
use crate::import::remote;
use anyhow::{Context, anyhow};
use clap::Subcommand;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Longest wait for an answer.
const WITHIN: Duration = Duration::from_secs(10);
/// A request is repeated, with the same key, for at most so long while nobody answers or the server is busy.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// Whom to ask.
#[derive(Debug, clap::Args)]
pub struct Whom {
    /// A running server's API.
    #[arg(long, value_name = "URL", env = "STAMPEDE_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// An API key of it. Its name is what is noted as who did it.
    #[arg(long, value_name = "KEY", env = "STAMPEDE_KEY", hide_env_values = true)]
    key: String,
    /// As the API gives it.
    #[arg(long)]
    json: bool,
}

/// Why.
#[derive(Debug, clap::Args)]
struct Why {
    /// For whoever reads it later: one line. No personal data.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// `stampede ops`.
///
/// Each deed is noted in the commit log with the name of the API key and the reason: `stampede ops actions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Refuse new orders and holds of one SKU, or of the whole shop, until resumed. Survives restarts.
    Pause {
        /// Without it, the whole shop.
        sku: Option<String>,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        whom: Whom,
    },
    /// Sell again.
    Resume {
        /// Without it, the whole shop.
        sku: Option<String>,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        whom: Whom,
    },
    /// Take no new purchases on this server, until undrained or restarted.
    Drain {
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        whom: Whom,
    },
    /// Take purchases again.
    Undrain {
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        whom: Whom,
    },
    /// What operators did, newest first.
    Actions {
        #[command(flatten)]
        whom: Whom,
    },
    /// The SKUs that are wanted most just now.
    Hot {
        #[command(flatten)]
        whom: Whom,
    },
    /// Holds and allocations of a SKU.
    Holds {
        /// Which.
        sku: String,
        #[command(flatten)]
        whom: Whom,
    },
    /// Give a hold back that no order has.
    Release {
        /// Of which SKU.
        sku: String,
        /// Which hold.
        hold: String,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        whom: Whom,
    },
    /// Steps that the outside world was asked for and has not answered.
    Outbox {
        #[command(flatten)]
        whom: Whom,
    },
    /// Ask for the open steps of an order once more, now.
    Replay {
        /// Which order.
        order: String,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        whom: Whom,
    },
}

/// `stampede fault`.
///
/// The server must have been started with `--fault-injection=true`, as `stampede dev` is. Without faults it says what goes
/// wrong now.
#[derive(Debug, clap::Args)]
pub struct FaultArgs {
    /// Such as payment=timeout:30%: payment or warehouse; timeout, lost, late, decline, error or duplicate. `none` ends them.
    #[arg(value_name = "FAULT")]
    faults: Vec<String>,
    /// Each sync of the log takes so much longer.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "0s")]
    sync_delay: Duration,
    /// For whoever reads it later: one line.
    #[arg(long, value_name = "TEXT", default_value = "tried out by hand")]
    reason: String,
    #[command(flatten)]
    whom: Whom,
}

/// Does it.
///
/// # Errors
/// A server that is not there (exit code 3), or refuses.
pub fn run(args: &Args) -> Outcome {
    match &args.verb {
        Verb::Pause { sku, why, whom } => switch(whom, "pause", sku.as_deref(), why),
        Verb::Resume { sku, why, whom } => switch(whom, "resume", sku.as_deref(), why),
        Verb::Drain { why, whom } => whom.act("/v1/ops/node/drain", why).and_then(|node| whom.tell(&node, told_node)),
        Verb::Undrain { why, whom } => {
            whom.act("/v1/ops/node/undrain", why).and_then(|node| whom.tell(&node, told_node))
        }
        Verb::Actions { whom } => whom.list("/v1/ops/actions?limit=256", action),
        Verb::Hot { whom } => whom.list("/v1/ops/hot-skus", hot),
        Verb::Holds { sku, whom } => whom.list(&format!("/v1/ops/skus/{}/holds?limit=200", name(sku)?), hold),
        Verb::Release { sku, hold, why, whom } => {
            let path = format!("/v1/ops/skus/{}/holds/{}/release", name(sku)?, name(hold)?);
            let gone = whom.act(&path, why)?;
            whom.tell(&gone, |_| "its units are back".to_owned())
        }
        Verb::Outbox { whom } => whom.list("/v1/ops/outbox?limit=200", outbox),
        Verb::Replay { order, why, whom } => {
            let entry = whom.act(&format!("/v1/ops/outbox/{}/replay", name(order)?), why)?;
            whom.tell(&entry, |entry| match entry["steps"].as_array().map_or(0, Vec::len) {
                0 => "nothing of it is open".to_owned(),
                _ => format!("asked again: {}", outbox(entry)),
            })
        }
    }
}

/// Has things go wrong, or says what does.
///
/// # Errors
/// As [`run`]; also a server that takes no faults.
pub fn fault(args: &FaultArgs) -> Outcome {
    let whom = &args.whom;
    let now = if args.faults.is_empty() && args.sync_delay.is_zero() {
        whom.get("/v1/ops/faults")?
    } else {
        let faults: Vec<&String> = args.faults.iter().filter(|fault| *fault != "none").collect();
        let delay = u64::try_from(args.sync_delay.as_millis()).unwrap_or(u64::MAX);
        let body = json!({ "faults": faults, "sync_delay_ms": delay, "reason": args.reason });
        whom.send("PUT", "/v1/ops/faults", Some(&body))?
    };
    whom.tell(&now, |now| {
        let faults: Vec<_> = list(&now["faults"]).filter_map(Value::as_str).collect();
        let faults = if faults.is_empty() { "none".to_owned() } else { faults.join(", ") };
        format!("faults: {faults}; each sync takes {} ms longer", now["sync_delay_ms"])
    })
}

fn switch(whom: &Whom, verb: &str, sku: Option<&str>, why: &Why) -> Outcome {
    let Some(sku) = sku else {
        let shop = whom.act(&format!("/v1/ops/shop/{verb}"), why)?;
        return whom.tell(&shop, |shop| match shop["paused"].as_bool() {
            Some(true) => format!("the shop is paused since {}", word(&shop["paused_at"])),
            _ => "the shop sells".to_owned(),
        });
    };
    let stock = whom.act(&format!("/v1/skus/{}/{verb}", name(sku)?), why)?;
    whom.tell(&stock, |stock| {
        let state = if stock["paused"] == true { "is paused" } else { "sells" };
        format!("{sku} {state}: {} available, {} held", stock["available"], stock["held"])
    })
}

impl Whom {
    /// The path of a deed, done with a reason.
    fn act(&self, path: &str, why: &Why) -> Result<Value, Stop> {
        self.send("POST", path, Some(&json!({ "reason": why.reason })))
    }

    fn get(&self, path: &str) -> Result<Value, Stop> {
        self.send("GET", path, None)
    }

    /// Sends it until there is a definite answer: with the same key, so that it is done once.
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Stop> {
        let address = self.address()?;
        let key = format!("\"{:032x}\"", rand::random::<u128>());
        let headers = [("authorization", format!("Bearer {}", self.key)), ("idempotency-key", key)];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let body = body.map(Value::to_string);
        let request = Request::new(method, path, &headers, body.as_deref());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let answer = runtime.block_on(definite(&Pool::new(address, 1), &request));
        let answer = answer.map_err(|error| Stop::new(Exit::NotReady, anyhow!("{}: {error}", self.server)))?;
        match answer.status() {
            204 => Ok(Value::Null),
            200..=299 => Ok(answer.json().with_context(|| format!("{} answered what is no JSON", self.server))?),
            status => {
                let body = answer.json().unwrap_or_default();
                let why = body["detail"].as_str().or(body["title"].as_str()).unwrap_or("refused").to_owned();
                let fields: Vec<String> = list(&body["errors"]).map(|field| word(&field["message"])).collect();
                let why = if fields.is_empty() { why } else { format!("{why}: {}", fields.join("; ")) };
                Err(anyhow!("{status} {}: {why}", answer.code()).into())
            }
        }
    }

    /// Where the server is.
    ///
    /// # Errors
    /// An address that is none.
    pub fn address(&self) -> Result<SocketAddr, Stop> {
        remote::address(&self.server).map_err(|error| Stop::new(Exit::Usage, anyhow!(error)))
    }

    fn tell(&self, answer: &Value, words: impl Fn(&Value) -> String) -> Outcome {
        if self.json {
            out::json(answer)?
        } else {
            out::line(&words(answer))
        }
        Ok(Exit::Ok)
    }

    /// A list, all its pages, a line for each row.
    fn list(&self, path: &str, line: impl Fn(&Value) -> String) -> Outcome {
        let (mut rows, mut next) = (Vec::new(), None::<String>);
        // Far more than anybody reads.
        while rows.len() < 10_000 {
            let page = next.as_ref().map_or_else(|| path.to_owned(), |next| format!("{path}&after={next}"));
            let page = self.get(&page)?;
            rows.extend(list(&page["data"]).cloned());
            match page["next"].as_str() {
                Some(more) => next = Some(more.to_owned()),
                None => break,
            }
        }
        match self.json {
            true => out::json(&rows)?,
            false => rows.iter().for_each(|row| out::line(&line(row))),
        }
        Ok(Exit::Ok)
    }
}

async fn definite(pool: &Pool, request: &Request) -> Result<Answer, crate::client::Failure> {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = pool.send(request, WITHIN).await;
        let wait = match &answer {
            Ok(answer) if answer.status() == 503 || answer.code() == "idempotency_key_in_flight" => answer.wait(),
            Ok(_) => return answer,
            Err(_) => PAUSE,
        };
        if Instant::now() + wait >= until {
            return answer;
        }
        tokio::time::sleep(wait).await;
    }
}

/// A name that goes into a path as it is.
fn name(text: &str) -> Result<&str, Stop> {
    let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte));
    if fits { Ok(text) } else { Err(Stop::new(Exit::Usage, anyhow!("{text:?} is no name"))) }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn told_node(node: &Value) -> String {
    let state = if node["draining"] == true { "draining" } else { "in service" };
    format!("{state}: {} requests in flight, {} purchases admitted", node["in_flight"], node["permits_in_use"])
}

fn action(action: &Value) -> String {
    let subject = action["subject"].as_str().unwrap_or("the shop");
    format!(
        "{}  {:<12} {:<14} {subject}: {}",
        word(&action["at"]),
        word(&action["by"]),
        word(&action["what"]),
        word(&action["reason"])
    )
}

fn hot(sku: &Value) -> String {
    let share = sku["share"].as_f64().unwrap_or_default() * 100.0;
    format!("{:>3}  {:<32} {share:>5.1} %  shard {}", sku["rank"], word(&sku["sku"]), sku["shard"])
}

fn hold(hold: &Value) -> String {
    let until = hold["expires_at"].as_str().map_or_else(|| "allocated".to_owned(), |at| format!("until {at}"));
    let order = hold["order"].as_str().map(|order| format!("  {order}")).unwrap_or_default();
    format!("{}  {} of {}  {until}{order}", word(&hold["hold"]), hold["units"], word(&hold["buyer"]))
}

fn outbox(entry: &Value) -> String {
    let step = |step: &Value| {
        format!(
            "{} ({}, asked {} times, again {})",
            word(&step["step"]),
            word(&step["queue"]),
            step["tries"],
            word(&step["ask_at"])
        )
    };
    let steps: Vec<String> = list(&entry["steps"]).map(step).collect();
    format!("{}  {}", word(&entry["order"]), steps.join(", "))
}
