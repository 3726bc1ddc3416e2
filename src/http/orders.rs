//! Orders: placed from lines in one call, read, and listed.

use crate::feed::projection::Filter;
use crate::http::call::{Answer, Call};
use crate::http::idempotency::fingerprint;
use crate::http::order_view::{self, OrderView};
use crate::http::paging::{self, LIMIT};
use crate::http::problem::{Problem, kinds};
use crate::http::reply::Reply;
use crate::http::spec::{Query, Spec, json, of};
use crate::http::wire::{Amount, Currency, Time};
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use stampede_actors::ids::{BuyerRef, CartId, EntityId, HoldId, OrderId, Reference, SellerId, SkuId};
use stampede_actors::order::placing::{PlaceRequest, Wanted};
use stampede_actors::order::{Order, State};
use stampede_actors::shell::message::{Done, Failure, Question, View};
use stampede_actors::sku::Units;

/// `POST /v1/orders`
pub const PLACE: Spec = Spec::post("/v1/orders", "placeOrder", "Places an order: claims the units of all lines, or none.")
    .about(
        "The order's id is its capability. It awaits payment, which is under way already, until `hold_expires_at`. Refusals \
         are not stored: the same key may succeed later.",
    )
    .idempotent()
    .purchase()
    .names_buyer()
    .takes(of::<PlaceOrder>)
    .gives(&[json(201, "The order awaits payment.", of::<OrderBody>)])
    .fails(PLACE_FAILS);

const PLACE_FAILS: &[&kinds::Kind] = &[
    &kinds::UNKNOWN_SKU,
    &kinds::SOLD_OUT,
    &kinds::CONTENDED,
    &kinds::SALE_PAUSED,
    &kinds::BUYER_LIMIT,
    &kinds::PRICE_CHANGED,
    &kinds::CURRENCY_MISMATCH,
    &kinds::INVALID_ORDER,
    &kinds::HOLD_DIFFERS,
    &kinds::HOLD_ENDED,
    &kinds::HOLD_ALLOCATED,
    &kinds::TABLE_FULL,
];

/// `GET /v1/orders/{order}`
pub const READ: Spec = Spec::get("/v1/orders/{order}", "getOrder", "An order with all that happened to it.")
    .gives(&[json(200, "The order.", of::<OrderView>)])
    .fails(&[&kinds::UNKNOWN_ORDER]);

/// `GET /v1/orders`
pub const LIST: Spec = Spec::get("/v1/orders", "listOrders", "Orders, newest first.")
    .about("Shows everything that was committed before the request. A cursor stays good across releases.")
    .api_key()
    .query(&[
        Query { name: "buyer", meaning: "Only of this buyer." },
        Query { name: "state", meaning: "Only in this state." },
        Query { name: "from", meaning: "Only those placed then or later (RFC 3339)." },
        Query { name: "to", meaning: "Only those placed before (RFC 3339)." },
        Query { name: "attention", meaning: "`true`: only those that a person must look at and that nobody has acknowledged; no other filter then." },
        LIMIT,
        paging::AFTER,
    ])
    .gives(&[json(200, "One page.", of::<OrdersBody>)]);

/// An order to place.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceOrder {
    /// The marketplace's opaque reference to the buyer: no personal data.
    #[schema(value_type = String, example = "buyer-17")]
    pub(super) buyer: BuyerRef,
    /// The currency that the buyer counts in; absent: the SKUs', as long as it is one.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "EUR")]
    currency: Option<Currency>,
    /// Where to: an opaque reference.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "address-3")]
    pub(super) delivery: Option<Reference>,
    /// What pays: the provider's token.
    #[schema(value_type = String, example = "tok_ok")]
    payment_token: Reference,
    /// 1 to 50 of them; units of one SKU are summed.
    #[serde(deserialize_with = "crate::http::wire::objects")]
    #[schema(min_items = 1, max_items = 50)]
    pub(super) lines: Vec<PlaceLine>,
}

