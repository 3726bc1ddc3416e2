//! What workers in processes of their own ask the server: whether a step is still open, and what became of it. Each of these
//! may be repeated as it is: the step, or the shipment's id, is what makes it the same.

use crate::engine::Engine;
use crate::feed::{Message, MessageId};
use crate::http::call::{Answer, Call};
use crate::http::order_view::LineUnitsBody;
use crate::http::payments::{line_units, order, tell};
use crate::http::problem::{Problem, kinds};
use crate::http::reply::Reply;
use crate::http::spec::{Spec, json, of};
use crate::http::wire::Amount;
use crate::workflows::wire::OutsideStep;
use crate::workflows::{
    self, Call as ProviderCall, End, Errand, Opened, Operation, PaymentErrand, Request, RequestLine,
};
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use stampede_actors::ids::{LocationId, OpId, OrderId, Reference, SkuId};
use stampede_actors::order::{self as orders, Command, LinePart};
use stampede_actors::record::Position;

/// `PUT /v1/orders/{order}/work`
pub const OPEN: Spec = Spec::put("/v1/orders/{order}/work", "openWork", "Asks for what is left to do of a step.")
    .about(
        "Asked before provider or warehouse are: a message may be old, or come twice. For an authorisation the holds are \
         extended past the provider's time-out first. `is_open` is false when there is nothing to do: the message can be \
         acknowledged.",
    )
    .tag("work")
    .api_key()
    .takes(of::<OpenWork>)
    .gives(&[json(200, "What is left to do.", of::<OpenedWork>)])
    .fails(&[&kinds::OVERLOADED]);

/// `PUT /v1/orders/{order}/work/answer`
pub const ANSWER: Spec = Spec::put("/v1/orders/{order}/work/answer", "answerWork", "Reports what became of a step.")
    .about("The message of the step is to be acknowledged after this was answered, and not before.")
    .tag("work")
    .api_key()
    .takes(of::<AnswerWork>)
    .gives(&[json(200, "It is committed.", of::<TakenIn>)])
    .fails(&[&kinds::UNKNOWN_ORDER, &kinds::TABLE_FULL]);

/// `PUT /v1/orders/{order}/work/shipments/{shipment}`
pub const SHIP: Spec =
    Spec::put("/v1/orders/{order}/work/shipments/{shipment}", "shipWork", "Reports a shipment of the warehouse.")
        .about("As `POST /v1/orders/{order}/shipments`, under the id that the warehouse's worker gave it.")
        .tag("work")
        .api_key()
        .takes(of::<ShippedWork>)
        .gives(&[json(200, "It is booked as shipped.", of::<TakenIn>)])
        .fails(&[&kinds::UNKNOWN_ORDER, &kinds::NOT_SHIPPABLE, &kinds::BEING_CALLED_OFF, &kinds::TABLE_FULL]);

/// A step that a worker is about to do.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenWork {
    /// Which step.
    pub step: OutsideStep,
    /// The message has been delivered, or published, before: somebody may have begun with it.
    pub repeated: bool,
}

/// What is left to do.
#[derive(Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OpenedWork {
    /// Is the step still to be done?
    pub is_open: bool,
    /// What to do; absent when there is nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub errand: Option<ErrandBody>,
}

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

/// What became of a step.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerWork {
    /// Which step.
    pub step: OutsideStep,
    /// What became of it. Whoever does not know says nothing: the order asks again.
    pub answer: AnswerBody,
}

/// A definite answer.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "outcome", deny_unknown_fields)]
#[schema(as = WorkAnswer)]
pub enum AnswerBody {
    /// It has happened.
    Done {
        /// The outside party's own reference, where there is one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[schema(value_type = Option<String>)]
        reference: Option<Reference>,
    },
    /// It has definitely not happened, and will not.
    Refused {
        /// Why: a word.
        code: String,
    },
}

/// Longest word for why something was refused.
const CODE_MAX: usize = 64;

