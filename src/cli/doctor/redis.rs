//! Redis, when it is to be used: is it there, new enough, ours to use, and fast enough?

use super::Finding;
use crate::config::{CacheKind, Config};
use deadpool_redis::redis::{Client, Connection, ErrorKind, RedisError, RedisResult, Script, cmd};
use std::time::{Duration, Instant};

/// Longest that connecting, or one answer, may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pings that are timed.
const PINGS: usize = 100;
/// The oldest version that is tested with and cared for by its makers.
const OLDEST: (u32, u32) = (6, 2);

/// All looks, in a stable order; none when Redis is not used.
#[must_use]
pub fn all(config: &Config) -> Vec<Finding> {
    if config.cache != CacheKind::Redis {
        return Vec::new();
    }
    let url = &config.redis.url;
    let mut connection = match connect(config) {
        Ok(connection) => connection,
        Err(error) => {
            let fix = "start it, or name it: STAMPEDE_REDIS_URL=redis://:PASSWORD@HOST:PORT; until then the server works as with --cache in-process";
            return vec![Finding::red("redis", format!("{url}: {}", told(&error)), fix)];
        }
    };
    let about: String = match cmd("INFO").query(&mut connection) {
        Ok(about) => about,
        Err(error) => {
            return vec![Finding::red("redis", format!("{url}: INFO: {}", told(&error)), "give its user +info")];
        }
    };
    vec![
        Finding::ok("redis", format!("{url} answers")),
        version(&about),
        permissions(&mut connection, &config.redis.namespace),
        memory(&about),
        latency(&mut connection, config.redis.timeout),
    ]
}

fn connect(config: &Config) -> RedisResult<Connection> {
    let mut connection = Client::open(config.redis.url.secret())?.get_connection_with_timeout(PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    cmd("PING").query::<String>(&mut connection)?;
    Ok(connection)
}

/// What a client can do about it decides the words: a wrong password is the operator's, and is not repeated.
fn told(error: &RedisError) -> String {
    if error.kind() == ErrorKind::AuthenticationFailed {
        return "the user or the password in redis.url is wrong".to_owned();
    }
    match error.code() {
        Some("NOAUTH") => "NOAUTH: redis.url has no password, and one is needed".to_owned(),
        // The words of Redis, as its documents have them.
        Some(code) => format!("{code}: {}", error.detail().unwrap_or("refused")),
        None => error.to_string(),
    }
}

/// A line `name:value` of `INFO`.
fn field<'a>(about: &'a str, name: &str) -> Option<&'a str> {
    about.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn version(about: &str) -> Finding {
    let name = "redis version";
    let Some(version) = field(about, "redis_version") else {
        return Finding::warn(name, "it does not say its version", "redis-cli INFO server");
    };
    let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST => Finding::ok(name, version),
        _ => Finding::red(name, format!("{version}; {}.{} or newer is needed", OLDEST.0, OLDEST.1), "upgrade Redis"),
    }
}

/// Does on a key of its own what the server does: writes with a time to live, reads, runs a script, deletes.
fn permissions(connection: &mut Connection, namespace: &str) -> Finding {
    let name = "redis rights";
    let key = format!("{namespace}:doctor:{}", std::process::id());
    let mut tried = "SET";
    let mut attempt = || -> RedisResult<bool> {
        cmd("SET").arg(&key).arg("well").arg("PX").arg(10_000).query::<()>(connection)?;
        tried = "GET";
        let kept: Option<String> = cmd("GET").arg(&key).query(connection)?;
        tried = "EVALSHA, SCRIPT LOAD, TIME and DEL";
        let script = Script::new("redis.call('TIME') return redis.call('DEL', KEYS[1])");
        let deleted: i64 = script.key(&key).invoke(connection)?;
        Ok(kept.as_deref() == Some("well") && deleted == 1)
    };
    match attempt() {
        Ok(true) => Finding::ok(name, format!("keys {namespace}:* can be written, read and used in scripts")),
        Ok(false) => {
            Finding::red(name, "what was written could not be read back", "is something else using these keys?")
        }
        Err(error) => {
            let fix =
                format!("redis-cli ACL SETUSER USER '~{namespace}:*' +@read +@write +@scripting +ping +info +time");
            Finding::red(name, format!("{tried}: {}", told(&error)), fix)
        }
    }
}

fn memory(about: &str) -> Finding {
    let name = "redis memory";
    let limit = field(about, "maxmemory").and_then(|bytes| bytes.parse::<u64>().ok()).unwrap_or(0);
    let policy = field(about, "maxmemory_policy").unwrap_or("unknown");
    if limit > 0 && policy == "noeviction" {
        let detail = format!("full at {}, and then it refuses to write", super::disk::mebibytes(limit));
        Finding::warn(name, detail, "redis-cli CONFIG SET maxmemory-policy volatile-ttl")
    } else {
        Finding::ok(name, format!("policy {policy}"))
    }
}

fn latency(connection: &mut Connection, within: Duration) -> Finding {
    let name = "redis latency";
    let mut times = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let began = Instant::now();
        if let Err(error) = cmd("PING").query::<String>(connection) {
            return Finding::red(name, told(&error), "redis-cli --latency");
        }
        times.push(began.elapsed());
    }
    times.sort_unstable();
    let (p50, p99) = (times[PINGS / 2], times[PINGS * 99 / 100]);
    let detail = format!("p50 {p50:.2?}, p99 {p99:.2?} ({PINGS} pings); redis.timeout is {within:?}");
    if p99 > within / 2 {
        let fix = "put it nearer, or raise redis.timeout: every request waits for one answer";
        Finding::warn(name, detail, fix)
    } else {
        Finding::ok(name, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Level;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (said, then) in [
            ("7.0.15", Level::Ok),
            ("6.2.0", Level::Ok),
            ("10.1.2", Level::Ok),
            ("6.0.16", Level::Red),
            ("nightly", Level::Red),
        ] {
            assert_eq!(version(&format!("# Server\r\nredis_version:{said}\r\n")).level, then, "{said}");
        }
    }

    #[test]
    fn a_full_redis_that_refuses_is_warned_of() {
        let about = |limit, policy| format!("maxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n");
        assert_eq!(memory(&about(1 << 30, "noeviction")).level, Level::Warn);
        assert_eq!(memory(&about(0, "noeviction")).level, Level::Ok);
        assert_eq!(memory(&about(1 << 30, "volatile-ttl")).level, Level::Ok);
    }
}
