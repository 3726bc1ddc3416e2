//! What changes the stock by hand: receipts, adjustments, pauses. And the ledger of everything that moved.

use crate::http::call::{Answer, Call};
use crate::http::idempotency::fingerprint;
use crate::http::ops;
use crate::http::paging::{self, LIMIT};
use crate::http::problem::{FieldError, Problem, kinds};
use crate::http::reply::Reply;
use crate::http::skus::{AvailabilityBody, availability};
use crate::http::spec::{Spec, json, of};
use crate::http::wire::Time;
use crate::import;
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use stampede_actors::ids::{EntityId, HoldId, LocationId, OpId, OrderId, Reference, SkuId};
use stampede_actors::shell::message::Question;
use stampede_actors::shop::{What, Words};
use stampede_actors::sku::{Command, MAX_UNITS, Reason, Units};

/// `POST /v1/skus/{sku}/receipts`
pub const RECEIVE: Spec = Spec::post("/v1/skus/{sku}/receipts", "receiveStock", "Units came in.")
    .tag("stock")
    .api_key()
    .idempotent()
    .takes(of::<Receive>)
    .gives(&[json(201, "They are on hand.", of::<ReceiptBody>)])
    .fails(&[&kinds::UNKNOWN_SKU, &kinds::BAD_UNITS, &kinds::TABLE_FULL]);

/// `POST /v1/skus/{sku}/adjustments`
pub const ADJUST: Spec =
    Spec::post("/v1/skus/{sku}/adjustments", "adjustStock", "Corrects the stock, with a reason and a reference.")
        .tag("stock")
        .api_key()
        .idempotent()
        .takes(of::<Adjust>)
        .gives(&[json(201, "It is corrected.", of::<AdjustmentBody>)])
        .fails(&[&kinds::UNKNOWN_SKU, &kinds::BAD_UNITS, &kinds::BELOW_CLAIMED, &kinds::TABLE_FULL]);

/// `GET /v1/skus/{sku}/movements`
pub const MOVEMENTS: Spec =
    Spec::get("/v1/skus/{sku}/movements", "listMovements", "Everything that moved, newest first.")
        .about("Rows add up to the counters of the availability. A cursor stays good across releases.")
        .tag("stock")
        .api_key()
        .query(&[LIMIT, paging::AFTER])
        .gives(&[json(200, "One page.", of::<MovementsBody>)]);

/// `POST /v1/skus/{sku}/pause`
pub const PAUSE: Spec = Spec::post("/v1/skus/{sku}/pause", "pauseSale", "Refuses new holds until resumed.")
    .about("Holds and orders that exist go on. Repeating it changes nothing. It is noted: see `GET /v1/ops/actions`.")
    .tag("stock")
    .api_key()
    .takes(of::<Switch>)
    .gives(&[json(200, "The sale is paused.", of::<AvailabilityBody>)])
    .fails(&[&kinds::UNKNOWN_SKU]);

/// `POST /v1/skus/{sku}/resume`
pub const RESUME: Spec = Spec::post("/v1/skus/{sku}/resume", "resumeSale", "Sells again.")
    .about("Repeating it changes nothing. It is noted: see `GET /v1/ops/actions`.")
    .tag("stock")
    .api_key()
    .takes(of::<Switch>)
    .gives(&[json(200, "The sale goes on.", of::<AvailabilityBody>)])
    .fails(&[&kinds::UNKNOWN_SKU]);

/// Units that came in.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Receive {
    /// Where.
    #[schema(value_type = String, example = "berlin")]
    location: LocationId,
    /// How many.
    #[serde(deserialize_with = "crate::http::wire::units")]
    #[schema(minimum = 1, maximum = 1_000_000_000, example = 500)]
    units: Units,
}

