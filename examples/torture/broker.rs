//! A server whose work goes over a real RabbitMQ, buyers at it, and everything that RabbitMQ and the way to it may do: die,
//! lose what it has confirmed, deliver twice, carry nonsense, close channels, forget queues. In the end every order is
//! settled, and every one that is paid was charged once.

use crate::life::Life;
use crate::proxy::{Mode, Proxy};
use crate::way::Way;
use lapin::options::{BasicPublishOptions, ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use stampede::demo::cluster::{Cluster, Service};
use stampede::demo::options::Victim;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::sleep;

/// Faults on one data directory.
const FAULTS_PER_LIFE: u64 = 20;
/// More than a directory's buyers come to.
const VISITS: usize = 20_000;
/// Buyers at a time.
const AT_A_TIME: usize = 8;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// SIGKILL to RabbitMQ, which is started again.
    Kill,
    /// RabbitMQ's words are lost on the way, confirms among them; then the connection breaks.
    LostConfirm,
    /// The server's words are lost on the way, acknowledgements among them; then the connection breaks.
    LostAck,
    /// Real steps of real orders, published once more by somebody else, several times.
    Duplicate,
    /// Messages that nobody can read.
    Poison,
    /// The exchange is deleted: the next message to it ends the channel.
    ClosedChannel,
    /// A queue is deleted, with all that waits in it.
    ForgottenQueue,
}

const KINDS: [Kind; 7] = [
    Kind::Kill,
    Kind::LostConfirm,
    Kind::LostAck,
    Kind::Duplicate,
    Kind::Poison,
    Kind::ClosedChannel,
    Kind::ForgottenQueue,
];

pub struct Options {
    pub program: PathBuf,
    pub faults: u64,
    pub seed: u64,
    pub only: Option<Kind>,
}

/// What there was.
#[derive(Debug, Default)]
pub struct Counts {
    kinds: [u64; KINDS.len()],
    lives: u64,
    acknowledged: u64,
    repeats: u64,
    resolved: u64,
    pub violations: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kill, confirm, ack, duplicate, poison, channel, queue] = self.kinds;
        write!(
            f,
            "{} broker faults ({kill} kill -9, {confirm} lost confirms, {ack} lost acknowledgements, {duplicate} duplicates, \
             {poison} poison, {channel} closed channels, {queue} forgotten queues) on {} directories: {} acknowledged, {} \
             repeats the same, {} unknown outcomes resolved, {} violations",
            self.kinds.iter().sum::<u64>(),
            self.lives,
            self.acknowledged,
            self.repeats,
            self.resolved,
            self.violations
        )
    }
}

/// A RabbitMQ of our own; it ends with this process at the latest.
struct Rabbit {
    cluster: Cluster,
    proxy: Proxy,
    /// Of the cluster, which ends before it.
    _dir: TempDir,
}

impl Rabbit {
    fn start() -> anyhow::Result<Rabbit> {
        let dir = tempfile::tempdir()?;
        let cluster = Cluster::start(&crate::services(), dir.path(), 1, &[Service::Rabbitmq])?;
        let port: u16 = cluster.value("AMQP_PORT")?.parse()?;
        let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], port)))?;
        Ok(Rabbit { cluster, proxy, _dir: dir })
    }

    fn url(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.proxy.at)
    }

    /// Not over the proxy.
    async fn channel(&self) -> anyhow::Result<(Connection, Channel)> {
        let url = self.cluster.value("AMQP_URL")?;
        let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        Ok((connection, channel))
    }
}

/// Goes on until there were so many faults. A violation ends its directory's life, and is printed with its seed.
pub async fn run(options: &Options) -> anyhow::Result<Counts> {
    let rabbit = Rabbit::start()?;
    let mut counts = Counts::default();
    let mut done = 0;
    while done < options.faults {
        let seed = options.seed + counts.lives;
        let faults = FAULTS_PER_LIFE.min(options.faults - done);
        counts.lives += 1;
        live(options, &rabbit, seed, faults, &mut counts).await?;
        done += faults;
    }
    Ok(counts)
}

async fn live(options: &Options, rabbit: &Rabbit, seed: u64, faults: u64, counts: &mut Counts) -> anyhow::Result<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut way = Way::draw(&mut rng);
    way.keeps_history = true;
    way.flags.retain(|flag| !flag.starts_with("--log-archive-max-age") && !flag.starts_with("--payment-ask-again"));
    let namespace = format!("torture-{seed}");
    way.flags.extend(["--broker=rabbitmq", "--payment-ask-again=500ms"].map(str::to_owned));
    way.flags.extend([format!("--rabbitmq-url={}", rabbit.url()), format!("--rabbitmq-namespace={namespace}")]);
    way.flags.extend(["--rabbitmq-confirm-within=2s", "--rabbitmq-delivery-limit=5"].map(str::to_owned));
    let mut life = Life::begin(&options.program, &seed.to_string(), way, Vec::new()).await?;
    let outcome = trouble(options, rabbit, &namespace, faults, &mut life, &mut rng, counts).await;
    rabbit.proxy.set(Mode::Pass);
    {
        let ledger = life.buyers.ledger.borrow();
        counts.acknowledged += ledger.acknowledged().len() as u64;
        counts.repeats += ledger.repeats;
        counts.resolved += ledger.resolved;
    }
    if let Err(error) = outcome {
        counts.violations += 1;
        println!("VIOLATION  seed {seed}: {error:#}");
        println!("  {:?}", life.way.flags);
        println!("  left behind: {}", life.leave_behind().display());
    }
    Ok(())
}

