//! What really happened, from the two accounts that do not lie: the log, read back offline, and the provider's ledger.

use crate::demo::charges::Charges;
use crate::demo::timelines;
use crate::disk::{RealDisk, SharedDisk};
use crate::journal::Log;
use crate::verify::{self, Finding, Violation};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use stampede_actors::ids::EntityId;
use stampede_actors::money::Money;
use stampede_actors::order::{Answer, Event, Order, Step};
use stampede_actors::record::{self, Position, Record};
use std::path::Path;
use std::sync::Arc;

/// One order, as the log tells it.
#[derive(Debug, Clone)]
struct Booked {
    buyer: String,
    lines: Vec<(String, u32)>,
    total: Money,
    captured: bool,
    ended: bool,
    /// As its events make it.
    order: Box<Order>,
}

impl Booked {
    /// Paid, and not undone later.
    fn is_sold(&self) -> bool {
        self.captured && !self.ended
    }
}

/// Orders, charges and violated rules.
#[derive(Debug, Default)]
pub struct Books {
    orders: HashMap<String, Booked, FixedState>,
    charges: Charges,
    violations: Vec<String>,
    /// Rules evaluated over the log.
    pub evaluated: u64,
}

impl Books {
    /// Takes in one record of the log.
    pub fn record(&mut self, record: &Record) {
        for entry in &record.entries {
            if let (EntityId::Order(order), record::Event::Order(event)) = (&entry.entity, &entry.event) {
                self.order(&order.to_string(), event);
            }
        }
    }

    /// Takes in what the provider took.
    pub fn charged(&mut self, charges: Charges) {
        self.charges = charges;
    }

    /// Takes in what the rules say about the log.
    pub fn verified(&mut self, evaluated: u64, violations: Vec<String>) {
        self.evaluated = evaluated;
        self.violations.extend(violations);
    }

    /// Reads everything back: the log from its directory, the provider's books from the data directory of a server that has
    /// stopped, which may be the same.
    ///
    /// # Errors
    /// When log or provider's books cannot be read, or the log is corrupt.
    pub fn read(log: &Path, data: &Path) -> anyhow::Result<Books> {
        let report = verify::verify(log, &mut |_, _| {})?;
        let mut books = Books::default();
        let words = |finding: &Finding| {
            let Violation { invariant, entity, detail } = &finding.violation;
            format!("{}: {entity}: {detail}", invariant.code())
        };
        books.verified(report.audit.evaluated, report.findings.iter().map(words).collect());
        let disk: SharedDisk = Arc::new(RealDisk);
        let mut reader = Log::inspect(&disk, log)?.log.read_from(Position(1))?;
        while let Some(frame) = reader.next()? {
            frame.records.iter().for_each(|record| books.record(record));
        }
        books.charged(Charges::read(data)?);
        Ok(books)
    }

    fn order(&mut self, id: &str, event: &Event) {
        if let Event::Placed { placement, total, .. } = event {
            let lines = placement.lines.iter().map(|line| (line.sku.to_string(), line.units)).collect();
            let buyer = placement.buyer.to_string();
            let booked = Booked { buyer, lines, total: *total, captured: false, ended: false, order: Box::default() };
            if self.orders.insert(id.to_owned(), booked).is_some() {
                return self.violations.push(format!("{id} was placed twice"));
            }
        }
        let Some(order) = self.orders.get_mut(id) else {
            return self.violations.push(format!("{id} has events, but was never placed"));
        };
        order.order.apply(event);
        match event {
            Event::Answered { step: Step::Capture { .. }, answer: Answer::Done { .. }, .. } => order.captured = true,
            Event::Cancelled { .. } | Event::Expired { .. } => order.ended = true,
            _ => {}
        }
    }

    /// Rules that the log breaks.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Units of this SKU in captured orders.
    #[must_use]
    pub fn sold(&self, sku: &str) -> i64 {
        let captured = self.orders.values().filter(|order| order.is_sold());
        captured
            .flat_map(|order| &order.lines)
            .filter(|(code, _)| code == sku)
            .map(|(_, units)| i64::from(*units))
            .sum()
    }

    /// Captured orders.
    #[must_use]
    pub fn captured(&self) -> usize {
        self.orders.values().filter(|order| order.is_sold()).count()
    }

    /// Orders that can be followed from click to shipment, or to whatever ended them.
    #[must_use]
    pub fn complete_timelines(&self) -> usize {
        self.orders.values().filter(|order| timelines::gap(&order.order).is_none()).count()
    }

    /// Charges at the provider.
    #[must_use]
    pub fn charges(&self) -> usize {
        self.charges.count()
    }

    /// Ids of all orders.
    pub fn orders(&self) -> impl Iterator<Item = &str> {
        self.orders.keys().map(String::as_str)
    }

    /// Is this order there, with this buyer and these lines?
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn has(&self, order: &str, buyer: &str, mut lines: Vec<(String, u32)>) -> Result<(), String> {
        let booked = self.orders.get(order).ok_or("it is not in the log")?;
        let mut known = booked.lines.clone();
        known.sort_unstable();
        lines.sort_unstable();
        match booked.buyer == buyer && known == lines {
            true => Ok(()),
            false => Err(format!("the log has {} with {known:?} instead of {buyer} with {lines:?}", booked.buyer)),
        }
    }

    /// What does not hold between log and provider, and in the log itself.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = self.violations.clone();
        let mut orders: Vec<_> = self.orders.iter().collect();
        orders.sort_unstable_by_key(|(id, _)| *id);
        for (id, order) in orders {
            let taken = self.charges.taken(id);
            let (times, amount) = if order.is_sold() { (1, order.total.minor) } else { (0, 0) };
            let currency = order.total.currency.code();
            if (taken.times, taken.amount) != (times, amount) || (times > 0 && taken.currency != currency) {
                complaints.push(format!(
                    "{id}: {taken:?} at the provider, where the log says {times} times {amount} {currency}"
                ));
            }
            if let Some(gap) = timelines::gap(&order.order) {
                complaints.push(format!("{id}: its timeline is not complete: {gap}"));
            }
            if !order.captured && !order.ended {
                complaints.push(format!("{id}: neither paid nor ended"));
            }
        }
        let unknown = self.charges.orders().filter(|id| !self.orders.contains_key(*id));
        complaints.extend(unknown.map(|id| format!("{id}: charged, but there is no such order")));
        let reserved = self.charges.still_reserved().into_iter();
        complaints.extend(reserved.map(|id| format!("{id}: its buyer's money is still reserved")));
        complaints
    }
}
