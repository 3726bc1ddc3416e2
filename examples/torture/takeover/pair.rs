//! The two servers: started, asked how they stand, and told apart by who owns the log.

use super::{Counts, HOLD_TTL, Options, SKUS, START, UNITS};
use crate::buyers::Buyers;
use crate::proxy::Proxy;
use anyhow::{Context, ensure};
use stampede::client::{Pool, Request};
use stampede::demo::{Server, Setup};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::time::sleep;

const FLAGS: &[&str] = &[
    "--log-store=scylla",
    "--cql-data-center=datacenter1",
    "--cql-beat-every=100ms",
    "--cql-take-over-after=1s",
    "--cql-timeout=1s",
    "--cql-resolve-within=3s",
    "--cql-bucket-frames=40",
    "--log-segment-bytes=4MiB",
    "--log-frame-bytes=64KiB",
    "--checkpoint-every=1s",
    "--store-keep-free=0B",
    "--payment-timeout=500ms",
    "--payment-ask-again=200ms",
    "--start-grace=500ms",
    "--api-request-timeout=8s",
    "--api-drain=5s",
];

pub(super) struct Node {
    pub(super) setup: Setup,
    pub(super) server: Option<Server>,
    /// Between it and the database.
    pub(super) database: Proxy,
}

pub(super) struct Pair {
    pub(super) program: PathBuf,
    pub(super) nodes: [Node; 2],
    pub(super) owner: usize,
    /// Between the buyers and the owner.
    pub(super) front: Proxy,
    pub(super) buyers: Rc<Buyers>,
    pub(super) contact_point: SocketAddr,
    /// One of its own: a log is never used for two runs.
    pub(super) keyspace: String,
    pub(super) checked: usize,
    pub(super) dir: TempDir,
}

impl Pair {
    pub(super) async fn begin(options: &Options, contact_point: SocketAddr) -> anyhow::Result<Pair> {
        let dir = tempfile::Builder::new().prefix("stampede-takeover-").tempdir()?;
        let keyspace = format!("--cql-keyspace=torture_{:016x}", rand::random::<u64>());
        let apply = ["schema", "apply", &keyspace, "--cql-replication=1"];
        command(&options.program, dir.path(), contact_point, &apply)?;
        let node = |name: &str| -> anyhow::Result<Node> {
            let database = Proxy::start(contact_point)?;
            let mut setup = Setup::new(&options.program, &dir.path().join(name), FLAGS)?;
            setup.flags.push(format!("--cql-contact-points={}", database.at));
            setup.flags.push(keyspace.clone());
            Ok(Node { setup, server: None, database })
        };
        let nodes = [node("a")?, node("b")?];
        let key = stampede::keys::create(&nodes[0].setup.data, "torture")?.secret;
        std::fs::copy(nodes[0].setup.data.join("keys.json"), nodes[1].setup.data.join("keys.json"))?;
        let front = Proxy::start(nodes[0].setup.api)?;
        let buyers = Buyers::new(front.at, &key, SKUS, &options.seed.to_string(), HOLD_TTL);
        let program = options.program.clone();
        let mut pair = Pair { program, nodes, owner: 0, front, buyers, contact_point, keyspace, checked: 0, dir };
        pair.start(0)?;
        pair.becomes_owner(0).await?;
        pair.start(1)?;
        pair.stands_by(1).await?;
        pair.buyers.fill(UNITS).await?;
        Ok(pair)
    }

    pub(super) fn start(&mut self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].server = Some(Server::start(self.nodes[node].setup.clone())?);
        Ok(())
    }

    pub(super) fn server(&mut self, node: usize) -> anyhow::Result<&mut Server> {
        self.nodes[node].server.as_mut().context("no server was started")
    }

    pub(super) async fn becomes_owner(&mut self, node: usize) -> anyhow::Result<()> {
        self.server(node)?.ready(START).await?;
        self.lead_to(node);
        Ok(())
    }

    /// From now on buyers come to this node.
    fn lead_to(&mut self, node: usize) {
        self.owner = node;
        self.front.lead_to(self.nodes[node].setup.api);
    }

    pub(super) async fn status(&self, node: usize) -> Option<String> {
        let pool = Pool::new(self.nodes[node].setup.ops, 1);
        let answer = pool.send(&Request::get("/health/ready"), Duration::from_secs(1)).await.ok()?;
        Some(answer.json()?["status"].as_str()?.to_owned())
    }

    pub(super) async fn stands_by(&mut self, node: usize) -> anyhow::Result<()> {
        let began = Instant::now();
        while self.status(node).await.as_deref() != Some("standby") {
            self.server(node)?.alive()?;
            ensure!(began.elapsed() < START, "node {node} does not stand by");
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// After a disturbance: the old owner, if it had the patience, or the other one.
    pub(super) async fn whoever_owns_it(&mut self, counts: &mut Counts) -> anyhow::Result<()> {
        let began = Instant::now();
        // Long enough for a stand-by that has seen no beat to have made up its mind.
        sleep(Duration::from_millis(1_500)).await;
        loop {
            for node in [self.owner, 1 - self.owner] {
                if self.server(node)?.alive().is_err() {
                    self.ends_badly(node).await?;
                    self.nodes[node].server = None;
                    self.start(node)?;
                }
            }
            let statuses = [self.status(0).await, self.status(1).await];
            let is = |node: usize, status: &str| statuses[node].as_deref() == Some(status);
            for owner in 0..2 {
                if is(owner, "ready") && is(1 - owner, "standby") {
                    let before = self.owner;
                    self.lead_to(owner);
                    // An owner that has lost its log unknowingly says that it is ready as well. What it commits is no lie.
                    if self.buyers.receive(0, 1).await.is_some() {
                        counts.takeovers += u64::from(owner != before);
                        return Ok(());
                    }
                }
            }
            ensure!(began.elapsed() < START, "nobody owns the log after a disturbance: {statuses:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// With 1, and with the reason in its log.
    pub(super) async fn ends_badly(&mut self, node: usize) -> anyhow::Result<()> {
        let code = self.server(node)?.ended(Duration::from_secs(30)).await?;
        ensure!(code == Some(1), "node {node} ended with {code:?}");
        Ok(())
    }
}

/// Runs a command of the program against the database itself; it must succeed.
pub(super) fn command(program: &Path, dir: &Path, contact_point: SocketAddr, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).arg(format!("--cql-contact-points={contact_point}")).current_dir(dir);
    let output = command.output()?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "stampede {}: {} {words}", arguments.join(" "), output.status);
    Ok(())
}
