//! Messages that events and snapshots of an order share. Numbers of enums are append only.

use crate::codec::Error;
use crate::codec::wire::{self, Bits, read_bits, read_optional_text, read_parts, read_text, required};
use crate::ids::{CartId, HoldId, OpId};
use crate::money::Money;
use crate::order::{Answer, Attention, Line, LinePart, LineUnits, Placement, Step};
use crate::sku::Part;
use crate::time::Timestamp;
use iso_currency::Currency;
use prost::Message;

/// Written once per order on the hot path: the currency once, a seller or location only where it differs from the
/// line before, deadlines as what they are after the order's own time.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PlacementMessage {
    #[prost(message, optional, tag = "1")]
    cart: Option<Bits>,
    #[prost(string, tag = "2")]
    buyer: String,
    #[prost(string, tag = "3")]
    delivery: String,
    #[prost(string, tag = "4")]
    token: String,
    #[prost(fixed64, tag = "5")]
    fingerprint: u64,
    #[prost(uint32, tag = "6")]
    currency: u32,
    #[prost(message, repeated, tag = "7")]
    lines: Vec<PlacedLine>,
    #[prost(sint64, tag = "8")]
    hold_expires_after: i64,
    #[prost(sint64, tag = "9")]
    total: i64,
    /// 16 bytes of trace and 8 of span; empty: none that is kept.
    #[prost(bytes = "vec", tag = "10")]
    trace: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct PlacedLine {
    #[prost(string, tag = "1")]
    sku: String,
    /// Empty: as in the line before.
    #[prost(string, tag = "2")]
    seller: String,
    #[prost(uint32, tag = "3")]
    units: u32,
    #[prost(sint64, tag = "4")]
    unit_price: i64,
    #[prost(fixed64, tag = "5")]
    hold_high: u64,
    #[prost(fixed64, tag = "6")]
    hold_low: u64,
    /// Of all the units. Empty: as in the line before, or see `parts`.
    #[prost(string, tag = "7")]
    location: String,
    /// Where the units are when they are at several locations.
    #[prost(message, repeated, tag = "8")]
    parts: Vec<wire::Part>,
}

pub(super) fn write_placement(placement: &Placement, total: Money, at: Timestamp) -> PlacementMessage {
    let mut before: Option<&Line> = None;
    let mut lines = Vec::with_capacity(placement.lines.len());
    for line in &placement.lines {
        let same_seller = before.is_some_and(|before| before.seller == line.seller);
        let only = |line: &Line| (line.parts.len() == 1).then(|| line.parts[0].location.clone());
        let location = only(line).filter(|here| before.and_then(only).as_ref() != Some(here));
        lines.push(PlacedLine {
            sku: line.sku.to_string(),
            seller: if same_seller { String::new() } else { line.seller.to_string() },
            units: line.units,
            unit_price: line.unit_price.minor,
            hold_high: (line.hold.0 >> 64) as u64,
            hold_low: line.hold.0 as u64,
            location: location.map(|location| location.to_string()).unwrap_or_default(),
            parts: if line.parts.len() == 1 { Vec::new() } else { wire::parts(&line.parts) },
        });
        before = Some(line);
    }
    PlacementMessage {
        cart: placement.cart.map(|cart| cart.0.into()),
        buyer: placement.buyer.to_string(),
        delivery: placement.delivery.as_ref().map(ToString::to_string).unwrap_or_default(),
        token: placement.token.to_string(),
        fingerprint: placement.fingerprint,
        currency: u32::from(total.currency.numeric()),
        lines,
        hold_expires_after: placement.hold_expires_at.0.wrapping_sub(at.0),
        total: total.minor,
        trace: placement.trace.as_ref().map(|link| link.to_bytes().to_vec()).unwrap_or_default(),
    }
}

pub(super) fn read_placement(message: PlacementMessage, at: Timestamp) -> Result<(Placement, Money), Error> {
    let number = u16::try_from(message.currency).map_err(|_| Error::Invalid("currency"))?;
    let currency = Currency::from_numeric(number).ok_or(Error::Invalid("currency"))?;
    let mut lines: Vec<Line> = Vec::with_capacity(message.lines.len());
    for line in message.lines {
        let before = lines.last();
        let seller = match before {
            Some(before) if line.seller.is_empty() => before.seller.clone(),
            _ => read_text(&line.seller, "seller")?,
        };
        let parts = match before.and_then(|before| before.parts.first()) {
            // All units at one location are never written as parts: their count is the line's.
            _ if line.parts.len() == 1 => return Err(Error::Invalid("parts")),
            _ if !line.parts.is_empty() => read_parts(&line.parts, "parts")?,
            Some(part) if line.location.is_empty() => vec![Part { location: part.location.clone(), units: line.units }],
            _ => vec![Part { location: read_text(&line.location, "location")?, units: line.units }],
        };
        lines.push(Line {
            sku: read_text(&line.sku, "sku")?,
            seller,
            units: line.units,
            unit_price: Money { minor: line.unit_price, currency },
            hold: HoldId((u128::from(line.hold_high) << 64) | u128::from(line.hold_low)),
            parts,
        });
    }
    let placement = Placement {
        cart: message.cart.map(|cart| CartId(cart.into())),
        buyer: read_text(&message.buyer, "buyer")?,
        delivery: read_optional_text(&message.delivery, "delivery")?,
        token: read_text(&message.token, "token")?,
        fingerprint: message.fingerprint,
        lines,
        hold_expires_at: Timestamp(at.0.wrapping_add(message.hold_expires_after)),
        trace: wire::read_trace(&message.trace)?.map(Box::new),
    };
    Ok((placement, Money { minor: message.total, currency }))
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct StepMessage {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(uint32, tag = "2")]
    attempt: u32,
    #[prost(message, optional, tag = "3")]
    operation: Option<Bits>,
}

