//! An order as it stands, with all that happened to it.

use crate::http::wire::{Amount, Time};
use serde::{Serialize, Serializer};
use stampede_actors::ids::{BuyerRef, CartId, HoldId, LocationId, OpId, OrderId, Reference, SellerId, SkuId};
use stampede_actors::order::{Attempt, Happening, Line, LineTally, LineUnits, Order, Refund, Return, Shipment};
use stampede_actors::sku::{Part, Units};

/// An order.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Order)]
pub struct OrderView<'a> {
    /// Its id.
    #[schema(value_type = String, example = "ord_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    order: OrderId,
    /// Where it stands: `awaiting_payment`, `authorised`, `allocated`, `captured`, `fulfilment_requested`,
    /// `partly_shipped`, `fulfilled`, `cancelling`, `cancelled` or `expired`.
    #[schema(value_type = String, example = "captured")]
    state: &'static str,
    /// Events of the order so far.
    version: u64,
    /// Who buys.
    #[schema(value_type = String, example = "buyer-17")]
    buyer: &'a BuyerRef,
    /// The cart it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    cart: Option<CartId>,
    /// Where to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    delivery: Option<&'a Reference>,
    /// What it costs.
    total: Amount,
    /// Money taken.
    captured: Amount,
    /// Money given back for certain.
    refunded: Amount,
    /// Why a person must look: `unanswered`, `unfulfilled`, `refund_refused` … Gone once it is acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    attention: Option<&'static str>,
    /// One per SKU or hold.
    lines: Vec<LineView<'a>>,
    /// Tries to collect the total, oldest first.
    payments: Vec<PaymentView<'a>>,
    /// Money going back, oldest first; that of a cancellation too.
    refunds: Vec<RefundBody<'a>>,
    /// Units that left, oldest first.
    shipments: Vec<ShipmentBody<'a>>,
    /// Units that came back, oldest first.
    returns: Vec<ReturnBody<'a>>,
    /// Work outside the order without a definite answer.
    open_steps: Vec<StepView>,
    /// When it was placed.
    #[schema(value_type = String, format = DateTime)]
    placed_at: Time,
    /// It ran or runs out then, unless it was paid before.
    #[schema(value_type = String, format = DateTime)]
    hold_expires_at: Time,
    /// What happened, oldest first, at most 256 entries.
    timeline: Vec<HappeningView<'a>>,
}

/// One line and what became of its units.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = OrderLineView)]
struct LineView<'a> {
    /// Its number in shipments, returns and refunds.
    line: usize,
    /// Which SKU.
    #[schema(value_type = String, example = "hoodie-m")]
    sku: &'a SkuId,
    /// Who sells it.
    #[schema(value_type = String, example = "acme")]
    seller: &'a SellerId,
    /// Units ordered.
    units: Units,
    /// Frozen price of one unit.
    unit_price: Amount,
    /// The hold behind it.
    #[schema(value_type = String)]
    hold: HoldId,
    /// Where the units are, or were.
    parts: Vec<PartView<'a>>,
    /// Units that left.
    shipped: Units,
    /// Units still to be shipped.
    to_ship: Units,
    /// Units that came back.
    returned: Units,
    /// Units whose money was given back, or is being given back.
    refunded: Units,
}

/// Units at one location.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = LinePart)]
struct PartView<'a> {
    /// Where.
    #[schema(value_type = String, example = "berlin")]
    location: &'a LocationId,
    /// How many.
    units: Units,
}

/// One try to collect the total.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Payment)]
struct PaymentView<'a> {
    /// From 1.
    attempt: u32,
    /// The operation that asked for it; absent for the first, which came with the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    payment: Option<OpId>,
    /// `open`, `declined`, `authorised`, `voiding`, `voided`, `captured` …
    #[schema(value_type = String, example = "captured")]
    state: &'static str,
    /// The provider's own reference, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    reference: Option<&'a Reference>,
    /// Why it was declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    declined: Option<&'a str>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    opened_at: Time,
}

/// Money going back.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RefundView)]
struct RefundBody<'a> {
    #[serde(flatten)]
    facts: RefundFacts<'a>,
    /// `waiting`, `open`, `done`, `refused` or `lapsed`.
    #[schema(value_type = String, example = "done")]
    state: &'static str,
}

/// A refund as it was requested: the same bytes at every repeat.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Refund)]
pub struct RefundFacts<'a> {
    /// Its id; small numbers are the order's own, of cancellations.
    #[schema(value_type = String, example = "op_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    refund: OpId,
    /// How much.
    amount: Amount,
    /// The units it covers.
    #[serde(serialize_with = "lines")]
    #[schema(value_type = Vec<LineUnitsBody>)]
    lines: &'a [LineUnits],
    /// Do units that were not shipped become available again?
    restock: bool,
    /// When it was requested.
    #[schema(value_type = String, format = DateTime)]
    requested_at: Time,
}

/// Units that left.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Shipment)]
pub struct ShipmentBody<'a> {
    /// Its id.
    #[schema(value_type = String, example = "op_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    shipment: OpId,
    /// From where.
    #[schema(value_type = String, example = "berlin")]
    location: &'a LocationId,
    /// What.
    #[serde(serialize_with = "lines")]
    #[schema(value_type = Vec<LineUnitsBody>)]
    lines: &'a [LineUnits],
    /// The carrier's reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    tracking: Option<&'a Reference>,
    /// When it was reported.
    #[schema(value_type = String, format = DateTime)]
    reported_at: Time,
}

