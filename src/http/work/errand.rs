//! What is left of a step, as it travels to a worker and is read back there.

use crate::http::wire::Amount;
use crate::workflows::{self, Call, Errand, Operation, PaymentErrand, Request, RequestLine};
use serde::{Deserialize, Serialize};
use stampede_actors::ids::{LocationId, OpId, OrderId, Reference, SkuId};
use stampede_actors::order::{LinePart, Step};

/// What to ask provider or warehouse.
#[derive(Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Errand)]
pub enum ErrandBody {
    /// A call to the payment provider.
    Pay(PayErrand),
    /// Requests to the warehouse, one per location.
    Ship(Vec<ShipErrand>),
    /// Units that shall not be shipped.
    CallOff(CallOffErrand),
}

/// A call to the payment provider.
#[derive(Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PayErrand {
    /// The provider's idempotency key for it, the same at every repeat.
    #[schema(value_type = String)]
    pub reference: Reference,
    /// `authorize`, `capture`, `void` or `refund`.
    pub operation: String,
    /// How much.
    pub amount: Amount,
    /// What pays.
    #[schema(value_type = String)]
    pub payment_token: Reference,
    /// The provider's own reference of what is captured, voided or refunded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(value_type = Option<String>)]
    pub on: Option<Reference>,
    /// The call may have been made: look it up first.
    pub perhaps_made: bool,
    /// So long ago that the provider may have forgotten the key: never repeat it without looking it up.
    pub key_forgotten: bool,
    /// The units are gone: do not make a call that was never made; report it refused.
    pub units_gone: bool,
}

/// A request to ship from one location.
#[derive(Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShipErrand {
    /// From where.
    #[schema(value_type = String, example = "berlin")]
    pub location: LocationId,
    /// What.
    pub lines: Vec<ShipErrandLine>,
    /// Where to: an opaque reference.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(value_type = Option<String>)]
    pub delivery: Option<Reference>,
}

/// Units of one line.
#[derive(Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShipErrandLine {
    /// Number of the line, from 0.
    pub line: u32,
    /// Which SKU.
    #[schema(value_type = String, example = "hoodie-m")]
    pub sku: SkuId,
    /// How many.
    pub units: u32,
}

/// Units that shall not be shipped: all of them, or none.
#[derive(Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CallOffErrand {
    /// Names this call-off.
    #[schema(value_type = String, example = "op_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    pub refund: OpId,
    /// Which.
    pub parts: Vec<CallOffPart>,
}

/// Units of one line at one location.
#[derive(Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CallOffPart {
    /// Number of the line, from 0.
    pub line: u32,
    /// Where.
    #[schema(value_type = String, example = "berlin")]
    pub location: LocationId,
    /// How many.
    pub units: u32,
}

impl From<Errand> for ErrandBody {
    fn from(errand: Errand) -> ErrandBody {
        match errand {
            Errand::Pay(PaymentErrand { call, perhaps_made, key_forgotten, units_gone }) => {
                ErrandBody::Pay(PayErrand {
                    reference: call.reference,
                    operation: call.operation.word().to_owned(),
                    amount: call.amount.into(),
                    payment_token: call.token,
                    on: call.on,
                    perhaps_made,
                    key_forgotten,
                    units_gone,
                })
            }
            Errand::Ship(requests) => ErrandBody::Ship(requests.into_iter().map(ShipErrand::from).collect()),
            Errand::CallOff(call_off) => {
                let part = |part: LinePart| CallOffPart { line: part.line, location: part.location, units: part.units };
                let parts = call_off.parts.into_iter().map(part).collect();
                ErrandBody::CallOff(CallOffErrand { refund: call_off.refund, parts })
            }
        }
    }
}

impl From<Request> for ShipErrand {
    fn from(request: Request) -> ShipErrand {
        let line = |line: RequestLine| ShipErrandLine { line: line.line, sku: line.sku, units: line.units };
        ShipErrand {
            location: request.location,
            lines: request.lines.into_iter().map(line).collect(),
            delivery: request.delivery,
        }
    }
}

impl ErrandBody {
    /// Read back by a worker. `None`: an operation that it does not know.
    #[must_use]
    pub fn into_errand(self, order: OrderId, step: Step) -> Option<Errand> {
        Some(match self {
            ErrandBody::Pay(pay) => Errand::Pay(PaymentErrand {
                call: Call {
                    reference: pay.reference,
                    order,
                    step,
                    operation: Operation::ALL.into_iter().find(|operation| operation.word() == pay.operation)?,
                    amount: pay.amount.into(),
                    token: pay.payment_token,
                    on: pay.on,
                },
                perhaps_made: pay.perhaps_made,
                key_forgotten: pay.key_forgotten,
                units_gone: pay.units_gone,
            }),
            ErrandBody::Ship(requests) => {
                let line = |line: ShipErrandLine| RequestLine { line: line.line, sku: line.sku, units: line.units };
                let request = |request: ShipErrand| Request {
                    order,
                    location: request.location,
                    lines: request.lines.into_iter().map(line).collect(),
                    delivery: request.delivery,
                };
                Errand::Ship(requests.into_iter().map(request).collect())
            }
            ErrandBody::CallOff(call_off) => {
                let part = |part: CallOffPart| LinePart { line: part.line, location: part.location, units: part.units };
                let parts = call_off.parts.into_iter().map(part).collect();
                Errand::CallOff(workflows::CallOff { order, refund: call_off.refund, parts })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::http::work::OpenedWork;
    use stampede_actors::money::{Money, currency};

    #[test]
    fn an_errand_comes_back_as_it_went() {
        let (order, reference) = (OrderId(9), |text: &str| Reference::new(text).unwrap());
        let location = || LocationId::new("berlin").unwrap();
        let errands = [
            (
                Step::Capture { attempt: 2 },
                Errand::Pay(PaymentErrand {
                    call: Call {
                        reference: reference("ord:capture:2"),
                        order,
                        step: Step::Capture { attempt: 2 },
                        operation: Operation::Capture,
                        amount: Money { minor: 1999, currency: currency("EUR").unwrap() },
                        token: reference("tok_ok"),
                        on: Some(reference("auth_1")),
                    },
                    perhaps_made: true,
                    key_forgotten: false,
                    units_gone: true,
                }),
            ),
            (
                Step::Fulfil,
                Errand::Ship(vec![Request {
                    order,
                    location: location(),
                    lines: vec![RequestLine { line: 1, sku: SkuId::new("tee").unwrap(), units: 3 }],
                    delivery: Some(reference("adr_1")),
                }]),
            ),
            (
                Step::CallOff { refund: OpId(4) },
                Errand::CallOff(workflows::CallOff {
                    order,
                    refund: OpId(4),
                    parts: vec![LinePart { line: 0, location: location(), units: 2 }],
                }),
            ),
        ];
        for (step, errand) in errands {
            let body = OpenedWork { is_open: true, errand: Some(errand.clone().into()) };
            let text = serde_json::to_string(&body).unwrap();
            let back: OpenedWork = serde_json::from_str(&text).unwrap();
            assert_eq!(back.errand.unwrap().into_errand(order, step), Some(errand), "{text}");
        }
    }
}
