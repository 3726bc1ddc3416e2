//! A good answer: its body is written once, into a buffer of about its size.

use crate::http::idempotency::REPLAYED;
use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use serde::Serialize;

/// A good answer.
pub struct Reply {
    status: StatusCode,
    body: Option<BoxBody>,
    media: HeaderValue,
    /// It is the answer of an earlier request with this key.
    pub replayed: bool,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Reply {
    /// JSON of about `size` bytes.
    #[must_use]
    pub fn json(status: StatusCode, size: usize, body: &impl Serialize) -> Reply {
        let mut buffer = Vec::with_capacity(size);
        // Writing to memory cannot fail, and answers hold nothing that JSON cannot say.
        let _ = serde_json::to_writer(&mut buffer, body);
        Reply::new(status, HeaderValue::from_static("application/json"), BoxBody::new(buffer))
    }

    /// 200 with JSON of about `size` bytes.
    #[must_use]
    pub fn ok(size: usize, body: &impl Serialize) -> Reply {
        Reply::json(StatusCode::OK, size, body)
    }

    /// Any body.
    #[must_use]
    pub fn new(status: StatusCode, media: HeaderValue, body: BoxBody) -> Reply {
        Reply { status, body: Some(body), media, replayed: false, header: None }
    }

    /// Nothing to say.
    #[must_use]
    pub fn empty(status: StatusCode) -> Reply {
        Reply { status, body: None, media: HeaderValue::from_static(""), replayed: false, header: None }
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Says that an earlier request had this answer.
    #[must_use]
    pub fn replayed(self, replayed: bool) -> Reply {
        Reply { replayed, ..self }
    }

    /// With one more header.
    #[must_use]
    pub fn with(self, name: HeaderName, value: HeaderValue) -> Reply {
        Reply { header: Some((name, value)), ..self }
    }

    pub(super) fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if self.replayed {
            response.insert_header((REPLAYED, HeaderValue::from_static("true")));
        }
        if let Some(header) = self.header {
            response.insert_header(header);
        }
        match self.body {
            Some(body) => {
                response.insert_header((header::CONTENT_TYPE, self.media));
                response.body(body)
            }
            None => response.finish(),
        }
    }
}
