//! What workers in processes of their own ask the server: whether a step is still open, and what became of it. Each of these
//! may be repeated as it is: the step, or the shipment's id, is what makes it the same.

mod errand;

pub use errand::ErrandBody;

use crate::engine::Engine;
use crate::feed::{Message, MessageId};
use crate::http::call::{Answer, Call};
use crate::http::order_view::LineUnitsBody;
use crate::http::payments::{line_units, order, tell};
use crate::http::problem::{Problem, kinds};
use crate::http::reply::Reply;
use crate::http::spec::{Spec, json, of};
use crate::workflows::wire::OutsideStep;
use crate::workflows::{self, End, Opened};
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use stampede_actors::ids::{LocationId, OpId, OrderId, Reference};
use stampede_actors::order::{self as orders, Command};
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
        trace: call.trace,
    };
    call.is_about(id);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_word_is_cut_between_characters() {
        assert_eq!(short("declined".to_owned()), "declined");
        let cut = short("ä".repeat(60));
        assert!(cut.len() <= CODE_MAX && cut.chars().all(|c| c == 'ä'), "{cut}");
    }
}
