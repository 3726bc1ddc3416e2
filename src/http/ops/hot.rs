//! Which SKUs are wanted most just now.

use super::TAG;
use crate::http::call::{Answer, Call};
use crate::http::paging;
use crate::http::reply::Reply;
use crate::http::spec::{Query, Spec, json, of};
use crate::metrics::{self, HOT_SKUS_MAX};
use serde::Serialize;
use stampede_actors::ids::SkuId;

/// `GET /v1/ops/hot-skus`
pub const READ: Spec = Spec::get("/v1/ops/hot-skus", "listHotSkus", "The SKUs that are wanted most just now.")
    .about(
        "By holds granted in the last half minute or so. Shares are least values: 64 SKUs are counted at once, and one that \
         has just come among them may have had some before.",
    )
    .tag(TAG)
    .api_key()
    .query(&[Query { name: "limit", meaning: "How many: 1 to 64, 20 without." }])
    .gives(&[json(200, "The most wanted first.", of::<HotSkusBody>)]);

/// The SKUs that are wanted most.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = HotSkus)]
struct HotSkusBody {
    /// The most wanted first.
    data: Vec<HotSkuBody>,
}

/// One of them.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = HotSku)]
struct HotSkuBody {
    /// From 1.
    rank: usize,
    /// Which.
    #[schema(value_type = String, example = "hoodie-m")]
    sku: SkuId,
    /// Of all holds, 0 to 1.
    share: f64,
    /// The shard that serves it, from 0.
    shard: usize,
}

/// Lists them.
pub async fn read(call: Call) -> Answer {
    let [limit] = call.query(["limit"])?;
    let limit = paging::at_most(limit.as_deref(), 20, HOT_SKUS_MAX)?;
    let engine = call.app.engine();
    let row = |(index, (sku, share)): (usize, (SkuId, f64))| {
        let shard = engine.fabric().shard_of(sku.slot()).0;
        HotSkuBody { rank: index + 1, sku, share, shard }
    };
    let data = metrics::hot_skus(engine.now(), limit).into_iter().enumerate().map(row).collect();
    Ok(Reply::ok(2048, &HotSkusBody { data }))
}
