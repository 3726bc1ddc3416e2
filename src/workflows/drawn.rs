//! Spans of the workers: a message that is worked on, and what is asked of whom on the way. Nothing of an order that is
//! not traced.

use super::job::{Ask, End, Reply};
use crate::feed::{Message, Queue};
use crate::traces::{self, Kind, Span};
use stampede_actors::order::{Answer, Command};
use stampede_actors::shell::Question;
use stampede_actors::trace::TraceLink;

/// Begins on a message; what is done for it belongs below.
pub(super) fn consuming(message: Message) -> (Message, Option<Span>) {
    if message.trace.is_none() {
        return (message, None);
    }
    let queue = Queue::of(message.step).word();
    let mut span = traces::below(message.trace, Kind::Consumer, format!("consume {queue}"));
    if let Some(span) = &mut span {
        span.tell("messaging.operation.type", "process");
        span.tell("messaging.destination.name", queue);
        span.tell("messaging.message.id", message.id.to_string());
        span.tell("stampede.order", message.order.to_string());
        span.tell("stampede.step", message.step.word());
        span.outcome("interrupted");
    }
    let trace = span.as_ref().map(Span::link).or(message.trace);
    (Message { trace, ..message }, span)
}

/// The message is worked on.
pub(super) fn ended(span: Option<Span>, end: End) {
    let Some(mut span) = span else { return };
    match end {
        End::Reported => span.outcome("reported"),
        End::NotOpen => span.outcome("not_open"),
        End::Unknown => span.failed("unknown"),
        End::LeftToOrder => span.failed("left_to_order"),
    }
}

/// Begins to ask. Reading the order, and asking SKUs, is part of working on the message.
pub(super) fn asking(ask: &Ask, trace: Option<TraceLink>) -> Option<Span> {
    trace?;
    let (name, step) = match ask {
        Ask::Pay(call) => (format!("provider {}", call.operation.word()), Some(call.step)),
        Ask::LookUp(_) => ("provider look_up".to_owned(), None),
        Ask::Request(_) => ("warehouse fulfil".to_owned(), None),
        Ask::CallOff(_) => ("warehouse call_off".to_owned(), None),
        Ask::Entity(_, Question::Order(command)) => match **command {
            Command::Report { step, .. } => ("result".to_owned(), Some(step)),
            _ => return None,
        },
        Ask::Entity(..) => return None,
    };
    let mut span = traces::below(trace, Kind::Client, name)?;
    if let Some(step) = step {
        span.tell("stampede.step", step.word());
    }
    Some(span)
}

/// There is a reply.
pub(super) fn replied(span: Option<Span>, reply: &Reply) {
    let Some(mut span) = span else { return };
    match reply {
        Reply::Answer(Answer::Done { .. }) => span.outcome("done"),
        Reply::Answer(Answer::Refused { .. }) => span.outcome("refused"),
        Reply::Answer(Answer::Unknown) => span.failed("unknown"),
        Reply::Found(_) => span.outcome("looked_up"),
        Reply::Entity(Ok(_)) => span.outcome("committed"),
        Reply::Entity(Err(_)) => span.failed("not_taken"),
    }
}
