//! Values about who calls, and how often: rates, networks, and where Redis and RabbitMQ are.

use super::Value;
use lapin::uri::AMQPUri;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// So many at once, and as many more for each window that passes: `20/1s`. `None` stands for "off".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub Option<Quota>);

/// A rate that is not off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests per window, at least 1.
    pub requests: u32,
    /// Seconds of the window, at least 1.
    pub seconds: u32,
}

/// Beyond this, limits would be told in fractions of the clock's ticks.
const MOST_PER_SECOND: u64 = 10_000;
/// A day.
const LONGEST_WINDOW: u64 = 86_400;

impl Value for Rate {
    const KIND: &'static str = "rate|off";
    fn parse(text: &str) -> Result<Rate, String> {
        if text == "off" {
            return Ok(Rate(None));
        }
        let quota = || {
            let (requests, window) = text.split_once('/')?;
            let requests: u32 = requests.trim().parse().ok()?;
            let window = humantime::parse_duration(window.trim()).ok()?;
            let seconds = window.as_secs();
            let whole = window == Duration::from_secs(seconds) && (1..=LONGEST_WINDOW).contains(&seconds);
            let possible = requests >= 1 && u64::from(requests) <= MOST_PER_SECOND * seconds;
            (whole && possible).then_some(Quota { requests, seconds: u32::try_from(seconds).ok()? })
        };
        quota().map(|quota| Rate(Some(quota))).ok_or_else(|| {
            format!("a rate like 20/1s or 600/1m, in whole seconds, at most {MOST_PER_SECOND} per second; or \"off\"")
        })
    }
}

/// Networks whose word about the client's address is believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxies(Vec<(IpAddr, u8)>);

impl Proxies {
    /// Is it one of them?
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|(network, bits)| match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                same(network.to_bits().into(), address.to_bits().into(), 32, *bits)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => same(network.to_bits(), address.to_bits(), 128, *bits),
            _ => false,
        })
    }
}

/// Do the first `bits` of two addresses of `width` bits agree?
fn same(one: u128, other: u128, width: u8, bits: u8) -> bool {
    bits == 0 || (one ^ other) >> (width - bits) == 0
}

impl Value for Proxies {
    const KIND: &'static str = "networks|none";
    fn parse(text: &str) -> Result<Proxies, String> {
        if text == "none" {
            return Ok(Proxies::default());
        }
        let network = |text: &str| {
            let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
            let address: IpAddr = address.parse().ok()?;
            let width = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Some(width), |bits| bits.parse().ok())?;
            (bits <= width).then_some((address, bits))
        };
        let networks = text.split(',').map(|text| network(text.trim())).collect::<Option<Vec<_>>>();
        networks.map(Proxies).ok_or_else(|| "addresses and networks like 10.0.0.0/8,fd00::/8, or \"none\"".into())
    }
}

/// Where Redis is. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// With the password, for connecting.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&RedisUrl::show(&self.0))
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

impl Value for RedisUrl {
    const KIND: &'static str = "url";
    fn parse(text: &str) -> Result<RedisUrl, String> {
        if text.starts_with("rediss://") {
            return Err("redis://…: there is no TLS here; put a proxy that speaks it beside this server".into());
        }
        // The client's own reader: what it takes can be connected to. Its errors may repeat the password.
        let good = text.starts_with("redis://") && deadpool_redis::redis::Client::open(text).is_ok();
        if good { Ok(RedisUrl(text.to_owned())) } else { Err("a URL like redis://127.0.0.1:6379/0".into()) }
    }

    fn show(text: &str) -> String {
        without_secret(text, "redis://")
    }
}

/// Where RabbitMQ is, and its virtual host. Shown without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct AmqpUrl(String);

impl AmqpUrl {
    /// With the password, for connecting.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Host and port, for connecting by hand.
    #[must_use]
    pub fn authority(&self) -> (String, u16) {
        let uri: AMQPUri = self.0.parse().unwrap_or_default();
        (uri.authority.host, uri.authority.port)
    }
}

impl fmt::Display for AmqpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&AmqpUrl::show(&self.0))
    }
}

