//! A request that costs what HTTP and JSON cost, and nothing else: what an order is measured against.

use crate::http::call::{Answer, Call};
use crate::http::idempotency::fingerprint;
use crate::http::orders::{Lines, OrderBody, PlaceOrder};
use crate::http::reply::Reply;
use crate::http::spec::{Spec, json, of};
use crate::http::wire::Time;
use actix_web::http::StatusCode;
use stampede_actors::ids::{HoldId, OrderId, SellerId};
use stampede_actors::money::Money;
use stampede_actors::order::{Line, State};

/// `POST /v1/noop`
pub const NOOP: Spec = Spec::post("/v1/noop", "noop", "Parses the body of an order and answers one of the same size.")
    .about("Does nothing else: for measuring what the rest costs.")
    .tag("measuring")
    .measure()
    .takes(of::<PlaceOrder>)
    .gives(&[json(201, "As if an order had been placed.", of::<OrderBody>)]);

/// Parses, and answers as many bytes as an order would.
pub async fn noop(mut call: Call) -> Answer {
    let body: PlaceOrder = call.json().await?;
    let fingerprint = fingerprint(&body);
    let mut order = OrderId(u128::from(fingerprint));
    let lines: Vec<_> = body
        .lines
        .iter()
        .enumerate()
        .map(|(index, line)| Line {
            sku: line.sku.clone(),
            seller: NOBODY.with(Clone::clone),
            units: line.units,
            unit_price: line.unit_price.map_or(FREE, Into::into),
            hold: HoldId(order.0 + index as u128),
            parts: Vec::new(),
        })
        .collect();
    order.0 |= 1 << 100;
    let now = call.app.engine().now();
    let answer = OrderBody {
        order,
        state: State::AwaitingPayment.word(),
        buyer: &body.buyer,
        cart: None,
        delivery: body.delivery.as_ref(),
        total: FREE.into(),
        lines: Lines(&lines),
        placed_at: Time(now),
        hold_expires_at: Time(now),
    };
    Ok(Reply::json(StatusCode::CREATED, 384 + 192 * lines.len(), &answer))
}

const FREE: Money = Money::zero(iso_currency::Currency::EUR);

thread_local! {
    static NOBODY: SellerId = SellerId::new("nobody").unwrap_or_else(|_| unreachable!("a good id"));
}
