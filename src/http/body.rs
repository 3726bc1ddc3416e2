//! Request bodies: read once, without a copy where they come in one piece, and parsed from the bytes as they are.

use crate::http::problem::{FieldError, Problem, kinds};
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use std::time::Duration;

/// Reads the body whole.
///
/// # Errors
/// `body_too_large` beyond `limit` bytes, `body_timeout` when it has not arrived after `within`, `malformed_json`
/// when the client hangs up half-way.
pub async fn read(headers: &HeaderMap, mut payload: Payload, limit: usize, within: Duration) -> Result<Bytes, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|announced| announced > limit) {
        return Err(too_large(limit));
    }
    let whole = async {
        let mut first = match payload.next().await {
            None => return Ok(Bytes::new()),
            Some(chunk) => chunk.map_err(broken)?,
        };
        let mut rest: Option<BytesMut> = None;
        loop {
            let so_far = rest.as_ref().map_or(first.len(), |rest| rest.len());
            if so_far > limit {
                return Err(too_large(limit));
            }
            let Some(chunk) = payload.next().await else { break };
            let chunk = chunk.map_err(broken)?;
            let rest = rest.get_or_insert_with(|| {
                let mut rest = BytesMut::with_capacity(announced.unwrap_or(0).max(first.len() + chunk.len()));
                rest.extend_from_slice(&first);
                rest
            });
            rest.extend_from_slice(&chunk);
        }
        if let Some(rest) = rest {
            first = rest.freeze();
        }
        Ok(first)
    };
    // Nearly always the body is there already: no timer is armed then.
    let mut whole = std::pin::pin!(whole);
    match futures_util::poll!(whole.as_mut()) {
        std::task::Poll::Ready(outcome) => outcome,
        std::task::Poll::Pending => match tokio::time::timeout(within, whole).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Problem::new(&kinds::BODY_TIMEOUT, "the body did not arrive in time")),
        },
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(&kinds::BODY_TOO_LARGE, format!("a body may have at most {limit} bytes"))
}

fn broken(error: actix_web::error::PayloadError) -> Problem {
    Problem::new(&kinds::MALFORMED_JSON, format!("the body could not be read: {error}"))
}

/// Is this a JSON body, as it was announced?
///
/// # Errors
/// `unsupported_media_type` for anything but plain `application/json`.
pub fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let wrong = |detail: &'static str| Err(Problem::new(&kinds::UNSUPPORTED_MEDIA_TYPE, detail));
    if headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return wrong("send the body without a content encoding");
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return wrong("send Content-Type: application/json");
    };
    const JSON: &[u8] = b"application/json";
    let value = value.as_bytes();
    let (media, parameters) = value.split_at(value.len().min(JSON.len()));
    let parameters = parameters.trim_ascii();
    let is_utf8 = |parameters: &[u8]| {
        let text = String::from_utf8_lossy(parameters).to_ascii_lowercase().replace([' ', '"'], "");
        !text.contains("charset=") || text.contains("charset=utf-8")
    };
    let good = media.eq_ignore_ascii_case(JSON)
        && (parameters.is_empty() || (parameters.starts_with(b";") && is_utf8(parameters)));
    if good { Ok(()) } else { wrong("send Content-Type: application/json in UTF-8") }
}

/// Parses a body.
///
/// # Errors
/// `malformed_json` when it is no JSON, `validation_failed` with a JSON pointer when it is not what was asked for.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| explain::<T>(body, &error))
}

/// Says where a body is wrong. Only now is the path to each field followed.
#[cold]
fn explain<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> Problem {
    if body.trim_ascii().is_empty() {
        return Problem::new(&kinds::MALFORMED_JSON, "the body is empty");
    }
    // A body that is wrong twice is called malformed first, wherever the other mistake stands.
    // Not ignoring anything: what is ignored may hold bytes that are no text.
    if let Err(error) = serde_json::from_slice::<serde_json::Value>(body) {
        return Problem::new(&kinds::MALFORMED_JSON, error.to_string());
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let pointer = match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Ok(_) => String::new(),
        Err(error) => pointer(error.path()),
    };
    let message = match error.classify() {
        Category::Data => error.to_string(),
        // It is JSON: where a name out of a list is wanted, another kind of value is called a wrong syntax.
        Category::Syntax | Category::Eof | Category::Io => "not one of the values that it may have".to_owned(),
    };
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let errors = vec![FieldError::at(pointer, kinds::VALIDATION_FAILED.code, message.to_owned())];
    Problem::invalid(errors)
}

/// The JSON pointer to where a path leads.
#[must_use]
pub fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { variant } => pointer.push_str(&format!("/{variant}")),
            Segment::Unknown => {}
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed step fails the test
    use super::*;
    use actix_web::http::header::HeaderValue;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // only parsed
    struct Order {
        buyer: String,
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // only parsed
    struct Line {
        units: u32,
        why: Option<Why>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Why {
        Found,
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for text in ["", "  ", "{", "nonsense", "{\"buyer\":}", "{\"buyer\":1,", "[1] 2", "\u{feff}{}"] {
            assert_eq!(parse::<Order>(text.as_bytes()).unwrap_err().kind.code, "malformed_json", "{text}");
        }
        for bytes in [&b"\"\xff\""[..], b"{\"buyer\":1,\"\xff\":1}", b"{\"buyer\":1,\"lines\":\"\\ud800\"}"] {
            assert_eq!(parse::<Order>(bytes).unwrap_err().kind.code, "malformed_json", "{}", bytes.escape_ascii());
        }
        let deep = "[".repeat(100_000);
        assert_eq!(parse::<Order>(deep.as_bytes()).unwrap_err().kind.code, "malformed_json");
    }

    #[test]
    fn a_wrong_field_is_named() {
        let cases = [
            (r#"{"buyer":"b","lines":[{"units":1},{"units":"2"}]}"#, "/lines/1/units"),
            (r#"{"buyer":"b","lines":[{"units":-1}]}"#, "/lines/0/units"),
            (r#"{"buyer":"b","lines":[{"units":1.5}]}"#, "/lines/0/units"),
            (r#"{"buyer":"b","lines":[{"units":1e99}]}"#, "/lines/0/units"),
            (r#"{"buyer":"b","lines":[{"units":1,"colour":2}]}"#, "/lines/0/colour"),
            (r#"{"buyer":"b","lines":[],"a/b~":1}"#, "/a~1b~0"),
            (r#"{"buyer":"b","lines":[{"units":1,"why":1}]}"#, "/lines/0/why"),
            (r#"{"buyer":"b","lines":[{"units":1,"why":["found"]}]}"#, "/lines/0/why"),
            (r#"{"buyer":"b","lines":[{"units":1,"why":"lost"}]}"#, "/lines/0/why"),
            (r#"{"buyer":"b"}"#, ""),
            (r#"[]"#, ""),
            (r#""text""#, ""),
        ];
        for (text, pointer) in cases {
            let problem = parse::<Order>(text.as_bytes()).unwrap_err();
            assert_eq!(problem.kind.code, "validation_failed", "{text}");
            assert_eq!(problem.errors[0].pointer.as_deref(), Some(pointer), "{text}: {problem:?}");
        }
    }

    #[test]
    fn only_plain_json_is_taken() {
        let check = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(text));
            check_type(&headers).is_ok()
        };
        assert!(check("application/json"));
        assert!(check("Application/JSON; charset=UTF-8"));
        assert!(!check("application/jsonp"));
        assert!(!check("application/json; charset=latin1"));
        assert!(!check("text/plain"));
        assert!(check_type(&HeaderMap::new()).is_err());
    }
}
