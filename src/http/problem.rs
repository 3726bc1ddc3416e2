//! Problems as RFC 9457 wants them. The only place where a failure gets a status code.
//!
//! [`kinds`] lists every code with its status and what a client may do; `from` maps each refusal and failure
//! of the domain to one of them, in matches without a catch-all, so that a new one asks for its own line.

mod from;
pub mod kinds;

use crate::http::request_id::RequestId;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
pub use kinds::{Kind, State};
use serde::Serialize;
use stampede_actors::ids::OrderId;
use std::borrow::Cow;
use std::time::Duration;

/// Media type of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// Something that did not go as asked.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Code, status, and what a client may do.
    pub kind: &'static Kind,
    /// For people.
    pub detail: Cow<'static, str>,
    /// What is wrong with which field.
    pub errors: Vec<FieldError>,
    /// Which order it is about, for the log. Rare, and would make every answer larger.
    pub order: Option<Box<OrderId>>,
    /// For 405.
    allow: Option<String>,
    /// When this one may be repeated, where that is known better than of its kind.
    after: Option<Duration>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// JSON pointer into the request's body; absent for parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/lines/0/units")]
    pub pointer: Option<String>,
    /// Name of the path, query or header parameter; absent for body fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<&'static str>,
    /// A stable word.
    #[schema(example = "validation_failed")]
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl FieldError {
    /// Something wrong in the body.
    #[must_use]
    pub fn at(pointer: String, code: &'static str, message: String) -> FieldError {
        FieldError { pointer: Some(pointer), parameter: None, code, message }
    }

    /// Something wrong with a parameter.
    #[must_use]
    pub fn parameter(name: &'static str, message: String) -> FieldError {
        FieldError { pointer: None, parameter: Some(name), code: kinds::VALIDATION_FAILED.code, message }
    }
}

impl Problem {
    /// A problem of this kind.
    #[must_use]
    pub fn new(kind: &'static Kind, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem { kind, detail: detail.into(), errors: Vec::new(), order: None, allow: None, after: None }
    }

    /// 422 with what is wrong where.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Problem {
        let detail: Cow<'static, str> = match errors.as_slice() {
            [one] => one.message.clone().into(),
            _ => "some fields are wrong".into(),
        };
        Problem { errors, ..Problem::new(&kinds::VALIDATION_FAILED, detail) }
    }

    /// 422 for a path or query parameter.
    #[must_use]
    pub fn bad_parameter(name: &'static str, message: impl ToString) -> Problem {
        Problem::invalid(vec![FieldError::parameter(name, message.to_string())])
    }

    /// Names the fields that are to blame.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Problem {
        self.errors = errors;
        self
    }

    /// Names the order that it is about.
    #[must_use]
    pub fn of_order(mut self, order: OrderId) -> Problem {
        self.order = Some(Box::new(order));
        self
    }

    /// It may be repeated after this time, and not earlier.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Problem {
        self.after = Some(wait);
        self
    }

    /// 405 with the methods that there are.
    #[must_use]
    pub fn method_not_allowed(allow: String) -> Problem {
        let detail = format!("this resource takes {allow}");
        Problem { allow: Some(allow), ..Problem::new(&kinds::METHOD_NOT_ALLOWED, detail) }
    }

    /// The answer.
    #[must_use]
    pub fn respond(&self, request: RequestId) -> HttpResponse {
        let after = self.after.map(|wait| u32::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(u32::MAX / 2));
        let retry_after = after.or(self.kind.retry_after_ms).map(|base| base + rand::random_range(0..=base / 2));
        let body = self.body(request, retry_after);
        let status = StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE)));
        if let Some(milliseconds) = retry_after {
            // A known time is rounded up, since before it the request would only be refused again.
            let seconds = if self.after.is_some() { milliseconds.div_ceil(1000) } else { milliseconds / 1000 };
            response.insert_header((header::RETRY_AFTER, seconds.max(1)));
        }
        if let Some(allow) = &self.allow {
            response.insert_header((header::ALLOW, allow.as_str()));
        }
        if self.kind.status == 401 {
            response.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        response.body(body)
    }

    fn body(&self, request: RequestId, retry_after_ms: Option<u32>) -> Vec<u8> {
        let mut body = Vec::with_capacity(512);
        let document = Document {
            r#type: self.kind.type_uri,
            title: self.kind.title,
            status: self.kind.status,
            detail: &self.detail,
            instance: Instance(request),
            code: self.kind.code,
            retryable: self.kind.retryable,
            retry_after_ms,
            safe_new_key: self.kind.safe_new_key(),
            operation_state: self.kind.state.word(),
            request_id: request,
            errors: &self.errors,
        };
        // Writing to memory cannot fail, and the document has nothing that JSON cannot say.
        let _ = serde_json::to_writer(&mut body, &document);
        body
    }
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: Instance,
    code: &'static str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u32>,
    safe_new_key: bool,
    operation_state: &'static str,
    request_id: RequestId,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

struct Instance(RequestId);

impl Serialize for Instance {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const HEAD: &[u8; 13] = b"/v1/requests/";
        let mut text = [0; HEAD.len() + RequestId::LENGTH];
        text[..HEAD.len()].copy_from_slice(HEAD);
        text[HEAD.len()..].copy_from_slice(&self.0.text());
        serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
    }
}

/// The shape of a problem, for the API's description.
#[derive(utoipa::ToSchema)]
#[schema(as = Problem)]
#[allow(dead_code)] // described, never built: `Document` borrows
pub struct ProblemBody {
    /// Names the kind of problem for good.
    #[schema(example = "https://stampede.example/problems/sold-out")]
    r#type: String,
    /// The kind in words.
    #[schema(example = "Sold out")]
    title: String,
    /// The status code.
    #[schema(example = 409)]
    status: u16,
    /// What happened this time, for people.
    #[schema(example = "1 units requested, 0 available")]
    detail: String,
    /// This very request.
    #[schema(example = "/v1/requests/req_0123456789abcdef")]
    instance: String,
    /// Stable name of the kind.
    #[schema(example = "sold_out")]
    code: String,
    /// May the same request, with the same key, succeed later?
    retryable: bool,
    /// Repeat no earlier than after so many milliseconds.
    retry_after_ms: Option<u32>,
    /// Is a changed request under a new key safe, because nothing of this one happened or will?
    safe_new_key: bool,
    /// What became of the operation: `not_started`, `in_progress` or `unknown`.
    operation_state: String,
    /// The value of the `Request-Id` header.
    #[schema(example = "req_0123456789abcdef")]
    request_id: String,
    /// What is wrong with which field; left out when empty.
    errors: Option<Vec<FieldError>>,
}

#[cfg(test)]
mod tests;