impl fmt::Debug for AmqpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AmqpUrl({self})")
    }
}

impl Value for AmqpUrl {
    const KIND: &'static str = "url";
    fn parse(text: &str) -> Result<AmqpUrl, String> {
        if text.starts_with("amqps://") {
            return Err("amqp://…: there is no TLS here; put a proxy that speaks it beside this server".into());
        }
        // The client's own reader; its errors may repeat the password.
        let good = text.starts_with("amqp://") && text.parse::<AMQPUri>().is_ok();
        if good {
            Ok(AmqpUrl(text.to_owned()))
        } else {
            Err("a URL like amqp://USER:PASSWORD@127.0.0.1:5672/%2f, where %2f is the virtual host /".into())
        }
    }

    fn show(text: &str) -> String {
        without_secret(text, "amqp://")
    }
}

/// Everything between the scheme and the last `@` may be a secret; of what is no such URL, everything.
pub(super) fn without_secret(text: &str, scheme: &str) -> String {
    match text.strip_prefix(scheme) {
        None => "***".to_owned(),
        Some(rest) => match rest.rsplit_once('@') {
            None => text.to_owned(),
            Some((_, place)) => format!("{scheme}***@{place}"),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_rate_is_so_many_per_window() {
        let read = |text| Rate::parse(text).ok().map(|rate| rate.0.map(|quota| (quota.requests, quota.seconds)));
        for (text, then) in [
            ("off", Some(None)),
            ("20/1s", Some(Some((20, 1)))),
            ("600 / 1m", Some(Some((600, 60)))),
            ("10000/1s", Some(Some((10_000, 1)))),
            ("10001/1s", None),
            ("0/1s", None),
            ("5/500ms", None),
            ("5/2d", None),
            ("5", None),
            ("-1/1s", None),
        ] {
            assert_eq!(read(text), then, "{text}");
        }
    }

    #[test]
    fn a_proxy_is_known_by_its_network() {
        let proxies = Proxies::parse("10.0.0.0/8, 192.168.7.1,fd00::/8").unwrap();
        for (address, then) in [
            ("10.200.3.4", true),
            ("11.0.0.1", false),
            ("192.168.7.1", true),
            ("192.168.7.2", false),
            ("::ffff:10.1.1.1", true),
            ("fd12::1", true),
            ("fe80::1", false),
        ] {
            assert_eq!(proxies.contains(address.parse().unwrap()), then, "{address}");
        }
        assert!(Proxies::parse("0.0.0.0/0").unwrap().contains("203.0.113.9".parse().unwrap()));
        assert!(!Proxies::parse("none").unwrap().contains("127.0.0.1".parse().unwrap()));
        for wrong in ["", "10.0.0.0/33", "here", "10.0.0.0/8;fd00::/8"] {
            assert!(Proxies::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = RedisUrl::parse("redis://shop:s3cret@10.0.0.1:6379/2").unwrap();
        assert_eq!(url.to_string(), "redis://***@10.0.0.1:6379/2");
        assert_eq!(format!("{url:?}"), "RedisUrl(redis://***@10.0.0.1:6379/2)");
        assert_eq!(RedisUrl::show("redis://a:p@w@h"), "redis://***@h");
        assert_eq!(RedisUrl::show("rediss://:pw@h"), "***");
        assert_eq!(RedisUrl::show("redis://127.0.0.1:6379"), "redis://127.0.0.1:6379");
        for wrong in ["rediss://h", "127.0.0.1:6379", "redis://h:port", ""] {
            assert!(!RedisUrl::parse(wrong).unwrap_err().contains("pw"), "{wrong}");
        }
        let url = AmqpUrl::parse("amqp://shop:s3cret@10.0.0.1:5673/flash").unwrap();
        assert_eq!(format!("{url:?}"), "AmqpUrl(amqp://***@10.0.0.1:5673/flash)");
        assert_eq!(url.authority(), ("10.0.0.1".to_owned(), 5673));
        for wrong in ["amqps://h", "127.0.0.1:5672", "amqp://u:pw@h:port", ""] {
            assert!(!AmqpUrl::parse(wrong).unwrap_err().contains("pw"), "{wrong}");
        }
    }
}
