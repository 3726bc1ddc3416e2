//! One connection after the other: declares, publishes, takes deliveries, looks at the queues, until it ends.

use super::greeting;
use super::later::Later;
use super::publishing::{Confirms, publish};
use super::receipt::{Delivery, Receipt};
use super::topology::{self, Names, WORKS, Work, short};
use super::trouble::Trouble;
use super::vitals::{Published, Settled, Vitals};
use super::window::Window;
use super::{FromBroker, envelope};
use crate::config::{Rabbitmq, Works};
use crate::feed::{Message, MessageId, Queue};
use futures_util::StreamExt;
use futures_util::stream::SelectAll;
use lapin::options::{BasicConsumeOptions, BasicNackOptions, BasicQosOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Confirmation, Connection, ConnectionProperties, Consumer};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

/// Longest that connecting, or declaring everything, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause after a first failure to connect; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A connection that lasted so long was a good one.
const STEADY: Duration = Duration::from_secs(10);
/// How often the queues are looked at, what is overdue is noticed, and refused messages go out again.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Before a message that nobody here can read goes back for another worker, or at last to the dead letters.
const POISON_PAUSE: Duration = Duration::from_millis(200);

/// How a session ends well.
enum Ended {
    Stopped,
    /// The feed is gone.
    NoFeed,
}

/// Everything that outlives a connection.
pub(super) struct Link {
    settings: Rabbitmq,
    works: Works,
    /// From the feed; `None`: this process only works.
    messages: Option<mpsc::Receiver<Message>>,
    to_us: mpsc::Sender<FromBroker>,
    vitals: Arc<Vitals>,
    window: Window,
    later: Later,
    epoch: Instant,
}

impl Link {
    pub fn new(
        settings: &Rabbitmq,
        works: Works,
        messages: Option<mpsc::Receiver<Message>>,
        to_us: mpsc::Sender<FromBroker>,
        vitals: Arc<Vitals>,
    ) -> Link {
        let settings = settings.clone();
        Link {
            settings,
            works,
            messages,
            to_us,
            vitals,
            window: Window::default(),
            later: Later::default(),
            epoch: Instant::now(),
        }
    }

