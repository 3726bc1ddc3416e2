//! SKUs: what the marketplace says about them, and how many units can be promised.

use crate::cache::Hit;
use crate::http::app::App;
use crate::http::call::{Answer, Call};
use crate::http::problem::{Problem, kinds};
use crate::http::reply::Reply;
use crate::http::spec::{Spec, json, of};
use crate::http::wire::{Amount, Object, Time};
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use serde::{Deserialize, Deserializer, Serialize};
use stampede_actors::ids::{EntityId, LocationId, SellerId, SkuId};
use stampede_actors::shell::message::{Done, Failure, Question, SkuView, View};
use stampede_actors::sku::{Command, DEFAULT_PRIORITY, Listing, MAX_LOCATIONS, MAX_UNITS, Units};
use stampede_actors::time::{Span, Timestamp};
use std::time::Duration;

/// `PUT /v1/skus/{sku}`
pub const PUT: Spec = Spec::put("/v1/skus/{sku}", "putSku", "Creates a SKU or changes its listing.")
    .about("Repeating it changes nothing. Prices of orders and carts that exist stay as they are.")
    .tag("skus")
    .api_key()
    .takes(of::<PutSku>)
    .gives(&[json(200, "It existed.", of::<SkuBody>), json(201, "It is new.", of::<SkuBody>)])
    .fails(&[&kinds::BAD_PRICE, &kinds::BAD_UNITS, &kinds::TABLE_FULL]);

/// `GET /v1/skus/{sku}`
pub const READ: Spec = Spec::get("/v1/skus/{sku}", "getSku", "What the marketplace says about a SKU, and its stock.")
    .tag("skus")
    .gives(&[json(200, "The SKU.", of::<SkuBody>)])
    .fails(&[&kinds::UNKNOWN_SKU]);

/// `GET /v1/skus/{sku}/availability`
pub const READ_AVAILABILITY: Spec = Spec::get(
    "/v1/skus/{sku}/availability",
    "getAvailability",
    "How many units can be promised, with version and age.",
)
.tag("skus")
.gives(&[json(200, "The stock.", of::<AvailabilityBody>)])
.fails(&[&kinds::UNKNOWN_SKU]);

/// What the marketplace says about a SKU.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutSku {
    /// Who sells it.
    #[schema(value_type = String, example = "acme")]
    seller: SellerId,
    /// Price of one unit.
    #[serde(deserialize_with = "crate::http::wire::object")]
    price: Amount,
    /// Most units one buyer may hold, have allocated, or have received and not returned.
    #[serde(default, deserialize_with = "maybe_units")]
    #[schema(minimum = 1, example = 2)]
    buyer_limit: Option<Units>,
    /// Locations whose priority or safety stock changes; others stay as they are.
    #[serde(default, deserialize_with = "locations")]
    locations: Vec<PutLocation>,
}

/// How a location serves.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutLocation {
    /// Which.
    #[schema(value_type = String, example = "berlin")]
    location: LocationId,
    /// Lower serves first.
    #[serde(default = "default_priority")]
    #[schema(example = 100)]
    priority: u32,
    /// Units kept back on purpose.
    #[serde(default)]
    #[schema(maximum = 1_000_000_000, example = 0)]
    safety_stock: Units,
}

fn default_priority() -> u32 {
    DEFAULT_PRIORITY
}

fn maybe_units<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Units>, D::Error> {
    #[derive(Deserialize)]
    struct Count(#[serde(deserialize_with = "crate::http::wire::units")] Units);
    Ok(Option::<Count>::deserialize(deserializer)?.map(|count| count.0))
}

fn locations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PutLocation>, D::Error> {
    let locations = Option::<Vec<Object<PutLocation>>>::deserialize(deserializer)?.unwrap_or_default();
    if locations.len() > MAX_LOCATIONS {
        return Err(serde::de::Error::invalid_length(locations.len(), &"at most 256 locations"));
    }
    Ok(locations.into_iter().map(|location| location.0).collect())
}

/// A SKU.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Sku)]
pub struct SkuBody<'a> {
    /// The marketplace's own code.
    #[schema(value_type = String, example = "hoodie-m")]
    sku: &'a SkuId,
    /// Who sells it.
    #[schema(value_type = String, example = "acme")]
    seller: &'a SellerId,
    /// Price of one unit.
    price: Amount,
    /// Most units for one buyer; absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    buyer_limit: Option<Units>,
    /// Its stock.
    availability: AvailabilityBody<'a>,
}

