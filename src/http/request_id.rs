//! One id per request: in the `Request-Id` header, in problems, in log lines.

use actix_web::http::header::{HeaderName, HeaderValue};
use serde::{Serialize, Serializer};
use std::cell::Cell;
use std::fmt;

/// The header.
pub const HEADER: HeaderName = HeaderName::from_static("request-id");

/// `req_` and 16 hexadecimal digits. Not secret, unique enough to find a request by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(u64);

thread_local! {
    /// Each thread counts on from a random number.
    static NEXT: Cell<u64> = Cell::new(rand::random());
}

impl RequestId {
    /// The next one of this thread.
    #[must_use]
    pub fn next() -> RequestId {
        RequestId(NEXT.with(|next| next.replace(next.get().wrapping_add(1))))
    }

    /// Bytes of its text.
    pub const LENGTH: usize = 20;

    /// Its text: ASCII.
    #[must_use]
    pub fn text(self) -> [u8; RequestId::LENGTH] {
        let mut text = *b"req_0000000000000000";
        for (i, byte) in text[4..].iter_mut().enumerate() {
            *byte = b"0123456789abcdef"[((self.0 >> (4 * (15 - i))) & 15) as usize];
        }
        text
    }

    /// As the value of the header.
    #[must_use]
    pub fn header_value(self) -> HeaderValue {
        // Digits and letters only: always a header value.
        HeaderValue::from_bytes(&self.text()).unwrap_or_else(|_| HeaderValue::from_static("req_"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.text()).map_err(serde::ser::Error::custom)?)
    }
}

#[cfg(test)]
mod tests {
    use super::RequestId;

    #[test]
    fn it_is_spelt_in_sixteen_digits_everywhere() {
        let id = RequestId(0x0123_4567_89ab_cdef);
        assert_eq!(id.to_string(), "req_0123456789abcdef");
        assert_eq!(id.header_value(), "req_0123456789abcdef");
        assert_eq!(serde_json::to_value(id).ok(), Some("req_0123456789abcdef".into()));
        assert_ne!(RequestId::next(), RequestId::next());
    }
}
