//! The log in a real Cassandra: schema and its errors, one owner at a time, what an owner wrote read back by the next.
//!
//! `dev/services` starts one node for this file; it ends with the process.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

#[path = "support/services.rs"]
mod services;

use scylla::client::session_builder::SessionBuilder;
use serde_json::Value;
use services::Services;
use stampede::clock::BootClock;
use stampede::config::{Config, Flags};
use stampede::cql::{self, Cluster, NotOurs, Taken, schema};
use stampede::disk::{RealDisk, SharedDisk};
use stampede::journal::{self, FrameBody, Outcome};
use stampede_actors::record::Position;
use stampede_actors::time::Timestamp;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

const PROGRAM: &str = env!("CARGO_BIN_EXE_stampede");

fn cassandra() -> SocketAddr {
    Services::cassandra().get("CQL_CONTACT_POINTS").parse().unwrap()
}

fn stampede(arguments: &[&str], keyspace: &str) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).arg(format!("--cql-keyspace={keyspace}")).arg("--cql-replication=1");
    if !arguments.iter().any(|argument| argument.starts_with("--cql-contact-points")) {
        command.arg(format!("--cql-contact-points={}", cassandra()));
    }
    command.current_dir(std::env::temp_dir()).output().unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn config(keyspace: &str, dir: &Path, more: &[(&'static str, &str)]) -> Config {
    let mut flags = Flags::default()
        .with("data-dir", dir.display().to_string())
        .with("log.store", "scylla")
        .with("cql.contact-points", cassandra().to_string())
        .with("cql.keyspace", keyspace)
        .with("cql.bucket-frames", "3")
        .with("log.segment-bytes", "1MiB")
        .with("log.frame-bytes", "64KiB");
    for (name, value) in more {
        flags = flags.with(name, *value);
    }
    Config::load(&flags).unwrap()
}

/// Does to the database what none of our own statements would.
fn damage(statement: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let session = SessionBuilder::new().known_node(cassandra().to_string()).build().await.unwrap();
        session.query_unpaged(statement, ()).await.unwrap();
    });
}

fn with_schema(keyspace: &str) {
    let applied = stampede(&["schema", "apply"], keyspace);
    assert!(applied.status.success(), "{}", words(&applied));
}

/// A process that owns the log, in this one.
struct Owner {
    cluster: Arc<Cluster>,
    taken: Taken,
    dir: PathBuf,
}

fn own(config: &Config) -> Owner {
    let cluster = Cluster::open(&config.cql).unwrap();
    let disk: SharedDisk = Arc::new(RealDisk);
    let journal = journal::Config { segment_bytes: 1 << 20, frame_bytes: 64 << 10, ..journal::Config::default() };
    let name = (config.data_dir.display().to_string(), "here".to_owned());
    let taken = cql::open(&cluster, &disk, &config.data_dir, &journal, &BootClock::new(), name).unwrap();
    Owner { cluster, taken, dir: config.data_dir.clone() }
}

impl Owner {
    /// An empty frame, which is as good as any to the log.
    fn commit(&mut self) -> Outcome {
        let writer = &mut self.taken.opened.wal;
        let head = writer.head();
        let mut body = FrameBody::with_capacity(4096);
        body.clear(Position(head.position.0 + 1), Timestamp(head.at.0 + 1));
        match writer.make_room(body.frame_len()) {
            Ok(true) => writer.commit(&mut body),
            Ok(false) => panic!("no room"),
            Err(outcome) => outcome,
        }
    }

    fn head(&self) -> u64 {
        self.taken.opened.log.head().seq
    }
}

#[test]
fn a_schema_is_made_once_and_half_a_schema_is_told() {
    let status = stampede(&["schema", "status"], "made");
    assert_eq!(status.status.code(), Some(1), "{}", words(&status));
    assert!(words(&status).contains("stampede schema apply"), "{}", words(&status));
    with_schema("made");
    let again = stampede(&["schema", "apply", "--json"], "made");
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["done"].as_array().map(Vec::len), Some(0), "{again}");
    assert!(stampede(&["schema", "status"], "made").status.success());
    let serve = stampede(&["schema", "status", "--cql-data-center=elsewhere"], "made");
    assert!(words(&serve).contains("cql.data-center is elsewhere"), "{}", words(&serve));
}