/// Stock of a SKU at one moment.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Availability)]
pub struct AvailabilityBody<'a> {
    /// Which SKU.
    #[schema(value_type = String, example = "hoodie-m")]
    pub(super) sku: &'a SkuId,
    /// Units that a hold would get now.
    available: Units,
    /// Units there, claimed or not.
    on_hand: Units,
    /// Units in holds.
    held: Units,
    /// Units in allocations.
    allocated: Units,
    /// Units kept back on purpose.
    safety_stock: Units,
    /// New holds are refused.
    paused: bool,
    /// The same by location.
    locations: Vec<LocationBody<'a>>,
    /// Events of the SKU so far; grows with each change.
    pub(super) version: u64,
    /// When this was so.
    #[schema(value_type = String, format = DateTime)]
    observed_at: Time,
    /// How old it was when it was sent, in milliseconds.
    age_ms: u64,
    /// It is never older than this, in milliseconds.
    max_age_ms: u64,
}

/// Stock at one location.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = LocationStock)]
struct LocationBody<'a> {
    /// Which.
    #[schema(value_type = String, example = "berlin")]
    location: &'a LocationId,
    /// Lower serves first.
    priority: u32,
    /// Units that a hold would get now.
    available: Units,
    /// Units there, claimed or not.
    on_hand: Units,
    /// Units in holds.
    held: Units,
    /// Units in allocations.
    allocated: Units,
    /// Units kept back on purpose.
    safety_stock: Units,
}

/// Creates a SKU or changes its listing, then its locations: each step may be repeated.
pub async fn put(mut call: Call) -> Answer {
    let sku: SkuId = call.path("sku")?;
    let body: PutSku = call.json().await?;
    if let Some(index) = body.locations.iter().position(|location| location.safety_stock > MAX_UNITS) {
        let error = crate::http::problem::FieldError::at(
            format!("/locations/{index}/safety_stock"),
            kinds::VALIDATION_FAILED.code,
            format!("expected at most {MAX_UNITS} units"),
        );
        return Err(Problem::invalid(vec![error]));
    }
    let entity = EntityId::Sku(sku.clone());
    let listing = Listing { seller: body.seller, price: body.price.into(), buyer_limit: body.buyer_limit };
    let mut done = call.ask(entity.clone(), Question::Sku(Command::List(listing))).await?;
    let created = done.version == 1 && !done.replayed;
    for PutLocation { location, priority, safety_stock } in body.locations {
        let command = Command::SetLocation { location, priority, safety_stock };
        done = call.ask(entity.clone(), Question::Sku(command)).await?;
    }
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Reply::json(status, 512, &sku_body(&call.app, &sku, &done)?))
}

/// Reads a SKU.
pub async fn read(call: Call) -> Answer {
    let sku: SkuId = call.path("sku")?;
    let done = call.ask(EntityId::Sku(sku.clone()), Question::ReadSku).await?;
    Ok(Reply::ok(512, &sku_body(&call.app, &sku, &done)?))
}

/// Reads its stock: from Redis when it is young enough there, else from the SKU itself.
pub async fn read_availability(call: Call) -> Answer {
    let sku: SkuId = call.path("sku")?;
    let shared = &call.app.shared;
    if let Some(reads) = shared.reads()
        && let Some(hit) = reads.read(&sku, shared.engine.now()).await
    {
        return Ok(from_cache(hit, shared.engine.now(), reads.max_age));
    }
    let done = call.ask(EntityId::Sku(sku.clone()), Question::ReadSku).await?;
    if let Some(reads) = shared.reads() {
        reads.touch(&sku);
    }
    Ok(Reply::ok(512, &availability(&call.app, &sku, &done)?))
}

