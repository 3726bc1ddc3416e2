//! Everything but the disk: ports, limits, clock, memory, and whether the data directory is free.

use super::disk::{self, mebibytes};
use super::{Finding, cql, rabbitmq, redis, system};
use crate::config::{Backend, Config};
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Fewer open files than this are too few for a rush.
const FILES_NEEDED: u64 = 4_096;
/// Fewer are enough for a rush, but not for many streams.
const FILES_WANTED: u64 = 32_768;
/// How long the two clocks are watched.
const WATCH: Duration = Duration::from_millis(200);
/// How far they may run apart while watched.
const DRIFT: Duration = Duration::from_millis(20);
/// 2026-01-01: a wall clock before it is wrong.
const THIS_YEAR: Duration = Duration::from_secs(1_767_225_600);
/// Beside the store's cache: log buffers, warm entities, connections.
const MEMORY_NEEDED: u64 = 256 << 20;

/// All looks, in a stable order.
#[must_use]
pub fn all(config: &Config) -> Vec<Finding> {
    let mut findings = vec![
        port("api port", config.api.bind, "--api-bind"),
        port("operations port", config.ops.bind, "--ops-bind"),
        files(),
        clock(),
        memory(config),
        data_dir(&config.data_dir),
    ];
    findings.extend(disk::all(config));
    findings.extend(redis::all(config));
    findings.extend(rabbitmq::all(config));
    if config.log.store == Backend::Scylla {
        findings.extend(cql::all(config));
    }
    findings
}

fn port(name: &'static str, address: SocketAddr, flag: &str) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok(name, format!("{address} is free")),
        Err(error) => {
            let elsewhere = format!("stampede serve {flag} {}:{}", address.ip(), address.port().wrapping_add(1000));
            let detail = match error.kind() {
                ErrorKind::AddrInUse => format!("{address} is in use"),
                ErrorKind::AddrNotAvailable => format!("{} is no address of this machine", address.ip()),
                _ => format!("{address}: {error}"),
            };
            Finding::red(name, detail, elsewhere)
        }
    }
}

fn files() -> Finding {
    let name = "file limit";
    match system::file_limit() {
        // The server raises its own limit to the hard one.
        Ok((_, hard)) if hard >= FILES_WANTED => Finding::ok(name, format!("up to {hard} open files")),
        Ok((_, hard)) if hard >= FILES_NEEDED => Finding::warn(
            name,
            format!("only {hard} open files, so as many connections"),
            "sudo prlimit --nofile=65536:65536 --pid $$",
        ),
        Ok((_, hard)) => Finding::red(
            name,
            format!("only {hard} open files, {FILES_NEEDED} needed"),
            "sudo prlimit --nofile=65536:65536 --pid $$",
        ),
        Err(error) => Finding::red(name, error.to_string(), "ulimit -n"),
    }
}

fn clock() -> Finding {
    const NAME: &str = "clock";
    const FIX: &str = "timedatectl set-ntp true";
    let read = || Some((SystemTime::now().duration_since(UNIX_EPOCH).ok()?, system::boottime().ok()?));
    let Some((wall, boot)) = read() else {
        return Finding::red(NAME, "the wall clock or CLOCK_BOOTTIME cannot be read", FIX);
    };
    std::thread::sleep(WATCH);
    let Some((wall_later, boot_later)) = read() else {
        return Finding::red(NAME, "the wall clock went back before 1970", FIX);
    };
    let apart = wall_later.saturating_sub(wall).abs_diff(boot_later.saturating_sub(boot));
    if wall < THIS_YEAR {
        Finding::red(NAME, "the wall clock is years behind", FIX)
    } else if wall_later < wall || apart > DRIFT {
        let detail = format!("wall clock and time since boot ran {apart:.1?} apart in {WATCH:?}: it is being set");
        Finding::warn(NAME, detail, FIX)
    } else {
        Finding::ok(NAME, format!("{}, steady", humantime::format_rfc3339_seconds(UNIX_EPOCH + wall_later)))
    }
}

fn memory(config: &Config) -> Finding {
    let needed = MEMORY_NEEDED + config.store.cache_bytes.0;
    match system::memory_available() {
        None => Finding::warn("memory", "the system does not say how much is available", "free -m"),
        Some(available) if available < needed => {
            let detail = format!("{} available, {} needed", mebibytes(available), mebibytes(needed));
            Finding::red("memory", detail, "stampede serve --store-cache-bytes 16MiB --passivate-after 10s")
        }
        Some(available) => Finding::ok("memory", format!("{} available", mebibytes(available))),
    }
}

fn data_dir(dir: &Path) -> Finding {
    let name = "data directory";
    let shown = dir.display();
    if !dir.exists() {
        return Finding::ok(name, format!("{shown} will be created"));
    }
    if !dir.is_dir() {
        return Finding::red(name, format!("{shown} is not a directory"), "stampede serve --data-dir ./other");
    }
    if in_use(dir) {
        return Finding::red(
            name,
            format!("{shown} is in use by a running server"),
            "stampede serve --data-dir ./other",
        );
    }
    Finding::ok(name, format!("{shown} is free"))
}

/// Does a server have this data directory open? Its superblock is locked then.
#[must_use]
pub fn in_use(dir: &Path) -> bool {
    File::open(dir.join("superblock.0"))
        .is_ok_and(|superblock| matches!(superblock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
