//! The servers of a demo on a cluster: a database for the log, a broker, a cache. `dev/services` starts them on loopback,
//! with nothing kept; the demo kills one of them when it is asked to, and starts it again.

use crate::demo::live::note;
use crate::demo::options::Victim;
use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a killed broker or cache stays away.
const AWAY: Duration = Duration::from_secs(2);
/// The owner of the log is missed sooner than by default: so that a demo need not wait.
const SOON: &[&str] = &["--cql-beat-every=200ms", "--cql-take-over-after=2s"];

/// What `dev/services` can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// A database for the log.
    Cassandra,
    /// A broker.
    Rabbitmq,
    /// A cache.
    Redis,
}

/// All of them.
pub const EVERYTHING: &[Service] = &[Service::Cassandra, Service::Rabbitmq, Service::Redis];

impl Service {
    /// What `dev/services` calls it.
    fn word(self) -> &'static str {
        ["cassandra", "rabbitmq", "redis"][self as usize]
    }
}

/// The running servers. Dropped, they are thrown away.
#[derive(Debug)]
pub struct Cluster {
    script: PathBuf,
    dir: PathBuf,
    nodes: usize,
    services: &'static [Service],
}

impl Cluster {
    /// Starts them, with so many nodes of the database. `script`: `dev/services`.
    ///
    /// # Errors
    /// When they cannot be had; with what the script says.
    pub fn start(script: &Path, dir: &Path, nodes: usize, services: &'static [Service]) -> anyhow::Result<Cluster> {
        let script = script.canonicalize().with_context(|| {
            format!("{}: not there; run this in a checkout of Stampede, or name it by --services", script.display())
        })?;
        let names: Vec<&str> = services.iter().map(|service| service.word()).collect();
        note(&format!("starting on loopback: {}", names.join(", ")));
        let cluster = Cluster { script, dir: dir.join("services"), nodes, services };
        cluster.up()?;
        Ok(cluster)
    }

    /// Starts what does not run, on the same ports and data.
    fn up(&self) -> anyhow::Result<()> {
        carry_out(self.up_command())
    }

    fn up_command(&self) -> Command {
        let mut command = Command::new(&self.script);
        command
            .arg("up")
            .args(self.services.iter().map(|service| service.word()))
            .arg("--dir")
            .arg(&self.dir)
            .args(["--nodes", &self.nodes.to_string()]);
        command.args(["--discard", "--while", &std::process::id().to_string()]);
        command
    }

    fn values(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let text = std::fs::read_to_string(self.dir.join("services.env"))?;
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A value of `services.env`: an address, a port, a process id.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn value(&self, name: &str) -> anyhow::Result<String> {
        self.values()?.remove(name).with_context(|| format!("dev/services does not say {name}"))
    }

    /// Flags of a server that uses all of them.
    ///
    /// # Errors
    /// When an address is not known.
    pub fn flags(&self) -> anyhow::Result<Vec<String>> {
        let mut flags = self.database()?;
        flags.extend(SOON.iter().map(ToString::to_string));
        flags.extend(["--store=scylla", "--broker=rabbitmq", "--cache=redis"].map(str::to_owned));
        flags.push(format!("--rabbitmq-url={}", self.value("AMQP_URL")?));
        flags.push(format!("--redis-url={}", self.value("REDIS_URL")?));
        Ok(flags)
    }

    /// Flags that name the database.
    ///
    /// # Errors
    /// When its address is not known.
    pub fn database(&self) -> anyhow::Result<Vec<String>> {
        let points = self.value("CQL_CONTACT_POINTS")?;
        Ok(vec![format!("--cql-contact-points={points}"), format!("--cql-replication={}", self.nodes)])
    }

    /// Makes the tables of the log.
    ///
    /// # Errors
    /// When the database does not take them.
    pub fn make_schema(&self, program: &Path) -> anyhow::Result<()> {
        self.run(program, &["schema", "apply"])
    }

    /// Copies the log out of the database: what it holds is what was committed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn fetch(&self, program: &Path, into: &Path) -> anyhow::Result<()> {
        self.run(program, &["fetch", &into.to_string_lossy()])
    }

    fn run(&self, program: &Path, words: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(program);
        command.args(words).args(self.database()?).current_dir(&self.dir);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("STAMPEDE_") {
                command.env_remove(name);
            }
        }
        let output = command.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            bail!("stampede {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// SIGKILL to one of them. A node of the database stays away; the others come back after two seconds.
    ///
    /// # Errors
    /// When there is no such process, or it does not come back.
    pub async fn kill(&self, victim: Victim) -> anyhow::Result<()> {
        let name = match victim {
            Victim::Server => bail!("the server is not one of them"),
            Victim::Broker => "RABBITMQ_PID",
            Victim::Redis => "REDIS_PID",
            Victim::CqlNode => "CASSANDRA_PID_2",
        };
        let pid: i32 = self.value(name)?.parse()?;
        // SAFETY: a signal to a process that our own script has started, by the id that it noted.
        if unsafe { libc::kill(pid, libc::SIGKILL) } != 0 {
            return Err(std::io::Error::last_os_error()).with_context(|| format!("cannot kill {name}"));
        }
        if victim == Victim::CqlNode {
            return Ok(());
        }
        tokio::time::sleep(AWAY).await;
        let up = self.up_command();
        tokio::task::spawn_blocking(move || carry_out(up)).await?
    }
}

fn carry_out(mut command: Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
    if !output.status.success() {
        bail!("dev/services: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut command = Command::new(&self.script);
        command.arg("down").arg("--dir").arg(&self.dir).arg("--discard");
        // They end with this process at the latest.
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