/// The stock as it is kept for readers: the whole document up to its age, which only the reader knows.
pub fn cached(sku: &SkuId, version: u64, view: &SkuView) -> Vec<u8> {
    let mut text = Vec::with_capacity(512);
    // Writing to memory cannot fail, and the document has nothing that JSON cannot say.
    let _ = serde_json::to_writer(&mut text, &availability_body(sku, version, view, 0, Duration::ZERO));
    // Quotes inside of texts are escaped, so this is the field.
    if let Some(end) = text.windows(AGE.len()).rposition(|window| window == AGE) {
        text.truncate(end);
    }
    text
}

const AGE: &[u8] = b",\"age_ms\":";

fn from_cache(hit: Hit, now: Timestamp, max_age: Duration) -> Reply {
    let mut text = hit.text;
    let (age, max_age) = (millis_of(now.since(hit.observed_at)), millis(max_age));
    text.extend_from_slice(AGE);
    text.extend_from_slice(format!("{age},\"max_age_ms\":{max_age}}}").as_bytes());
    Reply::new(StatusCode::OK, HeaderValue::from_static("application/json"), BoxBody::new(text))
}

/// The stock that an answer shows.
///
/// # Errors
/// When it shows something else, which would be a fault of ours.
pub fn availability<'a>(app: &App, sku: &'a SkuId, done: &'a Done) -> Result<AvailabilityBody<'a>, Problem> {
    Ok(observed(app, sku, done.version, view(done)?))
}

/// A read waits for its commit no longer than any other request.
fn observed<'a>(app: &App, sku: &'a SkuId, version: u64, view: &'a SkuView) -> AvailabilityBody<'a> {
    let age = app.engine().now().since(view.observed_at);
    availability_body(sku, version, view, millis_of(age), app.answer_within)
}

fn view(done: &Done) -> Result<&SkuView, Problem> {
    match &done.view {
        View::Sku(view) => Ok(view),
        _ => Err(Failure::Crashed.into()),
    }
}

fn sku_body<'a>(app: &App, sku: &'a SkuId, done: &'a Done) -> Result<SkuBody<'a>, Problem> {
    let view = view(done)?;
    let Listing { seller, price, buyer_limit } = &view.listing;
    let availability = observed(app, sku, done.version, view);
    Ok(SkuBody { sku, seller, price: (*price).into(), buyer_limit: *buyer_limit, availability })
}

fn availability_body<'a>(
    sku: &'a SkuId,
    version: u64,
    view: &'a SkuView,
    age_ms: u64,
    max_age: Duration,
) -> AvailabilityBody<'a> {
    let stock = &view.availability;
    AvailabilityBody {
        sku,
        available: stock.available,
        on_hand: stock.on_hand,
        held: stock.held,
        allocated: stock.allocated,
        safety_stock: stock.safety_stock,
        paused: stock.paused,
        locations: stock.locations.iter().map(LocationBody::from).collect(),
        version,
        observed_at: Time(view.observed_at),
        age_ms,
        max_age_ms: millis(max_age),
    }
}

fn millis_of(span: Span) -> u64 {
    u64::try_from(span.0 / 1000).unwrap_or(0)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl<'a> From<&'a stampede_actors::sku::LocationStock> for LocationBody<'a> {
    fn from(stock: &'a stampede_actors::sku::LocationStock) -> LocationBody<'a> {
        LocationBody {
            location: &stock.location,
            priority: stock.priority,
            available: stock.available(),
            on_hand: stock.on_hand,
            held: stock.held,
            allocated: stock.allocated,
            safety_stock: stock.safety_stock,
        }
    }
}
