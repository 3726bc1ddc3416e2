//! Holds: units claimed for a buyer until a deadline. The client names the hold, so a repeat is the same request.

use crate::config::span;
use crate::http::call::{Answer, Call};
use crate::http::problem::{Problem, kinds};
use crate::http::reply::Reply;
use crate::http::spec::{Spec, empty, json, of};
use crate::http::wire::{Amount, Time};
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use stampede_actors::ids::{BuyerRef, EntityId, HoldId, OrderId, SellerId, SkuId};
use stampede_actors::shell::message::{Done, Failure, Question, View};
use stampede_actors::sku::{Command, Units};

/// `PUT /v1/skus/{sku}/holds/{hold}`
pub const PUT: Spec = Spec::put("/v1/skus/{sku}/holds/{hold}", "putHold", "Claims units for a buyer until a deadline.")
    .about(
        "The client names the hold: `hld_` and 26 characters of Crockford's base 32, drawn at random. An order of the same \
         buyer may take it over; a hold that is neither ordered nor deleted runs out.",
    )
    .tag("holds")
    .names_buyer()
    .takes(of::<PutHold>)
    .gives(&[json(200, "It existed.", of::<HoldBody>), json(201, "The units are claimed.", of::<HoldBody>)])
    .fails(&[
        &kinds::UNKNOWN_SKU,
        &kinds::SOLD_OUT,
        &kinds::CONTENDED,
        &kinds::SALE_PAUSED,
        &kinds::BUYER_LIMIT,
        &kinds::BAD_UNITS,
        &kinds::HOLD_DIFFERS,
        &kinds::HOLD_ENDED,
        &kinds::TABLE_FULL,
        &kinds::DRAINING,
    ]);

/// `GET /v1/skus/{sku}/holds/{hold}`
pub const READ: Spec = Spec::get("/v1/skus/{sku}/holds/{hold}", "getHold", "A hold or allocation, while it stands.")
    .tag("holds")
    .gives(&[json(200, "It stands.", of::<HoldBody>)])
    .fails(&[&kinds::HOLD_ENDED]);

/// `DELETE /v1/skus/{sku}/holds/{hold}`
pub const DELETE: Spec = Spec::delete("/v1/skus/{sku}/holds/{hold}", "deleteHold", "Gives the units back.")
    .about("Repeating it changes nothing. A hold that belongs to an order ends with the order.")
    .tag("holds")
    .gives(&[empty(204, "The units are back, or were.")])
    .fails(&[&kinds::UNKNOWN_SKU, &kinds::HOLD_ALLOCATED]);

/// Units to claim.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutHold {
    /// How many.
    #[serde(deserialize_with = "crate::http::wire::units")]
    #[schema(minimum = 1, maximum = 1_000_000_000, example = 1)]
    units: Units,
    /// The marketplace's opaque reference to the buyer: no personal data.
    #[schema(value_type = String, example = "buyer-17")]
    buyer: BuyerRef,
}

/// A hold or allocation.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Hold)]
struct HoldBody<'a> {
    /// Its id.
    #[schema(value_type = String, example = "hld_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    hold: HoldId,
    /// Of which SKU.
    #[schema(value_type = String, example = "hoodie-m")]
    sku: &'a SkuId,
    /// How many units.
    units: Units,
    /// For whom.
    #[schema(value_type = String, example = "buyer-17")]
    buyer: &'a BuyerRef,
    /// For which order, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    order: Option<OrderId>,
    /// Price of one unit now.
    unit_price: Amount,
    /// Who sells it.
    #[schema(value_type = String, example = "acme")]
    seller: &'a SellerId,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// Until when; absent once it is firm.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Time>,
    /// Allocated to its order: it no longer runs out.
    allocated: bool,
}

/// Claims units.
pub async fn put(mut call: Call) -> Answer {
    if call.app.shared.draining() {
        return Err(Problem::new(&kinds::DRAINING, "the server is going down; repeat the request"));
    }
    let (sku, hold): (SkuId, HoldId) = (call.path("sku")?, call.path("hold")?);
    let body: PutHold = call.json().await?;
    call.limit_buyer(&body.buyer).await?;
    let _permit = call.permit(sku.slot())?;
    let ttl = span(call.app.hold_ttl);
    let command = Command::Hold { hold, units: body.units, buyer: body.buyer, order: None, ttl, tentative: false };
    let done = call.ask(EntityId::Sku(sku.clone()), Question::Sku(command)).await?;
    let status = if done.replayed { StatusCode::OK } else { StatusCode::CREATED };
    answer(status, &sku, &done)
}

/// Reads a hold.
pub async fn read(call: Call) -> Answer {
    let (sku, hold): (SkuId, HoldId) = (call.path("sku")?, call.path("hold")?);
    let done = call.ask(EntityId::Sku(sku.clone()), Question::ReadHold(hold)).await?;
    answer(StatusCode::OK, &sku, &done)
}

/// Gives units back.
pub async fn delete(call: Call) -> Answer {
    let (sku, hold): (SkuId, HoldId) = (call.path("sku")?, call.path("hold")?);
    call.ask(EntityId::Sku(sku), Question::Sku(Command::Release { hold, order: None })).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

fn answer(status: StatusCode, sku: &SkuId, done: &Done) -> Answer {
    let View::Hold(granted) = &done.view else { return Err(Failure::Crashed.into()) };
    let view = &granted.view;
    let body = HoldBody {
        hold: granted.hold,
        sku,
        units: view.units,
        buyer: &view.buyer,
        order: view.order,
        unit_price: granted.listing.price.into(),
        seller: &granted.listing.seller,
        created_at: Time(view.created_at),
        expires_at: (!view.firm).then_some(Time(view.expires_at)),
        allocated: view.firm,
    };
    Ok(Reply::json(status, 384, &body))
}
