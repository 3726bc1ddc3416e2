//! The provider's books: what it did, by its own account. Nothing is ever taken out or changed.

use super::rows::{self, Walk};
use crate::store::{Batch, Failure, MemoryStore, Range, Store, Table};
use crate::workflows::provider::{Call, Found, Operation};
use serde::{Deserialize, Serialize};
use stampede_actors::ids::{OrderId, Reference};
use stampede_actors::order::Answer;
use stampede_actors::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What an entry of the books is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// An amount was reserved.
    Authorize,
    /// An amount was taken.
    Capture,
    /// A reservation was given up.
    Void,
    /// An amount was given back.
    Refund,
    /// Nothing was done: the provider said no.
    Refuse,
}

/// One entry of the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// From 1, without gaps.
    pub number: u64,
    /// When, in microseconds of engine time.
    pub at: Timestamp,
    /// What was done.
    pub operation: Deed,
    /// For which order.
    pub order: OrderId,
    /// Under which name of ours.
    pub reference: Reference,
    /// In minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// The provider's own reference for it.
    pub id: Reference,
    /// The entry that it captures, voids or refunds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Reference>,
    /// Why it said no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The key was forgotten at once: a repeat of the call is a call of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub key_forgotten: bool,
}

/// What the provider says that it moved for one order, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrderMoney {
    /// How often an amount was reserved.
    pub authorisations: u32,
    /// How often an amount was taken.
    pub captures: u32,
    /// How often a reservation was given up.
    pub voids: u32,
    /// How often an amount was given back.
    pub refunds: u32,
    /// Taken.
    pub captured: i64,
    /// Given back.
    pub refunded: i64,
}

impl OrderMoney {
    /// Reservations that are neither taken nor given up.
    #[must_use]
    pub fn still_reserved(&self) -> u32 {
        self.authorisations.saturating_sub(self.captures + self.voids)
    }
}

/// What became of one reservation, or of one taken amount.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Used {
    /// Taken, or given back.
    amount: i64,
    voided: bool,
}

/// What a call is about: an earlier entry, and what became of it.
struct Account {
    number: u64,
    amount: i64,
    used: Used,
}

/// The books, in a store of their own. An entry is a row, and another one leads from its reference to it.
pub struct Books {
    store: Arc<dyn Store>,
    /// The number of the last entry; 0: there is none.
    last: u64,
}

impl Default for Books {
    fn default() -> Books {
        Books { store: Arc::new(MemoryStore::default()), last: 0 }
    }
}

impl std::fmt::Debug for Books {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Books").field("last", &self.last).finish_non_exhaustive()
    }
}

impl Books {
    /// Opens or begins the books in this directory. Reads one entry, however many there are.
    ///
    /// # Errors
    /// When they cannot be read or written, are in use, or make no sense.
    pub fn open(directory: &Path) -> io::Result<Books> {
        Books::kept_in(rows::open(directory)?)
    }

    /// Opens the books that a process, stopped or killed, has left in this directory, as a witness.
    ///
    /// # Errors
    /// When there are none, or as [`Books::open`].
    pub fn read(directory: &Path) -> io::Result<Books> {
        Books::kept_in(rows::open_left(directory)?)
    }

    /// Opens the books in this store.
    pub(super) fn kept_in(store: Arc<dyn Store>) -> io::Result<Books> {
        let newest = Range { from: &[], to: None, reverse: true, limit: 1 };
        let last = match store.range(Table::Deeds, newest).map_err(io::Error::other)?.first() {
            Some((_, entry)) => serde_json::from_slice::<Entry>(entry)?.number,
            None => 0,
        };
        Ok(Books { store, last })
    }

    /// Tells when nothing can be written down any more.
    #[must_use]
    pub fn failure(&self) -> Failure {
        self.store.failure()
    }

    /// Everything, in order, read as it is asked for.
    pub fn entries(&self) -> impl Iterator<Item = io::Result<Entry>> {
        Walk::of(&*self.store, Table::Deeds).map(|row| Ok(serde_json::from_slice(&row?.1)?))
    }

