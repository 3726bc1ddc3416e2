//! Into a running server, over its API.

use super::run::{Patience, Target, Trouble};
use super::{Row, SkuRows};
use crate::client::{Answer, Pool, Request};
use serde_json::{Value, json};
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

/// How long one request may take.
const WITHIN: Duration = Duration::from_secs(15);

/// How long a request is repeated when nobody says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server.
#[derive(Debug)]
pub struct Server {
    pool: Pool,
    authorization: String,
    patience: Duration,
}

impl Server {
    /// The server at this address, with an API key, over so many connections.
    #[must_use]
    pub fn new(address: SocketAddr, key: &str, connections: usize) -> Server {
        Server { pool: Pool::new(address, connections), authorization: format!("Bearer {key}"), patience: PATIENCE }
    }

    /// Asks for so long while the server is busy, restarting or away.
    #[must_use]
    pub fn patient_for(self, patience: Duration) -> Server {
        Server { patience, ..self }
    }

    /// Sends a request until there is a definite answer.
    async fn definite(&self, request: &Request) -> Result<Answer, Trouble> {
        let mut patience = Patience::lasting(self.patience);
        loop {
            let (why, wait) = match self.pool.send(request, WITHIN).await {
                Ok(answer) => match answer.status() {
                    200..=299 => return Ok(answer),
                    401 | 403 => return Err(Trouble::Denied("the server refuses this API key".into())),
                    429 | 500..=599 => (reason(&answer), answer.head.retry_after),
                    409 if answer.head.retry_after.is_some() => (reason(&answer), answer.head.retry_after),
                    _ => return Err(Trouble::Refused(reason(&answer))),
                },
                Err(failure) => (failure.to_string(), None),
            };
            if !patience.wait(wait).await {
                return Err(Trouble::Unavailable(why));
            }
        }
    }
}

impl Target for Server {
    async fn list(&self, rows: &SkuRows) -> Result<(), Trouble> {
        let headers = [("authorization", self.authorization.as_str())];
        let path = format!("/v1/skus/{}", rows.sku);
        self.definite(&Request::new("PUT", &path, &headers, Some(&listing(rows).to_string()))).await.map(|_| ())
    }

    async fn receive(&self, rows: &SkuRows, row: &Row, key: &str) -> Result<bool, Trouble> {
        let headers = [("authorization", self.authorization.as_str()), ("idempotency-key", key)];
        let body = json!({ "location": row.location.as_str(), "units": row.units }).to_string();
        let path = format!("/v1/skus/{}/receipts", rows.sku);
        let answer = self.definite(&Request::new("POST", &path, &headers, Some(&body))).await?;
        Ok(answer.head.replayed)
    }
}

/// The body of `PUT /v1/skus/{sku}`.
fn listing(rows: &SkuRows) -> Value {
    let locations: Vec<Value> = rows
        .rows
        .iter()
        .map(|row| {
            json!({
                "location": row.location.as_str(),
                "priority": row.priority,
                "safety_stock": row.safety_stock,
            })
        })
        .collect();
    let mut body = json!({
        "seller": rows.seller.as_str(),
        "price": { "amount": rows.price.minor, "currency": rows.price.currency.code() },
        "locations": locations,
    });
    if let Some(limit) = rows.buyer_limit {
        body["buyer_limit"] = limit.into();
    }
    body
}

/// What a problem says.
fn reason(answer: &Answer) -> String {
    let text = |field: &str| Some(answer.json()?.get(field)?.as_str()?.to_owned());
    match (text("code"), text("detail")) {
        (Some(code), Some(detail)) => format!("{code}: {detail}"),
        (Some(code), None) => code,
        _ => format!("the server answered {}", answer.status()),
    }
}

/// The address behind `http://host:port`.
///
/// # Errors
/// A message when it is another kind of address, or nobody knows the host.
pub fn address(url: &str) -> Result<SocketAddr, String> {
    if url.starts_with("https://") {
        return Err("https is not spoken here: give the server's own http address".into());
    }
    let host = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    if host.is_empty() || host.contains('/') {
        return Err(format!("{url:?}: expected http://host:port"));
    }
    let with_port = if host.rsplit(']').next().is_some_and(|end| end.contains(':')) {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let mut found = with_port.to_socket_addrs().map_err(|error| format!("{url}: {error}"))?;
    found.next().ok_or_else(|| format!("{url}: no such host"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_scheme_and_port() {
        for (url, address_text) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("127.0.0.1:8080/", "127.0.0.1:8080"),
            ("http://127.0.0.1", "127.0.0.1:80"),
            ("http://[::1]:9", "[::1]:9"),
            ("http://[::1]", "[::1]:80"),
        ] {
            assert_eq!(address(url).unwrap().to_string(), address_text);
        }
        for wrong in ["https://127.0.0.1", "http://", "http://127.0.0.1/v1", "http://127.0.0.1:port"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_listing_names_all_locations() {
        let text = "sku,seller,location,units,price,currency,buyer_limit\ntee,a,x,1,9.5,EUR,3\ntee,a,y,1,9.5,EUR,3\n";
        let stock = crate::import::file::parse(text.as_bytes()).unwrap();
        let then = json!({
            "seller": "a", "price": { "amount": 950, "currency": "EUR" }, "buyer_limit": 3,
            "locations": [
                { "location": "x", "priority": 100, "safety_stock": 0 },
                { "location": "y", "priority": 100, "safety_stock": 0 },
            ],
        });
        assert_eq!(listing(&stock.skus[0]), then);
    }
}
