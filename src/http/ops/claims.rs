//! Holds and allocations of a SKU: seen, and holds given back.

use super::{TAG, Why, note, note_failure};
use crate::http::call::{Answer, Call};
use crate::http::paging::{self, LIMIT};
use crate::http::problem::{Problem, kinds};
use crate::http::reply::Reply;
use crate::http::spec::{Spec, empty, json, of};
use crate::http::wire::Time;
use actix_web::http::StatusCode;
use serde::Serialize;
use stampede_actors::ids::{BuyerRef, EntityId, HoldId, OrderId, SkuId};
use stampede_actors::shell::message::{Failure, Question, View};
use stampede_actors::shop::What;
use stampede_actors::sku::{Command, HoldView, Refusal, Units};

/// `GET /v1/ops/skus/{sku}/holds`
pub const LIST: Spec =
    Spec::get("/v1/ops/skus/{sku}/holds", "listHolds", "Holds and allocations of a SKU, in the order of their ids.")
        .about("A hold that has run out is there until it is expired, which is at its deadline or just after.")
        .tag(TAG)
        .api_key()
        .query(&[LIMIT, paging::AFTER])
        .gives(&[json(200, "One page.", of::<HoldsBody>)]);

/// `POST /v1/ops/skus/{sku}/holds/{hold}/release`
pub const RELEASE: Spec =
    Spec::post("/v1/ops/skus/{sku}/holds/{hold}/release", "releaseHold", "Gives a hold's units back.")
        .about("Only of a hold that no order has: an order is cancelled instead.")
        .tag(TAG)
        .api_key()
        .idempotent()
        .takes(of::<Why>)
        .gives(&[empty(204, "The units are back.")])
        .fails(&[&kinds::UNKNOWN_SKU, &kinds::HOLD_ENDED, &kinds::HOLD_ALLOCATED, &kinds::HOLD_ORDERED]);

/// A page of holds and allocations.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Holds)]
struct HoldsBody {
    /// In the order of their ids.
    data: Vec<ClaimBody>,
    /// There are more.
    has_more: bool,
    /// Send it as `after` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A hold or allocation.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Claim)]
struct ClaimBody {
    /// Its id.
    #[schema(value_type = String, example = "hld_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    hold: HoldId,
    /// How many units were granted.
    units: Units,
    /// For whom.
    #[schema(value_type = String, example = "buyer-17")]
    buyer: BuyerRef,
    /// For which order, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    order: Option<OrderId>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// Until when; absent once it is firm.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Time>,
    /// Allocated to its order.
    allocated: bool,
}

impl From<(HoldId, HoldView)> for ClaimBody {
    fn from((hold, view): (HoldId, HoldView)) -> ClaimBody {
        ClaimBody {
            hold,
            units: view.units,
            buyer: view.buyer,
            order: view.order,
            created_at: Time(view.created_at),
            expires_at: (!view.firm).then_some(Time(view.expires_at)),
            allocated: view.firm,
        }
    }
}

/// Lists them.
pub async fn list(call: Call) -> Answer {
    let sku: SkuId = call.path("sku")?;
    let [limit, after] = call.query(["limit", "after"])?;
    let limit = paging::limit(limit.as_deref())?;
    let page = call.read_lists(move |reader| reader.holds(&sku, after.as_deref(), limit)).await?;
    let body = HoldsBody {
        data: page.rows.into_iter().map(ClaimBody::from).collect(),
        has_more: page.next.is_some(),
        next: page.next,
    };
    Ok(Reply::ok(4096, &body))
}

/// Gives one back.
pub async fn release(mut call: Call) -> Answer {
    let (sku, hold): (SkuId, HoldId) = (call.path("sku")?, call.path("hold")?);
    let why: Why = call.json().await?;
    let subject = format!("{sku} {hold}");
    let noted = note(&call, What::ReleaseHold, Some(&subject), &why.reason).await?;
    match give_back(&call, sku, hold, noted.replayed).await {
        Ok(()) => Ok(Reply::empty(StatusCode::NO_CONTENT).replayed(noted.replayed)),
        Err(problem) => {
            if !noted.replayed {
                note_failure(&call, What::ReleaseHold, &subject, &problem).await;
            }
            Err(problem)
        }
    }
}

async fn give_back(call: &Call, sku: SkuId, hold: HoldId, repeated: bool) -> Result<(), Problem> {
    let entity = EntityId::Sku(sku);
    let order = match call.ask(entity.clone(), Question::ReadHold(hold)).await {
        Ok(done) => match done.view {
            View::Hold(granted) => granted.view.order,
            _ => None,
        },
        // The first request gave it back.
        Err(Failure::Sku(Refusal::HoldEnded)) if repeated => return Ok(()),
        Err(failure) => return Err(failure.into()),
    };
    if let Some(order) = order {
        return Err(Problem::new(
            &kinds::HOLD_ORDERED,
            format!("the hold belongs to {order}: cancel the order instead"),
        ));
    }
    call.ask(entity, Question::Sku(Command::Release { hold, order: None })).await?;
    Ok(())
}
