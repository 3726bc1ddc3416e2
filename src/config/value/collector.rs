//! Values about traces: where the collector is, and how much it gets.

use super::Value;
use super::network::without_secret;
use std::fmt;

/// The port that OTLP over HTTP has by default.
const PORT: u16 = 4318;
/// And the path.
const PATH: &str = "/v1/traces";

/// Where spans go. `None` stands for "off".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector(Option<Endpoint>);

/// A collector's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// From the first slash.
    pub path: String,
}

impl Endpoint {
    /// Host and port, as they stand in a URL.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

impl Collector {
    /// Where it is; `None`: there is none.
    #[must_use]
    pub fn place(&self) -> Option<&Endpoint> {
        self.0.as_ref()
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(endpoint) => endpoint.fmt(f),
            None => f.write_str("off"),
        }
    }
}

impl Value for Collector {
    const KIND: &'static str = "url|off";
    fn parse(text: &str) -> Result<Collector, String> {
        if matches!(text, "" | "off") {
            return Ok(Collector(None));
        }
        if text.starts_with("https://") {
            return Err(
                "http://…: there is no TLS here; put a collector or a proxy that speaks it beside this server".into()
            );
        }
        // The path goes into a request as it is.
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !b"@?#".contains(&byte));
        let endpoint = || {
            let rest = text.strip_prefix("http://").filter(|rest| plain(rest))?;
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            let (host, port) = match authority.strip_prefix('[') {
                Some(rest) => rest.split_once(']')?,
                None => authority.find(':').map_or((authority, ""), |at| authority.split_at(at)),
            };
            let port = match port {
                "" => PORT,
                port => port.strip_prefix(':')?.parse().ok().filter(|port| *port != 0)?,
            };
            let path = if matches!(path, "" | "/") { PATH } else { path };
            (!host.is_empty()).then(|| Endpoint { host: host.to_owned(), port, path: path.to_owned() })
        };
        let good = endpoint().map(|endpoint| Collector(Some(endpoint)));
        good.ok_or_else(|| "a URL like http://127.0.0.1:4318, without user and query; or \"off\"".into())
    }

    fn show(text: &str) -> String {
        if matches!(text, "" | "off") { text.to_owned() } else { without_secret(text, "http://") }
    }
}

/// From 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(pub f64);

impl Value for Share {
    const KIND: &'static str = "share";
    fn parse(text: &str) -> Result<Share, String> {
        let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        share.map(Share).ok_or_else(|| "a share from 0 to 1, like 0.01".into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_collector_is_a_plain_url() {
        let shown = |text| Collector::parse(text).map(|collector| collector.to_string());
        for (text, then) in [
            ("", "off"),
            ("off", "off"),
            ("http://otel", "http://otel:4318/v1/traces"),
            ("http://127.0.0.1:80/", "http://127.0.0.1:80/v1/traces"),
            ("http://[::1]:4318/in/traces", "http://[::1]:4318/in/traces"),
            ("http://[::1]", "http://[::1]:4318/v1/traces"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(then), "{text}");
            assert_eq!(shown(then).as_deref(), Ok(then));
        }
        let wrong = [
            "otel:4318",
            "https://otel",
            "grpc://otel",
            "http://",
            "http://:4318",
            "http://otel:port",
            "http://otel:0",
            "http://otel:99999",
            "http://shop:s3cret@otel",
            "http://otel/v1?key=s3cret",
            "http://otel/a b",
            "http://otel/\r\nx: y",
            "http://[::1",
        ];
        for wrong in wrong {
            assert!(!shown(wrong).unwrap_err().contains("s3cret"), "{wrong}");
        }
        assert_eq!(Collector::show("http://shop:s3cret@otel"), "http://***@otel");
    }

    #[test]
    fn a_share_is_from_nothing_to_all() {
        for (text, then) in [("0", Some(0.0)), ("1", Some(1.0)), ("0.25", Some(0.25))] {
            assert_eq!(Share::parse(text).ok().map(|share| share.0), then, "{text}");
        }
        for wrong in ["-0.1", "1.1", "NaN", "1%", ""] {
            assert!(Share::parse(wrong).is_err(), "{wrong}");
        }
    }
}
