//! Every setting of the server: read once at start from file, environment and flags, then handed to whoever needs it.
//!
//! A setting has one name everywhere: `holds.ttl` in `stampede.toml`, `STAMPEDE_HOLDS_TTL` in the environment,
//! `--holds-ttl` on the command line. A later source wins over an earlier one; what no source knows is an error.
//! The names, defaults and meanings stand in [`settings`]; `stampede config explain` prints them with their source.

pub mod explain;
pub mod flags;
pub mod layers;
pub mod settings;
pub mod value;

pub use flags::Flags;
pub use layers::{ConfigError, Layers, Source};
pub use settings::*;
pub use value::{
    AmqpUrl, Backend, BrokerKind, Bytes, CacheKind, Collector, Endpoint, Format, Placement, Proxies, Quota, Rate,
    RedisUrl, Share, Works,
};

use stampede_actors::time::Span;
use std::time::Duration;

/// Longest that `rabbitmq.window` may be: each message of it is kept in memory.
const MOST_UNCONFIRMED: usize = 65_536;

impl Config {
    /// Reads file, environment and flags, in this order.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once: unknown names, unreadable values, settings that contradict.
    pub fn load(flags: &Flags) -> Result<Config, ConfigError> {
        Config::from_layers(&Layers::load(flags)?)
    }

    /// Checks what the sources said.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_layers(layers: &Layers) -> Result<Config, ConfigError> {
        let mut reader = layers.reader();
        let config = Config::read(&mut reader);
        config.contradictions(|message| reader.complain(message));
        reader.finish()?;
        Ok(config)
    }

    /// What no single setting can say about itself.
    fn contradictions(&self, mut complain: impl FnMut(String)) {
        let positive = [
            ("holds.ttl", self.holds.ttl),
            ("carts.ttl", self.carts.ttl),
            ("api.request-timeout", self.api.request_timeout),
            ("payment.timeout", self.payment.timeout),
            ("payment.ask-again", self.payment.ask_again),
            ("fulfilment.within", self.fulfilment.within),
            ("checkpoint.every", self.checkpoint.every),
            ("store.flush-every", self.store.flush_every),
            ("passivate.after", self.passivate.after),
            ("redis.timeout", self.redis.timeout),
            ("rabbitmq.confirm-within", self.rabbitmq.confirm_within),
            ("cql.timeout", self.cql.timeout),
            ("cql.beat-every", self.cql.beat_every),
        ];
        for (name, value) in positive {
            if value.is_zero() {
                complain(format!("{name} must be longer than zero"));
            }
        }
        let at_least_one = [
            ("workers", self.workers),
            ("permits", self.permits),
            ("passivate.per-tick", self.passivate.per_tick),
            ("passivate.warm", self.passivate.warm),
            ("checkpoint.records", self.checkpoint.records),
            ("log.queue-records", self.log.queue_records),
            ("limits.keys", self.limits.keys),
            ("payment.attempts", self.payment.attempts as usize),
            ("cql.bucket-frames", self.cql.bucket_frames),
            ("rabbitmq.window", self.rabbitmq.window),
            ("rabbitmq.prefetch", self.rabbitmq.prefetch),
            ("rabbitmq.delivery-limit", self.rabbitmq.delivery_limit),
            ("rabbitmq.queue-messages", self.rabbitmq.queue_messages),
        ];
        for (name, value) in at_least_one {
            if value == 0 {
                complain(format!("{name} must be at least 1"));
            }
        }
        if self.shards == 0 || self.shards > usize::from(stampede_actors::ids::SLOTS) {
            complain(format!("shards must be 1 to {}", stampede_actors::ids::SLOTS));
        }
        if self.holds.ttl > self.holds.max_total {
            complain("holds.ttl must not be longer than holds.max-total".into());
        }
        if self.log.segment_bytes.0 < 4 * self.log.frame_bytes.0 {
            complain("log.segment-bytes must be at least four times log.frame-bytes".into());
        }
        if self.log.frame_bytes.0 < 1024 {
            complain("log.frame-bytes must be at least 1KiB".into());
        }
        if self.log.sync_delay > Duration::from_secs(10) {
            complain("log.sync-delay must not be longer than 10s".into());
        }
        if self.redis.timeout > Duration::from_secs(1) {
            complain("redis.timeout must not be longer than 1s".into());
        }
        if self.redis.reads_max_age > Duration::from_secs(60) {
            complain("redis.reads-max-age must not be longer than 1m".into());
        }
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let namespaces = [("redis.namespace", &self.redis.namespace), ("rabbitmq.namespace", &self.rabbitmq.namespace)];
        for (name, value) in namespaces {
            if !(1..=32).contains(&value.len()) || !value.bytes().all(good) {
                complain(format!("{name} must be 1 to 32 of a-z, 0-9, - and _"));
            }
        }
        if self.rabbitmq.prefetch > usize::from(u16::MAX) {
            complain(format!("rabbitmq.prefetch must be at most {}", u16::MAX));
        }
        if self.rabbitmq.window > MOST_UNCONFIRMED {
            complain(format!("rabbitmq.window must be at most {MOST_UNCONFIRMED}"));
        }
        // Names that go into statements as they are.
        let name = |text: &str, more: &[u8]| {
            !text.is_empty() && text.len() <= 48 && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
        };
        if !name(&self.cql.keyspace, b"_") || self.cql.keyspace.bytes().any(|b| b.is_ascii_uppercase()) {
            complain("cql.keyspace must be up to 48 small letters, digits and underscores".into());
        }
        if !name(&self.cql.data_center, b"_-.") {
            complain("cql.data-center must be up to 48 letters, digits, and any of _-.".into());
        }
        if self.cql.replication == 0 {
            complain("cql.replication must be at least 1".into());
        }
        if i32::try_from(self.cql.cell).is_err() {
            complain(format!("cql.cell must be at most {}", i32::MAX));
        }
        if self.cql.resolve_within < self.cql.timeout {
            complain("cql.resolve-within must not be shorter than cql.timeout".into());
        }
        if self.cql.take_over_after < 3 * self.cql.beat_every {
            complain("cql.take-over-after must be at least three times cql.beat-every".into());
        }
        if self.api.bind == self.ops.bind && self.api.bind.port() != 0 {
            complain("api.bind and ops.bind must differ".into());
        }
    }
}

impl Default for Config {
    /// Every setting at its default.
    fn default() -> Config {
        Config::read(&mut Layers::default().reader())
    }
}

/// A configured duration as the domain counts it; a duration beyond its range becomes the longest span.
#[must_use]
pub fn span(duration: Duration) -> Span {
    Span(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
