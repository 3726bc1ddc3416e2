//! What a client sends for each thing it may ask, and what an acknowledgement of it promises.

use crate::history::Deed;
use crate::names::{Names, location};
use crate::plan::What;
use stampede_actors::cart;
use stampede_actors::ids::{CartId, EntityId, HoldId, OpId, OrderId, Reference, SkuId};
use stampede_actors::order::{self, LineUnits};
use stampede_actors::shell::Question;
use stampede_actors::shell::message::CheckOut;
use stampede_actors::sku::{Command, Reason, Units};
use stampede_actors::time::Span;

/// How long a hold of a client lasts.
pub const HOLD: Span = Span::seconds(10);

/// One question. What asks more sends several, one after the other.
pub struct Request {
    /// Whom.
    pub entity: EntityId,
    /// What; made afresh for each repeat.
    pub question: Box<dyn Fn() -> Question>,
    /// What holds for good once it was acknowledged.
    pub promise: Promise,
    /// It takes a permit.
    pub purchase: bool,
}

/// What an acknowledgement promises beside the version that it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promise {
    /// Nothing.
    Shown,
    /// The receipt counts.
    Received(SkuId, OpId, Units),
    /// The hold was granted.
    Held(SkuId, HoldId, Units),
    /// The order is there, as it was shown.
    Placed(OrderId),
    /// The cart has become this order, as it was shown.
    CheckedOut(CartId, OrderId),
    /// The order knows the operation.
    Operation(OrderId, OpId),
}

impl Promise {
    /// What its history is told by.
    pub fn deed(&self) -> Option<Deed> {
        match self {
            Promise::Shown | Promise::Operation(..) => None,
            Promise::Received(_, receipt, _) => Some(Deed::Operation(*receipt)),
            Promise::Held(_, hold, _) => Some(Deed::Hold(*hold)),
            Promise::Placed(order) | Promise::CheckedOut(_, order) => Some(Deed::Order(*order)),
        }
    }
}