/// Units of one SKU.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceLine {
    /// Which SKU.
    #[schema(value_type = String, example = "hoodie-m")]
    pub(super) sku: SkuId,
    /// How many units.
    #[serde(deserialize_with = "crate::http::wire::units")]
    #[schema(minimum = 1, maximum = 1_000_000_000, example = 1)]
    pub(super) units: Units,
    /// The price of one unit that the buyer was shown: another one refuses the order.
    #[serde(default, deserialize_with = "crate::http::wire::maybe_object")]
    pub(super) unit_price: Option<Amount>,
    /// A hold of this buyer, of just these units, to be taken over.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    hold: Option<HoldId>,
}

/// An order as it was placed: the same bytes at every repeat, whatever became of it since.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PlacedOrder)]
pub struct OrderBody<'a> {
    /// Its id, and the capability to read and change it.
    #[schema(value_type = String, example = "ord_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    pub(super) order: OrderId,
    /// `awaiting_payment`.
    #[schema(value_type = String, example = "awaiting_payment")]
    pub(super) state: &'static str,
    /// Who buys.
    #[schema(value_type = String, example = "buyer-17")]
    pub(super) buyer: &'a BuyerRef,
    /// The cart it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) cart: Option<CartId>,
    /// Where to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) delivery: Option<&'a Reference>,
    /// What it costs.
    pub(super) total: Amount,
    /// One per SKU or hold.
    pub(super) lines: Lines<'a>,
    /// When it was placed.
    #[schema(value_type = String, format = DateTime)]
    pub(super) placed_at: Time,
    /// It runs out then, unless it is paid before.
    #[schema(value_type = String, format = DateTime)]
    pub(super) hold_expires_at: Time,
}

/// Lines, written from where they are.
pub(super) struct Lines<'a>(pub(super) &'a [stampede_actors::order::Line]);

impl Serialize for Lines<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|line| OrderLine {
            sku: &line.sku,
            seller: &line.seller,
            units: line.units,
            unit_price: line.unit_price.into(),
            hold: line.hold,
        }))
    }
}

impl utoipa::PartialSchema for Lines<'_> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        <Vec<OrderLine> as utoipa::PartialSchema>::schema()
    }
}

impl utoipa::ToSchema for Lines<'_> {
    fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
        crate::http::spec::of::<OrderLine>(schemas);
    }
}

/// One line, with its frozen price.
#[derive(Serialize, utoipa::ToSchema)]
struct OrderLine<'a> {
    /// Which SKU.
    #[schema(value_type = String, example = "hoodie-m")]
    sku: &'a SkuId,
    /// Who sells it.
    #[schema(value_type = String, example = "acme")]
    seller: &'a SellerId,
    /// How many units.
    units: Units,
    /// Price of one unit.
    unit_price: Amount,
    /// The hold behind it.
    #[schema(value_type = String, example = "hld_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    hold: HoldId,
}

/// A page of orders.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Orders)]
struct OrdersBody<'a> {
    /// Newest first.
    data: Vec<OrderView<'a>>,
    /// There are older ones.
    has_more: bool,
    /// Send it as `after` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

/// Places an order.
pub async fn place(mut call: Call) -> Answer {
    let body: PlaceOrder = call.json().await?;
    call.limit_buyer(&body.buyer).await?;
    let fingerprint = fingerprint(&body);
    let order = call.app.engine().ids().order("POST /v1/orders", call.key());
    let _permit = call.permit(order.slot())?;
    let skus: Vec<SkuId> = body.lines.iter().map(|line| line.sku.clone()).collect();
    let mut request = Box::new(body.into_request(fingerprint));
    request.trace = call.trace.map(Box::new);
    match call.ask(EntityId::Order(order), Question::Place(request)).await {
        Ok(done) => placed(order, &done),
        Err(failure) => Err(Problem::of_purchase(failure, |sku| {
            let index = skus.iter().position(|mine| mine == sku)?;
            Some(format!("/lines/{index}"))
        })
        .of_order(order)),
    }
}

