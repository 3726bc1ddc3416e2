//! Carts: lines wanted, with the prices of the moment they were set. They claim nothing until they are checked out.

use crate::config::span;
use crate::http::call::{Answer, Call};
use crate::http::idempotency::{keyed_fingerprint, reuses_key};
use crate::http::orders::{OrderBody, placed};
use crate::http::problem::{Problem, kinds};
use crate::http::reply::Reply;
use crate::http::spec::{Spec, json, of};
use crate::http::wire::{Amount, Time};
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use stampede_actors::cart::{Cart, Command, Line, State};
use stampede_actors::ids::{BuyerRef, CartId, EntityId, OrderId, Reference, SellerId, SkuId};
use stampede_actors::order;
use stampede_actors::shell::message::{CheckOut, Done, Failure, Question, View};
use stampede_actors::sku::Units;

/// `POST /v1/carts`
pub const OPEN: Spec = Spec::post("/v1/carts", "openCart", "Opens a cart.")
    .about("Its id is its capability: whoever knows it may change it.")
    .tag("carts")
    .idempotent()
    .names_buyer()
    .takes(of::<OpenCart>)
    .gives(&[json(201, "It is open.", of::<OpenedBody>)]);

/// `GET /v1/carts/{cart}`
pub const READ: Spec = Spec::get("/v1/carts/{cart}", "getCart", "A cart.")
    .tag("carts")
    .gives(&[json(200, "The cart.", of::<CartBody>)])
    .fails(&[&kinds::UNKNOWN_CART]);

/// `PUT /v1/carts/{cart}/lines/{sku}`
pub const PUT_LINE: Spec =
    Spec::put("/v1/carts/{cart}/lines/{sku}", "putCartLine", "Sets a line; the price is the SKU's of now.")
        .about("Repeating it changes nothing while the price stays. A cart claims no units: that is the checkout.")
        .tag("carts")
        .takes(of::<PutLine>)
        .gives(&[json(200, "The cart with the line.", of::<CartBody>)])
        .fails(CHANGE_FAILS);

/// `DELETE /v1/carts/{cart}/lines/{sku}`
pub const DELETE_LINE: Spec = Spec::delete("/v1/carts/{cart}/lines/{sku}", "deleteCartLine", "Takes a line out.")
    .about("Repeating it changes nothing.")
    .tag("carts")
    .gives(&[json(200, "The cart without the line.", of::<CartBody>)])
    .fails(&[&kinds::UNKNOWN_CART, &kinds::CART_CHECKED_OUT, &kinds::CART_ABANDONED]);

const CHANGE_FAILS: &[&kinds::Kind] = &[
    &kinds::UNKNOWN_CART,
    &kinds::UNKNOWN_SKU,
    &kinds::CART_CHECKED_OUT,
    &kinds::CART_ABANDONED,
    &kinds::CURRENCY_MISMATCH,
    &kinds::TOO_MANY_LINES,
    &kinds::BAD_UNITS,
    &kinds::BAD_PRICE,
];

/// `POST /v1/carts/{cart}/checkout`
pub const CHECK_OUT: Spec = Spec::post("/v1/carts/{cart}/checkout", "checkOutCart", "Turns a cart into an order.")
    .about(
        "A cart becomes one order, for ever: whoever checks it out again, with any key, is answered with that order as it was \
         placed, whatever the new request says. Only the key that placed it, with other content, is refused as reused.",
    )
    .tag("carts")
    .idempotent()
    .purchase()
    .takes(of::<CheckOutCart>)
    .gives(&[json(201, "The order awaits payment.", of::<OrderBody>)])
    .fails(&[
        &kinds::UNKNOWN_CART,
        &kinds::CART_EMPTY,
        &kinds::CART_ABANDONED,
        &kinds::UNKNOWN_SKU,
        &kinds::SOLD_OUT,
        &kinds::CONTENDED,
        &kinds::SALE_PAUSED,
        &kinds::BUYER_LIMIT,
        &kinds::CURRENCY_MISMATCH,
        &kinds::INVALID_ORDER,
    ]);

/// A new cart.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenCart {
    /// The marketplace's opaque reference to the buyer: no personal data.
    #[schema(value_type = String, example = "buyer-17")]
    buyer: BuyerRef,
}

/// A line.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutLine {
    /// How many units.
    #[serde(deserialize_with = "crate::http::wire::units")]
    #[schema(minimum = 1, maximum = 1_000_000_000, example = 1)]
    units: Units,
}

/// How the cart is paid and where it goes.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckOutCart {
    /// What pays: the provider's token.
    #[schema(value_type = String, example = "tok_ok")]
    payment_token: Reference,
    /// Where to: an opaque reference.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    delivery: Option<Reference>,
}

/// A cart that was just opened. Only what the request said, so that a repeat has the same bytes.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = OpenedCart)]
struct OpenedBody<'a> {
    /// Its id, and the capability to change it.
    #[schema(value_type = String, example = "crt_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    cart: CartId,
    /// Whose it is.
    #[schema(value_type = String, example = "buyer-17")]
    buyer: &'a BuyerRef,
    /// `open`.
    #[schema(value_type = String, example = "open")]
    state: &'static str,
}

