//! Faults on purpose, on a server that was started for it.

use super::{TAG, note};
use crate::config::span;
use crate::http::call::{Answer, Call};
use crate::http::problem::{Problem, kinds};
use crate::http::reply::Reply;
use crate::http::spec::{Spec, json, of};
use crate::workflows::simulated::{Fault, Faults};
use serde::{Deserialize, Serialize};
use stampede_actors::shop::{What, Words};
use std::time::Duration;

/// Longest delay of a sync, in milliseconds.
const SYNC_DELAY_MAX: u64 = 10_000;
/// Most faults at once.
const FAULTS_MAX: usize = 16;

/// `GET /v1/ops/faults`
pub const READ: Spec = Spec::get("/v1/ops/faults", "getFaults", "What goes wrong on purpose.")
    .tag(TAG)
    .api_key()
    .gives(&[json(200, "This does.", of::<FaultsBody>)]);

/// `PUT /v1/ops/faults`
pub const PUT: Spec = Spec::put("/v1/ops/faults", "putFaults", "Has these things go wrong from now on, and no others.")
    .about(
        "For trying out and for drills: only on a server with `fault-injection`. It reaches the simulated provider and \
         warehouse of this process, and its log; a restart goes back to what is configured. No promise of the shop is touched \
         by any of it.",
    )
    .tag(TAG)
    .api_key()
    .idempotent()
    .takes(of::<PutFaults>)
    .gives(&[json(200, "They hold.", of::<FaultsBody>)])
    .fails(&[&kinds::FAULTS_REFUSED]);

/// Faults to come.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutFaults {
    /// `payment` or `warehouse`, `timeout`, `lost`, `late`, `decline`, `error` or `duplicate`, and how often. At most 16.
    #[serde(default)]
    faults: Vec<String>,
    /// Every sync of the log takes so many milliseconds longer, at most 10,000.
    #[serde(default)]
    #[schema(maximum = 10_000)]
    sync_delay_ms: u64,
    /// Why: one line of at most 200 bytes.
    #[schema(value_type = String, example = "drill")]
    reason: Words,
}

/// Faults that hold.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = FaultsInForce)]
struct FaultsBody {
    /// As they were given.
    faults: Vec<String>,
    /// In milliseconds.
    sync_delay_ms: u64,
    /// They may be changed.
    changeable: bool,
}

/// Tells them.
pub async fn read(call: Call) -> Answer {
    Ok(Reply::ok(128, &body(&call)))
}

/// Changes them.
pub async fn put(mut call: Call) -> Answer {
    let put: PutFaults = call.json().await?;
    let engine = call.app.engine().clone();
    if !engine.config().fault_injection {
        return Err(Problem::new(&kinds::FAULTS_REFUSED, "start the server with --fault-injection=true for that"));
    }
    if put.faults.len() > FAULTS_MAX {
        return Err(Problem::bad_parameter("faults", format!("expected at most {FAULTS_MAX}")));
    }
    let faults = put.faults.iter().map(|text| text.parse()).collect::<Result<Vec<Fault>, _>>();
    let faults = faults.map_err(|error| Problem::bad_parameter("faults", error))?;
    if put.sync_delay_ms > SYNC_DELAY_MAX {
        return Err(Problem::bad_parameter("sync_delay_ms", format!("expected at most {SYNC_DELAY_MAX}")));
    }
    let mut subject = put.faults.join(",");
    if put.sync_delay_ms > 0 {
        subject.push_str(&format!(" sync delay {} ms", put.sync_delay_ms));
    }
    let subject = if subject.is_empty() { "none" } else { subject.trim_start() };
    let noted = note(&call, What::InjectFault, Some(subject), &put.reason).await?;
    // Once: a late repeat must not bring back what somebody has since taken away.
    if !noted.replayed {
        engine.faults().set(Faults(faults));
        engine.log().set_sync_delay(span(Duration::from_millis(put.sync_delay_ms)));
        tracing::warn!(faults = subject, "faults on purpose");
    }
    Ok(Reply::ok(128, &body(&call)).replayed(noted.replayed))
}

fn body(call: &Call) -> FaultsBody {
    let engine = call.app.engine();
    FaultsBody {
        faults: engine.faults().now().0.iter().map(ToString::to_string).collect(),
        sync_delay_ms: u64::try_from(engine.log().sync_delay().0 / 1_000).unwrap_or(0),
        changeable: engine.config().fault_injection,
    }
}
