//! The invariants in numbers, for people who want to see that the sale was right.

use crate::feed::projection::BadCursor;
use crate::http::call::{Answer, Call};
use crate::http::reply::Reply;
use crate::http::spec::{Spec, json, of};
use crate::http::wire::Time;
use serde::Serialize;
use serde_json::Value;

/// `GET /v1/audit`
pub const READ: Spec =
    Spec::get("/v1/audit", "getAudit", "Units, orders and money in sums, and the rules that they keep.")
        .about(
            "Counted from the commit log, up to `log_position`. `stampede verify` counts it again, from the log alone.",
        )
        .tag("audit")
        .api_key()
        .gives(&[json(200, "The sums.", of::<AuditBody>)]);

/// The invariants in numbers.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Audit)]
struct AuditBody {
    /// `ok`, or `violated` when any rule was broken.
    #[schema(value_type = String, example = "ok")]
    verdict: &'static str,
    /// Number of the last record of the log that is counted.
    log_position: u64,
    /// Hash of the log's chain up to there, in hexadecimal digits: it proves which history was counted.
    log_hash: String,
    /// Engine time of that record's frame.
    #[schema(value_type = String, format = DateTime)]
    as_of: Time,
    /// The sums: units by state, orders by state, money by currency, rules evaluated, violations found.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    sums: Value,
}

/// Reads the sums.
pub async fn read(call: Call) -> Answer {
    let (summary, mark) = call.read_lists(|reader| Ok(Ok::<_, BadCursor>(reader.audit_at()))).await?;
    let body = AuditBody {
        verdict: if summary.violated == 0 && summary.oversold == 0 { "ok" } else { "violated" },
        log_position: mark.position.0,
        log_hash: hex(&mark.hash),
        as_of: Time(mark.at),
        sums: serde_json::to_value(&summary).unwrap_or(Value::Null),
    };
    Ok(Reply::ok(1024, &body))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