/// A correction.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Adjust {
    /// Where.
    #[schema(value_type = String, example = "berlin")]
    location: LocationId,
    /// Units more, or less when negative; not 0.
    #[schema(example = -2)]
    delta: i64,
    /// Why.
    reason: AdjustReason,
    /// What to look it up by.
    #[schema(value_type = String, example = "count-2026-11")]
    reference: Reference,
}

/// Why stock was corrected by hand.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdjustReason {
    /// A count found another number.
    Count,
    /// Units broke.
    Damage,
    /// Units are gone.
    Loss,
    /// Units turned up.
    Found,
    /// Anything else; the reference says what.
    Other,
}

impl From<AdjustReason> for Reason {
    fn from(reason: AdjustReason) -> Reason {
        match reason {
            AdjustReason::Count => Reason::Count,
            AdjustReason::Damage => Reason::Damage,
            AdjustReason::Loss => Reason::Loss,
            AdjustReason::Found => Reason::Found,
            AdjustReason::Other => Reason::Other,
        }
    }
}

/// A receipt. Only what the request said, so that a repeat has the same bytes.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Receipt)]
struct ReceiptBody<'a> {
    /// Its id.
    #[schema(value_type = String, example = "op_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    receipt: OpId,
    /// Of which SKU.
    #[schema(value_type = String, example = "hoodie-m")]
    sku: &'a SkuId,
    /// Where.
    #[schema(value_type = String, example = "berlin")]
    location: &'a LocationId,
    /// How many.
    units: Units,
}

/// An adjustment. Only what the request said, so that a repeat has the same bytes.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Adjustment)]
struct AdjustmentBody<'a> {
    /// Its id.
    #[schema(value_type = String, example = "op_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    adjustment: OpId,
    /// Of which SKU.
    #[schema(value_type = String, example = "hoodie-m")]
    sku: &'a SkuId,
    /// Where.
    #[schema(value_type = String, example = "berlin")]
    location: &'a LocationId,
    /// Units more or less.
    delta: i64,
    /// Why.
    reason: AdjustReason,
    /// What to look it up by.
    #[schema(value_type = String)]
    reference: &'a Reference,
}

/// A page of the ledger.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Movements)]
struct MovementsBody<'a> {
    /// Newest first.
    data: Vec<MovementBody<'a>>,
    /// There are older ones.
    has_more: bool,
    /// Send it as `after` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

/// One row of the ledger.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Movement)]
struct MovementBody<'a> {
    /// The SKU's version after it.
    version: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Time,
    /// Why: `received`, `adjusted_…`, `held`, `released`, `expired`, `allocated`, `shipped`, `allocation_cancelled`
    /// or `returned`.
    #[schema(value_type = String, example = "received")]
    reason: &'static str,
    /// How many units it was about.
    units: Units,
    /// What changed, location by location.
    deltas: Vec<DeltaBody<'a>>,
    /// The receipt, adjustment, shipment, reduction or return.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    operation: Option<OpId>,
    /// The hold or allocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    hold: Option<HoldId>,
    /// Its order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    order: Option<OrderId>,
    /// What was noted with an adjustment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    reference: Option<&'a Reference>,
}

/// What changed at one location, in units.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = MovementDelta)]
struct DeltaBody<'a> {
    /// Where.
    #[schema(value_type = String)]
    location: &'a LocationId,
    /// Units there.
    on_hand: i64,
    /// Units in holds.
    held: i64,
    /// Units in allocations.
    allocated: i64,
}

/// Takes units in.
pub async fn receive(mut call: Call) -> Answer {
    let sku: SkuId = call.path("sku")?;
    let body: Receive = call.json().await?;
    let fingerprint = fingerprint(&body);
    // A row of a file is the same receipt whoever imports it (S22).
    let receipt = import::receipt_of(call.app.engine().ids(), call.key()).unwrap_or_else(|| call.op(&sku));
    let command = Command::Receive { receipt, fingerprint, location: body.location.clone(), units: body.units };
    let done = call.ask(EntityId::Sku(sku.clone()), Question::Sku(command)).await?;
    let answer = ReceiptBody { receipt, sku: &sku, location: &body.location, units: body.units };
    Ok(Reply::json(StatusCode::CREATED, 192, &answer).replayed(done.replayed))
}

