//! The API's description and its playground, served from memory: no page of ours loads anything from elsewhere.

use crate::http::call::{Answer, Call};
use crate::http::openapi;
use crate::http::problem::{Problem, kinds};
use crate::http::reply::Reply;
use crate::http::spec::{Good, Spec, empty};
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Bytes;
use std::sync::{Arc, OnceLock};
use utoipa_swagger_ui::Config;

/// `GET /openapi.json`
pub const OPENAPI: Spec = Spec::get("/openapi.json", "getOpenApi", "This description, in OpenAPI 3.1.")
    .tag("docs")
    .gives(&[Good { status: 200, meaning: "The description.", body: None, media: "application/json" }]);

/// `GET /docs`
pub const HOME: Spec =
    Spec::get("/docs", "openDocs", "Leads to the playground.").tag("docs").gives(&[empty(308, "It is at `/docs/`.")]);

/// `GET /docs/{file}`
pub const FILES: Spec = Spec::get("/docs/{file:.*}", "getDocs", "The playground and its files.")
    .tag("docs")
    .gives(&[Good { status: 200, meaning: "The file.", body: None, media: "text/html" }])
    .fails(&[&kinds::UNKNOWN_ROUTE]);

/// Answers the description.
pub async fn openapi(_: Call) -> Answer {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    let text = TEXT.get_or_init(|| openapi::document().to_json().map(Bytes::from).unwrap_or_default());
    let json = HeaderValue::from_static("application/json");
    Ok(Reply::new(StatusCode::OK, json, BoxBody::new(text.clone())))
}

/// Leads to the playground.
pub async fn home(_: Call) -> Answer {
    let to = HeaderValue::from_static("/docs/");
    Ok(Reply::empty(StatusCode::PERMANENT_REDIRECT).with(header::LOCATION, to))
}

/// Answers a file of the playground.
pub async fn files(call: Call) -> Answer {
    static CONFIG: OnceLock<Arc<Config<'static>>> = OnceLock::new();
    // Without "none", the page would have the description checked by a server on the internet.
    let config = CONFIG.get_or_init(|| Arc::new(Config::from("/openapi.json").validator_url("none")));
    let file = call.request.match_info().get("file").unwrap_or_default();
    match utoipa_swagger_ui::serve(file, Arc::clone(config)) {
        Ok(Some(file)) => {
            let media = HeaderValue::from_str(&file.content_type)
                .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
            Ok(Reply::new(StatusCode::OK, media, BoxBody::new(file.bytes.into_owned())))
        }
        Ok(None) => Err(Problem::new(&kinds::UNKNOWN_ROUTE, "the playground has no such file")),
        Err(error) => {
            tracing::error!(%error, "a file of the playground could not be read");
            Err(Problem::new(&kinds::INTERNAL_ERROR, "the file could not be read"))
        }
    }
}