/// Units that left.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShippedWork {
    /// From where.
    #[schema(value_type = String, example = "berlin")]
    pub location: LocationId,
    /// Which.
    #[serde(deserialize_with = "crate::http::wire::objects")]
    #[schema(min_items = 1, max_items = 50)]
    pub lines: Vec<LineUnitsBody>,
    /// The carrier's reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tracking: Option<Reference>,
}

/// It is committed.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TakenIn {
    /// Nothing changed: the order had it before.
    pub replayed: bool,
}

/// The server's half of a step.
pub async fn open(mut call: Call) -> Answer {
    let id: OrderId = call.path("order")?;
    let body: OpenWork = call.json().await?;
    let engine: Engine = call.app.engine().clone();
    let message = Message {
        id: MessageId { log: crate::feed::EMBEDDED_LOG, seq: 0, index: 0 },
        position: Position::default(),
        order: id,
        step: body.step.into(),
        at: engine.now(),
        inherited: body.repeated,
        again: false,
    };
    let terms = engine.workflow_terms();
    match workflows::open(message, terms, || engine.now()).await {
        Opened::Over(End::LeftToOrder) => {
            Err(Problem::new(&kinds::OVERLOADED, "the order, or one of its SKUs, cannot be asked at the moment"))
        }
        Opened::Over(End::Reported | End::NotOpen | End::Unknown) => {
            Ok(Reply::json(StatusCode::OK, 32, &OpenedWork { is_open: false, errand: None }))
        }
        Opened::Errand(errand) => {
            Ok(Reply::json(StatusCode::OK, 512, &OpenedWork { is_open: true, errand: Some(errand.into()) }))
        }
    }
}

/// A step's answer.
pub async fn answer(mut call: Call) -> Answer {
    let id: OrderId = call.path("order")?;
    let AnswerWork { step, answer } = call.json().await?;
    let answer = match answer {
        AnswerBody::Done { reference } => orders::Answer::Done { reference },
        AnswerBody::Refused { code } => orders::Answer::Refused { code: short(code) },
    };
    let done = tell(&call, id, Command::Report { step: step.into(), answer }).await?;
    order(&done)?;
    Ok(Reply::json(StatusCode::OK, 32, &TakenIn { replayed: done.replayed }))
}

/// The log keeps it for ever.
fn short(mut code: String) -> String {
    let end = code.char_indices().map(|(at, _)| at).take_while(|at| *at <= CODE_MAX).last().unwrap_or(0);
    if code.len() > CODE_MAX {
        code.truncate(end);
    }
    code
}

/// A shipment.
pub async fn ship(mut call: Call) -> Answer {
    let id: OrderId = call.path("order")?;
    let shipment: OpId = call.path("shipment")?;
    let ShippedWork { location, lines, tracking } = call.json().await?;
    let command = Command::Ship { shipment, fingerprint: 0, location, lines: line_units(&lines), tracking };
    let done = tell(&call, id, command).await?;
    order(&done)?;
    Ok(Reply::json(StatusCode::OK, 32, &TakenIn { replayed: done.replayed }))
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
    pub fn into_errand(self, order: OrderId, step: orders::Step) -> Option<Errand> {
        Some(match self {
            ErrandBody::Pay(pay) => Errand::Pay(PaymentErrand {
                call: ProviderCall {
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
    use stampede_actors::money::{Money, currency};
    use stampede_actors::order::Step;

    #[test]
    fn an_errand_comes_back_as_it_went() {
        let (order, reference) = (OrderId(9), |text: &str| Reference::new(text).unwrap());
        let location = || LocationId::new("berlin").unwrap();
        let errands = [
            (
                Step::Capture { attempt: 2 },
                Errand::Pay(PaymentErrand {
                    call: ProviderCall {
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

    #[test]
    fn a_long_word_is_cut_between_characters() {
        assert_eq!(short("declined".to_owned()), "declined");
        let cut = short("ä".repeat(60));
        assert!(cut.len() <= CODE_MAX && cut.chars().all(|c| c == 'ä'), "{cut}");
    }
}
