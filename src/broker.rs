//! RabbitMQ between the feed and the workers: payment and fulfilment steps go out as messages and come back as deliveries.
//! It decides nothing. What it loses, the log still has: each order asks again by a timer of its own.
//!
//! [`session`] is one connection, from its topology to its end; after each end comes the next. A message is let go by the
//! feed when RabbitMQ has confirmed it ([`window`]; a repeat may wait in [`later`]), and by RabbitMQ when its step has a committed answer. Everything here
//! runs on one thread beside the workflows.

pub mod dead;
pub mod envelope;
pub mod greeting;
mod later;
mod publishing;
mod receipt;
mod session;
pub mod topology;
mod trouble;
mod vitals;
mod window;

pub use receipt::{Delivery, Receipt, Verdict};
pub use topology::{Names, Work};
pub use trouble::Trouble;
pub use vitals::{Published, SETTLED, Vitals, WorkVitals};

use crate::config::{Rabbitmq, Works};
use crate::feed::{Message, MessageId, Queue};
use parking_lot::Mutex;
use session::Link;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, watch};

/// What the workflow thread hears.
#[derive(Debug)]
pub enum FromBroker {
    /// RabbitMQ has the message, on a quorum of its nodes; or it is a repeat, and waits here until its turn has come.
    Confirmed(Queue, MessageId),
    /// A step to work on.
    Delivered(Delivery),
}

/// The workflow thread's end.
#[derive(Debug)]
pub struct Port {
    /// Takes messages.
    pub outbox: Outbox,
    /// Says what became of them, and what there is to do.
    pub inbox: mpsc::Receiver<FromBroker>,
}

/// Where messages go out.
#[derive(Debug)]
pub struct Outbox {
    messages: mpsc::Sender<Message>,
}

impl Outbox {
    /// Publishes a message, in a while at the latest. The feed hands out no more of them than there is room for here.
    pub fn publish(&self, message: Message) {
        if let Err(error) = self.messages.try_send(message) {
            // The thread is gone, and the process is about to say so; the log has the message.
            tracing::error!(id = %message.id, %error, "a message could not be handed to the broker's thread");
        }
    }
}

/// The running thread.
#[derive(Debug)]
pub struct Broker {
    vitals: Arc<Vitals>,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Broker {
    /// Starts it. Does not wait for RabbitMQ: it may come later, and go.
    ///
    /// # Errors
    /// When there is no thread or runtime to be had.
    pub fn start(settings: &Rabbitmq) -> std::io::Result<(Broker, Port)> {
        let (outbox, messages) = mpsc::channel(2 * settings.window);
        let (broker, inbox) = Broker::run(settings, settings.works, Some(messages))?;
        Ok((broker, Port { outbox: Outbox { messages: outbox }, inbox }))
    }

    /// The same for a process that only works.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub fn work_only(settings: &Rabbitmq, works: Works) -> std::io::Result<(Broker, mpsc::Receiver<FromBroker>)> {
        Broker::run(settings, works, None)
    }

    fn run(
        settings: &Rabbitmq,
        works: Works,
        messages: Option<mpsc::Receiver<Message>>,
    ) -> std::io::Result<(Broker, mpsc::Receiver<FromBroker>)> {
        let vitals = Arc::new(Vitals::default());
        let (to_us, inbox) = mpsc::channel(2 * (settings.window + settings.prefetch));
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let link = Link::new(settings, works, messages, to_us, Arc::clone(&vitals));
        let thread = std::thread::Builder::new().name("rabbitmq".to_owned()).spawn(move || {
            runtime.block_on(link.tend(stopped));
        })?;
        Ok((Broker { vitals, stop, thread: Mutex::new(Some(thread)) }, inbox))
    }

    /// How it is doing.
    #[must_use]
    pub fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    /// Has its thread ended, by itself or because it was asked to?
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.lock().as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Closes the connection and ends the thread; what was delivered and not settled goes back to its queue. Blocks for a
    /// moment.
    pub fn stop(&self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the thread beside RabbitMQ had panicked");
        }
    }
}
