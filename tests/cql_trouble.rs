//! What goes wrong with a database that keeps the log, and what one is told: a password that is wrong, permissions that are
//! missing, clocks that disagree, a disk that is full. Real Cassandras of `dev/services`, each for one test.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

#[allow(dead_code)] // the API's own tests use more of it
#[path = "http/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "http/server.rs"]
mod server;
#[path = "support/services.rs"]
mod services;

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use serde_json::Value;
use server::Server;
use services::Services;
use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// `stampede` with these words, on this database.
fn stampede(cassandra: &Services, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stampede"));
    command.args(words).arg(format!("--cql-contact-points={}", cassandra.get("CQL_CONTACT_POINTS")));
    command.args(["--cql-keyspace=shop", "--cql-replication=1"]).current_dir(std::env::temp_dir()).output().unwrap()
}

/// It fails, and says this.
#[track_caller]
fn refused(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
}

#[track_caller]
fn accepted(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What the doctor says under this name: level, detail and what to do.
#[track_caller]
fn doctor(cassandra: &Services, flags: &[&str], check: &str) -> (String, String, String) {
    let output = stampede(cassandra, &[&["doctor", "--json", "--store=scylla"], flags].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = report["checks"].as_array().unwrap().iter().find(|found| found["name"] == check);
    let found = found.unwrap_or_else(|| panic!("nothing about {check} in {report}"));
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    (text("level"), text("detail"), text("fix"))
}

/// The database's own superuser, who is made a moment after its first start.
async fn superuser(cassandra: &Services) -> Session {
    let began = Instant::now();
    loop {
        let points = cassandra.get("CQL_CONTACT_POINTS");
        match SessionBuilder::new().known_node(points).user("cassandra", "cassandra").build().await {
            Ok(session) => return session,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(60), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[test]
fn a_wrong_password_and_every_missing_permission_are_told_with_what_to_do() {
    let set = ["authenticator=PasswordAuthenticator", "authorizer=CassandraAuthorizer", "permissions_validity=0ms"];
    let flags: Vec<&str> = set.iter().flat_map(|line| ["--cql-set", line]).collect();
    let cassandra = Services::start_with(&["cassandra"], &flags);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let session = runtime.block_on(superuser(&cassandra));
    let admin = |statement: &str| drop(runtime.block_on(session.query_unpaged(statement, ())).unwrap());
    admin("CREATE ROLE shop WITH PASSWORD = 'a secret' AND LOGIN = true");

    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("--cql-password-file={}", path.display())
    };
    let (wrong, right, theirs) = (file("wrong", "a guess"), file("right", "a secret\n"), file("theirs", "cassandra"));

    // No password at all, and a wrong one: the user and the settings are named, and never the password.
    refused(&stampede(&cassandra, &["schema", "apply"]), &["cql.user", "cql.password-file"]);
    let guess = stampede(&cassandra, &["schema", "apply", "--cql-user=shop", &wrong]);
    refused(&guess, &["\"shop\"", "cql.password-file"]);
    assert!(!String::from_utf8_lossy(&guess.stderr).contains("a guess"));
    let (level, detail, fix) = doctor(&cassandra, &["--cql-user=shop", &wrong], "database");
    assert_eq!((level.as_str(), fix.as_str()), ("red", "stampede config explain cql"), "{detail}");

    // The right one, and nothing that it may do.
    let ours = ["--cql-user=shop", right.as_str()];
    let apply = [&["schema", "apply"], &ours[..]].concat();
    refused(&stampede(&cassandra, &apply), &["no permission"]);
    accepted(&stampede(&cassandra, &["schema", "apply", "--cql-user=cassandra", &theirs]));
    for (grant, level) in [(None, "red"), (Some("SELECT"), "red"), (Some("MODIFY"), "ok")] {
        if let Some(grant) = grant {
            admin(&format!("GRANT {grant} ON KEYSPACE shop TO shop"));
        }
        let (found, detail, fix) = doctor(&cassandra, &ours, "permissions");
        assert_eq!(found, level, "after {grant:?}: {detail}");
        assert!(level == "ok" || fix.contains("GRANT MODIFY, SELECT ON KEYSPACE"), "{fix}");
    }

    // A server says the same, and serves once it may.
    let points = format!("--cql-contact-points={}", cassandra.get("CQL_CONTACT_POINTS"));
    let flags = ["--store=scylla", &points, "--cql-keyspace=shop", "--cql-replication=1", "--cql-user=shop"];
    admin("REVOKE MODIFY ON KEYSPACE shop FROM shop");
    let data = format!("--data-dir={}", dir.path().join("data").display());
    let serve = ["serve", "--api-bind=127.0.0.1:0", "--ops-bind=127.0.0.1:0", &data, &right];
    let mut command = Command::new(env!("CARGO_BIN_EXE_stampede"));
    refused(&command.args(serve).args(flags).output().unwrap(), &["no permission"]);
    admin("GRANT MODIFY ON KEYSPACE shop TO shop");
    let server = Server::with(&[&flags[..], &[right.as_str()]].concat());
    server.stock("hoodie", 1);
    server.buy("key-1", "buyer-1", "hoodie", 1).expect(201);
}

#[test]
fn a_clock_that_is_an_hour_off_is_named_and_the_log_takes_no_harm() {
    let cassandra = Services::start_with(&["cassandra"], &["--cql-skew", "3600"]);
    accepted(&stampede(&cassandra, &["schema", "apply"]));
    let (level, detail, fix) = doctor(&cassandra, &[], "clocks");
    assert_eq!(level, "red", "{detail}");
    assert!(detail.contains("s ahead of this machine") && fix.contains("time source"), "{detail}: {fix}");
    let seconds: f64 = detail.split(" s ahead").next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!((3_590.0..3_610.0).contains(&seconds), "{detail}");

    // It serves all the same: nothing of ours goes by the database's clock.
    let points = format!("--cql-contact-points={}", cassandra.get("CQL_CONTACT_POINTS"));
    let flags = ["--store=scylla", &points, "--cql-keyspace=shop", "--cql-replication=1", "--holds-ttl=10m"];
    let mut server = Server::with(&flags);
    server.stock("hoodie", 5);
    let first = server.buy("key-1", "buyer-1", "hoodie", 2).expect(201).json()["order"].clone();
    server.crash_and_restart();
    assert_eq!(server.buy("key-1", "buyer-1", "hoodie", 2).expect(201).json()["order"], first);
    server.buy("key-2", "buyer-2", "hoodie", 3).expect(201);
    assert_eq!(server.buy("key-3", "buyer-3", "hoodie", 1).problem().0, 409);
}

/// One unit for the buyer of this number, under their key. `None`: no answer came.
fn try_to_buy(server: &Server, n: usize) -> Option<client::Answer> {
    let body = server::order(&format!("buyer-{n}"), "tok_ok", "hoodie", 1).to_string();
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", &*format!("\"key-{n}\""))];
    let mut stream = TcpStream::connect(server.api).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(&client::request("POST", "/v1/orders", &headers, Some(body.as_bytes()))).ok()?;
    client::read(&mut stream).ok()
}

#[test]
fn a_full_disk_at_the_database_loses_nothing_that_was_acknowledged() {
    // Small segments of its own commit log, so that it soon needs room.
    let cassandra = Services::start_with(&["cassandra"], &["--cql-set", "commitlog_segment_size=1MiB"]);
    accepted(&stampede(&cassandra, &["schema", "apply"]));
    let points = format!("--cql-contact-points={}", cassandra.get("CQL_CONTACT_POINTS"));
    let flags = [
        "--store=scylla",
        &points,
        "--cql-keyspace=shop",
        "--cql-replication=1",
        "--log-frame-bytes=64KiB",
        "--cql-timeout=1s",
        "--cql-resolve-within=3s",
        "--api-request-timeout=2s",
        "--holds-ttl=10m",
    ];
    let mut server = Server::with(&flags);
    server.stock("hoodie", 100_000);
    // From now on no file of the database may grow, which is what a full disk looks like from inside.
    let pid = cassandra.get("CASSANDRA_PID_1");
    let limited = Command::new("prlimit").args(["--pid", &pid, "--fsize=4096"]).status().unwrap();
    assert!(limited.success());
    let mut acknowledged = Vec::new();
    let began = Instant::now();
    let failed = loop {
        let n = acknowledged.len();
        match try_to_buy(&server, n) {
            Some(answer) if answer.status == 201 => acknowledged.push(answer.json()["order"].clone()),
            // No answer, or one that promises nothing.
            Some(answer) => break answer.status == 503,
            None => break true,
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{n} orders, and the database still takes more");
    };
    assert!(failed && !acknowledged.is_empty(), "{} orders", acknowledged.len());
    // The server cannot know what became of its last write: it stops, and says why.
    let status = server.wait(Duration::from_secs(30));
    assert!(!status.success());

    // Room is made, both start again: every acknowledged order is there, under its key.
    cassandra.kill("CASSANDRA_PID_1");
    cassandra.start_again();
    server.crash_and_restart();
    for (n, order) in acknowledged.iter().enumerate() {
        let again = server.buy(&format!("key-{n}"), &format!("buyer-{n}"), "hoodie", 1).expect(201);
        assert_eq!(again.json()["order"], *order, "key-{n}");
    }
    let n = acknowledged.len();
    server.buy(&format!("key-{n}"), &format!("buyer-{n}"), "hoodie", 1).expect(201);
}