    /// What was moved for each order.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub fn by_order(&self) -> io::Result<BTreeMap<OrderId, OrderMoney>> {
        let mut orders: BTreeMap<OrderId, OrderMoney> = BTreeMap::new();
        for entry in self.entries() {
            let entry = entry?;
            let of_order = orders.entry(entry.order).or_default();
            match entry.operation {
                Deed::Authorize => of_order.authorisations += 1,
                Deed::Void => of_order.voids += 1,
                Deed::Capture => {
                    of_order.captures += 1;
                    of_order.captured += entry.amount;
                }
                Deed::Refund => {
                    of_order.refunds += 1;
                    of_order.refunded += entry.amount;
                }
                Deed::Refuse => {}
            }
        }
        Ok(orders)
    }

    /// What was answered to an earlier call with this reference, if its key is still known.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub(super) fn recall(&self, reference: &Reference, now: Timestamp, lifetime: Span) -> io::Result<Option<Answer>> {
        let entry = self.last_under(reference)?;
        let known = entry.filter(|entry| !entry.key_forgotten && now.since(entry.at) < lifetime);
        Ok(known.map(|entry| answer(&entry)))
    }

    /// What became of this reference; keys have nothing to do with it.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub(super) fn look_up(&self, reference: &Reference) -> io::Result<Found> {
        Ok(match self.last_under(reference)? {
            Some(entry) => Found::Known(answer(&entry)),
            None => Found::Nothing,
        })
    }

    /// Does what is asked, if the accounts allow it and nobody `refused`, and writes it down before anybody hears of it.
    ///
    /// # Errors
    /// When it cannot be written down: then it was not done.
    pub(super) fn perform(
        &mut self,
        call: &Call,
        refused: Option<&str>,
        key_forgotten: bool,
        now: Timestamp,
    ) -> io::Result<Answer> {
        let account = self.account(call)?;
        let verdict = match refused {
            Some(code) => Err(code),
            None => check(call, account.as_ref()),
        };
        let (operation, prefix) = match (verdict, call.operation) {
            (Err(_), _) => (Deed::Refuse, "no"),
            (Ok(()), Operation::Authorize) => (Deed::Authorize, "au"),
            (Ok(()), Operation::Capture) => (Deed::Capture, "ca"),
            (Ok(()), Operation::Void) => (Deed::Void, "vo"),
            (Ok(()), Operation::Refund) => (Deed::Refund, "re"),
        };
        let number = self.last + 1;
        let entry = Entry {
            number,
            at: now,
            operation,
            order: call.order,
            reference: call.reference.clone(),
            amount: call.amount.minor,
            currency: call.amount.currency.code().to_owned(),
            id: Reference::new(&format!("{prefix}_{number}")).map_err(io::Error::other)?,
            on: call.on.clone(),
            code: verdict.err().map(str::to_owned),
            key_forgotten,
        };
        self.write_down(&entry, account)?;
        self.last = number;
        Ok(answer(&entry))
    }

    fn write_down(&self, entry: &Entry, account: Option<Account>) -> io::Result<()> {
        let mut batch = Batch::default();
        rows::put(&mut batch, Table::Deeds, &key(entry.number), entry)?;
        rows::put(&mut batch, Table::References, entry.reference.as_str().as_bytes(), &entry.number)?;
        if let Some(Account { number, mut used, .. }) = account {
            match entry.operation {
                Deed::Capture | Deed::Refund => used.amount += entry.amount,
                Deed::Void => used.voided = true,
                Deed::Authorize | Deed::Refuse => {}
            }
            rows::put(&mut batch, Table::Used, &key(number), &used)?;
        }
        rows::keep(&*self.store, &batch)
    }

    /// What the call is about, if the provider knows it.
    fn account(&self, call: &Call) -> io::Result<Option<Account>> {
        // The provider's references end in the number of their entry.
        let number = call.on.as_ref().and_then(|on| on.as_str().split_once('_')?.1.parse().ok());
        let Some(number) = number else { return Ok(None) };
        let entry = self.entry(number)?.filter(|entry| Some(&entry.id) == call.on.as_ref());
        match entry {
            Some(Entry { operation: Deed::Authorize | Deed::Capture, amount, .. }) => {
                let used = rows::find(&*self.store, Table::Used, &key(number))?.unwrap_or_default();
                Ok(Some(Account { number, amount, used }))
            }
            _ => Ok(None),
        }
    }

    fn last_under(&self, reference: &Reference) -> io::Result<Option<Entry>> {
        match rows::find(&*self.store, Table::References, reference.as_str().as_bytes())? {
            Some(number) => self.entry(number),
            None => Ok(None),
        }
    }

    fn entry(&self, number: u64) -> io::Result<Option<Entry>> {
        rows::find(&*self.store, Table::Deeds, &key(number))
    }
}

fn check(call: &Call, account: Option<&Account>) -> Result<(), &'static str> {
    if call.operation == Operation::Authorize {
        return if call.amount.minor > 0 { Ok(()) } else { Err("bad_amount") };
    }
    let Account { amount, used, .. } = account.ok_or("unknown_reference")?;
    match call.operation {
        Operation::Void if used.voided => Err("already_voided"),
        Operation::Capture if used.voided => Err("voided"),
        Operation::Void | Operation::Capture if used.amount > 0 => Err("already_captured"),
        Operation::Capture | Operation::Refund if used.amount + call.amount.minor > *amount => Err("amount_too_large"),
        Operation::Authorize | Operation::Capture | Operation::Void | Operation::Refund => Ok(()),
    }
}

/// In the order of their numbers.
fn key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

fn answer(entry: &Entry) -> Answer {
    match &entry.code {
        Some(code) => Answer::Refused { code: code.clone() },
        None => Answer::Done { reference: Some(entry.id.clone()) },
    }
}
