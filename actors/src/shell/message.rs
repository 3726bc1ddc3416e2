//! What travels between lanes and entities: questions, answers, and where an answer goes.

use crate::cart::{self, Cart};
use crate::ids::{CartId, EntityId, HoldId, OrderId, Reference};
use crate::journal::NoRoom;
use crate::order::placing::{PlaceRefusal, PlaceRequest};
use crate::order::{self, Order};
use crate::record::{Position, Version};
use crate::shell::lane;
use crate::shell::slots::ReplySlot;
use crate::shop::{self, Shop};
use crate::sku::{self, Availability, HoldView, Listing};
use crate::time::Timestamp;
use crate::trace::TraceLink;
use tokio::time::Instant;

/// What an entity is asked for.
#[derive(Debug)]
pub enum Question {
    /// A command to a SKU. Answer: [`View::Hold`] for holds, [`View::Sku`] for the rest.
    Sku(sku::Command),
    /// What a SKU looks like. Answer: [`View::Sku`].
    ReadSku,
    /// One hold of a SKU. Answer: [`View::Hold`], or `HoldEnded`.
    ReadHold(HoldId),
    /// A command to a cart. Answer: [`View::Cart`].
    Cart(cart::Command),
    /// What a cart looks like. Answer: [`View::Cart`].
    ReadCart,
    /// Turns a cart into an order: holds the cart's lines, places the order and ends the cart in one record.
    /// Answer: [`View::Order`]; the same order for ever after.
    CheckOut(Box<CheckOut>),
    /// Places an order from lines (express). Answer: [`View::Order`].
    Place(Box<PlaceRequest>),
    /// A command to an order. Answer: [`View::Order`].
    Order(Box<order::Command>),
    /// What an order looks like. Answer: [`View::Order`].
    ReadOrder,
    /// A command to the shop. Answer: [`View::Shop`].
    Shop(shop::Command),
    /// What the shop looks like. Answer: [`View::Shop`].
    ReadShop,
    /// The order of a cart that was checked out before: answered as a repeat.
    ReplayOrder,
    /// A cart's lines, to be placed as this order. Sent by the cart itself.
    PlaceCart(Box<PlaceRequest>, CartHalf),
    /// A SKU's answer to a hold that this order asked for.
    HoldAnswered { round: u32, hold: HoldId, result: Result<Done, Failure> },
    /// What became of a release that this order asked for. `None`: the hold is given back.
    ReleaseAnswered { ticket: u32, failure: Option<Failure> },
    /// What became of a checkout, for the cart that waits for it. `None`: no order.
    CheckOutEnded { order: OrderId, placed: Option<Position> },
}

/// A checkout of a cart.
#[derive(Debug, Clone)]
pub struct CheckOut {
    /// The order it becomes, derived from the cart's id by whoever knows the server's secret.
    pub order: OrderId,
    /// What pays.
    pub token: Reference,
    /// Where to.
    pub delivery: Option<Reference>,
    /// Of the request.
    pub fingerprint: u64,
    /// Where it belongs in a trace that is kept.
    pub trace: Option<Box<TraceLink>>,
}

/// The cart's half of a checkout: the cart changes nothing until the order says how it ended.
#[derive(Debug)]
pub struct CartHalf {
    /// Its version after the event.
    pub version: Version,
    /// `CheckedOut`, for the order's record.
    pub event: cart::Event,
    /// Owed to the cart.
    pub promise: CartPromise,
}

/// Word of how a checkout ended, owed to its cart. Dropped without one, it says that there is no order.
#[derive(Debug)]
pub struct CartPromise {
    cart: CartId,
    order: OrderId,
    kept: bool,
}

impl CartPromise {
    /// Owes `cart` the end of its checkout as `order`.
    #[must_use]
    pub fn new(cart: CartId, order: OrderId) -> CartPromise {
        CartPromise { cart, order, kept: false }
    }

    /// The cart.
    #[must_use]
    pub fn cart(&self) -> CartId {
        self.cart
    }

    /// The order was placed, with the cart's event in its record at this position.
    pub fn placed(mut self, position: Position) {
        self.kept = true;
        self.tell(Some(position));
    }

    fn tell(&self, placed: Option<Position>) {
        let (to, question) = (EntityId::Cart(self.cart), Question::CheckOutEnded { order: self.order, placed });
        lane::send(Envelope::new(to, question, ReplyTo::nobody(), placed.unwrap_or_default()));
    }
}

impl Drop for CartPromise {
    fn drop(&mut self) {
        if !self.kept {
            self.tell(None);
        }
    }
}

/// A question on its way to its entity.
#[derive(Debug)]
pub struct Envelope {
    /// Whom it is for.
    pub to: EntityId,
    /// What is asked.
    pub question: Question,
    /// Where the answer goes.
    pub reply: ReplyTo,
    /// The highest log position that this message rests on (S10).
    pub rests_on: Position,
    /// When it was sent, if it is one of those that are timed.
    pub sent: Option<Instant>,
}

