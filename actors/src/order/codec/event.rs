//! Bytes of an order's events.

use super::parts::{
    AnswerMessage, PartMessage, PlacementMessage, StepMessage, UnitsMessage, read_answer, read_attention,
    read_line_parts, read_lines, read_placement, read_step, write_answer, write_attention, write_line_parts,
    write_lines, write_placement, write_step,
};
use crate::codec::Error;
use crate::codec::wire::{self, Bits, read_bits, read_money, read_optional_text, read_text, required};
use crate::ids::{LocationId, OpId, Reference};
use crate::order::{Event, LineUnits};
use crate::time::Timestamp;
use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
struct EventMessage {
    /// Every event of an order has a time.
    #[prost(int64, tag = "1")]
    at: i64,
    /// When the step that it opens is asked again, after `at`.
    #[prost(sint64, tag = "2")]
    ask_after: i64,
    #[prost(oneof = "Kind", tags = "3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Kind {
    #[prost(message, tag = "3")]
    Placed(PlacementMessage),
    #[prost(message, tag = "4")]
    PaymentRetried(PaymentRetriedMessage),
    #[prost(message, tag = "5")]
    Opened(OpenedMessage),
    #[prost(message, tag = "6")]
    Asked(AskedMessage),
    #[prost(message, tag = "7")]
    Answered(AnsweredMessage),
    #[prost(message, tag = "8")]
    CancelRequested(CancelRequestedMessage),
    /// The reason.
    #[prost(string, tag = "9")]
    Cancelled(String),
    #[prost(message, tag = "10")]
    Expired(ExpiredMessage),
    #[prost(message, tag = "11")]
    RefundRequested(RefundRequestedMessage),
    #[prost(message, tag = "12")]
    Shipped(MovedMessage),
    #[prost(message, tag = "13")]
    Returned(MovedMessage),
    #[prost(message, tag = "14")]
    AttentionNeeded(AttentionNeededMessage),
    #[prost(message, tag = "15")]
    AttentionAcknowledged(AttentionAcknowledgedMessage),
}

#[derive(Clone, PartialEq, Message)]
struct PaymentRetriedMessage {
    #[prost(message, optional, tag = "1")]
    payment: Option<Bits>,
    #[prost(fixed64, tag = "2")]
    fingerprint: u64,
    #[prost(uint32, tag = "3")]
    attempt: u32,
    #[prost(string, tag = "4")]
    token: String,
}

