//! A message as RabbitMQ carries it: who and what in a small JSON body, its name, time and trace in its properties.

use crate::feed::Message;
use crate::traces::parent;
use crate::workflows::wire::OutsideStep;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use serde::{Deserialize, Serialize};
use stampede_actors::ids::OrderId;
use stampede_actors::record::Position;
use stampede_actors::time::Timestamp;

/// What the body is.
pub const CONTENT_TYPE: &str = "application/json";
/// What kind of message, and the version of its form. Another form gets another number; an old worker then sends the
/// message back, and a new one takes it.
pub const TYPE: &str = "stampede.step.v1";
/// Written to disk before it is confirmed.
const PERSISTENT: u8 = 2;
/// Header of the W3C trace context.
pub const TRACEPARENT: &str = parent::NAME;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    /// Log, frame and index: `0/17/3`.
    id: String,
    order: OrderId,
    step: OutsideStep,
    /// Engine time, microseconds since 1970.
    asked_at: i64,
    /// A worker may have seen it before.
    repeated: bool,
}

/// Why a message is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Poison {
    /// The kind of message, or the version of its form, is unknown here.
    #[error("a message of type {0:?}; this version knows {TYPE}")]
    Type(String),
    /// The body cannot be read.
    #[error("the body cannot be read: {0}")]
    Body(String),
}

/// Body and properties of a message. `None`: a step of our own SKUs, which no broker carries.
#[must_use]
pub fn write(message: &Message) -> Option<(Vec<u8>, BasicProperties)> {
    let body = Body {
        id: message.id.to_string(),
        order: message.order,
        step: OutsideStep::of(message.step)?,
        asked_at: message.at.0,
        repeated: message.inherited,
    };
    let mut headers = FieldTable::default();
    headers.insert(TRACEPARENT.into(), AMQPValue::LongString(traceparent(message).into()));
    let properties = BasicProperties::default()
        .with_content_type(CONTENT_TYPE.into())
        .with_type(TYPE.into())
        .with_message_id(body.id.as_str().into())
        .with_delivery_mode(PERSISTENT)
        .with_timestamp((message.at.0 / 1_000_000).max(0).unsigned_abs())
        .with_app_id("stampede".into())
        .with_headers(headers);
    Some((serde_json::to_vec(&body).ok()?, properties))
}

/// Reads it back. `redelivered`: RabbitMQ has delivered it before.
///
/// # Errors
/// [`Poison`].
pub fn read(body: &[u8], properties: &BasicProperties, redelivered: bool) -> Result<Message, Poison> {
    let kind = properties.kind().as_ref().map(ShortString::as_str).unwrap_or_default();
    if kind != TYPE {
        return Err(Poison::Type(kind.to_owned()));
    }
    let body: Body = serde_json::from_slice(body).map_err(|error| Poison::Body(error.to_string()))?;
    let id = body.id.parse().map_err(|()| Poison::Body("id is not log/frame/index".to_owned()))?;
    Ok(Message {
        id,
        position: Position::default(),
        order: body.order,
        step: body.step.into(),
        at: Timestamp(body.asked_at),
        inherited: body.repeated || redelivered,
        again: false,
        trace: header(properties, TRACEPARENT).and_then(parent::sampled),
    })
}

/// Where the message belongs. An order that is not traced says so under its own id, with a span named after the
/// message: whoever looks into the queue can still tell what belongs together.
fn traceparent(message: &Message) -> String {
    if let Some(link) = message.trace {
        return parent::write(link);
    }
    let span = xxhash_rust::xxh3::xxh3_64(message.id.to_string().as_bytes()).max(1);
    format!("00-{:032x}-{span:016x}-00", message.order.0.max(1))
}

/// A header's text; nothing when it is absent or no text.
#[must_use]
pub fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a str> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => std::str::from_utf8(LongString::as_bytes(text)).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::feed::MessageId;
    use stampede_actors::ids::OpId;
    use stampede_actors::order::Step;
    use stampede_actors::trace::TraceLink;

    fn message(step: Step) -> Message {
        Message {
            id: MessageId { log: 3, seq: 17, index: 2 },
            position: Position::default(),
            order: OrderId(42),
            step,
            at: Timestamp(1_764_000_000_000_001),
            inherited: false,
            again: false,
            trace: None,
        }
    }

    #[test]
    fn every_outside_step_comes_back_as_it_went() {
        let refund = OpId(7);
        let steps = [
            Step::Authorize { attempt: 1 },
            Step::Capture { attempt: 2 },
            Step::Void { attempt: 3 },
            Step::Refund { refund },
            Step::Fulfil,
            Step::CallOff { refund },
        ];
        for step in steps {
            let (body, properties) = write(&message(step)).unwrap();
            assert_eq!(read(&body, &properties, false), Ok(message(step)), "{step:?}");
        }
        assert!(write(&message(Step::Allocate)).is_none());
    }

    #[test]
    fn a_form_is_frozen() {
        let (body, properties) = write(&message(Step::Authorize { attempt: 1 })).unwrap();
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"id":"3/17/2","order":"ord_0000000000000000000000001a","step":{"kind":"authorize","attempt":1},"asked_at":1764000000000001,"repeated":false}"#
        );
        assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "3/17/2");
        let trace = header(&properties, TRACEPARENT).unwrap();
        assert!(trace.starts_with("00-0000000000000000000000000000002a-") && trace.len() == 55, "{trace}");
        assert!(trace.ends_with("-00"), "not traced: {trace}");
    }

    #[test]
    fn a_traced_message_comes_back_with_its_trace() {
        let traced = Message { trace: TraceLink::new(u128::MAX / 3, 7), ..message(Step::Fulfil) };
        let (body, properties) = write(&traced).unwrap();
        let parent = header(&properties, TRACEPARENT).unwrap();
        assert_eq!(parent, "00-55555555555555555555555555555555-0000000000000007-01");
        assert_eq!(read(&body, &properties, false), Ok(traced));
        let mut wrong = FieldTable::default();
        wrong.insert(TRACEPARENT.into(), AMQPValue::LongString("00-not-a-trace".into()));
        let read = read(&body, &properties.with_headers(wrong), false).unwrap();
        assert_eq!(read.trace, None, "what is malformed counts as absent");
    }

    #[test]
    fn one_that_came_before_says_so() {
        let (body, properties) = write(&message(Step::Fulfil)).unwrap();
        assert!(!read(&body, &properties, false).unwrap().inherited);
        assert!(read(&body, &properties, true).unwrap().inherited);
        let (body, properties) = write(&Message { inherited: true, ..message(Step::Fulfil) }).unwrap();
        assert!(read(&body, &properties, false).unwrap().inherited);
    }

    #[test]
    fn poison_is_told_apart() {
        let (body, properties) = write(&message(Step::Fulfil)).unwrap();
        let newer = properties.clone().with_type("stampede.step.v2".into());
        assert_eq!(read(&body, &newer, false), Err(Poison::Type("stampede.step.v2".to_owned())));
        assert!(matches!(read(b"{}", &properties, false), Err(Poison::Body(_))));
        assert!(matches!(read(b"\xff", &properties, false), Err(Poison::Body(_))));
        let stock = String::from_utf8(body).unwrap().replace("fulfil", "allocate");
        assert!(matches!(read(stock.as_bytes(), &properties, false), Err(Poison::Body(_))));
    }
}