    /// Until it is told to stop.
    pub async fn tend(mut self, mut stop: watch::Receiver<bool>) {
        let mut pause = FIRST_PAUSE;
        let mut told: Option<Trouble> = None;
        loop {
            let since = Instant::now();
            let mut stopping = stop.clone();
            let ended = tokio::select! {
                ended = self.session() => ended,
                // An error means that whoever could stop this is gone.
                _ = stopping.wait_for(|stop| *stop) => Ok(Ended::Stopped),
            };
            self.vitals.up.store(false, Relaxed);
            self.vitals.blocked.store(false, Relaxed);
            for (work, sent) in WORKS.into_iter().zip(self.window.start_over()) {
                (0..sent).for_each(|_| self.vitals.published(work, Published::Unconfirmed));
            }
            let Err(trouble) = ended else { return };
            if since.elapsed() >= STEADY {
                (pause, told) = (FIRST_PAUSE, None);
            }
            if told.as_ref() != Some(&trouble) {
                self.tell(&trouble);
                told = Some(trouble);
            }
            // Many servers must not come back in step.
            let mut wait = std::pin::pin!(sleep(pause.mul_f64(rand::random_range(0.5..1.0))));
            loop {
                self.vitals.unconfirmed.store(self.window.len() as u64, Relaxed);
                tokio::select! {
                    () = &mut wait => break,
                    _ = stop.wait_for(|stop| *stop) => return,
                    message = received(&mut self.messages) => match message {
                        Some(message) => self.take(message).await,
                        None => return,
                    },
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn tell(&self, trouble: &Trouble) {
        let waiting = self.window.len();
        let url = &self.settings.url;
        if trouble.passes() {
            tracing::warn!(rabbitmq = %url, waiting, why = %trouble, "no RabbitMQ: orders go on, their payments wait");
        } else {
            tracing::error!(rabbitmq = %url, waiting, why = %trouble, "RabbitMQ cannot be used: orders go on, their payments wait");
        }
    }

    /// One connection. Ends with the feed, or with an error.
    async fn session(&mut self) -> Result<Ended, Trouble> {
        let (host, port) = self.settings.url.authority();
        let greeted = tokio::task::spawn_blocking(move || greeting::greet(&host, port)).await;
        let version = greeted.map_err(|error| Trouble::Gone(error.to_string()))??;
        let connection = within("connecting", connect(&self.settings)).await?;
        let channel = within("opening a channel", open(&connection)).await?;
        let names = within("declaring the queues", topology::declare(&channel, &self.settings)).await?;
        let confirming = async {
            let confirming = channel.confirm_select(ConfirmSelectOptions::default()).await;
            confirming.map_err(|error| Trouble::at(&names.exchange(), &error))
        };
        within("asking for confirms", confirming).await?;
        let looking = within("opening a channel", open(&connection)).await?;
        // A queue whose nodes have just come back answers when they have elected their leader.
        let mut consumers = within("beginning to consume", self.consume(&connection, &names)).await?;
        self.vitals.connections.fetch_add(1, Relaxed);
        self.vitals.up.store(true, Relaxed);
        tracing::info!(rabbitmq = %self.settings.url, version, waiting = self.window.len(), "RabbitMQ answers");
        self.serve(&connection, &channel, &looking, &names, &mut consumers).await
    }

    async fn serve(
        &mut self,
        connection: &Connection,
        channel: &Channel,
        looking: &Channel,
        names: &Names,
        consumers: &mut SelectAll<BoxConsumer>,
    ) -> Result<Ended, Trouble> {
        let mut confirms = Confirms::new();
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut events = Box::pin(connection.events_listener());
        let exchange = names.exchange();
        loop {
            while let Some(message) = self.window.next(self.epoch.elapsed()) {
                publish(channel, &exchange, &message, &mut confirms).await?;
            }
            self.vitals.unconfirmed.store(self.window.len() as u64, Relaxed);
            tokio::select! {
                biased;
                Some((id, confirmation)) = confirms.next() => self.confirmed(id, confirmation, names).await?,
                message = received(&mut self.messages) => match message {
                    Some(message) => self.take(message).await,
                    None => return Ok(Ended::NoFeed),
                },
                delivered = consumers.next(), if !consumers.is_empty() => match delivered {
                    Some((work, Some(delivery))) => self.delivered(work, delivery?).await,
                    Some((work, None)) => return Err(Trouble::Missing(names.queue(work))),
                    None => return Err(Trouble::Gone("all consumers have ended".to_owned())),
                },
                Some(event) = events.next() => match event {
                    lapin::Event::ConnectionBlocked(why) => {
                        self.vitals.blocked.store(true, Relaxed);
                        tracing::warn!(why, "RabbitMQ takes no messages: it is short of memory or disk");
                    }
                    lapin::Event::ConnectionUnblocked => self.vitals.blocked.store(false, Relaxed),
                    lapin::Event::Error(error) => return Err(Trouble::Gone(error.to_string())),
                    _ => {}
                },
                _ = look.tick() => self.look(looking, names).await?,
            }
        }
    }

    /// A message of the feed. It may let a repeat go: it is kept here, and the order has it in any case.
    async fn take(&mut self, message: Message) {
        let queue = Queue::of(message.step);
        let ready = self.vitals.work(queue).map_or(0, |work| work.ready.load(Relaxed));
        if message.again && (ready > 0 || !self.vitals.up.load(Relaxed)) {
            self.later.push(message);
            self.vitals.waits_longer(queue, self.later.len(queue));
            let _ = self.to_us.send(FromBroker::Confirmed(queue, message.id)).await;
        } else {
            self.window.push(message);
        }
    }

    /// What RabbitMQ says of a message that was published.
    async fn confirmed(
        &mut self,
        id: MessageId,
        confirmation: lapin::Result<Confirmation>,
        names: &Names,
    ) -> Result<(), Trouble> {
        match confirmation.map_err(|error| Trouble::at(&names.exchange(), &error))? {
            Confirmation::Ack(None) => {
                if let Some(work) = self.window.confirmed(id) {
                    self.vitals.published(work, Published::Confirmed);
                    // Waits for room: it is said once, and the cursor rests on it. The other end is gone only when the
                    // process stops.
                    let _ = self.to_us.send(FromBroker::Confirmed(work, id)).await;
                }
                Ok(())
            }
            Confirmation::Ack(Some(_)) => {
                if let Some(work) = self.window.refused(id) {
                    self.vitals.published(work, Published::Returned);
                }
                // Whoever deleted the queue will see it made again.
                Err(Trouble::Missing(format!("a queue of {}", names.exchange())))
            }
            Confirmation::Nack(_) | Confirmation::NotRequested => {
                if let Some(work) = self.window.refused(id) {
                    self.vitals.published(work, Published::Nacked);
                }
                Ok(())
            }
        }
    }

    async fn consume(&self, connection: &Connection, names: &Names) -> Result<SelectAll<BoxConsumer>, Trouble> {
        let mut consumers = SelectAll::new();
        for work in WORKS {
            let wanted = if work == Work::Payment { self.works.payment } else { self.works.fulfilment };
            if !wanted {
                continue;
            }
            let (queue, channel) = (names.queue(work), within("opening a channel", open(connection)).await?);
            let prefetch = u16::try_from(self.settings.prefetch).unwrap_or(u16::MAX);
            let at = |error| Trouble::at(&queue, &error);
            channel.basic_qos(prefetch, BasicQosOptions::default()).await.map_err(at)?;
            let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
            let consumer = channel.basic_consume(short(&queue), "".into(), options, arguments).await.map_err(at)?;
            consumers.push(of_work(work, consumer));
        }
        Ok(consumers)
    }

    async fn delivered(&self, work: Work, delivery: lapin::message::Delivery) {
        if delivery.redelivered
            && let Some(work) = self.vitals.work(work)
        {
            work.redelivered.fetch_add(1, Relaxed);
        }
        match envelope::read(&delivery.data, &delivery.properties, delivery.redelivered) {
            Ok(message) => {
                let receipt = Receipt::new(work, delivery.acker, Arc::clone(&self.vitals));
                // The other end is gone only when the process stops; then it comes again.
                let _ = self.to_us.send(FromBroker::Delivered(Delivery { message, receipt })).await;
            }
            Err(poison) => {
                let id = delivery.properties.message_id().as_ref().map(|id| id.as_str().to_owned()).unwrap_or_default();
                tracing::warn!(id, queue = work.word(), why = %poison, "a message that cannot be worked on goes back");
                self.vitals.settled(work, Settled::Poison);
                let acker = delivery.acker;
                tokio::spawn(async move {
                    sleep(POISON_PAUSE).await;
                    // When the connection is gone it goes back anyway.
                    let _ = acker.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await;
                });
            }
        }
    }

    /// Counts what waits, lets repeats go whose turn has come, and notices what is overdue.
    async fn look(&mut self, channel: &Channel, names: &Names) -> Result<(), Trouble> {
        self.window.retry();
        for work in WORKS {
            let (queue, dead) = (names.queue(work), names.dead_queue(work));
            let ready = within("counting messages", topology::count(channel, &queue)).await?;
            let dead = within("counting dead letters", topology::count(channel, &dead)).await?;
            self.vitals.counted(work, ready, dead);
            if ready == 0 {
                let room = self.settings.window.saturating_sub(self.window.len());
                self.later.take(work, room).into_iter().for_each(|repeat| self.window.push(repeat));
                self.vitals.waits_longer(work, self.later.len(work));
            }
        }
        // While it is blocked there is nothing to hear, and another connection would be blocked as well.
        let blocked = self.vitals.blocked.load(Relaxed);
        let then = self.epoch.elapsed().checked_sub(self.settings.confirm_within);
        match then.filter(|then| !blocked && self.window.overdue(*then)) {
            Some(_) => Err(Trouble::TooSlow("the confirm of a message", self.settings.confirm_within)),
            None => Ok(()),
        }
    }
}

/// Deliveries of a kind of work; `None` at the end.
type BoxConsumer = futures_util::stream::BoxStream<'static, (Work, Option<Result<lapin::message::Delivery, Trouble>>)>;

fn of_work(work: Work, consumer: Consumer) -> BoxConsumer {
    let deliveries = consumer.map(move |delivery| {
        let delivery = delivery.map_err(|error| Trouble::at(work.word(), &error));
        (work, Some(delivery))
    });
    deliveries.chain(futures_util::stream::once(async move { (work, None) })).boxed()
}

/// A message from the feed; never returns when there is no feed.
async fn received(messages: &mut Option<mpsc::Receiver<Message>>) -> Option<Message> {
    match messages {
        Some(messages) => messages.recv().await,
        None => std::future::pending().await,
    }
}

pub(super) async fn connect(settings: &Rabbitmq) -> Result<Connection, Trouble> {
    let name = format!("stampede {} {}", settings.namespace, std::process::id());
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    Connection::connect(settings.url.secret(), properties).await.map_err(|error| Trouble::connecting(&error))
}

async fn open(connection: &Connection) -> Result<Channel, Trouble> {
    connection.create_channel().await.map_err(|error| Trouble::Gone(error.to_string()))
}

pub(super) async fn within<T>(
    what: &'static str,
    work: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    timeout(PATIENCE, work).await.unwrap_or(Err(Trouble::TooSlow(what, PATIENCE)))
}
