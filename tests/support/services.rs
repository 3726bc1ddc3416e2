//! Real servers for tests: `dev/services` starts them on free loopback ports and stops them by their process ids.
//!
//! They end with the value that holds them, and with the test's process however that ends. Not every test needs every
//! function here.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Servers of one directory. Stopped when dropped.
#[derive(Debug)]
pub struct Services {
    servers: Vec<String>,
    flags: Vec<String>,
    dir: TempDir,
}

impl Services {
    /// Starts these servers: `cassandra`, `rabbitmq`, `redis`. Panics, naming what is missing, when they cannot be had.
    #[track_caller]
    pub fn start(servers: &[&str]) -> Services {
        Services::start_with(servers, &[])
    }

    /// The same with flags of `dev/services up`, as `--nodes 3`.
    #[track_caller]
    pub fn start_with(servers: &[&str], flags: &[&str]) -> Services {
        let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        let services = Services { servers: owned(servers), flags: owned(flags), dir: tempfile::tempdir().unwrap() };
        services.start_again();
        services
    }

    /// One Redis for all tests of this binary; it ends with the process.
    pub fn redis() -> &'static Services {
        static REDIS: OnceLock<Services> = OnceLock::new();
        REDIS.get_or_init(|| Services::start(&["redis"]))
    }

    /// One RabbitMQ for all tests of this binary; it ends with the process.
    pub fn rabbitmq() -> &'static Services {
        static RABBITMQ: OnceLock<Services> = OnceLock::new();
        RABBITMQ.get_or_init(|| Services::start(&["rabbitmq"]))
    }

    /// One node of Cassandra for all tests of this binary; it ends with the process.
    pub fn cassandra() -> &'static Services {
        static CASSANDRA: OnceLock<Services> = OnceLock::new();
        CASSANDRA.get_or_init(|| Services::start(&["cassandra"]))
    }

    /// Starts what does not run, on the same ports and data as before: after [`Services::kill`], or [`Services::stop`].
    #[track_caller]
    pub fn start_again(&self) {
        let mut command = self.command("up");
        command.args(&self.servers).args(&self.flags).args(["--discard", "--while", &std::process::id().to_string()]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "dev/services up: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Stops one server, or all of this directory; what it stored stays.
    #[track_caller]
    pub fn stop(&self, servers: &[&str]) {
        let output = self.command("down").args(servers).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "dev/services down: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A value of `services.env`: `REDIS_URL`, `AMQP_URL`, `CQL_CONTACT_POINTS`, `RABBITMQ_PID`, ….
    #[track_caller]
    pub fn get(&self, name: &str) -> String {
        let file = self.dir().join("services.env");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let values: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
        values.get(name).unwrap_or_else(|| panic!("no {name} in {text}")).to_string()
    }

    /// Sends a signal to the process whose id has this name: `REDIS_PID`, `RABBITMQ_PID`, `CASSANDRA_PID_2`.
    #[track_caller]
    pub fn signal(&self, pid: &str, signal: i32) {
        let pid: i32 = self.get(pid).parse().unwrap();
        // SAFETY: a signal to a process that `dev/services` started for this test.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "no process {pid}");
    }

    /// SIGKILL; comes back when the process has ended.
    #[track_caller]
    pub fn kill(&self, pid: &str) {
        let process = Path::new("/proc").join(self.get(pid));
        self.signal(pid, libc::SIGKILL);
        let began = Instant::now();
        let runs = || std::fs::read_to_string(process.join("stat")).is_ok_and(|stat| !stat.contains(") Z "));
        while runs() {
            assert!(began.elapsed() < Duration::from_secs(20), "{} lives on", process.display());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Where logs and data are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self, verb: &str) -> Command {
        let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "dev", "services"].iter().collect();
        let mut command = Command::new(script);
        command.arg(verb).arg("--dir").arg(self.dir());
        command
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        // What a test leaves is thrown away: no server needs to end in peace.
        let _ = self.command("down").arg("--discard").stdin(Stdio::null()).stderr(Stdio::null()).status();
    }
}
