//! What must be so once nothing goes wrong any more and everything has had its time: nothing is left behind, money and units
//! match, and the log adds up to the same again and again.

use crate::books::Books;
use crate::outside::{Depository, Provider};
use stampede::feed::projection::{EntityState, Reader};
use stampede::journal::Log;
use stampede_actors::ids::{EntityId, OrderId};
use stampede_actors::order::{Order, RefundState, State};
use stampede_actors::record::Position;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Does an order wait for nothing more?
pub fn is_settled(reader: &Reader, order: OrderId) -> bool {
    with_order(reader, order, |order| order.state().is_some_and(State::is_terminal) && order.open_steps().is_empty())
        .unwrap_or(false)
}

fn with_order<T>(reader: &Reader, id: OrderId, look: impl FnOnce(&Order) -> T) -> Option<T> {
    match reader.current(&EntityId::Order(id)) {
        Ok(Some((EntityState::Order(order), _))) => Some(look(&order)),
        _ => None,
    }
}

/// See the module.
pub fn check(books: &mut Books, reader: &Reader, provider: &Provider, depository: &Depository) {
    let standing = books.model.standing().next().map(|(sku, hold, claim)| format!("{hold} of {sku}: {claim:?}"));
    if let Some(claim) = standing {
        return books.violated(format!("stranded: {claim}"));
    }
    let left = depository.outstanding();
    if left != (0, 0) {
        return books.violated(format!("stranded: the warehouse has {left:?} parcels to ship and to have confirmed"));
    }
    let money = provider.books(|books| books.by_order().unwrap());
    let orders: Vec<_> = books.model.orders.keys().copied().collect();
    for &id in money.keys() {
        if !orders.contains(&id) {
            return books.violated(format!("the provider moved money for {id}, which is no order"));
        }
    }
    for id in orders {
        let moved = money.get(&id).copied().unwrap_or_default();
        let found =
            with_order(reader, id, |order| settled(order, moved)).unwrap_or(Err("it cannot be read".to_owned()));
        if let Err(what) = found {
            return books.violated(format!("at rest, {id}: {what}"));
        }
    }
    for violation in books.ledger.close() {
        books.violated(format!("ledger, at rest: {violation:?}"));
    }
    let audit = reader.audit();
    if audit.violated > 0 || audit.oversold != 0 {
        books.violated(format!("the server's own audit: {:?}", audit.violations));
    }
}

/// An order at rest against the provider's word.
fn settled(order: &Order, moved: stampede::workflows::simulated::OrderMoney) -> Result<(), String> {
    let state = order.state().ok_or("never placed")?;
    if !state.is_terminal() || !order.open_steps().is_empty() {
        return Err(format!("stranded in {state:?} with {:?}", order.open_steps()));
    }
    if moved.captures > 1 || moved.still_reserved() > 0 {
        return Err(format!("in {state:?}, the provider says {moved:?}"));
    }
    let kept = order.captured().map_or(0, |money| money.minor) - order.refunded().map_or(0, |money| money.minor);
    if moved.captured - moved.refunded != kept {
        return Err(format!("it says that {kept} were kept, the provider says {moved:?}"));
    }
    if order.refunds().iter().any(|refund| !matches!(refund.state, RefundState::Done | RefundState::Lapsed)) {
        return Err(format!("a refund is not at its end: {:?}", order.refunds()));
    }
    // What was paid and not given back is for units that have left.
    let lines = order.placement().map(|placement| placement.lines.clone()).unwrap_or_default();
    let (mut worth, mut to_ship, mut shipped) = (0, 0, 0);
    for (line, tally) in lines.iter().zip(order.tallies()) {
        worth += i64::from(tally.to_refund()) * line.unit_price.minor;
        to_ship += tally.to_ship();
        shipped += tally.shipped;
    }
    match state {
        State::Fulfilled if kept != worth || to_ship > 0 => {
            Err(format!("{kept} were kept for units that are worth {worth}, {to_ship} of them are still to be shipped"))
        }
        State::Fulfilled => Ok(()),
        _ if kept != 0 || shipped != 0 => Err(format!("{state:?}, {kept} were kept and {shipped} units have left")),
        _ => Ok(()),
    }
}

/// Replays the whole log, twice: the same bytes each time, and what the store shows (I5).
pub fn replay(books: &mut Books, log: &Arc<Log>, reader: &Reader) {
    let once = fold(books, log);
    let again = fold(books, log);
    let (once, again) = match (once, again) {
        (Ok(once), Ok(again)) => (once, again),
        (Err(what), _) | (_, Err(what)) => return books.violated(what),
    };
    if once != again {
        return books.violated("the log adds up to different things");
    }
    for (entity, (bytes, version)) in once {
        let shown = reader.current(&entity).ok().flatten().map(|(state, version)| (encoded(&state), version));
        if shown != Some((bytes, version)) {
            return books.violated(format!("{entity} is not what the log adds up to"));
        }
    }
}

type States = BTreeMap<EntityId, (Vec<u8>, u64)>;

fn fold(books: &Books, log: &Arc<Log>) -> Result<States, String> {
    let mut states: BTreeMap<EntityId, (EntityState, u64)> = BTreeMap::new();
    let mut reader =
        log.read_from(Position(1)).map_err(|error| format!("the log cannot be read: {error}"))?.with_roots();
    while let Some(frame) = reader.next().map_err(|error| format!("the log cannot be read: {error}"))? {
        if books.frames.get(frame.seq as usize - 1) != Some(&frame.hash) {
            return Err(format!("frame {} is another one than was published", frame.seq));
        }
        for entry in frame.records.iter().flat_map(|record| &record.entries) {
            let (state, version) =
                states.entry(entry.entity.clone()).or_insert_with(|| (EntityState::new(&entry.entity), 0));
            state.apply(&entry.event)?;
            *version = entry.version;
        }
    }
    Ok(states.into_iter().map(|(entity, (state, version))| (entity, (encoded(&state), version))).collect())
}

fn encoded(state: &EntityState) -> Vec<u8> {
    match state {
        EntityState::Sku(sku) => stampede_actors::sku::codec::encode_state(sku),
        EntityState::Cart(cart) => stampede_actors::cart::codec::encode_state(cart),
        EntityState::Order(order) => stampede_actors::order::codec::encode_state(order),
        EntityState::Shop(shop) => stampede_actors::shop::codec::encode_state(shop),
    }
}
