//! An answer: the few things of its head that a buyer looks at, and its body.

use crate::client::Failure;
use serde::Deserialize;
use std::borrow::Cow;
use std::time::Duration;

/// Most header lines of an answer.
const MAX_HEADERS: usize = 48;

/// What the head of an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// 200 to 599.
    pub status: u16,
    /// Bytes of the body.
    pub body_len: usize,
    /// `Idempotency-Replayed: true`.
    pub replayed: bool,
    /// `Retry-After`, in whole seconds on the wire.
    pub retry_after: Option<Duration>,
    /// The connection ends after this answer.
    pub close: bool,
}

/// A whole answer, taken out of its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status and headers.
    pub head: Head,
    /// The body, as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The body as JSON, or nothing when it is something else.
    #[must_use]
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The `code` of a problem; empty when the body has none.
    #[must_use]
    pub fn code(&self) -> String {
        #[derive(Deserialize)]
        struct Problem<'a> {
            #[serde(borrow)]
            code: Cow<'a, str>,
        }
        serde_json::from_slice(&self.body).map(|problem: Problem| problem.code.into_owned()).unwrap_or_default()
    }

    /// How long a busy server asks to wait: what it says, or a moment; never long.
    #[must_use]
    pub fn wait(&self) -> Duration {
        let exact = self.json().and_then(|body| body.get("retry_after_ms")?.as_u64()).map(Duration::from_millis);
        exact.or(self.head.retry_after).unwrap_or(Duration::from_millis(100)).min(Duration::from_secs(5))
    }

    /// What it means to a buyer.
    #[must_use]
    pub fn says(&self) -> Says {
        match self.status() {
            200..=299 => Says::Yes,
            // 421: a stand-by, which may be the owner by the next time.
            421 | 429 | 503 => Says::Busy(self.code()),
            402 | 410 => Says::No(self.code()),
            409 => match self.code() {
                code if code == "idempotency_key_in_flight" => Says::Busy(code),
                code => Says::No(code),
            },
            // A hold that ran out is not there any more.
            404 if self.code() == "hold_ended" => Says::No(self.code()),
            _ => Says::Nonsense,
        }
    }
}

/// What an answer means to a buyer, with the code of the problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// It is done.
    Yes,
    /// Business as usual: sold out and the like. A later try may succeed.
    No(String),
    /// Not now: the same request again, after a while.
    Busy(String),
    /// What a correct server does not answer to a correct request.
    Nonsense,
}

/// Reads a head from the start of `bytes`: it and its length, or nothing while it is not whole.
///
/// # Errors
/// [`Failure::Malformed`] when this is no HTTP/1.1 answer with a content length.
pub fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes).map_err(|e| Failure::Malformed(e.to_string()))? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.unwrap_or(0);
    let mut head = Head { status, body_len: 0, replayed: false, retry_after: None, close: false };
    let mut has_length = matches!(status, 204 | 304);
    for header in response.headers.iter() {
        let number = || std::str::from_utf8(header.value).ok()?.trim().parse::<usize>().ok();
        let name = header.name;
        if name.eq_ignore_ascii_case("content-length") {
            head.body_len = number().ok_or_else(|| Failure::Malformed("content-length is no number".into()))?;
            has_length = true;
        } else if name.eq_ignore_ascii_case("idempotency-replayed") {
            head.replayed = header.value == b"true";
        } else if name.eq_ignore_ascii_case("retry-after") {
            head.retry_after = number().map(|seconds| Duration::from_secs(seconds as u64));
        } else if name.eq_ignore_ascii_case("connection") {
            head.close = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    if !has_length {
        return Err(Failure::Malformed(format!("status {status} without a content length")));
    }
    Ok(Some((head, length)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a panic is how a test fails

    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let text = b"HTTP/1.1 409 Conflict\r\nContent-Length: 12\r\nRetry-After: 2\r\n\
                     Idempotency-Replayed: true\r\nConnection: close\r\n\r\n{}";
        let (head, length) = parse_head(text).unwrap().unwrap();
        let then =
            Head { status: 409, body_len: 12, replayed: true, retry_after: Some(Duration::from_secs(2)), close: true };
        assert_eq!((head, length), (then, text.len() - 2));
        assert!(parse_head(&text[..40]).unwrap().is_none(), "half a head is no head");
    }

    #[test]
    fn no_is_told_from_not_now_and_from_nonsense() {
        let says = |status, body: &str| {
            let head = Head { status, body_len: body.len(), replayed: false, retry_after: None, close: false };
            Answer { head, body: body.as_bytes().to_vec() }.says()
        };
        assert_eq!(says(201, "{}"), Says::Yes);
        assert_eq!(says(409, r#"{"status":409,"code":"sold_out"}"#), Says::No("sold_out".into()));
        let in_flight = "idempotency_key_in_flight";
        assert_eq!(says(409, &format!(r#"{{"code":"{in_flight}"}}"#)), Says::Busy(in_flight.into()));
        assert_eq!(says(503, r#"{"code":"overloaded"}"#), Says::Busy("overloaded".into()));
        assert_eq!(says(404, r#"{"code":"hold_ended"}"#), Says::No("hold_ended".into()));
        for (status, body) in [(404, r#"{"code":"unknown_sku"}"#), (500, ""), (422, "{}"), (302, "")] {
            assert_eq!(says(status, body), Says::Nonsense, "{status}");
        }
        assert_eq!(says(429, "no JSON"), Says::Busy(String::new()));
    }

    #[test]
    fn a_body_without_a_length_is_refused() {
        assert!(parse_head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(parse_head(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().is_some());
        assert!(parse_head(b"SSH-2.0-OpenSSH\r\n\r\n").is_err());
    }
}