/// All questions of one thing to ask.
pub fn requests(names: &Names, what: What) -> Vec<Request> {
    let random = &mut names.chances(what);
    match what {
        What::Receive(_) => {
            let (sku, location, units) = (names.sku(random), location(random), random.within(1, 12) as Units);
            let receipt = names.op(what);
            let listing = names.listing(&sku, 1_000);
            let promise = Promise::Received(sku.clone(), receipt, units);
            let question = move || {
                let location = location.clone();
                Question::Sku(Command::Receive { receipt, fingerprint: u64::from(units), location, units })
            };
            let listed = of_sku(&sku, move || Command::List(listing.clone()));
            vec![listed, Request { promise, ..ask(EntityId::Sku(sku), question) }]
        }
        What::Adjust(_) => {
            let (sku, location, delta) = (names.sku(random), location(random), random.within(0, 6) as i64 - 3);
            let (adjustment, reason) = (names.op(what), Reason::Count);
            vec![of_sku(&sku, move || {
                let (location, reference) = (location.clone(), Reference::new("count").unwrap());
                Command::Adjust { adjustment, fingerprint: 0, location, delta, reason, reference }
            })]
        }
        What::Reprice(_) => {
            let sku = names.sku(random);
            let listing = names.listing(&sku, random.within(1, 2_000) as i64);
            vec![of_sku(&sku, move || Command::List(listing.clone()))]
        }
        What::Pause(number) => {
            let sku = names.sku(random);
            vec![of_sku(&sku, move || if number % 4 == 0 { Command::Pause } else { Command::Resume })]
        }
        What::Hold(number) => {
            let named = names.hold(number);
            let (hold, units, buyer) = (named.hold, named.units, named.buyer);
            let promise = Promise::Held(named.sku.clone(), hold, units);
            let question = move || {
                let buyer = buyer.clone();
                Question::Sku(Command::Hold { hold, units, buyer, order: None, ttl: HOLD, tentative: false })
            };
            vec![Request { promise, purchase: true, ..ask(EntityId::Sku(named.sku), question) }]
        }
        What::Release(number) => {
            let named = names.hold(number);
            let hold = named.hold;
            vec![of_sku(&named.sku, move || Command::Release { hold, order: None })]
        }
        What::Place(number) => {
            let (id, request) = (names.order_at_once(number), names.placement(number));
            let question = move || Question::Place(Box::new(request.clone()));
            vec![Request { promise: Promise::Placed(id), purchase: true, ..ask(EntityId::Order(id), question) }]
        }
        What::CheckOut(number) => check_out(names, number),
        What::Pay(_) => {
            let (order, token, payment) = (names.target(random), names.token(random), names.op(what));
            vec![of_order(order, payment, move || order::Command::Pay {
                payment,
                fingerprint: 1,
                token: token.clone(),
            })]
        }
        What::Cancel(_) => {
            let (order, cancel) = (names.target(random), names.op(what));
            // Answered as done, too, when somebody else has cancelled before: no promise of its own.
            let command = move || order::Command::Cancel { cancel, fingerprint: 1, reason: "changed_mind".to_owned() };
            vec![Request { promise: Promise::Shown, ..of_order(order, cancel, command) }]
        }
        What::Refund(_) => {
            let (order, refund, restock) = (names.target(random), names.op(what), random.chance(500));
            let lines = if random.chance(400) { Vec::new() } else { some_units(random) };
            vec![of_order(order, refund, move || order::Command::Refund {
                refund,
                fingerprint: 1,
                lines: lines.clone(),
                restock,
            })]
        }
        What::Return(_) => {
            let (order, return_id, restock) = (names.target(random), names.op(what), random.chance(500));
            let (location, lines) = (location(random), some_units(random));
            vec![of_order(order, return_id, move || {
                let (location, lines) = (location.clone(), lines.clone());
                order::Command::Return { return_id, fingerprint: 1, location, lines, restock }
            })]
        }
        What::ReadSku(_) => vec![ask(EntityId::Sku(names.sku(random)), || Question::ReadSku)],
        What::ReadOrder(_) => vec![ask(EntityId::Order(names.target(random)), || Question::ReadOrder)],
    }
}

fn check_out(names: &Names, number: u64) -> Vec<Request> {
    let (cart, order) = (names.cart(number), names.order_of_cart(number));
    let (buyer, lines) = names.cart_lines(number);
    let token = names.token(&mut names.chances(What::CheckOut(number)));
    let mut requests = vec![of_cart(cart, move || cart::Command::Open { buyer: buyer.clone(), ttl: Span::hours(1) })];
    requests.extend(lines.into_iter().map(|line| of_cart(cart, move || cart::Command::SetLine(line.clone()))));
    let question = move || {
        let fingerprint = 1_000 + number;
        Question::CheckOut(Box::new(CheckOut { order, token: token.clone(), delivery: None, fingerprint, trace: None }))
    };
    let promise = Promise::CheckedOut(cart, order);
    requests.push(Request { promise, purchase: true, ..ask(EntityId::Cart(cart), question) });
    requests
}

fn some_units(random: &mut crate::random::Random) -> Vec<LineUnits> {
    vec![LineUnits { line: random.below(2) as u32, units: random.within(1, 2) as Units }]
}

fn ask(entity: EntityId, question: impl Fn() -> Question + 'static) -> Request {
    Request { entity, question: Box::new(question), promise: Promise::Shown, purchase: false }
}

fn of_sku(sku: &SkuId, command: impl Fn() -> Command + 'static) -> Request {
    ask(EntityId::Sku(sku.clone()), move || Question::Sku(command()))
}

fn of_cart(cart: CartId, command: impl Fn() -> cart::Command + 'static) -> Request {
    ask(EntityId::Cart(cart), move || Question::Cart(command()))
}

fn of_order(order: OrderId, op: OpId, command: impl Fn() -> order::Command + 'static) -> Request {
    let promise = Promise::Operation(order, op);
    Request { promise, ..ask(EntityId::Order(order), move || Question::Order(Box::new(command()))) }
}
