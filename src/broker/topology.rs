//! Exchanges and queues: declared at each start, which is also how they are checked.
//!
//! Per kind of work a quorum queue (replicated, on disk), bounded, with a limit of deliveries after which a message goes to
//! the dead letters, another quorum queue that nothing empties but `stampede dlq`. When to ask again is not the broker's:
//! that is in our own log.

use super::trouble::Trouble;
use crate::config::Rabbitmq;
use crate::feed::Queue;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};

/// A kind of work that goes over the broker.
pub type Work = Queue;

/// All of them.
pub const WORKS: [Work; 2] = [Queue::Payment, Queue::Fulfilment];

/// What our exchanges and queues are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    namespace: String,
}

impl Names {
    /// In this namespace.
    #[must_use]
    pub fn new(namespace: &str) -> Names {
        Names { namespace: namespace.to_owned() }
    }

    /// Where steps are published, by the word of their work.
    #[must_use]
    pub fn exchange(&self) -> String {
        format!("{}.work", self.namespace)
    }

    /// Where RabbitMQ puts what it gives up.
    #[must_use]
    pub fn dead_exchange(&self) -> String {
        format!("{}.dead", self.namespace)
    }

    /// Steps of one kind.
    #[must_use]
    pub fn queue(&self, work: Work) -> String {
        format!("{}.{}", self.namespace, work.word())
    }

    /// Dead letters of one kind.
    #[must_use]
    pub fn dead_queue(&self, work: Work) -> String {
        format!("{}.{}.dead", self.namespace, work.word())
    }
}

/// Declares everything; what is there already must be equal. Ends the channel when something is not.
///
/// # Errors
/// [`Trouble`]: a queue of another make, no permission, or a connection that ends.
pub async fn declare(channel: &Channel, settings: &Rabbitmq) -> Result<Names, Trouble> {
    let names = Names::new(&settings.namespace);
    for exchange in [names.exchange(), names.dead_exchange()] {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let declared =
            channel.exchange_declare(short(&exchange), ExchangeKind::Direct, options, FieldTable::default()).await;
        declared.map_err(|error| Trouble::at(&exchange, &error))?;
    }
    for work in WORKS {
        let dead = names.dead_queue(work);
        queue(channel, &dead, quorum()).await?;
        bind(channel, &dead, &names.dead_exchange(), work).await?;
        let name = names.queue(work);
        queue(channel, &name, working(&names, work, settings)).await?;
        bind(channel, &name, &names.exchange(), work).await?;
    }
    Ok(names)
}

async fn queue(channel: &Channel, name: &str, arguments: FieldTable) -> Result<(), Trouble> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(short(name), options, arguments).await;
    declared.map(drop).map_err(|error| Trouble::at(name, &error))
}

async fn bind(channel: &Channel, name: &str, exchange: &str, work: Work) -> Result<(), Trouble> {
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    let bound = channel.queue_bind(short(name), short(exchange), work.word().into(), options, arguments).await;
    bound.map_err(|error| Trouble::at(name, &error))
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

fn working(names: &Names, work: Work, settings: &Rabbitmq) -> FieldTable {
    let number = |count: usize| AMQPValue::LongLongInt(i64::try_from(count).unwrap_or(i64::MAX));
    let mut arguments = quorum();
    arguments.insert("x-dead-letter-exchange".into(), text(&names.dead_exchange()));
    arguments.insert("x-dead-letter-routing-key".into(), text(work.word()));
    // A dead letter leaves the queue when the other queue has it, and not before.
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments.insert("x-delivery-limit".into(), number(settings.delivery_limit));
    arguments.insert("x-max-length".into(), number(settings.queue_messages));
    arguments
}

/// Messages in a queue that nobody works on.
///
/// # Errors
/// [`Trouble`]: there is no such queue, above all; then the channel has ended.
pub async fn count(channel: &Channel, name: &str) -> Result<u64, Trouble> {
    let options = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
    let found = channel.queue_declare(short(name), options, FieldTable::default()).await;
    found.map(|queue| queue.message_count().into()).map_err(|error| Trouble::at(name, &error))
}

/// Our names are shorter than the protocol's limit: a namespace has 32 characters at most.
pub(super) fn short(name: &str) -> ShortString {
    name.into()
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
