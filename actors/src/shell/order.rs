//! The actor of one order. It collects the holds, all SKUs asked at once, and places the order from granted holds
//! only; a cart's end goes into the same record. Whoever repeats the request meanwhile waits for the first answer.

use crate::ids::{EntityId, HoldId, OrderId};
use crate::order::placing::{Next, PlaceRefusal, PlaceRequest, Placing};
use crate::order::{self, Order};
use crate::record::{Entry, Event, Position};
use crate::shell::directory::Deliver;
use crate::shell::entity::{Shell, misrouted};
use crate::shell::lane;
use crate::shell::message::{Address, CartHalf, Done, Envelope, Failure, Question, ReplyTo, View};
use crate::sku;
use actix::{Actor, AsyncContext, Context, Handler, SpawnHandle};
use std::time::Duration;

/// How long a repeat waits for the first request with its key (S15).
const REPEAT_WAITS: Duration = Duration::from_secs(1);

/// Most repeats that wait at once.
const MAX_REPEATS: usize = 256;

/// A placement on its way.
struct Underway {
    placing: Placing,
    fingerprint: u64,
    reply: ReplyTo,
    repeats: Vec<ReplyTo>,
    repeats_timer: Option<SpawnHandle>,
    cart: Option<CartHalf>,
    /// The highest position that a granted hold rests on.
    rests_on: Position,
    /// Tells answers of an earlier round from those of this one.
    attempt: u32,
}

/// The actor of one order.
pub(crate) struct OrderActor {
    shell: Shell<Order>,
    underway: Option<Box<Underway>>,
}

impl OrderActor {
    pub fn new(shell: Shell<Order>) -> OrderActor {
        OrderActor { shell, underway: None }
    }

    fn id(&self) -> OrderId {
        match self.shell.entity {
            EntityId::Order(id) => id,
            _ => OrderId(0),
        }
    }
}
