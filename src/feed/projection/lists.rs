//! Lists, page by page and newest first. A cursor names the last row of a page, so it survives restarts.

use super::cells::Shared;
use super::entity::EntityState;
use super::keys::{self, Place};
use super::{Error, movements};
use crate::store::{Range, Read, Table};
use stampede_actors::ids::{BuyerRef, EntityId, HoldId, OrderId, SkuId};
use stampede_actors::order::{Order, State};
use stampede_actors::record::Version;
use stampede_actors::sku::{self, HoldView, Movement};
use stampede_actors::time::Timestamp;
use std::cmp::Reverse;

/// Rows looked at for one page, at most: when few match, a page is short and its cursor leads on.
const LOOKED_AT: usize = 2_000;

/// Longest cursor of the due times: time, kind, and the longest code of a SKU, in hexadecimal digits.
const DUE_CURSOR_MAX: usize = 2 * (8 + 1 + SkuId::MAX);

/// Which orders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this buyer.
    pub buyer: Option<BuyerRef>,
    /// In this state.
    pub state: Option<State>,
    /// Placed then or later.
    pub from: Option<Timestamp>,
    /// Placed before.
    pub to: Option<Timestamp>,
}

pub(super) enum Listing<'a> {
    Filtered(&'a Filter),
    Attention,
}

/// An order in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedOrder {
    /// Its id.
    pub id: OrderId,
    /// Its version.
    pub version: Version,
    /// All of it.
    pub order: Box<Order>,
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins; `None`: this was the last one.
    pub next: Option<String>,
}

/// The cursor is none that a page gave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this cursor is not one of ours")]
pub struct BadCursor;

pub(super) fn orders(
    shared: &Shared,
    listing: Listing<'_>,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Result<Page<ListedOrder>, BadCursor>, Error> {
    let everything = Filter::default();
    let attention = matches!(listing, Listing::Attention);
    let (table, lists, filter) = match listing {
        Listing::Attention => (Table::Attention, vec![Vec::new()], &everything),
        Listing::Filtered(filter) => match (&filter.buyer, filter.state) {
            (Some(buyer), _) => (Table::OrdersByBuyer, vec![keys::buyer(buyer)], filter),
            (None, Some(state)) => (Table::OrdersByState, vec![keys::state(state)], filter),
            (None, None) => (Table::OrdersByState, State::ALL.map(keys::state).to_vec(), filter),
        },
    };
    let Ok(cursor) = cursor.map(read_cursor::<{ Place::BYTES }>).transpose() else { return Ok(Err(BadCursor)) };
    let from = filter.from.map(|from| keys::time(from).to_vec()).unwrap_or_default();
    let end = filter.to.map(|to| keys::time(to).to_vec());
    let mut to = [cursor.map(|place| place.to_vec()), end].into_iter().flatten().min();
    // All as of one moment: an order that goes from one list to another meanwhile would be in neither.
    let view = shared.store.view();
    let mut page = Page { rows: Vec::new(), next: None };
    let mut looked_at = 0;
    while page.rows.len() < limit && looked_at < LOOKED_AT {
        let places = newest(&*view, table, &lists, &from, to.as_deref(), limit.min(64))?;
        let Some(last) = places.last() else {
            page.next = None;
            break;
        };
        to = Some(last.bytes());
        for place in places {
            looked_at += 1;
            page.rows.extend(listed(shared, place.order, |order| {
                filter.state.is_none_or(|state| order.state() == Some(state))
                    && (!attention || order.attention().is_some())
            })?);
            page.next = Some(write_cursor(&place.bytes()));
            if page.rows.len() == limit {
                break;
            }
        }
    }
    Ok(Ok(page))
}