impl PlaceOrder {
    fn into_request(self, fingerprint: u64) -> PlaceRequest {
        let wanted = self.lines.into_iter().map(|line| Wanted {
            sku: line.sku,
            units: line.units,
            expected_price: line.unit_price.map(Into::into),
            cart_price: None,
            hold: line.hold,
        });
        PlaceRequest {
            cart: None,
            buyer: Some(self.buyer),
            delivery: self.delivery,
            token: self.payment_token,
            fingerprint,
            currency: self.currency.map(|currency| currency.0),
            wanted: wanted.collect(),
            trace: None,
        }
    }
}

/// 201 with the order as it was placed.
///
/// # Errors
/// When the answer shows something else, which would be a fault of ours.
pub fn placed(id: OrderId, done: &Done) -> Answer {
    let View::Order(order) = &done.view else { return Err(Failure::Crashed.into()) };
    let body = placed_body(id, order).ok_or_else(|| Problem::from(Failure::Crashed))?;
    Ok(Reply::json(StatusCode::CREATED, 384 + 192 * body.lines.0.len(), &body).replayed(done.replayed))
}

fn placed_body(id: OrderId, order: &Order) -> Option<OrderBody<'_>> {
    let placement = order.placement()?;
    Some(OrderBody {
        order: id,
        state: State::AwaitingPayment.word(),
        buyer: &placement.buyer,
        cart: placement.cart,
        delivery: placement.delivery.as_ref(),
        total: order.total()?.into(),
        lines: Lines(&placement.lines),
        placed_at: Time(order.placed_at()?),
        hold_expires_at: Time(placement.hold_expires_at),
    })
}

/// Reads an order.
pub async fn read(call: Call) -> Answer {
    let id: OrderId = call.path("order")?;
    let read = call.ask(EntityId::Order(id), Question::ReadOrder).await;
    let done = read.map_err(|failure| Problem::from(failure).of_order(id))?;
    let View::Order(order) = &done.view else { return Err(Failure::Crashed.into()) };
    let body = order_view::of(id, order, done.version).ok_or_else(|| Problem::from(Failure::Crashed))?;
    Ok(Reply::ok(2048, &body))
}

/// Lists orders.
pub async fn list(call: Call) -> Answer {
    let [buyer, state, from, to, attention, limit, after] =
        call.query(["buyer", "state", "from", "to", "attention", "limit", "after"])?;
    let limit = paging::limit(limit.as_deref())?;
    let filter = Filter {
        buyer: buyer.map(|buyer| BuyerRef::new(&buyer)).transpose().map_err(|e| Problem::bad_parameter("buyer", e))?,
        state: state.map(|word| state_of(&word)).transpose()?,
        from: from.map(|text| time("from", &text)).transpose()?,
        to: to.map(|text| time("to", &text)).transpose()?,
    };
    let attention = match attention.as_deref() {
        None | Some("false") => false,
        Some("true") if filter == Filter::default() => true,
        Some("true") => return Err(Problem::bad_parameter("attention", "takes no other filter beside it")),
        Some(_) => return Err(Problem::bad_parameter("attention", "expected true or false")),
    };
    let page = call
        .read_lists(move |reader| match attention {
            true => reader.attention(after.as_deref(), limit),
            false => reader.orders(&filter, after.as_deref(), limit),
        })
        .await?;
    let data = page.rows.iter().filter_map(|row| order_view::of(row.id, &row.order, row.version)).collect();
    Ok(Reply::ok(4096, &OrdersBody { data, has_more: page.next.is_some(), next: page.next.as_deref() }))
}

fn state_of(word: &str) -> Result<State, Problem> {
    let state = State::ALL.into_iter().find(|state| state.word() == word);
    state.ok_or_else(|| {
        let words: Vec<_> = State::ALL.iter().map(|state| state.word()).collect();
        Problem::bad_parameter("state", format!("expected one of: {}", words.join(", ")))
    })
}

fn time(name: &'static str, text: &str) -> Result<stampede_actors::time::Timestamp, Problem> {
    Time::parse(text).map(|time| time.0).ok_or_else(|| Problem::bad_parameter(name, "expected RFC 3339 in UTC"))
}