#[test]
fn what_cannot_be_reached_or_used_is_named() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let unreachable = stampede(&["schema", "apply", &format!("--cql-contact-points={closed}")], "nowhere");
    assert!(words(&unreachable).contains("cql.contact-points"), "{}", words(&unreachable));
    let dir = tempfile::tempdir().unwrap();
    let missing = Cluster::open(&config("missing", dir.path(), &[]).cql).err().unwrap();
    assert!(matches!(missing, cql::Error::NoKeyspace(_)), "{missing}");
    let no_password = Cluster::open(
        &config("missing", dir.path(), &[("cql.user", "shop"), ("cql.password-file", "/nowhere/at/all")]).cql,
    );
    assert!(matches!(no_password.err().unwrap(), cql::Error::File { setting: "cql.password-file", .. }));
    let doctor = stampede(&["doctor", "--json", "--store=scylla"], "missing");
    let doctor: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let red = |check: &&Value| check["name"] == "schema" && check["level"] == "red";
    assert!(doctor["checks"].as_array().unwrap().iter().any(|check| red(&check)), "{doctor}");
}

#[test]
fn a_directory_is_of_one_log_for_good() {
    with_schema("first");
    with_schema("second");
    let dir = tempfile::tempdir().unwrap();
    drop(own(&config("first", dir.path(), &[])));
    let other = config("second", dir.path(), &[]);
    let cluster = Cluster::open(&other.cql).unwrap();
    let disk: SharedDisk = Arc::new(RealDisk);
    let name = ("n".to_owned(), String::new());
    let journal = journal::Config::default();
    let taken = cql::open(&cluster, &disk, dir.path(), &journal, &BootClock::new(), name);
    assert!(taken.err().unwrap().to_string().contains("another log"));
    let embedded = Command::new(PROGRAM)
        .args(["serve", "--store=embedded", "--api-bind=127.0.0.1:0", "--ops-bind=127.0.0.1:0"])
        .arg("--data-dir")
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(words(&embedded).contains("mirror"), "{}", words(&embedded));
}