/// Units that came back.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Return)]
pub struct ReturnBody<'a> {
    /// Its id.
    #[schema(value_type = String, example = "op_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
    r#return: OpId,
    /// To where.
    #[schema(value_type = String, example = "berlin")]
    location: &'a LocationId,
    /// What.
    #[serde(serialize_with = "lines")]
    #[schema(value_type = Vec<LineUnitsBody>)]
    lines: &'a [LineUnits],
    /// Do they become available again?
    restock: bool,
    /// When it was reported.
    #[schema(value_type = String, format = DateTime)]
    reported_at: Time,
}

/// Units of one line.
#[derive(Debug, Clone, Copy, Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LineUnits)]
pub struct LineUnitsBody {
    /// Number of the line, from 0.
    #[schema(example = 0)]
    pub line: u32,
    /// How many.
    #[serde(deserialize_with = "crate::http::wire::units")]
    #[schema(minimum = 1, example = 1)]
    pub units: Units,
}

/// A step without a definite answer.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = OpenStep)]
struct StepView {
    /// What is to be done.
    #[schema(value_type = String, example = "authorize")]
    step: &'static str,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    opened_at: Time,
    /// How often it was asked for.
    tries: u32,
    /// When it is asked for again.
    #[schema(value_type = String, format = DateTime)]
    ask_at: Time,
}

/// Something that happened.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Happening)]
struct HappeningView<'a> {
    /// When; of several in a row, the last.
    #[schema(value_type = String, format = DateTime)]
    at: Time,
    /// A stable word.
    #[schema(value_type = String, example = "placed")]
    what: &'static str,
    /// The attempt, operation, refusal code or reason.
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    /// How often in a row.
    times: u32,
}

/// The order as it stands; `None` before it was placed.
#[must_use]
pub fn of(id: OrderId, order: &Order, version: u64) -> Option<OrderView<'_>> {
    let placement = order.placement()?;
    let tallies = order.tallies();
    let lines = placement.lines.iter().zip(tallies).enumerate();
    Some(OrderView {
        order: id,
        state: order.state()?.word(),
        version,
        buyer: &placement.buyer,
        cart: placement.cart,
        delivery: placement.delivery.as_ref(),
        total: order.total()?.into(),
        captured: order.captured()?.into(),
        refunded: order.refunded()?.into(),
        attention: order.attention().map(|attention| attention.word()),
        lines: lines.map(|(number, (line, tally))| LineView::of(number, line, tally)).collect(),
        payments: order.attempts().iter().map(PaymentView::from).collect(),
        refunds: order.refunds().iter().map(RefundBody::from).collect(),
        shipments: order.shipments().iter().map(ShipmentBody::from).collect(),
        returns: order.returns().iter().map(ReturnBody::from).collect(),
        open_steps: order.open_steps().iter().map(StepView::from).collect(),
        placed_at: Time(order.placed_at()?),
        hold_expires_at: Time(placement.hold_expires_at),
        timeline: order.timeline().iter().map(HappeningView::from).collect(),
    })
}

fn lines<S: Serializer>(lines: &[LineUnits], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(lines.iter().map(|line| LineUnitsBody { line: line.line, units: line.units }))
}

impl<'a> LineView<'a> {
    fn of(number: usize, line: &'a Line, tally: LineTally) -> LineView<'a> {
        LineView {
            line: number,
            sku: &line.sku,
            seller: &line.seller,
            units: line.units,
            unit_price: line.unit_price.into(),
            hold: line.hold,
            parts: line.parts.iter().map(|Part { location, units }| PartView { location, units: *units }).collect(),
            shipped: tally.shipped,
            to_ship: tally.to_ship(),
            returned: tally.returned,
            refunded: tally.refunded,
        }
    }
}

impl<'a> From<&'a Attempt> for PaymentView<'a> {
    fn from(attempt: &'a Attempt) -> PaymentView<'a> {
        PaymentView {
            attempt: attempt.number,
            payment: attempt.payment,
            state: attempt.state.word(),
            reference: attempt.reference.as_ref(),
            declined: attempt.declined.as_deref(),
            opened_at: Time(attempt.opened_at),
        }
    }
}

impl<'a> From<&'a Refund> for RefundFacts<'a> {
    fn from(refund: &'a Refund) -> RefundFacts<'a> {
        RefundFacts {
            refund: refund.id,
            amount: refund.amount.into(),
            lines: &refund.lines,
            restock: refund.restock,
            requested_at: Time(refund.requested_at),
        }
    }
}

impl<'a> From<&'a Refund> for RefundBody<'a> {
    fn from(refund: &'a Refund) -> RefundBody<'a> {
        RefundBody { facts: refund.into(), state: refund.state.word() }
    }
}

impl<'a> From<&'a Shipment> for ShipmentBody<'a> {
    fn from(shipment: &'a Shipment) -> ShipmentBody<'a> {
        ShipmentBody {
            shipment: shipment.id,
            location: &shipment.location,
            lines: &shipment.lines,
            tracking: shipment.tracking.as_ref(),
            reported_at: Time(shipment.at),
        }
    }
}

impl<'a> From<&'a Return> for ReturnBody<'a> {
    fn from(back: &'a Return) -> ReturnBody<'a> {
        ReturnBody {
            r#return: back.id,
            location: &back.location,
            lines: &back.lines,
            restock: back.restock,
            reported_at: Time(back.at),
        }
    }
}

impl From<&stampede_actors::order::OpenStep> for StepView {
    fn from(open: &stampede_actors::order::OpenStep) -> StepView {
        StepView {
            step: open.step.word(),
            opened_at: Time(open.opened_at),
            tries: open.tries,
            ask_at: Time(open.ask_at),
        }
    }
}

impl<'a> From<&'a Happening> for HappeningView<'a> {
    fn from(happening: &'a Happening) -> HappeningView<'a> {
        HappeningView {
            at: Time(happening.at),
            what: happening.word,
            detail: &happening.detail,
            times: happening.times,
        }
    }
}
