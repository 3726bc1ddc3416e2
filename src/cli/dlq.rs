//! `stampede dlq`: dead letters of RabbitMQ, looked at, sent to work again, or thrown away.

use crate::broker::Work;
use crate::broker::dead::{DeadLetters, Deed, Letter, MOST};
use crate::cli::worker::Kind;
use crate::cli::{Exit, Outcome, Stop, out};
use crate::config::{Config, Flags};
use anyhow::anyhow;
use clap::Subcommand;
use serde_json::{Value, json};

/// `stampede dlq`.
///
/// A message ends here when workers have sent it back, or died over it, too often (rabbitmq.delivery-limit). Its order is
/// not lost: it asks again by its own timer, and needs attention at last.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// How many there are; with a queue, which.
    Ls {
        /// payment or fulfilment; without it, how many each has.
        queue: Option<Kind>,
        #[command(flatten)]
        common: Common,
    },
    /// One of them, whole.
    Show {
        /// payment or fulfilment.
        queue: Kind,
        /// As `dlq ls` names it.
        id: String,
        #[command(flatten)]
        common: Common,
    },
    /// Sends them to work again.
    Retry {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        common: Common,
    },
    /// Throws them away.
    Drop {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        common: Common,
    },
}

/// Which dead letters.
#[derive(Debug, clap::Args)]
struct Which {
    /// payment or fulfilment.
    queue: Kind,
    /// As `dlq ls` names it.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Option<String>,
    /// Every one.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Does what was asked for.
///
/// # Errors
/// A RabbitMQ that cannot be used; with exit code 1 also an id that is not there.
pub fn run(args: &Args) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match &args.verb {
            Verb::Ls { queue: None, common } => counts(&open(common).await?, common).await,
            Verb::Ls { queue: Some(queue), common } => {
                let letters = open(common).await?.with(work(*queue), Deed::Look, MOST, |_| true).await?;
                list(&letters, common)
            }
            Verb::Show { queue, id, common } => {
                let letters = open(common).await?.with(work(*queue), Deed::Look, 1, |letter| letter.id == *id).await?;
                show(letters.first().ok_or_else(|| missing(id))?, common)
            }
            Verb::Retry { which, common } => deal(which, common, Deed::Retry, "sent to work again").await,
            Verb::Drop { which, common } => deal(which, common, Deed::Drop, "thrown away").await,
        }
    })
}

async fn open(common: &Common) -> Result<DeadLetters, Stop> {
    let config = Config::load(&common.flags)?;
    let url = config.rabbitmq.url.to_string();
    DeadLetters::open(&config.rabbitmq).await.map_err(|trouble| Stop::new(Exit::NotReady, anyhow!("{url}: {trouble}")))
}

fn work(kind: Kind) -> Work {
    match kind {
        Kind::Payment => Work::Payment,
        Kind::Fulfilment => Work::Fulfilment,
    }
}

fn missing(id: &str) -> Stop {
    Stop::new(Exit::Failed, anyhow!("there is no dead letter {id:?} there: see stampede dlq ls"))
}

async fn counts(letters: &DeadLetters, common: &Common) -> Outcome {
    let counts = letters.counts().await?;
    if common.json {
        let counts: Vec<Value> = counts
            .iter()
            .map(|(work, ready, dead)| json!({ "queue": work.word(), "ready": ready, "dead": dead }))
            .collect();
        out::json(&counts)?;
    } else {
        for (work, ready, dead) in counts {
            out::line(&format!("{:10}  {dead} dead, {ready} waiting", work.word()));
        }
    }
    Ok(Exit::Ok)
}

fn list(letters: &[Letter], common: &Common) -> Outcome {
    if common.json {
        out::json(&letters.iter().map(as_json).collect::<Vec<_>>())?;
    } else {
        for letter in letters {
            let body = String::from_utf8_lossy(&letter.body);
            let brief: String = body.chars().take(120).collect();
            out::line(&format!("{}  {}  {}  {brief}", letter.id, letter.reason, letter.kind));
        }
    }
    Ok(Exit::Ok)
}

fn show(letter: &Letter, common: &Common) -> Outcome {
    if common.json {
        out::json(&as_json(letter))?;
        return Ok(Exit::Ok);
    }
    out::line(&format!("id        {}\nreason    {}\ntype      {}", letter.id, letter.reason, letter.kind));
    out::line(&format!("asked at  {} (Unix seconds)", letter.asked_at));
    for (name, value) in &letter.headers {
        out::line(&format!("header    {name}: {value}"));
    }
    out::line(&format!("body      {}", String::from_utf8_lossy(&letter.body)));
    Ok(Exit::Ok)
}

async fn deal(which: &Which, common: &Common, deed: Deed, what: &str) -> Outcome {
    let letters = open(common).await?;
    let limit = if which.all { MOST } else { 1 };
    let chosen = |letter: &Letter| which.id.as_ref().is_none_or(|id| letter.id == *id);
    let done = letters.with(work(which.queue), deed, limit, chosen).await?;
    if let (Some(id), true) = (&which.id, done.is_empty()) {
        return Err(missing(id));
    }
    if common.json {
        out::json(&json!({ "count": done.len() }))?;
    } else {
        out::line(&format!("{} {what}", done.len()));
    }
    Ok(Exit::Ok)
}

fn as_json(letter: &Letter) -> Value {
    let headers: serde_json::Map<String, Value> =
        letter.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "id": letter.id, "reason": letter.reason, "type": letter.kind, "asked_at": letter.asked_at,
        "headers": headers, "body": String::from_utf8_lossy(&letter.body),
    })
}