#[test]
fn frames_of_one_owner_are_read_by_the_next_and_the_first_is_fenced() {
    with_schema("fenced");
    let (first_dir, second_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut first = own(&config("fenced", first_dir.path(), &[]));
    for expected in 1..=10 {
        assert!(matches!(first.commit(), Outcome::Committed { seq, .. } if seq == expected));
    }
    let mut second = own(&config("fenced", second_dir.path(), &[]));
    assert_eq!(second.head(), 10, "rolled three times on the way");
    assert_eq!(second.taken.opened.log.head(), first.taken.opened.log.head());
    let fenced = first.commit();
    assert!(matches!(fenced, Outcome::Fenced(_)), "{fenced:?}");
    assert!(matches!(second.commit(), Outcome::Committed { seq: 11, .. }));

    // S25: who was replaced is told so when it asks.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (of_first, of_second) = (first.taken.tenancy.clone(), second.taken.tenancy.clone());
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert!(matches!(runtime.block_on(of_first.confirm()), Err(NotOurs::Fenced(_))));
    assert_eq!(runtime.block_on(of_second.confirm()), Ok(()));
}

#[test]
fn an_owner_that_was_killed_goes_on_where_it_was_also_without_its_directory() {
    with_schema("goes_on");
    let dir = tempfile::tempdir().unwrap();
    let mut owner = own(&config("goes_on", dir.path(), &[]));
    (0..7).for_each(|_| assert!(matches!(owner.commit(), Outcome::Committed { .. })));
    let head = owner.taken.opened.log.head();
    drop(owner);
    let mut owner = own(&config("goes_on", dir.path(), &[]));
    assert_eq!(owner.taken.opened.log.head(), head);
    assert!(matches!(owner.commit(), Outcome::Committed { seq: 8, .. }));
    let kept = owner.dir.clone();
    drop(owner);
    // A byte of the mirror turns: it is fetched again.
    let segment = kept.join("wal/000000000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[4096 + 20] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let owner = own(&config("goes_on", &kept, &[]));
    assert_eq!(owner.head(), 8);
    drop(owner);
    let fresh = tempfile::tempdir().unwrap();
    assert_eq!(own(&config("goes_on", fresh.path(), &[])).head(), 8);
}

#[test]
fn a_trimmed_bucket_is_read_from_the_archive() {
    with_schema("trimmed");
    let dir = tempfile::tempdir().unwrap();
    let mut owner = own(&config("trimmed", dir.path(), &[]));
    (0..11).for_each(|_| assert!(matches!(owner.commit(), Outcome::Committed { .. })));
    assert!(owner.cluster.archive(1).unwrap());
    assert!(owner.cluster.archive(2).unwrap());
    assert!(!owner.cluster.archive(2).unwrap(), "it was trimmed before");
    assert!(!owner.cluster.archive(4).unwrap(), "it is not sealed");
    let fresh = tempfile::tempdir().unwrap();
    let next = own(&config("trimmed", fresh.path(), &[]));
    assert_eq!(next.taken.opened.log.head(), owner.taken.opened.log.head());
    let copy = tempfile::tempdir().unwrap();
    let fetched = stampede(&["fetch", copy.path().to_str().unwrap(), "--log-segment-bytes=8MiB"], "trimmed");
    assert!(fetched.status.success(), "{}", words(&fetched));
    let verified = Command::new(PROGRAM).arg("verify").arg(copy.path()).output().unwrap();
    assert!(verified.status.success(), "{}", words(&verified));
}

#[test]
fn a_frame_that_is_missing_in_the_log_is_corruption_and_not_skipped() {
    with_schema("broken");
    let dir = tempfile::tempdir().unwrap();
    let mut owner = own(&config("broken", dir.path(), &[]));
    (0..5).for_each(|_| assert!(matches!(owner.commit(), Outcome::Committed { .. })));
    damage("DELETE FROM broken.log WHERE shard = 0 AND bucket = 1 AND seq = 2");
    let copy = tempfile::tempdir().unwrap();
    let fetched = stampede(&["fetch", copy.path().to_str().unwrap(), "--log-segment-bytes=8MiB"], "broken");
    assert_eq!(fetched.status.code(), Some(99), "{}", words(&fetched));
    assert!(words(&fetched).contains("frame 2"), "{}", words(&fetched));
}

#[test]
fn a_half_made_schema_is_no_schema() {
    with_schema("half");
    let dir = tempfile::tempdir().unwrap();
    let settings = config("half", dir.path(), &[]);
    let cluster = Cluster::open(&settings.cql).unwrap();
    damage("UPDATE half.migration SET done = false WHERE version = 1");
    let error = Cluster::open(&settings.cql).err().unwrap();
    assert!(error.to_string().contains("half made"), "{error}");
    assert_eq!(stampede(&["schema", "status"], "half").status.code(), Some(3));
    with_schema("half");
    assert_eq!(schema::status(&cluster).unwrap(), [(1, schema::MIGRATIONS[0].name, Some(true))]);
    drop(Cluster::open(&settings.cql).unwrap());
}

/// Two servers, buyers, and everything that takes the log from its owner, a few times. dev/takeover does it often.
#[test]
fn servers_take_over_from_each_other_and_lose_nothing() {
    let torture = Path::new(PROGRAM).with_file_name("examples").join("torture");
    assert!(torture.is_file(), "{} is missing: cargo build --release --examples", torture.display());
    for (kind, count) in [("kill", 2), ("pause", 1), ("handover", 1), ("told", 1), ("network", 2)] {
        let mut command = Command::new(&torture);
        command.args(["takeover", "--only", kind, "--count", &count.to_string(), "--seed", "7"]);
        let output = command.arg("--contact-point").arg(cassandra().to_string()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("0 violations"), "{kind}: {said}{}", words(&output));
    }
}