pub(super) fn write_step(step: Step) -> StepMessage {
    let (kind, attempt, operation) = match step {
        Step::Authorize { attempt } => (1, attempt, None),
        Step::Allocate => (2, 0, None),
        Step::Capture { attempt } => (3, attempt, None),
        Step::Void { attempt } => (4, attempt, None),
        Step::Refund { refund } => (5, 0, Some(refund)),
        Step::Fulfil => (6, 0, None),
        Step::CallOff { refund } => (7, 0, Some(refund)),
        Step::GiveBack => (8, 0, None),
        Step::GiveBackUnits { refund } => (9, 0, Some(refund)),
        Step::ShipStock { shipment } => (10, 0, Some(shipment)),
        Step::ReturnStock { return_id } => (11, 0, Some(return_id)),
    };
    StepMessage { kind, attempt, operation: operation.map(|op| op.0.into()) }
}

pub(super) fn read_step(message: Option<StepMessage>) -> Result<Step, Error> {
    let StepMessage { kind, attempt, operation } = required(message, "step")?;
    let op = || read_bits(operation, "operation of a step").map(OpId);
    Ok(match kind {
        1 => Step::Authorize { attempt },
        2 => Step::Allocate,
        3 => Step::Capture { attempt },
        4 => Step::Void { attempt },
        5 => Step::Refund { refund: op()? },
        6 => Step::Fulfil,
        7 => Step::CallOff { refund: op()? },
        8 => Step::GiveBack,
        9 => Step::GiveBackUnits { refund: op()? },
        10 => Step::ShipStock { shipment: op()? },
        11 => Step::ReturnStock { return_id: op()? },
        _ => return Err(Error::Invalid("step")),
    })
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AnswerMessage {
    /// 0 unknown, 1 done, 2 refused.
    #[prost(uint32, tag = "1")]
    outcome: u32,
    /// The reference of what was done, or the code of the refusal.
    #[prost(string, tag = "2")]
    text: String,
}

pub(super) fn write_answer(answer: &Answer) -> AnswerMessage {
    match answer {
        Answer::Unknown => AnswerMessage { outcome: 0, text: String::new() },
        Answer::Done { reference } => {
            AnswerMessage { outcome: 1, text: reference.as_ref().map(ToString::to_string).unwrap_or_default() }
        }
        Answer::Refused { code } => AnswerMessage { outcome: 2, text: code.clone() },
    }
}

pub(super) fn read_answer(message: Option<AnswerMessage>) -> Result<Answer, Error> {
    let AnswerMessage { outcome, text } = required(message, "answer")?;
    Ok(match outcome {
        0 => Answer::Unknown,
        1 => Answer::Done { reference: read_optional_text(&text, "reference")? },
        2 => Answer::Refused { code: text },
        _ => return Err(Error::Invalid("answer")),
    })
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct UnitsMessage {
    #[prost(uint32, tag = "1")]
    line: u32,
    #[prost(uint32, tag = "2")]
    units: u32,
}

pub(super) fn write_lines(lines: &[LineUnits]) -> Vec<UnitsMessage> {
    lines.iter().map(|line| UnitsMessage { line: line.line, units: line.units }).collect()
}

pub(super) fn read_lines(lines: &[UnitsMessage]) -> Vec<LineUnits> {
    lines.iter().map(|line| LineUnits { line: line.line, units: line.units }).collect()
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PartMessage {
    #[prost(uint32, tag = "1")]
    line: u32,
    #[prost(string, tag = "2")]
    location: String,
    #[prost(uint32, tag = "3")]
    units: u32,
}

pub(super) fn write_line_parts(parts: &[LinePart]) -> Vec<PartMessage> {
    let write =
        |part: &LinePart| PartMessage { line: part.line, location: part.location.to_string(), units: part.units };
    parts.iter().map(write).collect()
}

pub(super) fn read_line_parts(parts: &[PartMessage]) -> Result<Vec<LinePart>, Error> {
    let read = |part: &PartMessage| {
        Ok(LinePart { line: part.line, location: read_text(&part.location, "location")?, units: part.units })
    };
    parts.iter().map(read).collect()
}

pub(super) fn write_attention(attention: Attention) -> u32 {
    match attention {
        Attention::Unanswered => 1,
        Attention::Unfulfilled => 2,
        Attention::RefundRefused => 3,
        Attention::VoidRefused => 4,
        Attention::FulfilmentRefused => 5,
        Attention::StockRefused => 6,
        Attention::Contradiction => 7,
    }
}

pub(super) fn read_attention(number: u32) -> Result<Attention, Error> {
    Ok(match number {
        1 => Attention::Unanswered,
        2 => Attention::Unfulfilled,
        3 => Attention::RefundRefused,
        4 => Attention::VoidRefused,
        5 => Attention::FulfilmentRefused,
        6 => Attention::StockRefused,
        7 => Attention::Contradiction,
        _ => return Err(Error::Invalid("attention")),
    })
}