/// The newest places of all `lists`, which are prefixes of keys, from `from` on and before `to`.
fn newest(
    store: &dyn Read,
    table: Table,
    lists: &[Vec<u8>],
    from: &[u8],
    to: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Place>, Error> {
    let mut places = Vec::new();
    for list in lists {
        let from = [list, from].concat();
        let to = to.map_or_else(|| keys::after(list), |to| Some([list, to].concat()));
        let rows = store.range(table, Range { from: &from, to: to.as_deref(), reverse: true, limit })?;
        places.extend(rows.iter().filter_map(|(key, _)| Place::read(key)));
    }
    places.sort_unstable_by_key(|place| Reverse(*place));
    places.truncate(limit);
    Ok(places)
}

/// The order, if it is still what the list says: a row may be older than what was taken in since.
fn listed(shared: &Shared, id: OrderId, fits: impl Fn(&Order) -> bool) -> Result<Option<ListedOrder>, Error> {
    let Some((EntityState::Order(order), version)) = shared.current(&EntityId::Order(id))? else { return Ok(None) };
    Ok(fits(&order).then_some(ListedOrder { id, version, order }))
}

pub(super) fn moved(
    store: &dyn Read,
    sku: &SkuId,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Result<Page<(Version, Movement)>, BadCursor>, Error> {
    let Ok(cursor) = cursor.map(read_cursor::<8>).transpose() else { return Ok(Err(BadCursor)) };
    // A row holds several movements under the version of its oldest one: rows may overlap after a restart.
    let mut before = cursor.map_or(Version::MAX, Version::from_be_bytes);
    let mut bounds = Bounds { table: Table::Movements, from: keys::sku(sku), to: Some(keys::movements(sku, before)) };
    let mut page = Page { rows: Vec::new(), next: None };
    loop {
        let Some((_, bytes)) = bounds.next_rows(store, 1)?.pop() else {
            page.next = None;
            return Ok(Ok(page));
        };
        let row = movements::read(&bytes).ok_or_else(|| Error::Lost(format!("a movement of {sku}")))?;
        for (version, movement) in row.into_iter().rev() {
            if version >= before {
                continue;
            }
            if page.rows.len() == limit {
                return Ok(Ok(page));
            }
            before = version;
            page.next = Some(write_cursor(&version.to_be_bytes()));
            page.rows.push((version, movement));
        }
    }
}

pub(super) fn outbox(
    shared: &Shared,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Result<Page<ListedOrder>, BadCursor>, Error> {
    // An order with open steps is due when the first of them is asked for again.
    let mut from = match cursor.map(read_due_cursor).transpose() {
        Ok(cursor) => cursor.unwrap_or_default(),
        Err(bad) => return Ok(Err(bad)),
    };
    let mut page = Page { rows: Vec::new(), next: None };
    let mut looked_at = 0;
    while page.rows.len() < limit && looked_at < LOOKED_AT {
        let range = Range { from: &from, to: None, reverse: false, limit: 256 };
        let rows = shared.store.range(Table::Due, range)?;
        if rows.is_empty() {
            page.next = None;
            break;
        }
        for (key, _) in rows {
            looked_at += 1;
            if let Some((_, EntityId::Order(order))) = keys::read_due(&key) {
                page.rows.extend(listed(shared, order, |order| !order.open_steps().is_empty())?);
            }
            from = [&key[..], &[0]].concat();
            page.next = Some(write_cursor(&key));
            if page.rows.len() == limit {
                break;
            }
        }
    }
    Ok(Ok(page))
}

/// Behind the row that a cursor of the due times names.
fn read_due_cursor(text: &str) -> Result<Vec<u8>, BadCursor> {
    if text.len() > DUE_CURSOR_MAX {
        return Err(BadCursor);
    }
    let mut key = bytes_of(text)?;
    keys::read_due(&key).ok_or(BadCursor)?;
    key.push(0);
    Ok(key)
}

pub(super) fn holds(
    store: &dyn Read,
    sku: &SkuId,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Result<Page<(HoldId, HoldView)>, BadCursor>, Error> {
    let Ok(cursor) = cursor.map(read_cursor::<16>).transpose() else { return Ok(Err(BadCursor)) };
    let prefix = keys::sku(sku);
    let from = match cursor {
        // Behind the last one shown.
        Some(last) => [&prefix[..], &last, &[0]].concat(),
        None => prefix.clone(),
    };
    let to = keys::after(&prefix);
    // One more than is shown tells whether that was all.
    let range = Range { from: &from, to: to.as_deref(), reverse: false, limit: limit + 1 };
    let mut rows = Vec::new();
    for (_, bytes) in store.range(Table::Claims, range)? {
        rows.push(sku::codec::decode_claim(&bytes).map_err(|error| Error::Lost(format!("a claim of {sku}: {error}")))?);
    }
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(hold, _)| write_cursor(&hold.0.to_be_bytes()));
    Ok(Ok(Page { rows, next }))
}

/// What is left of a list.
struct Bounds {
    table: Table,
    from: Vec<u8>,
    to: Option<Vec<u8>>,
}

impl Bounds {
    fn next_rows(&mut self, store: &dyn Read, limit: usize) -> Result<Vec<crate::store::Row>, Error> {
        let range = Range { from: &self.from, to: self.to.as_deref(), reverse: true, limit };
        let rows = store.range(self.table, range)?;
        if let Some((key, _)) = rows.last() {
            self.to = Some(key.clone());
        }
        Ok(rows)
    }
}

fn write_cursor(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        text.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
        text
    })
}

fn read_cursor<const N: usize>(text: &str) -> Result<[u8; N], BadCursor> {
    if text.len() != N * 2 {
        return Err(BadCursor);
    }
    bytes_of(text)?.try_into().map_err(|_| BadCursor)
}

fn bytes_of(text: &str) -> Result<Vec<u8>, BadCursor> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8).ok_or(BadCursor);
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(BadCursor);
    }
    pairs.map(|pair| Ok(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}
