//! Orders that a person must look at: somebody says that they take care of one.

use crate::http::call::{Answer, Call};
use crate::http::idempotency::fingerprint;
use crate::http::payments::tell;
use crate::http::problem::kinds;
use crate::http::reply::Reply;
use crate::http::spec::{Spec, json, of};
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use stampede_actors::ids::{OpId, OrderId, Reference};
use stampede_actors::order::{Attention, Command};

/// `POST /v1/orders/{order}/attention/acknowledge`
pub const ACKNOWLEDGE: Spec = Spec::post(
    "/v1/orders/{order}/attention/acknowledge",
    "acknowledgeAttention",
    "Says that somebody takes care of what the order needs a person for.",
)
.about(
    "The order is not listed for it any more, until something new comes up or a reminder is due. It changes nothing else: \
     open steps are still asked for, and the timeline keeps the note.",
)
.api_key()
.idempotent()
.takes(of::<AcknowledgeAttention>)
.gives(&[json(201, "It is acknowledged.", of::<AcknowledgementBody>)])
.fails(&[&kinds::UNKNOWN_ORDER, &kinds::NO_ATTENTION, &kinds::TABLE_FULL]);

/// An acknowledgement.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeAttention {
    /// What is done about it: an opaque reference, such as a ticket's. No personal data.
    #[schema(value_type = String, example = "ticket-4711")]
    note: Reference,
    /// The reason that was seen, so that one that came up meanwhile stays listed; absent: every reason.
    #[serde(default)]
    reason: Option<Reason>,
}

/// Why a person must look.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AttentionReason)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nobody knows the outcome of a step.
    Unanswered,
    /// Paid, and not wholly shipped in time.
    Unfulfilled,
    /// The provider does not give the money back.
    RefundRefused,
    /// The provider does not give the authorisation up.
    VoidRefused,
    /// The warehouse does not accept the order.
    FulfilmentRefused,
    /// A SKU does not take in what happened to its units.
    StockRefused,
    /// An answer contradicts an earlier definite one.
    Contradiction,
}

impl From<Reason> for Attention {
    fn from(reason: Reason) -> Attention {
        match reason {
            Reason::Unanswered => Attention::Unanswered,
            Reason::Unfulfilled => Attention::Unfulfilled,
            Reason::RefundRefused => Attention::RefundRefused,
            Reason::VoidRefused => Attention::VoidRefused,
            Reason::FulfilmentRefused => Attention::FulfilmentRefused,
            Reason::StockRefused => Attention::StockRefused,
            Reason::Contradiction => Attention::Contradiction,
        }
    }
}

/// An acknowledgement, as it was asked for.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AttentionAcknowledged)]
struct AcknowledgementBody<'a> {
    /// Its id.
    #[schema(value_type = String, example = "op_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    acknowledgement: OpId,
    /// Of which order.
    #[schema(value_type = String, example = "ord_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    order: OrderId,
    /// What is done about it.
    #[schema(value_type = String, example = "ticket-4711")]
    note: &'a Reference,
    /// The reason that was seen; absent: every reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

/// Takes care of an order.
pub async fn acknowledge(mut call: Call) -> Answer {
    let id: OrderId = call.path("order")?;
    let body: AcknowledgeAttention = call.json().await?;
    let (acknowledgement, fingerprint) = (call.op(id), fingerprint(&body));
    let reason = body.reason.map(Attention::from);
    let command = Command::Acknowledge { acknowledgement, fingerprint, reason, note: body.note.clone() };
    let done = tell(&call, id, command).await?;
    let answer = AcknowledgementBody { acknowledgement, order: id, note: &body.note, reason: body.reason };
    Ok(Reply::json(StatusCode::CREATED, 192, &answer).replayed(done.replayed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed step fails the test
    use super::*;

    #[test]
    fn the_words_are_the_domains() {
        for attention in Attention::ALL {
            let reason: Reason = serde_json::from_value(attention.word().into()).unwrap();
            assert_eq!(Attention::from(reason), attention);
        }
    }
}
