//! One message on its way to RabbitMQ, and its span where its order is traced.

use super::envelope;
use super::topology::{Work, short};
use super::trouble::Trouble;
use super::vitals::Published;
use crate::feed::{Message, MessageId};
use crate::traces::{self, Kind, Span};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use lapin::options::BasicPublishOptions;
use lapin::{Channel, Confirmation};

/// Confirms to come, by the message's name.
pub(super) type Confirms = FuturesUnordered<BoxFuture<'static, (MessageId, lapin::Result<Confirmation>)>>;

/// Publishes a message; its confirm comes later.
pub(super) async fn publish(
    channel: &Channel,
    exchange: &str,
    message: &Message,
    confirms: &mut Confirms,
) -> Result<(), Trouble> {
    let span = publishing(message);
    // Whoever takes it out goes on from here.
    let message = &Message { trace: span.as_ref().map(Span::link).or(message.trace), ..*message };
    // A step of our own SKUs never comes here.
    let Some((body, properties)) = envelope::write(message) else { return Ok(()) };
    let (id, work) = (message.id, Work::of(message.step));
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let sent = channel.basic_publish(short(exchange), work.word().into(), options, &body, properties).await;
    let confirm = sent.map_err(|error| Trouble::at(exchange, &error))?;
    confirms.push(Box::pin(async move { (id, told(confirm.await, span)) }));
    Ok(())
}

/// The span of a message that is traced: until RabbitMQ has confirmed it, or the connection ends.
fn publishing(message: &Message) -> Option<Span> {
    message.trace?;
    let work = Work::of(message.step).word();
    let mut span = traces::below(message.trace, Kind::Producer, format!("publish {work}"))?;
    span.tell("messaging.system", "rabbitmq");
    span.tell("messaging.operation.type", "send");
    span.tell("messaging.destination.name", work);
    span.tell("messaging.message.id", message.id.to_string());
    span.tell("stampede.order", message.order.to_string());
    span.tell("stampede.step", message.step.word());
    span.outcome(Published::Unconfirmed.word());
    Some(span)
}

fn told(confirmation: lapin::Result<Confirmation>, span: Option<Span>) -> lapin::Result<Confirmation> {
    if let (Some(mut span), Ok(confirmation)) = (span, &confirmation) {
        match confirmation {
            Confirmation::Ack(None) => span.outcome(Published::Confirmed.word()),
            Confirmation::Ack(Some(_)) => span.failed(Published::Returned.word()),
            Confirmation::Nack(_) | Confirmation::NotRequested => span.failed(Published::Nacked.word()),
        }
    }
    confirmation
}
