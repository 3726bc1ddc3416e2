//! The real program, started for one test.

use crate::client::{self, Answer};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A running server. Killed when dropped.
pub struct Server {
    pub api: SocketAddr,
    pub operations: SocketAddr,
    /// Name of the API key: `tests`.
    pub key: String,
    child: Child,
    flags: Vec<String>,
    dir: TempDir,
}

impl Server {
    /// With defaults.
    pub fn start() -> Server {
        Server::with(&[])
    }

    /// With these flags.
    pub fn with(flags: &[&str]) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let key = stampede::keys::create(dir.path(), "tests").unwrap().secret;
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        let (child, api, operations) = spawn(program(), dir.path(), &flags);
        Server { api, operations, key, child, flags, dir }
    }

    /// With its data directory on a file system of its own of so many MiB, some of which are taken by a file. Needs
    /// leave to make a mount namespace: root, or unprivileged user namespaces, as Debian has them.
    pub fn on_a_small_disk(mib: u32, ballast_mib: u32, flags: &[&str]) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let key = stampede::keys::create(dir.path(), "tests").unwrap().secret;
        let keys = std::fs::read_to_string(dir.path().join("keys.json")).unwrap();
        let script = "mount -t tmpfs -o size=$1M tmpfs $2 && printf %s \"$4\" > $2/keys.json && \
            head -c $3M /dev/zero > $2/ballast && shift 4 && exec \"$@\"";
        let (mib, ballast_mib) = (mib.to_string(), ballast_mib.to_string());
        let mut unshare = Command::new("unshare");
        unshare.args(["--map-root-user", "--mount"]);
        let allowed = unshare.arg("true").output().unwrap();
        assert!(allowed.status.success(), "no mount namespace for a small disk: {allowed:?}");
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh", &mib]);
        command.arg(dir.path()).args([&ballast_mib, &keys]).arg(env!("CARGO_BIN_EXE_stampede"));
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        let (child, api, operations) = spawn(command, dir.path(), &flags);
        Server { api, operations, key, child, flags, dir }
    }

    /// The directory of [`Server::on_a_small_disk`], as seen from here.
    fn small_disk(&self) -> PathBuf {
        let dir = self.dir.path().strip_prefix("/").unwrap();
        Path::new("/proc").join(self.child.id().to_string()).join("root").join(dir)
    }

    /// Makes the room that [`Server::on_a_small_disk`] had taken.
    pub fn drop_ballast(&self) {
        std::fs::remove_file(self.small_disk().join("ballast")).unwrap();
    }

    /// Takes every byte that is left on the small disk, as another program may.
    pub fn fill_disk(&self) {
        let mut ballast = std::fs::OpenOptions::new().append(true).open(self.small_disk().join("ballast")).unwrap();
        while ballast.write_all(&[0; 4096]).is_ok() {}
    }

    /// What is on the small disk, where there is room to spare.
    pub fn copy_of_small_disk(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        let copied = Command::new("cp").arg("-rT").arg(self.small_disk()).arg(copy.path()).status().unwrap();
        assert!(copied.success());
        std::fs::remove_file(copy.path().join("ballast")).unwrap();
        copy
    }

    /// Another server like this one, on this directory.
    pub fn again_on(&self, dir: TempDir) -> Server {
        let (child, api, operations) = spawn(program(), dir.path(), &self.flags);
        Server { api, operations, key: self.key.clone(), child, flags: self.flags.clone(), dir }
    }

    /// One of the checks of readiness: is it well, and what is wrong?
    pub fn check(&self, name: &str) -> (bool, String) {
        let ready = client::send(self.operations, "GET", "/health/ready", &[], None).json();
        let check = ready["checks"].as_array().unwrap().iter().find(|check| check["check"] == name).unwrap();
        (check["ok"].as_bool().unwrap(), check["detail"].as_str().unwrap().to_owned())
    }

    /// Kills it (SIGKILL) and starts it again on the same directory.
    pub fn crash_and_restart(&mut self) {
        let flags: Vec<String> = self.flags.clone();
        self.crash_and_restart_with(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// The same, with other flags from now on.
    pub fn crash_and_restart_with(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(ToString::to_string).collect();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.api, self.operations) = spawn(program(), self.dir.path(), &self.flags);
    }

    #[allow(dead_code, reason = "tests with other servers beside it use it")]
    pub fn pid(&self) -> i64 {
        self.child.id().into()
    }

    pub fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        // SAFETY: a signal to a child of ours that we have not waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) }, 0);
    }

    /// Waits for its end.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < within, "still running after {within:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        client::send(self.api, "GET", path, &[], None)
    }

    /// `GET` with the API key.
    pub fn get_as_seller(&self, path: &str) -> Answer {
        client::send(self.api, "GET", path, &[("Authorization", &self.bearer())], None)
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &[], body)
    }

    pub fn delete(&self, path: &str) -> Answer {
        client::send(self.api, "DELETE", path, &[], None)
    }

    /// `POST` with an idempotency key.
    pub fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("Idempotency-Key", &format!("\"{key}\""))], body)
    }

    /// `POST` with an idempotency key and the API key.
    pub fn post_as_seller(&self, path: &str, key: &str, body: &Value) -> Answer {
        let headers = [("Idempotency-Key", format!("\"{key}\"")), ("Authorization", self.bearer())];
        self.send("POST", path, &headers.each_ref().map(|(name, value)| (*name, value.as_str())), body)
    }

    /// Any method with these headers and a JSON body.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let mut headers = headers.to_vec();
        headers.push(("Content-Type", "application/json"));
        client::send(self.api, method, path, &headers, Some(body.to_string().as_bytes()))
    }

    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.key)
    }

    /// Lists a SKU at 19.99 EUR and takes units in.
    pub fn stock(&self, sku: &str, units: u32) {
        self.stock_with(sku, units, json!({ "seller": "acme", "price": { "amount": 1999, "currency": "EUR" } }));
    }

    /// Lists a SKU as this body says and takes units in.
    pub fn stock_with(&self, sku: &str, units: u32, listing: Value) {
        let listed = self.send("PUT", &format!("/v1/skus/{sku}"), &[("Authorization", &self.bearer())], &listing);
        assert!(listed.status == 200 || listed.status == 201, "{}", listed.text());
        if units > 0 {
            let body = json!({ "location": "berlin", "units": units });
            self.post_as_seller(&format!("/v1/skus/{sku}/receipts"), &unique(), &body).expect(201);
        }
    }

    /// Buys units of one SKU with this key.
    pub fn buy(&self, key: &str, buyer: &str, sku: &str, units: u32) -> Answer {
        self.post("/v1/orders", key, &order(buyer, "tok_ok", sku, units))
    }

    pub fn available(&self, sku: &str) -> i64 {
        self.get(&format!("/v1/skus/{sku}/availability")).expect(200).json()["available"].as_i64().unwrap()
    }

    pub fn read_order(&self, order: &str) -> Value {
        self.get(&format!("/v1/orders/{order}")).expect(200).json()
    }

    /// Waits until an order is in this state.
    #[track_caller]
    pub fn wait_for_state(&self, order: &str, state: &str) -> Value {
        eventually(|| {
            let now = self.read_order(order);
            if now["state"] == state { Ok(now) } else { Err(format!("{order}: {now}")) }
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of an order of one line.
pub fn order(buyer: &str, token: &str, sku: &str, units: u32) -> Value {
    json!({ "buyer": buyer, "payment_token": token, "lines": [{ "sku": sku, "units": units }] })
}

/// A key that no other call has.
pub fn unique() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("key-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Tries again until it works, for at most ten seconds.
#[track_caller]
pub fn eventually<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(why) => assert!(start.elapsed() < Duration::from_secs(10), "{why}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_stampede"))
}

fn spawn(mut program: Command, dir: &Path, flags: &[String]) -> (Child, SocketAddr, SocketAddr) {
    let mut child = program
        .arg("serve")
        .args(["--api-bind", "127.0.0.1:0", "--ops-bind", "127.0.0.1:0", "--diagnostics-format", "json"])
        .arg("--data-dir")
        .arg(dir)
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    let ready = loop {
        let Some(line) = lines.next() else { panic!("it did not start: {said:#?}") };
        let line = line.unwrap();
        match serde_json::from_str::<Value>(&line) {
            Ok(message) if message["message"] == "ready" => break message,
            _ => said.push(line),
        }
    };
    // Its later words go nowhere, but must be read, or it would wait for us.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("server: {line}")));
    let address = |field: &str| ready[field].as_str().unwrap().parse().unwrap();
    (child, address("api"), address("operations"))
}