async fn trouble(
    options: &Options,
    rabbit: &Rabbit,
    namespace: &str,
    faults: u64,
    life: &mut Life,
    rng: &mut StdRng,
    counts: &mut Counts,
) -> anyhow::Result<()> {
    let work = life.buyers.begin(rng.random(), AT_A_TIME, VISITS);
    for _ in 0..faults {
        sleep(Duration::from_millis(rng.random_range(50..400))).await;
        // A kill takes ten seconds: every twentieth.
        let drawn = if rng.random_bool(0.05) { Kind::Kill } else { KINDS[rng.random_range(1..KINDS.len())] };
        let kind = options.only.unwrap_or(drawn);
        counts.kinds[kind as usize] += 1;
        fault(kind, rabbit, namespace, life, rng).await.map_err(|error| error.context(format!("{kind:?}")))?;
        life.server()?.alive()?;
    }
    life.buyers.leave();
    for worker in work {
        worker.await?;
    }
    life.check(rng).await?;
    life.end().await.map_err(|error| error.context("at the end"))
}

async fn fault(kind: Kind, rabbit: &Rabbit, namespace: &str, life: &mut Life, rng: &mut StdRng) -> anyhow::Result<()> {
    match kind {
        Kind::Kill => {
            // What was made a moment ago must be there: see docs/adr/0014.
            sleep(Duration::from_secs(2)).await;
            rabbit.cluster.kill(Victim::Broker).await
        }
        Kind::LostConfirm | Kind::LostAck => {
            rabbit.proxy.set(if kind == Kind::LostConfirm { Mode::DropAnswers } else { Mode::DropRequests });
            sleep(Duration::from_millis(rng.random_range(50..300))).await;
            rabbit.proxy.set(Mode::Cut);
            sleep(Duration::from_millis(20)).await;
            rabbit.proxy.set(Mode::Pass);
            Ok(())
        }
        Kind::Duplicate => {
            let orders: Vec<String> = life.buyers.ledger.borrow().orders().into_iter().map(|(id, ..)| id).collect();
            let (_connection, channel) = rabbit.channel().await?;
            for n in 0..10_usize.min(orders.len()) {
                let order = &orders[rng.random_range(0..orders.len())];
                let step = ["authorize", "capture", "void"][rng.random_range(0..3)];
                let body = format!(
                    r#"{{"id":"0/{n}/0","order":"{order}","step":{{"kind":"{step}","attempt":1}},"asked_at":1,"repeated":false}}"#
                );
                for _ in 0..3 {
                    publish(&channel, namespace, body.as_bytes(), "stampede.step.v1").await?;
                }
            }
            Ok(())
        }
        Kind::Poison => {
            let (_connection, channel) = rabbit.channel().await?;
            for _ in 0..5 {
                let body: Vec<u8> = (0..rng.random_range(0..200)).map(|_| rng.random()).collect();
                publish(&channel, namespace, &body, "stampede.step.v1").await?;
            }
            publish(&channel, namespace, b"{}", "stampede.step.v2").await
        }
        Kind::ClosedChannel => {
            let (_connection, channel) = rabbit.channel().await?;
            let exchange = format!("{namespace}.work");
            Ok(channel.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default()).await?)
        }
        Kind::ForgottenQueue => {
            let (_connection, channel) = rabbit.channel().await?;
            let queue = format!("{namespace}.{}", if rng.random_bool(0.7) { "payment" } else { "fulfilment" });
            channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await?;
            Ok(())
        }
    }
}

/// To nobody, when the exchange was just deleted: then there is nothing to work on twice.
async fn publish(channel: &Channel, namespace: &str, body: &[u8], kind: &str) -> anyhow::Result<()> {
    let properties = BasicProperties::default().with_type(kind.into()).with_message_id("torture".into());
    let exchange = format!("{namespace}.work");
    let sent = channel
        .basic_publish(exchange.as_str().into(), "payment".into(), BasicPublishOptions::default(), body, properties)
        .await;
    if let Ok(confirm) = sent {
        let _ = confirm.await;
    }
    Ok(())
}
