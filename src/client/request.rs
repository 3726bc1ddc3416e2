//! A request as the bytes that go out. Built once, sent as often as it takes: a repeat is the same bytes.

use std::io::Write;

/// A whole request, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request(Vec<u8>);

impl Request {
    /// A request with these headers (name and value) and, where there is one, this JSON body.
    #[must_use]
    pub fn new(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Request {
        let mut bytes = Vec::with_capacity(160 + path.len() + body.map_or(0, str::len));
        write_into(&mut bytes, method, path, headers, body);
        Request(bytes)
    }

    /// `GET path`.
    #[must_use]
    pub fn get(path: &str) -> Request {
        Request::new("GET", path, &[], None)
    }

    /// `POST path` under an idempotency key.
    #[must_use]
    pub fn post(path: &str, key: &str, body: &str) -> Request {
        Request::new("POST", path, &[("idempotency-key", key)], Some(body))
    }

    /// `PUT path`.
    #[must_use]
    pub fn put(path: &str, body: &str) -> Request {
        Request::new("PUT", path, &[], Some(body))
    }

    /// Method and path.
    #[must_use]
    pub fn line(&self) -> &str {
        let end = self.0.windows(9).position(|window| window == b" HTTP/1.1").unwrap_or_default();
        std::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }

    /// What goes over the wire.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Appends a request to `bytes`: for those who build one after the other and keep the buffer.
pub fn write_into(bytes: &mut Vec<u8>, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) {
    let parts = [method, " ", path, " HTTP/1.1\r\nhost: stampede\r\n"];
    parts.iter().for_each(|part| bytes.extend_from_slice(part.as_bytes()));
    for (name, value) in headers {
        [name, ": ", value, "\r\n"].iter().for_each(|part| bytes.extend_from_slice(part.as_bytes()));
    }
    if let Some(body) = body {
        // Writing to a vector cannot fail.
        let _ = write!(bytes, "content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body.unwrap_or_default().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_has_its_key_and_length() {
        let request = Request::post("/v1/orders", "\"k\"", "{}");
        assert_eq!(
            String::from_utf8_lossy(request.bytes()),
            "POST /v1/orders HTTP/1.1\r\nhost: stampede\r\nidempotency-key: \"k\"\r\n\
             content-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
        );
    }

    #[test]
    fn a_get_has_no_body() {
        assert_eq!(Request::get("/x").line(), "GET /x");
        assert_eq!(Request::get("/x").bytes(), b"GET /x HTTP/1.1\r\nhost: stampede\r\n\r\n");
    }
}
