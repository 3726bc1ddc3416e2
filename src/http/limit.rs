//! Rate limits at the edge: whom a request counts for, and how its answer tells what is left.
//!
//! The headers are those of draft-ietf-httpapi-ratelimit-headers; a limit that has no room answers 429.

use crate::config::Proxies;
use crate::http::call::Call;
use crate::http::problem::{Problem, kinds};
use crate::limits::{Limits, Policy, Standing, Verdict};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};
use stampede_actors::ids::BuyerRef;
use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Counts a request for its buyer, its API key and its address, in one decision. What it led to is kept with the request,
/// for its answer.
///
/// # Errors
/// `rate_limited`.
pub async fn admit(call: &Call, buyer: Option<&BuyerRef>) -> Result<(), Problem> {
    let limits = &call.app.shared.limits;
    if !limits.is_on() {
        return Ok(());
    }
    let address = subject_address(&call.request, limits, &call.app.trusted_proxies);
    let subjects: Vec<_> = [
        buyer.and_then(|buyer| limits.subject(Policy::Buyer, buyer.as_str())),
        call.api_key.as_deref().and_then(|name| limits.subject(Policy::ApiKey, name)),
        address.as_deref().and_then(|address| limits.subject(Policy::Address, address)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let verdict = limits.decide(&subjects).await;
    let refused = verdict.refused;
    if limits.told && !verdict.standings.is_empty() {
        call.request.extensions_mut().insert(verdict);
    }
    match refused {
        None => Ok(()),
        Some(wait) => Err(Problem::new(&kinds::RATE_LIMITED, "too many requests: slow down").after(wait)),
    }
}

/// Tells what is left, if something was counted for this request.
pub fn tell(request: &HttpRequest, headers: &mut HeaderMap) {
    let extensions = request.extensions();
    let Some(verdict) = extensions.get::<Verdict>() else { return };
    let list = |one: fn(&mut String, &Standing)| {
        let mut text = String::with_capacity(64);
        for standing in &verdict.standings {
            if !text.is_empty() {
                text.push_str(", ");
            }
            one(&mut text, standing);
        }
        HeaderValue::try_from(text)
    };
    // Writing to a String cannot fail; the text is ASCII of ours.
    let policy = list(|text, Standing { policy, quota, .. }| {
        let _ = write!(text, "\"{}\";q={};w={}", policy.word(), quota.requests, quota.seconds);
    });
    let left = list(|text, Standing { policy, remaining, reset, .. }| {
        let reset = reset.as_millis().div_ceil(1_000);
        let _ = write!(text, "\"{}\";r={remaining};t={reset}", policy.word());
    });
    for (name, value) in [(POLICY, policy), (LEFT, left)] {
        if let Ok(value) = value {
            headers.insert(name, value);
        }
    }
}

/// The address that counts, when addresses do: an IPv6 host may use all of its network's.
fn subject_address(request: &HttpRequest, limits: &Limits, trusted: &Proxies) -> Option<String> {
    limits.subject(Policy::Address, "")?;
    let peer = request.peer_addr()?.ip();
    let forwarded = request.headers().get_all(FORWARDED_FOR).filter_map(|value| value.to_str().ok());
    Some(match client(peer, &forwarded.collect::<Vec<_>>(), trusted) {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    })
}

/// The nearest address that no trusted proxy has: what is written farther off, anybody may have written.
fn client(peer: IpAddr, forwarded: &[&str], trusted: &Proxies) -> IpAddr {
    let mut nearest = peer.to_canonical();
    let mut hops = forwarded.iter().flat_map(|line| line.split(',')).rev();
    while trusted.contains(nearest) {
        match hops.next().and_then(|hop| hop.trim().parse::<IpAddr>().ok()) {
            Some(hop) => nearest = hop.to_canonical(),
            None => break,
        }
    }
    nearest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::config::value::Value;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted = Proxies::parse("10.0.0.0/8").unwrap();
        for (peer, forwarded, then) in [
            ("203.0.113.7", &["198.51.100.1"][..], "203.0.113.7"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.9"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("::ffff:10.0.0.1", &["2001:db8::7"], "2001:db8::7"),
            ("10.0.0.1", &["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ] {
            let found = client(peer.parse().unwrap(), forwarded, &trusted);
            assert_eq!(found, then.parse::<IpAddr>().unwrap(), "{peer} {forwarded:?}");
        }
    }
}