/// A cart.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Cart)]
struct CartBody<'a> {
    /// Its id.
    #[schema(value_type = String, example = "crt_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    cart: CartId,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "buyer-17")]
    buyer: Option<&'a BuyerRef>,
    /// `open`, `checked_out` or `abandoned`.
    #[schema(value_type = String, example = "open")]
    state: &'static str,
    /// What it became.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    order: Option<OrderId>,
    /// In the order in which they were first set.
    lines: Vec<LineBody<'a>>,
    /// The sum of its lines; absent without lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Amount>,
    /// Abandoned then, unless it changes before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Time>,
    /// Events of the cart so far.
    version: u64,
}

/// One SKU wanted.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = CartLine)]
struct LineBody<'a> {
    /// Which SKU.
    #[schema(value_type = String, example = "hoodie-m")]
    sku: &'a SkuId,
    /// Who sells it.
    #[schema(value_type = String, example = "acme")]
    seller: &'a SellerId,
    /// How many units.
    units: Units,
    /// Price of one unit when the line was set.
    unit_price: Amount,
}

/// Opens a cart.
pub async fn open(mut call: Call) -> Answer {
    let body: OpenCart = call.json().await?;
    call.limit_buyer(&body.buyer).await?;
    let cart = call.app.engine().ids().cart(&call.scope(""), call.key());
    let command = Command::Open { buyer: body.buyer.clone(), ttl: span(call.app.cart_ttl) };
    let done = call.ask(EntityId::Cart(cart), Question::Cart(command)).await?;
    let opened = OpenedBody { cart, buyer: &body.buyer, state: "open" };
    Ok(Reply::json(StatusCode::CREATED, 160, &opened).replayed(done.replayed))
}

/// Reads a cart.
pub async fn read(call: Call) -> Answer {
    let cart: CartId = call.path("cart")?;
    let done = call.ask(EntityId::Cart(cart), Question::ReadCart).await?;
    answer(cart, &done)
}

/// Sets a line: the SKU says its price, then the cart takes it in.
pub async fn put_line(mut call: Call) -> Answer {
    let (cart, sku): (CartId, SkuId) = (call.path("cart")?, call.path("sku")?);
    let PutLine { units } = call.json().await?;
    let seen = call.ask(EntityId::Sku(sku.clone()), Question::ReadSku).await?;
    let View::Sku(view) = seen.view else { return Err(Failure::Crashed.into()) };
    let line = Line { sku, seller: view.listing.seller, units, unit_price: view.listing.price };
    let done = call.ask(EntityId::Cart(cart), Question::Cart(Command::SetLine(line))).await?;
    answer(cart, &done)
}

/// Takes a line out.
pub async fn delete_line(call: Call) -> Answer {
    let (cart, sku): (CartId, SkuId) = (call.path("cart")?, call.path("sku")?);
    let done = call.ask(EntityId::Cart(cart), Question::Cart(Command::RemoveLine { sku })).await?;
    answer(cart, &done)
}

/// Turns a cart into its order.
pub async fn check_out(mut call: Call) -> Answer {
    let cart: CartId = call.path("cart")?;
    let body: CheckOutCart = call.json().await?;
    let fingerprint = keyed_fingerprint(call.op(cart), &body);
    let id = call.app.engine().ids().order_of_cart(cart);
    let _permit = call.permit(cart.slot())?;
    call.is_about(id);
    let (token, trace) = (body.payment_token, call.trace.map(Box::new));
    let check_out = CheckOut { order: id, token, delivery: body.delivery, fingerprint, trace };
    let asked = call.ask(EntityId::Cart(cart), Question::CheckOut(Box::new(check_out))).await;
    let done = asked.map_err(|failure| Problem::from(failure).of_order(id))?;
    if let View::Order(order) = &done.view
        && order.placement().is_some_and(|placement| reuses_key(placement.fingerprint, fingerprint))
    {
        return Err(Problem::from(Failure::Order(order::Refusal::Reused)));
    }
    placed(id, &done)
}

fn answer(cart: CartId, done: &Done) -> Answer {
    let View::Cart(view) = &done.view else { return Err(Failure::Crashed.into()) };
    Ok(Reply::ok(512, &body(cart, view, done.version)))
}

fn body(id: CartId, cart: &Cart, version: u64) -> CartBody<'_> {
    let state = match cart.state() {
        State::Unopened | State::Open => "open",
        State::CheckedOut(_) => "checked_out",
        State::Abandoned => "abandoned",
    };
    let lines = cart.lines().iter().map(|line| LineBody {
        sku: &line.sku,
        seller: &line.seller,
        units: line.units,
        unit_price: line.unit_price.into(),
    });
    CartBody {
        cart: id,
        buyer: cart.buyer(),
        state,
        order: cart.order(),
        lines: lines.collect(),
        total: cart.total().map(Amount::from),
        expires_at: cart.deadline().map(Time),
        version,
    }
}
