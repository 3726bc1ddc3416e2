//! The whole shop: paused and resumed, and what operators did.

use super::{Noted, TAG, Why, note};
use crate::http::call::{Answer, Call};
use crate::http::paging;
use crate::http::problem::Problem;
use crate::http::reply::Reply;
use crate::http::spec::{Query, Spec, json, of};
use crate::http::wire::Time;
use serde::Serialize;
use stampede_actors::ids::EntityId;
use stampede_actors::shell::message::{Failure, Question, View};
use stampede_actors::shop::{Action, MAX_ACTIONS, Shop, What};

/// `GET /v1/ops/shop`
pub const READ: Spec = Spec::get("/v1/ops/shop", "getShop", "Whether the shop sells at all.")
    .tag(TAG)
    .api_key()
    .gives(&[json(200, "The shop.", of::<ShopBody>)]);

/// `POST /v1/ops/shop/pause`
pub const PAUSE: Spec =
    Spec::post("/v1/ops/shop/pause", "pauseShop", "Refuses all new orders and holds until resumed.")
        .about("Holds and orders that exist go on. It outlives restarts, and holds wherever the log is taken over.")
        .tag(TAG)
        .api_key()
        .idempotent()
        .takes(of::<Why>)
        .gives(&[json(200, "It is done. A repeat shows how the shop is now.", of::<ShopBody>)]);

/// `POST /v1/ops/shop/resume`
pub const RESUME: Spec = Spec::post("/v1/ops/shop/resume", "resumeShop", "Sells again.")
    .about("A SKU that was paused by itself stays paused.")
    .tag(TAG)
    .api_key()
    .idempotent()
    .takes(of::<Why>)
    .gives(&[json(200, "It is done. A repeat shows how the shop is now.", of::<ShopBody>)]);

/// `GET /v1/ops/actions`
pub const ACTIONS: Spec = Spec::get("/v1/ops/actions", "listActions", "What operators did, newest first.")
    .about("The last 256 of them. All of them are in the commit log.")
    .tag(TAG)
    .api_key()
    .query(&[Query { name: "limit", meaning: "How many: 1 to 256, 50 without." }])
    .gives(&[json(200, "They are these.", of::<ActionsBody>)]);

/// The shop.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Shop)]
struct ShopBody {
    /// New orders and holds are refused.
    paused: bool,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    paused_at: Option<Time>,
}

/// What operators did.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Actions)]
struct ActionsBody<'a> {
    /// Newest first.
    data: Vec<ActionBody<'a>>,
}

/// Something that an operator did.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Action)]
struct ActionBody<'a> {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Time,
    /// Who: the name of an API key.
    #[schema(value_type = String, example = "oncall")]
    by: &'a str,
    /// What: `pause_shop`, `resume_shop`, `pause_sku`, `resume_sku`, `drain_node`, `undrain_node`, `inject_fault`,
    /// `replay_outbox` or `release_hold`.
    #[schema(value_type = String, example = "pause_sku")]
    what: &'static str,
    /// To what; absent when it is the shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "hoodie-m")]
    subject: Option<&'a str>,
    /// Why.
    #[schema(value_type = String, example = "the provider is down, INC-42")]
    reason: &'a str,
}

impl<'a> From<&'a Action> for ActionBody<'a> {
    fn from(action: &'a Action) -> ActionBody<'a> {
        let deed = &action.deed;
        ActionBody {
            at: Time(action.at),
            by: deed.by.as_str(),
            what: deed.what.word(),
            subject: deed.subject.as_ref().map(|subject| subject.as_str()),
            reason: deed.reason.as_str(),
        }
    }
}

/// Reads the shop.
pub async fn read(call: Call) -> Answer {
    Ok(Reply::ok(64, &body(&*shop(&call).await?)))
}

/// Pauses it.
pub async fn pause(call: Call) -> Answer {
    switch(call, What::PauseShop).await
}

/// Resumes it.
pub async fn resume(call: Call) -> Answer {
    switch(call, What::ResumeShop).await
}

/// Lists what operators did.
pub async fn actions(call: Call) -> Answer {
    let [limit] = call.query(["limit"])?;
    let limit = paging::at_most(limit.as_deref(), 50, MAX_ACTIONS)?;
    let shop = shop(&call).await?;
    Ok(Reply::ok(4096, &ActionsBody { data: shop.actions().take(limit).map(ActionBody::from).collect() }))
}

async fn switch(mut call: Call, what: What) -> Answer {
    let why: Why = call.json().await?;
    // Noting it is doing it.
    let Noted { shop, replayed } = note(&call, what, None, &why.reason).await?;
    Ok(Reply::ok(64, &body(&shop)).replayed(replayed))
}

async fn shop(call: &Call) -> Result<Box<Shop>, Problem> {
    match call.ask(EntityId::Shop, Question::ReadShop).await?.view {
        View::Shop(shop) => Ok(shop),
        _ => Err(Failure::Crashed.into()),
    }
}

fn body(shop: &Shop) -> ShopBody {
    ShopBody { paused: shop.paused_at().is_some(), paused_at: shop.paused_at().map(Time) }
}