/// Corrects the stock.
pub async fn adjust(mut call: Call) -> Answer {
    let sku: SkuId = call.path("sku")?;
    let body: Adjust = call.json().await?;
    if body.delta == 0 || body.delta.unsigned_abs() > u64::from(MAX_UNITS) {
        let message = format!("expected up to {MAX_UNITS} units more or less, and not 0");
        let error = FieldError::at("/delta".into(), kinds::VALIDATION_FAILED.code, message);
        return Err(Problem::invalid(vec![error]));
    }
    let (adjustment, fingerprint) = (call.op(&sku), fingerprint(&body));
    let command = Command::Adjust {
        adjustment,
        fingerprint,
        location: body.location.clone(),
        delta: body.delta,
        reason: body.reason.into(),
        reference: body.reference.clone(),
    };
    let done = call.ask(EntityId::Sku(sku.clone()), Question::Sku(command)).await?;
    let Adjust { location, delta, reason, reference } = &body;
    let answer = AdjustmentBody { adjustment, sku: &sku, location, delta: *delta, reason: *reason, reference };
    Ok(Reply::json(StatusCode::CREATED, 256, &answer).replayed(done.replayed))
}

/// Why a sale is paused or resumed. The body may be left out.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// For whoever reads it later: one line of at most 200 bytes. No personal data.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "wrong price, INC-42")]
    reason: Option<Words>,
}

/// Pauses the sale.
pub async fn pause(call: Call) -> Answer {
    switch(call, What::PauseSku, Command::Pause).await
}

/// Resumes the sale.
pub async fn resume(call: Call) -> Answer {
    switch(call, What::ResumeSku, Command::Resume).await
}

async fn switch(mut call: Call, what: What, command: Command) -> Answer {
    let sku: SkuId = call.path("sku")?;
    let Switch { reason } = call.json_or_empty().await?;
    let why = reason.map_or_else(|| Words::new("no reason given"), Ok);
    let why = why.map_err(|error| Problem::bad_parameter("reason", error))?;
    ops::note_afresh(&call, what, sku.as_str(), &why).await?;
    match call.ask(EntityId::Sku(sku.clone()), Question::Sku(command)).await {
        Ok(done) => Ok(Reply::ok(512, &availability(&call.app, &sku, &done)?)),
        Err(failure) => {
            let problem = Problem::from(failure);
            ops::note_failure(&call, what, sku.as_str(), &problem).await;
            Err(problem)
        }
    }
}

/// Reads a page of the ledger.
pub async fn movements(call: Call) -> Answer {
    let sku: SkuId = call.path("sku")?;
    let [limit, after] = call.query(["limit", "after"])?;
    let limit = paging::limit(limit.as_deref())?;
    let page = call.read_lists(move |reader| reader.movements(&sku, after.as_deref(), limit)).await?;
    let rows = page.rows.iter().map(|row| {
        let (version, movement) = row;
        MovementBody {
            version: *version,
            at: Time(movement.at),
            reason: movement.reason.code(),
            units: movement.units,
            deltas: movement.deltas.iter().map(DeltaBody::from).collect(),
            operation: movement.reference.operation,
            hold: movement.reference.hold,
            order: movement.reference.order,
            reference: movement.reference.note.as_ref(),
        }
    });
    let body = MovementsBody { data: rows.collect(), has_more: page.next.is_some(), next: page.next.as_deref() };
    Ok(Reply::ok(4096, &body))
}

impl<'a> From<&'a stampede_actors::sku::Delta> for DeltaBody<'a> {
    fn from(delta: &'a stampede_actors::sku::Delta) -> DeltaBody<'a> {
        DeltaBody { location: &delta.location, on_hand: delta.on_hand, held: delta.held, allocated: delta.allocated }
    }
}
