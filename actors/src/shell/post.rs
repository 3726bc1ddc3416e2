//! What travels between a directory and the actors of its entities, and what they share; all on one thread.

use crate::ids::EntityId;
use crate::record::Position;
use crate::shell::directory::Directory;
use crate::shell::fabric::{Fabric, Shard};
use crate::shell::lane::Lane;
use crate::shell::loader::Loaded;
use crate::shell::message::Envelope;
use crate::shell::timers::Timers;
use crate::shell::unread::Unread;
use crate::time::Timestamp;
use actix::{Addr, Handler, Message};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use tokio::time::Instant;

/// What a directory and the actor of one entity both see; all on one thread.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The highest position that the entity has handed to the log.
    pub last: Cell<Position>,
    /// Messages in its mailbox, and answers that it waits for.
    pub outstanding: Cell<u32>,
    /// The directory's tick when it was last used.
    pub used: Cell<u64>,
    /// The earliest deadline armed for it.
    pub armed: Cell<Option<Timestamp>>,
    /// It panicked: the state is worthless, and messages go back to the directory until the reload.
    pub poisoned: Cell<bool>,
    /// A SKU that has said that it is sold out, and nothing has happened to it since.
    pub flagged: Cell<bool>,
}

/// What a directory and all its entities' actors share; all on one thread.
pub(crate) struct ShardState {
    pub shard: Shard,
    pub timers: RefCell<Timers>,
    /// Counts rounds of placing orders, so that an answer to an earlier one, even of before a crash, is never taken for
    /// an answer to a later one.
    pub rounds: Cell<u32>,
    /// Holds that its orders are giving back, and of which they have not heard yet.
    pub releasing: Cell<usize>,
    /// What its SKUs remember and the store may not have yet.
    pub unread: RefCell<Unread>,
    /// When the question came that one of its entities is handling, if it is one of those that are timed.
    pub began: Cell<Option<Instant>>,
    /// One for all of its entities: an address of its own would be two more pieces of memory for each.
    pub directory: OnceCell<Addr<Directory>>,
    pub lane: Rc<Lane>,
    pub fabric: Arc<Fabric>,
}

impl ShardState {
    /// Tells the directory.
    pub fn tell<M>(&self, message: M)
    where
        M: Message<Result = ()> + Send + 'static,
        Directory: Handler<M>,
    {
        if let Some(directory) = self.directory.get() {
            directory.do_send(message);
        }
    }
}

/// Questions for entities of this shard, in the order in which they were sent.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Batch(pub Vec<Envelope>);

/// A cold entity has been read back, or could not be.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Arrived {
    pub entity: EntityId,
    pub outcome: Result<Loaded, String>,
}

/// Deadlines of entities that come up soon.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Arm(pub Vec<(Timestamp, EntityId)>);

/// An entity's actor panicked while it decided or applied. Nothing of that command reached the log.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crashed(pub EntityId);

/// The first thing has happened to this entity: it stays until it is idle.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Stays(pub EntityId);

/// An entity that nothing has ever happened to has answered: it need not stay for the time that others do.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LetGo(pub EntityId);

/// A question that its entity could not take now.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Requeue(pub Envelope);

/// A question as an entity's actor receives it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Deliver(pub Envelope);
