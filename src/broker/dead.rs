//! Dead letters: looked at, sent to work again, or thrown away, by hand.

use super::session::{connect, within};
use super::topology::{self, Names, WORKS, Work, short};
use super::trouble::Trouble;
use crate::config::Rabbitmq;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection};

/// Most dead letters that are looked through at once.
pub const MOST: usize = 10_000;

/// Headers that RabbitMQ adds on the way to the dead letters, and that would count on.
const ADDED: [&str; 5] =
    ["x-death", "x-first-death-exchange", "x-first-death-queue", "x-first-death-reason", "x-delivery-count"];

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// The message's name, as it was published; empty when it had none.
    pub id: String,
    /// `delivery_limit`, `rejected`, …: RabbitMQ's word for why it is here.
    pub reason: String,
    /// The kind of message and the version of its form.
    pub kind: String,
    /// When it was asked for, in Unix seconds; 0 when it does not say.
    pub asked_at: u64,
    /// Its body.
    pub body: Vec<u8>,
    /// Its headers, as text.
    pub headers: Vec<(String, String)>,
}

/// What is done with those that were chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Looked at; they stay.
    Look,
    /// Published once more; each goes when RabbitMQ has confirmed it in its queue.
    Retry,
    /// Thrown away.
    Drop,
}

/// An open connection.
pub struct DeadLetters {
    connection: Connection,
    names: Names,
}

impl DeadLetters {
    /// Connects and declares the topology.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn open(settings: &Rabbitmq) -> Result<DeadLetters, Trouble> {
        let connection = within("connecting", connect(settings)).await?;
        let channel = channel(&connection).await?;
        let names = within("declaring the queues", topology::declare(&channel, settings)).await?;
        Ok(DeadLetters { connection, names })
    }

    /// Messages that wait, and dead letters, of each kind of work.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn counts(&self) -> Result<Vec<(Work, u64, u64)>, Trouble> {
        let channel = channel(&self.connection).await?;
        let mut counts = Vec::new();
        for work in WORKS {
            let (queue, dead) = (self.names.queue(work), self.names.dead_queue(work));
            let ready = within("counting messages", topology::count(&channel, &queue)).await?;
            counts.push((work, ready, within("counting dead letters", topology::count(&channel, &dead)).await?));
        }
        Ok(counts)
    }

    /// Does something with the oldest `limit` dead letters that are chosen; gives those it was done with. The others stay
    /// where they are.
    ///
    /// # Errors
    /// [`Trouble`]; what was done before is done.
    pub async fn with(
        &self,
        work: Work,
        deed: Deed,
        limit: usize,
        chosen: impl Fn(&Letter) -> bool,
    ) -> Result<Vec<Letter>, Trouble> {
        let channel = channel(&self.connection).await?;
        let queue = self.names.dead_queue(work);
        let at = |error| Trouble::at(&queue, &error);
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(at)?;
        let (mut letters, mut kept) = (Vec::new(), None);
        for _ in 0..MOST {
            if letters.len() >= limit {
                break;
            }
            let got = channel.basic_get(short(&queue), BasicGetOptions::default()).await.map_err(at)?;
            let Some(got) = got else { break };
            let letter = letter(&got.delivery.data, &got.delivery.properties);
            if deed != Deed::Look && chosen(&letter) {
                if deed == Deed::Retry {
                    self.publish(&channel, work, &got.delivery.data, &got.delivery.properties).await?;
                }
                got.delivery.acker.ack(BasicAckOptions::default()).await.map_err(at)?;
                letters.push(letter);
                continue;
            }
            if chosen(&letter) {
                letters.push(letter);
            }
            // Held until all have been seen: else the next look would find it again.
            kept = Some(got.delivery.delivery_tag);
        }
        if let Some(tag) = kept {
            let options = BasicNackOptions { multiple: true, requeue: true };
            channel.basic_nack(tag, options).await.map_err(at)?;
        }
        Ok(letters)
    }

    async fn publish(
        &self,
        channel: &Channel,
        work: Work,
        body: &[u8],
        properties: &BasicProperties,
    ) -> Result<(), Trouble> {
        let exchange = self.names.exchange();
        let mut headers = FieldTable::default();
        for (name, value) in properties.headers().iter().flatten() {
            if !ADDED.contains(&name.as_str()) {
                headers.insert(name.clone(), value.clone());
            }
        }
        let properties = properties.clone().with_headers(headers);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let at = |error| Trouble::at(&exchange, &error);
        let sent = channel.basic_publish(short(&exchange), work.word().into(), options, body, properties).await;
        match sent.map_err(at)?.await.map_err(at)? {
            Confirmation::Ack(None) => Ok(()),
            _ => Err(Trouble::Gone("RabbitMQ did not take it: its queue is full, or not there".to_owned())),
        }
    }
}

async fn channel(connection: &Connection) -> Result<Channel, Trouble> {
    connection.create_channel().await.map_err(|error| Trouble::Gone(error.to_string()))
}

fn letter(body: &[u8], properties: &BasicProperties) -> Letter {
    let text =
        |text: &Option<lapin::types::ShortString>| text.as_ref().map(|t| t.as_str().to_owned()).unwrap_or_default();
    let headers: Vec<_> =
        properties.headers().iter().flatten().map(|(name, value)| (name.as_str().to_owned(), said(value))).collect();
    let reason = headers.iter().find(|(name, _)| name == "x-first-death-reason").map(|(_, reason)| reason.clone());
    Letter {
        id: text(properties.message_id()),
        reason: reason.unwrap_or_else(|| "unknown".to_owned()),
        kind: text(properties.kind()),
        asked_at: properties.timestamp().unwrap_or_default(),
        body: body.to_vec(),
        headers,
    }
}

/// A header's value for people.
fn said(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        AMQPValue::LongLongInt(number) => number.to_string(),
        AMQPValue::LongInt(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}
