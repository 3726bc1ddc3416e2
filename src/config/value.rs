//! Kinds of values: how each is read from text, and written so that it can be read again.

mod collector;
mod network;

use crate::workflows::simulated::{BadFault, Faults};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use collector::{Collector, Endpoint, Share};
pub use network::{AmqpUrl, Proxies, Quota, Rate, RedisUrl};

/// A kind of value that a setting can have.
pub trait Value: Sized {
    /// The word for it in help and errors.
    const KIND: &'static str;
    /// Reads it; the error says what was expected.
    fn parse(text: &str) -> Result<Self, String>;
    /// The text as it may be shown to people and written to logs.
    fn show(text: &str) -> String {
        text.to_owned()
    }
}

/// A number of bytes, written `65536`, `64KiB`, `1MiB` or `2GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl Bytes {
    /// As a length in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size)) {
            Some((unit, size)) => write!(f, "{}{unit}", self.0 / size),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Where shards live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// On the HTTP workers' threads.
    Worker,
    /// On threads of their own.
    Own,
}

/// What limits and hot reads may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheKind {
    /// This process alone.
    InProcess,
    /// A Redis that servers share.
    Redis,
}

/// Who carries the steps of payment and fulfilment to their workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerKind {
    /// This process alone.
    InProcess,
    /// RabbitMQ, with workers in this process or in others.
    RabbitMq,
}

/// Which kinds of work the server itself takes out of RabbitMQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Works {
    /// Steps of the payment provider.
    pub payment: bool,
    /// Steps of the warehouse.
    pub fulfilment: bool,
}

/// Where the commit log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// In the data directory.
    Embedded,
    /// In ScyllaDB, or whatever speaks CQL and has its conditional batches.
    Scylla,
}

impl Backend {
    /// The word for it: also the label of metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Backend::Embedded => "embedded",
            Backend::Scylla => "scylla",
        }
    }
}

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// For collectors.
    Json,
}

impl Value for Bytes {
    const KIND: &'static str = "bytes";
    fn parse(text: &str) -> Result<Bytes, String> {
        let (digits, size) = UNITS
            .iter()
            .chain([&("B", 1)])
            .find_map(|(unit, size)| text.strip_suffix(unit).map(|digits| (digits.trim_end(), *size)))
            .unwrap_or((text, 1));
        let count: Option<u64> = digits.parse().ok();
        count
            .and_then(|count| count.checked_mul(size))
            .map(Bytes)
            .ok_or_else(|| "a number of bytes like 65536, 64KiB, 1MiB or 2GiB".into())
    }
}

impl Value for Duration {
    const KIND: &'static str = "duration";
    fn parse(text: &str) -> Result<Duration, String> {
        humantime::parse_duration(text).map_err(|_| "a duration like 400us, 30ms, 10s, 10m, 24h or 7d".into())
    }
}

impl Value for Option<Duration> {
    const KIND: &'static str = "duration|never";
    fn parse(text: &str) -> Result<Option<Duration>, String> {
        match text {
            "never" => Ok(None),
            _ => Duration::parse(text).map(Some).map_err(|expected| format!("{expected}, or \"never\"")),
        }
    }
}

impl Value for Placement {
    const KIND: &'static str = "worker|own";
    fn parse(text: &str) -> Result<Placement, String> {
        match text {
            "worker" => Ok(Placement::Worker),
            "own" => Ok(Placement::Own),
            _ => Err("worker or own".into()),
        }
    }
}

impl Value for CacheKind {
    const KIND: &'static str = "in-process|redis";
    fn parse(text: &str) -> Result<CacheKind, String> {
        match text {
            "in-process" => Ok(CacheKind::InProcess),
            "redis" => Ok(CacheKind::Redis),
            _ => Err("in-process or redis".into()),
        }
    }
}

impl Value for BrokerKind {
    const KIND: &'static str = "in-process|rabbitmq";
    fn parse(text: &str) -> Result<BrokerKind, String> {
        match text {
            "in-process" => Ok(BrokerKind::InProcess),
            "rabbitmq" => Ok(BrokerKind::RabbitMq),
            _ => Err("in-process or rabbitmq".into()),
        }
    }
}

impl Value for Works {
    const KIND: &'static str = "payment,fulfilment|none";
    fn parse(text: &str) -> Result<Works, String> {
        let mut works = Works { payment: false, fulfilment: false };
        if text == "none" {
            return Ok(works);
        }
        for word in text.split(',') {
            match word.trim() {
                "payment" => works.payment = true,
                "fulfilment" => works.fulfilment = true,
                _ => return Err("payment, fulfilment, both with a comma between them, or none".into()),
            }
        }
        Ok(works)
    }
}

impl Value for Backend {
    const KIND: &'static str = "embedded|scylla";
    fn parse(text: &str) -> Result<Backend, String> {
        match text {
            "embedded" => Ok(Backend::Embedded),
            "scylla" => Ok(Backend::Scylla),
            _ => Err("embedded or scylla".into()),
        }
    }
}

impl Value for Faults {
    const KIND: &'static str = "faults";
    fn parse(text: &str) -> Result<Faults, String> {
        if text == "none" {
            return Ok(Faults::default());
        }
        let faults = text.split(',').map(|fault| fault.trim().parse());
        faults.collect::<Result<_, _>>().map(Faults).map_err(|bad: BadFault| bad.to_string())
    }
}

impl Value for Format {
    const KIND: &'static str = "auto|text|json";
    fn parse(text: &str) -> Result<Format, String> {
        match text {
            "auto" => Ok(Format::Auto),
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            _ => Err("auto, text or json".into()),
        }
    }
}

impl Value for String {
    const KIND: &'static str = "text";
    fn parse(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

impl Value for PathBuf {
    const KIND: &'static str = "path";
    fn parse(text: &str) -> Result<PathBuf, String> {
        if text.is_empty() { Err("a path".into()) } else { Ok(PathBuf::from(text)) }
    }
}

macro_rules! from_str_value {
    ($($kind:ty: $word:literal, $expected:literal;)+) => {
        $(impl Value for $kind {
            const KIND: &'static str = $word;
            fn parse(text: &str) -> Result<$kind, String> {
                text.parse().map_err(|_| $expected.into())
            }
        })+
    };
}

from_str_value! {
    SocketAddr: "address:port", "an address and a port like 127.0.0.1:8080 (port 0: any free one)";
    usize: "number", "a whole number";
    u32: "number", "a whole number";
    bool: "true|false", "true or false";
}
