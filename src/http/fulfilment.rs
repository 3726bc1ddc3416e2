//! Units of an order that left, and units that came back: reported by the seller or the warehouse.

use crate::http::call::{Answer, Call};
use crate::http::idempotency::fingerprint;
use crate::http::order_view::{LineUnitsBody, ReturnBody, ShipmentBody};
use crate::http::payments::{fault, line_units, order, tell};
use crate::http::problem::kinds;
use crate::http::reply::Reply;
use crate::http::spec::{Spec, json, of};
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use stampede_actors::ids::{LocationId, OrderId, Reference};
use stampede_actors::order::Command;

/// `POST /v1/orders/{order}/shipments`
pub const SHIP: Spec = Spec::post("/v1/orders/{order}/shipments", "shipOrder", "Reports that units left.")
    .tag("fulfilment")
    .api_key()
    .idempotent()
    .takes(of::<ShipOrder>)
    .gives(&[json(201, "They are booked as shipped.", of::<ShipmentBody>)])
    .fails(&[&kinds::UNKNOWN_ORDER, &kinds::NOT_SHIPPABLE, &kinds::BEING_CALLED_OFF, &kinds::TABLE_FULL]);

/// `POST /v1/orders/{order}/returns`
pub const RETURN: Spec = Spec::post("/v1/orders/{order}/returns", "returnOrder", "Reports that units came back.")
    .about("It moves no money: that is a refund.")
    .tag("fulfilment")
    .api_key()
    .idempotent()
    .takes(of::<ReturnOrder>)
    .gives(&[json(201, "They are booked as returned.", of::<ReturnBody>)])
    .fails(&[&kinds::UNKNOWN_ORDER, &kinds::NOT_RETURNABLE, &kinds::TABLE_FULL]);

/// Units that left.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShipOrder {
    /// From where.
    #[schema(value_type = String, example = "berlin")]
    location: LocationId,
    /// Which.
    #[serde(deserialize_with = "crate::http::wire::objects")]
    #[schema(min_items = 1, max_items = 50)]
    lines: Vec<LineUnitsBody>,
    /// The carrier's reference.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    tracking: Option<Reference>,
}

/// Units that came back.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReturnOrder {
    /// To where.
    #[schema(value_type = String, example = "berlin")]
    location: LocationId,
    /// Which.
    #[serde(deserialize_with = "crate::http::wire::objects")]
    #[schema(min_items = 1, max_items = 50)]
    lines: Vec<LineUnitsBody>,
    /// Do they become available again?
    restock: bool,
}

/// Reports a shipment.
pub async fn ship(mut call: Call) -> Answer {
    let id: OrderId = call.path("order")?;
    let body: ShipOrder = call.json().await?;
    let (shipment, fingerprint) = (call.op(id), fingerprint(&body));
    let lines = line_units(&body.lines);
    let command = Command::Ship { shipment, fingerprint, location: body.location, lines, tracking: body.tracking };
    let done = tell(&call, id, command).await?;
    let facts = ShipmentBody::from(order(&done)?.shipment(shipment).ok_or_else(fault)?);
    Ok(Reply::json(StatusCode::CREATED, 256, &facts).replayed(done.replayed))
}

/// Reports a return.
pub async fn take_back(mut call: Call) -> Answer {
    let id: OrderId = call.path("order")?;
    let body: ReturnOrder = call.json().await?;
    let (return_id, fingerprint) = (call.op(id), fingerprint(&body));
    let lines = line_units(&body.lines);
    let command = Command::Return { return_id, fingerprint, location: body.location, lines, restock: body.restock };
    let done = tell(&call, id, command).await?;
    let facts = ReturnBody::from(order(&done)?.return_of(return_id).ok_or_else(fault)?);
    Ok(Reply::json(StatusCode::CREATED, 256, &facts).replayed(done.replayed))
}
