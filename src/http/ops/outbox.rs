//! The outbox: steps that the outside world has been asked for and has not answered.

use super::{TAG, Why, note, note_failure};
use crate::feed::Queue;
use crate::http::call::{Answer, Call};
use crate::http::paging::{self, LIMIT};
use crate::http::payments::tell;
use crate::http::problem::{Problem, kinds};
use crate::http::reply::Reply;
use crate::http::spec::{Spec, json, of};
use crate::http::wire::Time;
use serde::Serialize;
use stampede_actors::ids::{EntityId, OrderId};
use stampede_actors::order::{Command, OpenStep, Order};
use stampede_actors::shell::message::{Failure, Question, View};
use stampede_actors::shop::What;

/// `GET /v1/ops/outbox`
pub const LIST: Spec = Spec::get(
    "/v1/ops/outbox",
    "listOutbox",
    "Steps asked for and not answered, those first that will be asked for again first.",
)
.about("Each is asked for again by itself, at a slower pace each time; none is ever forgotten.")
.tag(TAG)
.api_key()
.query(&[LIMIT, paging::AFTER])
.gives(&[json(200, "One page.", of::<OutboxBody>)]);

/// `POST /v1/ops/outbox/{order}/replay`
pub const REPLAY: Spec =
    Spec::post("/v1/ops/outbox/{order}/replay", "replayOutbox", "Asks for all open steps of an order once more, now.")
        .about("Safe at any time: whoever is asked knows each step by its id, and answers a repeat as before.")
        .tag(TAG)
        .api_key()
        .idempotent()
        .takes(of::<Why>)
        .gives(&[json(200, "They were asked for, if any were open.", of::<EntryBody>)])
        .fails(&[&kinds::UNKNOWN_ORDER]);

/// A page of the outbox.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Outbox)]
struct OutboxBody {
    /// Orders with open steps. A page may have fewer than there are, or none, and still lead on.
    data: Vec<EntryBody>,
    /// There may be more.
    has_more: bool,
    /// Send it as `after` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What an order waits for.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = OutboxEntry)]
struct EntryBody {
    /// Which order.
    #[schema(value_type = String, example = "ord_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    order: OrderId,
    /// Its open steps.
    steps: Vec<StepBody>,
}

/// One step.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = OutboxStep)]
struct StepBody {
    /// What: `authorize`, `capture`, `fulfil` …
    #[schema(value_type = String, example = "capture")]
    step: &'static str,
    /// Who is asked: `payment`, `fulfilment` or `stock`.
    #[schema(value_type = String, example = "payment")]
    queue: &'static str,
    /// How often it was asked for.
    tries: u32,
    /// When it was first asked for.
    #[schema(value_type = String, format = DateTime)]
    opened_at: Time,
    /// When it will be asked for again.
    #[schema(value_type = String, format = DateTime)]
    ask_at: Time,
}

impl EntryBody {
    fn of(id: OrderId, order: &Order) -> EntryBody {
        EntryBody { order: id, steps: order.open_steps().iter().map(StepBody::from).collect() }
    }
}

impl From<&OpenStep> for StepBody {
    fn from(open: &OpenStep) -> StepBody {
        StepBody {
            step: open.step.word(),
            queue: Queue::of(open.step).word(),
            tries: open.tries,
            opened_at: Time(open.opened_at),
            ask_at: Time(open.ask_at),
        }
    }
}

/// Lists it.
pub async fn list(call: Call) -> Answer {
    let [limit, after] = call.query(["limit", "after"])?;
    let limit = paging::limit(limit.as_deref())?;
    let page = call.read_lists(move |reader| reader.outbox(after.as_deref(), limit)).await?;
    let data = page.rows.iter().map(|row| EntryBody::of(row.id, &row.order)).collect();
    Ok(Reply::ok(4096, &OutboxBody { data, has_more: page.next.is_some(), next: page.next }))
}

/// Asks once more.
pub async fn replay(mut call: Call) -> Answer {
    let id: OrderId = call.path("order")?;
    let why: Why = call.json().await?;
    let subject = id.to_string();
    let noted = note(&call, What::ReplayOutbox, Some(&subject), &why.reason).await?;
    // Once: a repeat is answered with what is open now.
    let asked = match noted.replayed {
        true => call.ask(EntityId::Order(id), Question::ReadOrder).await.map_err(Problem::from),
        false => tell(&call, id, Command::AskAgain).await,
    };
    let done = match asked {
        Ok(done) => done,
        Err(problem) => {
            if !noted.replayed {
                note_failure(&call, What::ReplayOutbox, &subject, &problem).await;
            }
            return Err(problem);
        }
    };
    let View::Order(order) = &done.view else { return Err(Failure::Crashed.into()) };
    Ok(Reply::ok(512, &EntryBody::of(id, order)).replayed(noted.replayed))
}