#[derive(Clone, PartialEq, Message)]
struct OpenedMessage {
    #[prost(message, optional, tag = "1")]
    step: Option<StepMessage>,
    /// After the event's time.
    #[prost(sint64, optional, tag = "2")]
    due_after: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct AskedMessage {
    #[prost(message, optional, tag = "1")]
    step: Option<StepMessage>,
    #[prost(uint32, tag = "2")]
    tries: u32,
}

#[derive(Clone, PartialEq, Message)]
struct AnsweredMessage {
    #[prost(message, optional, tag = "1")]
    step: Option<StepMessage>,
    #[prost(message, optional, tag = "2")]
    answer: Option<AnswerMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct CancelRequestedMessage {
    #[prost(message, optional, tag = "1")]
    cancel: Option<Bits>,
    #[prost(fixed64, tag = "2")]
    fingerprint: u64,
    #[prost(string, tag = "3")]
    reason: String,
}

#[derive(Clone, PartialEq, Message)]
struct ExpiredMessage {}

#[derive(Clone, PartialEq, Message)]
struct RefundRequestedMessage {
    #[prost(message, optional, tag = "1")]
    refund: Option<Bits>,
    #[prost(fixed64, tag = "2")]
    fingerprint: u64,
    #[prost(message, repeated, tag = "3")]
    lines: Vec<UnitsMessage>,
    #[prost(message, optional, tag = "4")]
    amount: Option<wire::Money>,
    #[prost(bool, tag = "5")]
    restock: bool,
    #[prost(message, repeated, tag = "6")]
    withheld: Vec<PartMessage>,
}

/// A shipment or a return.
#[derive(Clone, PartialEq, Message)]
struct MovedMessage {
    #[prost(message, optional, tag = "1")]
    operation: Option<Bits>,
    #[prost(fixed64, tag = "2")]
    fingerprint: u64,
    #[prost(string, tag = "3")]
    location: String,
    #[prost(message, repeated, tag = "4")]
    lines: Vec<UnitsMessage>,
    /// Of a shipment; empty: none.
    #[prost(string, tag = "5")]
    tracking: String,
    /// Of a return.
    #[prost(bool, tag = "6")]
    restock: bool,
}

#[derive(Clone, PartialEq, Message)]
struct AttentionNeededMessage {
    #[prost(uint32, tag = "1")]
    reason: u32,
    #[prost(message, optional, tag = "2")]
    step: Option<StepMessage>,
    /// After the event's time.
    #[prost(sint64, optional, tag = "3")]
    again_after: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct AttentionAcknowledgedMessage {
    #[prost(message, optional, tag = "1")]
    acknowledgement: Option<Bits>,
    #[prost(fixed64, tag = "2")]
    fingerprint: u64,
    /// 0: every reason.
    #[prost(uint32, tag = "3")]
    reason: u32,
    #[prost(string, tag = "4")]
    note: String,
}

/// The event's bytes.
#[must_use]
pub fn encode_event(event: &Event) -> Vec<u8> {
    let (at, ask_at, kind) = match event {
        Event::Placed { placement, total, at, ask_at } => {
            (*at, Some(*ask_at), Kind::Placed(write_placement(placement, *total, *at)))
        }
        Event::PaymentRetried { payment, fingerprint, attempt, token, at, ask_at } => {
            let (payment, token) = (Some(payment.0.into()), token.to_string());
            let message = PaymentRetriedMessage { payment, fingerprint: *fingerprint, attempt: *attempt, token };
            (*at, Some(*ask_at), Kind::PaymentRetried(message))
        }
        Event::Opened { step, at, ask_at, due } => {
            let due_after = due.map(|due| after(due, *at));
            (*at, Some(*ask_at), Kind::Opened(OpenedMessage { step: Some(write_step(*step)), due_after }))
        }
        Event::Asked { step, tries, at, ask_at } => {
            (*at, Some(*ask_at), Kind::Asked(AskedMessage { step: Some(write_step(*step)), tries: *tries }))
        }
        Event::Answered { step, answer, at } => {
            let message = AnsweredMessage { step: Some(write_step(*step)), answer: Some(write_answer(answer)) };
            (*at, None, Kind::Answered(message))
        }
        Event::CancelRequested { cancel, fingerprint, reason, at } => {
            let (cancel, reason) = (Some(cancel.0.into()), reason.clone());
            (*at, None, Kind::CancelRequested(CancelRequestedMessage { cancel, fingerprint: *fingerprint, reason }))
        }
        Event::Cancelled { reason, at } => (*at, None, Kind::Cancelled(reason.clone())),
        Event::Expired { at } => (*at, None, Kind::Expired(ExpiredMessage {})),
        Event::RefundRequested { refund, fingerprint, lines, amount, restock, withheld, at } => {
            let message = RefundRequestedMessage {
                refund: Some(refund.0.into()),
                fingerprint: *fingerprint,
                lines: write_lines(lines),
                amount: Some((*amount).into()),
                restock: *restock,
                withheld: write_line_parts(withheld),
            };
            (*at, None, Kind::RefundRequested(message))
        }
        Event::Shipped { shipment, fingerprint, location, lines, tracking, at, ask_at } => {
            let tracking = tracking.as_ref().map(ToString::to_string).unwrap_or_default();
            let message = MovedMessage { tracking, ..moved(*shipment, *fingerprint, location, lines) };
            (*at, Some(*ask_at), Kind::Shipped(message))
        }
        Event::Returned { return_id, fingerprint, location, lines, restock, at } => {
            let message = MovedMessage { restock: *restock, ..moved(*return_id, *fingerprint, location, lines) };
            (*at, None, Kind::Returned(message))
        }
        Event::AttentionNeeded { reason, step, at, again_at } => {
            let message = AttentionNeededMessage {
                reason: write_attention(*reason),
                step: step.map(write_step),
                again_after: again_at.map(|again_at| after(again_at, *at)),
            };
            (*at, None, Kind::AttentionNeeded(message))
        }
        Event::AttentionAcknowledged { acknowledgement, fingerprint, reason, note, at } => {
            let message = AttentionAcknowledgedMessage {
                acknowledgement: Some(acknowledgement.0.into()),
                fingerprint: *fingerprint,
                reason: reason.map_or(0, write_attention),
                note: note.to_string(),
            };
            (*at, None, Kind::AttentionAcknowledged(message))
        }
    };
    let ask_after = ask_at.map_or(0, |ask_at| after(ask_at, at));
    EventMessage { at: at.0, ask_after, kind: Some(kind) }.encode_to_vec()
}

/// The event of these bytes.
///
/// # Errors
/// [`Error`] when they are none that this version knows.
pub fn decode_event(bytes: &[u8]) -> Result<Event, Error> {
    let EventMessage { at, ask_after, kind } = EventMessage::decode(bytes)?;
    let at = Timestamp(at);
    let then = |after: i64| Timestamp(at.0.wrapping_add(after));
    let ask_at = then(ask_after);
    Ok(match kind.ok_or(Error::UnknownEvent("order"))? {
        Kind::Placed(message) => {
            let (placement, total) = read_placement(message, at)?;
            Event::Placed { placement, total, at, ask_at }
        }
        Kind::PaymentRetried(message) => Event::PaymentRetried {
            payment: OpId(read_bits(message.payment, "payment")?),
            fingerprint: message.fingerprint,
            attempt: message.attempt,
            token: read_text(&message.token, "token")?,
            at,
            ask_at,
        },
        Kind::Opened(message) => {
            Event::Opened { step: read_step(message.step)?, at, ask_at, due: message.due_after.map(then) }
        }
        Kind::Asked(message) => Event::Asked { step: read_step(message.step)?, tries: message.tries, at, ask_at },
        Kind::Answered(message) => {
            Event::Answered { step: read_step(message.step)?, answer: read_answer(message.answer)?, at }
        }
        Kind::CancelRequested(message) => Event::CancelRequested {
            cancel: OpId(read_bits(message.cancel, "cancel")?),
            fingerprint: message.fingerprint,
            reason: message.reason,
            at,
        },
        Kind::Cancelled(reason) => Event::Cancelled { reason, at },
        Kind::Expired(ExpiredMessage {}) => Event::Expired { at },
        Kind::RefundRequested(message) => Event::RefundRequested {
            refund: OpId(read_bits(message.refund, "refund")?),
            fingerprint: message.fingerprint,
            lines: read_lines(&message.lines),
            amount: read_money(message.amount, "amount")?,
            restock: message.restock,
            withheld: read_line_parts(&message.withheld)?,
            at,
        },
        Kind::Shipped(message) => {
            let tracking: Option<Reference> = read_optional_text(&message.tracking, "tracking")?;
            let (shipment, fingerprint, location, lines) = read_moved(&message)?;
            Event::Shipped { shipment, fingerprint, location, lines, tracking, at, ask_at }
        }
        Kind::Returned(message) => {
            let (return_id, fingerprint, location, lines) = read_moved(&message)?;
            Event::Returned { return_id, fingerprint, location, lines, restock: message.restock, at }
        }
        Kind::AttentionNeeded(message) => Event::AttentionNeeded {
            reason: read_attention(message.reason)?,
            step: message.step.map(|step| read_step(Some(step))).transpose()?,
            at,
            again_at: message.again_after.map(then),
        },
        Kind::AttentionAcknowledged(message) => Event::AttentionAcknowledged {
            acknowledgement: OpId(read_bits(message.acknowledgement, "acknowledgement")?),
            fingerprint: message.fingerprint,
            reason: (message.reason != 0).then(|| read_attention(message.reason)).transpose()?,
            note: read_text(&message.note, "note")?,
            at,
        },
    })
}

fn after(then: Timestamp, at: Timestamp) -> i64 {
    then.0.wrapping_sub(at.0)
}

fn moved(operation: OpId, fingerprint: u64, location: &LocationId, lines: &[LineUnits]) -> MovedMessage {
    let (operation, location) = (Some(operation.0.into()), location.to_string());
    MovedMessage { operation, fingerprint, location, lines: write_lines(lines), ..MovedMessage::default() }
}

fn read_moved(message: &MovedMessage) -> Result<(OpId, u64, LocationId, Vec<LineUnits>), Error> {
    let operation = OpId(u128::from(required(message.operation, "operation")?));
    Ok((operation, message.fingerprint, read_text(&message.location, "location")?, read_lines(&message.lines)))
}
