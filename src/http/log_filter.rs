//! Which of the server's own messages are written: shown and changed while it runs, until it ends.

use crate::http::call::{Answer, Call};
use crate::http::problem::{FieldError, Problem, kinds};
use crate::http::reply::Reply;
use crate::http::spec::{Spec, json, of};
use crate::logs;
use serde::{Deserialize, Serialize};

/// `GET /v1/ops/log-filter`
pub const READ: Spec =
    Spec::get("/v1/ops/log-filter", "getLogFilter", "Which of the server's own messages are written.")
        .tag("operations")
        .api_key()
        .gives(&[json(200, "The filter in force.", of::<LogFilter>)]);

/// `PUT /v1/ops/log-filter`
pub const PUT: Spec = Spec::put(
    "/v1/ops/log-filter",
    "putLogFilter",
    "Changes which of the server's own messages are written.",
)
.about(
    "As the setting `diagnostics.filter`, of this process and until it ends. A filter that cannot be read changes \
             nothing. `debug` and `trace` cost throughput.",
)
.tag("operations")
.api_key()
.takes(of::<LogFilter>)
.gives(&[json(200, "It is in force.", of::<LogFilter>)]);

/// A filter of messages.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogFilter {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`), or levels by module.
    #[schema(example = "info,stampede::journal=debug", max_length = 1024)]
    filter: String,
}

/// Shows it.
pub async fn read(_: Call) -> Answer {
    let filter = logs::filter().ok_or_else(none)?;
    Ok(Reply::ok(128, &LogFilter { filter }))
}

/// Changes it.
pub async fn put(mut call: Call) -> Answer {
    let body: LogFilter = call.json().await?;
    if logs::filter().is_none() {
        return Err(none());
    }
    logs::set_filter(&body.filter)
        .map_err(|why| Problem::invalid(vec![FieldError::at("/filter".into(), kinds::VALIDATION_FAILED.code, why)]))?;
    // Said under the new filter, so that a log that falls silent says why, unless it was told not to.
    let by = call.api_key.as_deref();
    tracing::warn!(request = %call.id, by, filter = body.filter, "the log's filter was changed");
    Ok(Reply::ok(128, &body))
}

fn none() -> Problem {
    Problem::new(&kinds::INTERNAL_ERROR, "this process writes no log")
}
