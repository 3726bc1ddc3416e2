//! This server: drained, so that it can be taken away, and taken into service again.

use super::{TAG, Why, note};
use crate::http::call::{Answer, Call};
use crate::http::problem::{Problem, kinds};
use crate::http::reply::Reply;
use crate::http::spec::{Spec, json, of};
use serde::Serialize;
use stampede_actors::shop::What;

/// `GET /v1/ops/node`
pub const READ: Spec = Spec::get("/v1/ops/node", "getNode", "How the server that answers is.")
    .tag(TAG)
    .api_key()
    .gives(&[json(200, "It is so.", of::<NodeBody>)]);

/// `POST /v1/ops/node/drain`
pub const DRAIN: Spec = Spec::post("/v1/ops/node/drain", "drainNode", "Takes no new purchases until undrained.")
    .about(
        "As after SIGTERM, but the server stays: readiness fails, event streams end, purchases and holds are refused with \
         `draining`; everything else goes on. It is this server's alone, and a restart forgets it.",
    )
    .tag(TAG)
    .api_key()
    .idempotent()
    .takes(of::<Why>)
    .gives(&[json(200, "It is draining.", of::<NodeBody>)]);

/// `POST /v1/ops/node/undrain`
pub const UNDRAIN: Spec = Spec::post("/v1/ops/node/undrain", "undrainNode", "Takes purchases again.")
    .tag(TAG)
    .api_key()
    .idempotent()
    .takes(of::<Why>)
    .gives(&[json(200, "It is in service.", of::<NodeBody>)])
    .fails(&[&kinds::GOING_DOWN]);

/// A server.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Node)]
struct NodeBody {
    /// It takes no new purchases.
    draining: bool,
    /// Requests being served now, this one too.
    in_flight: usize,
    /// Purchases admitted and not answered yet.
    permits_in_use: usize,
    /// Its version.
    version: &'static str,
}

/// Tells how it is.
pub async fn read(call: Call) -> Answer {
    Ok(Reply::ok(128, &body(&call)))
}

/// Drains it.
pub async fn drain(mut call: Call) -> Answer {
    let why: Why = call.json().await?;
    let noted = note(&call, What::DrainNode, Some(&name(&call)), &why.reason).await?;
    // Once: a late repeat must not take back what somebody has said since.
    if !noted.replayed {
        call.app.engine().drain();
        call.app.shared.drain();
    }
    Ok(Reply::ok(128, &body(&call)).replayed(noted.replayed))
}

/// Takes it into service again.
pub async fn undrain(mut call: Call) -> Answer {
    let why: Why = call.json().await?;
    let noted = note(&call, What::UndrainNode, Some(&name(&call)), &why.reason).await?;
    // As with the drain. A restart is in service anyway.
    if !noted.replayed {
        let (engine, shared) = (call.app.engine(), &call.app.shared);
        if engine.undrain() {
            shared.undrain();
        }
        if engine.going_down() {
            // It may have been said since.
            shared.drain();
            return Err(Problem::new(&kinds::GOING_DOWN, "the server is going down for good"));
        }
    }
    Ok(Reply::ok(128, &body(&call)).replayed(noted.replayed))
}

/// By which operators know it.
fn name(call: &Call) -> String {
    call.app.engine().address()
}

fn body(call: &Call) -> NodeBody {
    NodeBody {
        draining: call.app.shared.draining(),
        in_flight: call.app.shared.in_flight(),
        permits_in_use: call.app.engine().fabric().permits_in_use().sum(),
        version: crate::cli::VERSION,
    }
}