impl Envelope {
    /// A question on its way.
    #[must_use]
    pub fn new(to: EntityId, question: Question, reply: ReplyTo, rests_on: Position) -> Envelope {
        Envelope { to, question, reply, rests_on, sent: None }
    }
}

/// The good answer.
#[derive(Debug, Clone)]
pub struct Done {
    /// The entity's version now.
    pub version: Version,
    /// It had happened before: nothing changed.
    pub replayed: bool,
    /// What was asked for.
    pub view: View,
}

/// What an entity shows.
#[derive(Debug, Clone)]
pub enum View {
    /// Nothing to show.
    Nothing,
    /// A SKU.
    Sku(Box<SkuView>),
    /// A hold, with the price and seller of its SKU.
    Hold(Box<GrantedHold>),
    /// A whole cart.
    Cart(Box<Cart>),
    /// A whole order.
    Order(Box<Order>),
    /// The shop.
    Shop(Box<Shop>),
}

/// A SKU as readers see it.
#[derive(Debug, Clone)]
pub struct SkuView {
    /// Seller, price, limit.
    pub listing: Listing,
    /// Stock, in all and by location.
    pub availability: Availability,
    /// Engine time of this observation.
    pub observed_at: Timestamp,
}

/// A granted hold.
#[derive(Debug, Clone)]
pub struct GrantedHold {
    /// Its id.
    pub hold: HoldId,
    /// Units, parts, deadline.
    pub view: HoldView,
    /// Seller and price of its SKU.
    pub listing: Listing,
}

/// The other answers.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The SKU refused.
    #[error(transparent)]
    Sku(#[from] sku::Refusal),
    /// The cart refused.
    #[error(transparent)]
    Cart(#[from] cart::Refusal),
    /// The order refused.
    #[error(transparent)]
    Order(#[from] order::Refusal),
    /// The shop refused.
    #[error(transparent)]
    Shop(#[from] shop::Refusal),
    /// Some lines could not be held; everything granted was released again.
    #[error(transparent)]
    NotPlaced(#[from] PlaceRefusal),
    /// The first request with this key is still being worked on.
    #[error("a request with this key is in progress")]
    InFlight,
    /// The log takes no record now; nothing was decided.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// No permit, or a bounded queue is full; nothing was decided.
    #[error("too many requests in progress")]
    Overloaded,
    /// The entity crashed on this command; nothing was decided, and it is being reloaded.
    #[error("an internal error; nothing was changed")]
    Crashed,
    /// The entity crashed again and again and takes no commands.
    #[error("this entity is quarantined after repeated internal errors")]
    Quarantined,
    /// The entity could not be read back.
    #[error("the entity could not be loaded")]
    NotLoaded,
    /// No answer in time, or the log stopped: it may have happened. Repeat with the same key.
    #[error("the outcome is unknown; repeat the same request")]
    OutcomeUnknown,
}

/// An answer on its way back.
#[derive(Debug)]
pub struct Reply {
    /// The edge lets it go when this position is committed.
    pub rests_on: Position,
    /// The answer.
    pub result: Result<Done, Failure>,
}

/// Where an answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// To a slot of a lane.
    Slot(ReplySlot),
    /// To an order that is being placed.
    Placing { order: OrderId, round: u32, hold: HoldId },
    /// To an order that gives a hold back.
    Releasing { order: OrderId, ticket: u32 },
    /// Nobody waits for it.
    Nobody,
}

/// An answer that is owed. Dropped unanswered, it answers [`Failure::OutcomeUnknown`], so nobody waits for ever.
#[derive(Debug)]
pub struct ReplyTo(Address);

impl ReplyTo {
    /// Owes an answer to this address.
    #[must_use]
    pub fn new(address: Address) -> ReplyTo {
        ReplyTo(address)
    }

    /// Owes nobody anything.
    #[must_use]
    pub fn nobody() -> ReplyTo {
        ReplyTo(Address::Nobody)
    }

    /// Answers.
    pub fn answer(mut self, reply: Reply) {
        deliver(std::mem::replace(&mut self.0, Address::Nobody), reply);
    }

    /// Answers with a refusal or failure, which may leave at once.
    pub fn fail(self, failure: Failure) {
        self.answer(Reply { rests_on: Position(0), result: Err(failure) });
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        let address = std::mem::replace(&mut self.0, Address::Nobody);
        deliver(address, Reply { rests_on: Position(0), result: Err(Failure::OutcomeUnknown) });
    }
}

fn deliver(address: Address, reply: Reply) {
    match address {
        Address::Nobody => {}
        Address::Slot(slot) => lane::reply(slot, reply),
        Address::Placing { order, round, hold } => {
            let question = Question::HoldAnswered { round, hold, result: reply.result };
            lane::send(Envelope::new(EntityId::Order(order), question, ReplyTo::nobody(), reply.rests_on));
        }
        Address::Releasing { order, ticket } => {
            let question = Question::ReleaseAnswered { ticket, failure: reply.result.err() };
            lane::send(Envelope::new(EntityId::Order(order), question, ReplyTo::nobody(), reply.rests_on));
        }
    }
}
