//! `Idempotency-Key`: what the client calls its intent. Ids derive from it, so the effect itself is the key's record.

use crate::http::problem::{Problem, kinds};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use stampede_actors::ids::OpId;

/// The request's header.
pub const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that the answer is the one of an earlier request.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key, in characters.
pub const MAX: usize = 128;

/// A usable key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    text: String,
    bare: bool,
}

impl Key {
    /// Reads the header: a quoted string of the structured-field kind, or the bare value.
    ///
    /// # Errors
    /// `idempotency_key_missing` without one, `idempotency_key_malformed` for anything but 1 to 128 visible ASCII
    /// characters, sent once.
    pub fn read(headers: &HeaderMap) -> Result<Key, Problem> {
        let mut values = headers.get_all(&HEADER);
        let Some(value) = values.next() else {
            return Err(Problem::new(
                &kinds::IDEMPOTENCY_KEY_MISSING,
                "send an Idempotency-Key header, for example a quoted UUID, and the same one when you repeat the request",
            ));
        };
        if values.next().is_some() {
            return Err(malformed("the header was sent more than once"));
        }
        Key::parse(value.as_bytes())
    }

    fn parse(value: &[u8]) -> Result<Key, Problem> {
        let (text, bare) = match value {
            [b'"', inner @ .., b'"'] => (unescape(inner)?, false),
            [b'"', ..] => return Err(malformed("the quoted string does not end")),
            bare => (bare.to_vec(), true),
        };
        if text.is_empty() || text.len() > MAX {
            return Err(malformed("it must have 1 to 128 characters"));
        }
        if !text.iter().all(u8::is_ascii_graphic) {
            return Err(malformed("it may hold visible ASCII characters only"));
        }
        // All bytes are ASCII, so none is replaced.
        Ok(Key { text: String::from_utf8_lossy(&text).into_owned(), bare })
    }

    /// The key itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What to tell a client that sent the bare value.
    #[must_use]
    pub fn warning(&self) -> Option<HeaderValue> {
        self.bare.then(|| HeaderValue::from_static("299 - \"Idempotency-Key should be a quoted string\""))
    }
}

/// In a quoted string, only `\"` and `\\` are escapes.
fn unescape(inner: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut text = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        text.push(match byte {
            b'\\' => match bytes.next() {
                Some(&escaped @ (b'"' | b'\\')) => escaped,
                _ => return Err(malformed("a backslash escapes only a quote or a backslash")),
            },
            b'"' => return Err(malformed("a quote inside must be escaped")),
            other => other,
        });
    }
    Ok(text)
}

fn malformed(why: &'static str) -> Problem {
    Problem::new(&kinds::IDEMPOTENCY_KEY_MALFORMED, why)
}

/// Tells one request from another: the first 8 bytes of the BLAKE3 hash of its body in canonical form. The canonical form is the
/// parsed body written again, so spaces, the order of fields, and fields that are absent or null make no difference.
#[must_use]
pub fn fingerprint(body: &impl Serialize) -> u64 {
    thread_local! {
        static CANONICAL: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    CANONICAL.with_borrow_mut(|canonical| {
        canonical.clear();
        // Writing to memory cannot fail, and request bodies hold nothing that JSON cannot say.
        let _ = serde_json::to_writer(&mut *canonical, body);
        let hash = blake3::hash(canonical);
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        u64::from_be_bytes(first)
    })
}

/// Tells requests for what is made once, whatever key asks for it, as a cart's order is: half of it tells the key, half
/// the content. `key` is unique to the key and its scope.
#[must_use]
pub fn keyed_fingerprint(key: OpId, body: &impl Serialize) -> u64 {
    (key.0 as u64) << 32 | fingerprint(body) >> 32
}

/// Has `later` the key of `earlier`, and other content? Another key asks for the same thing again, whatever its content.
#[must_use]
pub fn reuses_key(earlier: u64, later: u64) -> bool {
    earlier >> 32 == later >> 32 && earlier != later
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed step fails the test
    use super::*;

    #[test]
    fn a_key_is_quoted_or_bare() {
        let quoted = Key::parse(b"\"8e03978e-40d5-43dd-bc93-6894a57f9324\"").unwrap();
        let bare = Key::parse(b"8e03978e-40d5-43dd-bc93-6894a57f9324").unwrap();
        assert_eq!(quoted.as_str(), bare.as_str());
        assert!(quoted.warning().is_none() && bare.warning().is_some());
        assert_eq!(Key::parse(br#""a\"b\\c""#).unwrap().as_str(), r#"a"b\c"#);
    }

    #[test]
    fn a_bad_key_is_malformed() {
        let long = [b'x'; 129];
        let bad: [&[u8]; 9] =
            [b"", b"\"\"", b"\"", b"a b", b"\"a\tb\"", "\u{e9}".as_bytes(), &long, b"\"a\"b\"", br#""a\b""#];
        for value in bad {
            let problem = Key::parse(value).unwrap_err();
            assert_eq!(problem.kind.code, "idempotency_key_malformed", "{value:?}");
        }
        assert!(Key::parse(&long[..128]).is_ok());
    }

    #[test]
    fn a_key_that_is_missing_or_sent_twice_is_refused() {
        let mut headers = HeaderMap::new();
        assert_eq!(Key::read(&headers).unwrap_err().kind.code, "idempotency_key_missing");
        headers.append(HEADER, HeaderValue::from_static("a"));
        assert!(Key::read(&headers).is_ok());
        headers.append(HEADER, HeaderValue::from_static("b"));
        assert_eq!(Key::read(&headers).unwrap_err().kind.code, "idempotency_key_malformed");
    }

    #[test]
    fn the_fingerprint_is_of_the_content() {
        #[derive(serde::Deserialize, Serialize)]
        struct Body {
            units: u32,
            note: Option<String>,
        }
        let of = |text: &str| fingerprint(&serde_json::from_str::<Body>(text).unwrap());
        assert_eq!(of(r#"{"units":1}"#), of(r#"{ "note": null, "units": 1 }"#));
        assert_ne!(of(r#"{"units":1}"#), of(r#"{"units":2}"#));
    }

    #[test]
    fn a_keyed_fingerprint_tells_another_key_from_another_content() {
        let print = |key: u128, token: &str| keyed_fingerprint(OpId(key), &serde_json::json!({ "token": token }));
        let first = print(7 << 64 | 1, "a");
        assert!(!reuses_key(first, print(7 << 64 | 1, "a")), "a repeat");
        assert!(reuses_key(first, print(7 << 64 | 1, "b")), "the same key, something else");
        assert!(!reuses_key(first, print(7 << 64 | 2, "a")), "another key");
        assert!(!reuses_key(first, print(7 << 64 | 2, "b")), "another key, something else");
    }
}
