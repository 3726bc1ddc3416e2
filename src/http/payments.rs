//! Money of an order after it was placed: another try to pay, a cancellation, a refund. Each is accepted (202) once it is
//! in the log; what becomes of it, the order tells.

use crate::http::call::{Answer, Call};
use crate::http::idempotency::fingerprint;
use crate::http::order_view::{LineUnitsBody, RefundFacts};
use crate::http::problem::{Problem, kinds};
use crate::http::reply::Reply;
use crate::http::spec::{Spec, json, of};
use crate::http::wire::Time;
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use stampede_actors::ids::{EntityId, OpId, OrderId, Reference};
use stampede_actors::order::{Command, LineUnits, Order};
use stampede_actors::shell::message::{Done, Failure, Question, View};

/// `POST /v1/orders/{order}/payments`
pub const PAY: Spec = Spec::post("/v1/orders/{order}/payments", "payAgain", "Tries another payment after a decline.")
    .about("Possible until the order's holds run out, while no other attempt is open.")
    .idempotent()
    .takes(of::<PayAgain>)
    .gives(&[json(202, "The attempt is under way.", of::<PaymentBody>)])
    .fails(&[&kinds::UNKNOWN_ORDER, &kinds::PAYMENT_OPEN, &kinds::NOT_PAYABLE, &kinds::TOO_MANY_ATTEMPTS]);

/// `POST /v1/orders/{order}/cancel`
pub const CANCEL: Spec = Spec::post("/v1/orders/{order}/cancel", "cancelOrder", "Asks to cancel an order.")
    .about(
        "It ends as soon as nothing under way can contradict: the money goes back, the units become available again.",
    )
    .idempotent()
    .takes(of::<CancelOrder>)
    .gives(&[json(202, "The order is being cancelled.", of::<CancelBody>)])
    .fails(&[&kinds::UNKNOWN_ORDER, &kinds::NOT_CANCELLABLE, &kinds::TABLE_FULL]);

/// `POST /v1/orders/{order}/refunds`
pub const REFUND: Spec = Spec::post("/v1/orders/{order}/refunds", "refundOrder", "Gives money back, wholly or for units of lines.")
    .about(
        "It counts when it is requested: no two refunds give the same money back. Units that were not shipped yet will not be \
         shipped any more.",
    )
    .api_key()
    .idempotent()
    .takes(of::<RefundOrder>)
    .gives(&[json(202, "The money is on its way back.", of::<RefundFacts>)])
    .fails(&[&kinds::UNKNOWN_ORDER, &kinds::NOT_REFUNDABLE, &kinds::TABLE_FULL]);

/// Another try to pay.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PayAgain {
    /// What pays: the provider's token.
    #[schema(value_type = String, example = "tok_ok")]
    payment_token: Reference,
}

/// A wish to cancel.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelOrder {
    /// Why: a short word of the caller's.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "changed_mind")]
    reason: Option<Reference>,
}

/// Money to give back.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundOrder {
    /// Units of lines; absent or empty: everything not refunded yet.
    #[serde(default, deserialize_with = "crate::http::wire::objects")]
    #[schema(max_items = 50)]
    lines: Vec<LineUnitsBody>,
    /// Do units that were not shipped become available again? Otherwise they are written off.
    restock: bool,
}

/// An attempt to pay, as it was asked for.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PaymentRequested)]
struct PaymentBody {
    /// Its id.
    #[schema(value_type = String, example = "op_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    payment: OpId,
    /// Of which order.
    #[schema(value_type = String, example = "ord_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    order: OrderId,
    /// Which attempt it is.
    attempt: u32,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    opened_at: Time,
}

/// A wish to cancel, as it was accepted.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = CancelRequested)]
struct CancelBody<'a> {
    /// Its id.
    #[schema(value_type = String, example = "op_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    cancel: OpId,
    /// Of which order.
    #[schema(value_type = String, example = "ord_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    order: OrderId,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    reason: Option<&'a Reference>,
}

/// Tries another payment.
pub async fn pay(mut call: Call) -> Answer {
    let id: OrderId = call.path("order")?;
    let body: PayAgain = call.json().await?;
    let (payment, fingerprint) = (call.op(id), fingerprint(&body));
    let command = Command::Pay { payment, fingerprint, token: body.payment_token };
    let done = tell(&call, id, command).await?;
    let attempt = order(&done)?.attempts().iter().find(|attempt| attempt.payment == Some(payment)).ok_or_else(fault)?;
    let answer = PaymentBody { payment, order: id, attempt: attempt.number, opened_at: Time(attempt.opened_at) };
    Ok(Reply::json(StatusCode::ACCEPTED, 192, &answer).replayed(done.replayed))
}

/// Asks to cancel.
pub async fn cancel(mut call: Call) -> Answer {
    let id: OrderId = call.path("order")?;
    let body: CancelOrder = call.json_or_empty().await?;
    let (cancel, fingerprint) = (call.op(id), fingerprint(&body));
    let reason = body.reason.as_ref().map_or_else(|| "buyer".to_owned(), ToString::to_string);
    let done = tell(&call, id, Command::Cancel { cancel, fingerprint, reason }).await?;
    let answer = CancelBody { cancel, order: id, reason: body.reason.as_ref() };
    Ok(Reply::json(StatusCode::ACCEPTED, 160, &answer).replayed(done.replayed))
}

/// Gives money back.
pub async fn refund(mut call: Call) -> Answer {
    let id: OrderId = call.path("order")?;
    let body: RefundOrder = call.json().await?;
    let (refund, fingerprint) = (call.op(id), fingerprint(&body));
    let command = Command::Refund { refund, fingerprint, lines: line_units(&body.lines), restock: body.restock };
    let done = tell(&call, id, command).await?;
    let facts = RefundFacts::from(order(&done)?.refund(refund).ok_or_else(fault)?);
    Ok(Reply::json(StatusCode::ACCEPTED, 256, &facts).replayed(done.replayed))
}

/// Tells an order something.
///
/// # Errors
/// Whatever the order or the world said.
pub async fn tell(call: &Call, order: OrderId, command: Command) -> Result<Done, Problem> {
    let told = call.ask(EntityId::Order(order), Question::Order(Box::new(command))).await;
    told.map_err(|failure| Problem::from(failure).of_order(order))
}

/// The order that an answer shows.
///
/// # Errors
/// When it shows something else, which would be a fault of ours.
pub fn order(done: &Done) -> Result<&Order, Problem> {
    match &done.view {
        View::Order(order) => Ok(order),
        _ => Err(fault()),
    }
}

/// What the order must show by now is not there.
pub fn fault() -> Problem {
    Failure::Crashed.into()
}

/// As the domain counts them.
#[must_use]
pub fn line_units(lines: &[LineUnitsBody]) -> Vec<LineUnits> {
    lines.iter().map(|line| LineUnits { line: line.line, units: line.units }).collect()
}
