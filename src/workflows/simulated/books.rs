//! The provider's books: what it did, by its own account. Nothing is ever taken out or changed.

use super::lines::Lines;
use crate::workflows::provider::{Call, Found, Operation};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use stampede_actors::ids::{OrderId, Reference};
use stampede_actors::order::Answer;
use stampede_actors::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// What a line of the books is about.
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

/// One line of the books.
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

/// One reservation, or one taken amount.
#[derive(Debug, Clone, Copy)]
struct Account {
    amount: i64,
    /// Taken, or given back.
    used: i64,
    voided: bool,
}

/// The books, in memory, and in a file when they have one.
#[derive(Debug, Default)]
pub struct Books {
    file: Option<Lines>,
    entries: Vec<Entry>,
    /// The last entry of each reference.
    by_reference: HashMap<Reference, usize, FixedState>,
    accounts: HashMap<Reference, Account, FixedState>,
}

impl Books {
    /// Opens or begins the books in this file.
    ///
    /// # Errors
    /// When it cannot be read or written, or makes no sense.
    pub fn open(path: &Path) -> io::Result<Books> {
        let (file, entries) = Lines::open(path)?;
        Ok(Books { file: Some(file), ..Books::of(entries) })
    }

    /// Reads the books in this file, as a witness.
    ///
    /// # Errors
    /// When it cannot be read or makes no sense.
    pub fn read(path: &Path) -> io::Result<Books> {
        Ok(Books::of(Lines::read(path)?))
    }

    fn of(entries: Vec<Entry>) -> Books {
        let mut books = Books::default();
        entries.into_iter().for_each(|entry| books.take_in(entry));
        books
    }

    /// Everything, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What was moved for each order.
    #[must_use]
    pub fn by_order(&self) -> BTreeMap<OrderId, OrderMoney> {
        let mut orders: BTreeMap<OrderId, OrderMoney> = BTreeMap::new();
        for entry in &self.entries {
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
        orders
    }

    /// What was answered to an earlier call with this reference, if its key is still known.
    pub(super) fn recall(&self, reference: &Reference, now: Timestamp, lifetime: Span) -> Option<Answer> {
        let entry = &self.entries[*self.by_reference.get(reference)?];
        (!entry.key_forgotten && now.since(entry.at) < lifetime).then(|| answer(entry))
    }

    /// What became of this reference; keys have nothing to do with it.
    pub(super) fn look_up(&self, reference: &Reference) -> Found {
        match self.by_reference.get(reference) {
            Some(&index) => Found::Known(answer(&self.entries[index])),
            None => Found::Nothing,
        }
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
        let verdict = match refused {
            Some(code) => Err(code),
            None => self.check(call),
        };
        let (operation, prefix) = match (verdict, call.operation) {
            (Err(_), _) => (Deed::Refuse, "no"),
            (Ok(()), Operation::Authorize) => (Deed::Authorize, "au"),
            (Ok(()), Operation::Capture) => (Deed::Capture, "ca"),
            (Ok(()), Operation::Void) => (Deed::Void, "vo"),
            (Ok(()), Operation::Refund) => (Deed::Refund, "re"),
        };
        let number = self.entries.len() as u64 + 1;
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
        if let Some(file) = &mut self.file {
            file.append(&entry)?;
        }
        let answer = answer(&entry);
        self.take_in(entry);
        Ok(answer)
    }

    fn check(&self, call: &Call) -> Result<(), &'static str> {
        if call.operation == Operation::Authorize {
            return if call.amount.minor > 0 { Ok(()) } else { Err("bad_amount") };
        }
        let account = call.on.as_ref().and_then(|on| self.accounts.get(on)).ok_or("unknown_reference")?;
        match call.operation {
            Operation::Void if account.voided => Err("already_voided"),
            Operation::Capture if account.voided => Err("voided"),
            Operation::Void | Operation::Capture if account.used > 0 => Err("already_captured"),
            Operation::Capture | Operation::Refund if account.used + call.amount.minor > account.amount => {
                Err("amount_too_large")
            }
            Operation::Authorize | Operation::Capture | Operation::Void | Operation::Refund => Ok(()),
        }
    }

    fn take_in(&mut self, entry: Entry) {
        let on = entry.on.as_ref().and_then(|on| self.accounts.get_mut(on));
        match (entry.operation, on) {
            (Deed::Capture | Deed::Refund, Some(on)) => on.used += entry.amount,
            (Deed::Void, Some(on)) => on.voided = true,
            _ => {}
        }
        if matches!(entry.operation, Deed::Authorize | Deed::Capture) {
            let account = Account { amount: entry.amount, used: 0, voided: false };
            self.accounts.insert(entry.id.clone(), account);
        }
        self.by_reference.insert(entry.reference.clone(), self.entries.len());
        self.entries.push(entry);
    }
}

fn answer(entry: &Entry) -> Answer {
    match &entry.code {
        Some(code) => Answer::Refused { code: code.clone() },
        None => Answer::Done { reference: Some(entry.id.clone()) },
    }
}
