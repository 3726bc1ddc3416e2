//! The clients' own book: what was asked for, what was answered, and what a repeat must be answered. Kept apart from
//! the server on purpose: after every crash the two are compared.

use crate::since::Since;
use stampede::client::{Answer, Request, Says};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Something that was asked for.
#[derive(Debug, Clone)]
pub enum What {
    /// A SKU was listed.
    Listing,
    /// Units came in.
    Receipt { sku: String, units: i64 },
    /// An order, by whatever way.
    Order { buyer: String, lines: Vec<(String, u32)> },
    /// A cart was opened.
    Cart,
    /// A cart's line was set.
    Line,
    /// Units were held. Since when; `taken`: an order may have taken it over, or it was given back.
    Hold { since: Since, taken: bool },
    /// A hold was given back.
    Release,
    /// An order was to be cancelled.
    Cancel,
}

/// What the client knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Nothing: it may have happened or not.
    Nothing,
    /// It is done: status and body.
    Yes(u16, Vec<u8>),
    /// It is not done, and has no effect.
    No,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Deed {
    pub what: What,
    pub request: Arc<Request>,
    pub told: Told,
}

/// An order: its id, its buyer, and how many units of what.
pub type Acknowledged<'a> = (String, &'a str, &'a [(String, u32)]);

/// All of them.
#[derive(Debug, Default)]
pub struct Ledger {
    pub deeds: Vec<Deed>,
    /// What must not be.
    pub violations: Vec<String>,
    /// Repeats that were compared with the first answer.
    pub repeats: u64,
    /// Requests whose outcome was unknown, and was found out by repeating them.
    pub resolved: u64,
}

impl Ledger {
    /// Written down before it is sent.
    pub fn begin(&mut self, what: What, request: Arc<Request>) -> usize {
        self.deeds.push(Deed { what, request, told: Told::Nothing });
        self.deeds.len() - 1
    }

    /// Takes an answer in. Is it definite?
    pub fn told(&mut self, index: usize, answer: &Answer) -> bool {
        let deed = &mut self.deeds[index];
        // An idle connection that the server had given up when we used it once more.
        let says = if answer.status() == 408 { Says::Busy(String::new()) } else { answer.says() };
        match says {
            Says::Yes => deed.told = Told::Yes(answer.status(), answer.body.clone()),
            Says::No(_) => deed.told = Told::No,
            Says::Busy(_) => return false,
            Says::Nonsense => {
                deed.told = Told::No;
                let line = deed.request.line().to_owned();
                let body = String::from_utf8_lossy(&answer.body);
                self.violations.push(format!("{line}: an answer that makes no sense: {} {body}", answer.status()));
            }
        }
        true
    }

    /// Takes the answer to a repeat of an acknowledged request in. `hold_lasts`: no hold can have run out yet.
    pub fn repeated(&mut self, index: usize, answer: &Answer, hold_lasts: bool) {
        self.repeats += 1;
        let deed = &self.deeds[index];
        let Told::Yes(status, body) = &deed.told else { return };
        let same = answer.status() == *status && answer.body == *body;
        let fits = match &deed.what {
            What::Order { .. } | What::Receipt { .. } | What::Cart | What::Cancel => same,
            What::Hold { taken, .. } if *taken || !hold_lasts => matches!(answer.status(), 200 | 404 | 409),
            What::Hold { .. } => answer.status() == 200,
            What::Release => answer.status() == 204,
            What::Line => matches!(answer.status(), 200 | 409),
            What::Listing => answer.status() == 200,
        };
        if !fits {
            let (was, is) = (String::from_utf8_lossy(body), String::from_utf8_lossy(&answer.body));
            let line = deed.request.line();
            self.violations.push(format!(
                "{line}: acknowledged with {status} {was}, and a repeat was answered {} {is}",
                answer.status()
            ));
        }
    }

    /// Those of which nothing is known.
    pub fn unknown(&self) -> Vec<usize> {
        self.indices(|deed| deed.told == Told::Nothing)
    }

    /// Those that were acknowledged.
    pub fn acknowledged(&self) -> Vec<usize> {
        self.indices(|deed| matches!(deed.told, Told::Yes(..)))
    }

    fn indices(&self, wanted: impl Fn(&Deed) -> bool) -> Vec<usize> {
        self.deeds.iter().enumerate().filter(|(_, deed)| wanted(deed)).map(|(index, _)| index).collect()
    }

    /// Acknowledged orders: id, buyer, lines.
    pub fn orders(&self) -> Vec<Acknowledged<'_>> {
        let mut orders = Vec::new();
        for deed in &self.deeds {
            if let (Told::Yes(_, body), What::Order { buyer, lines }) = (&deed.told, &deed.what)
                && let Some(id) = text(body, "order")
            {
                orders.push((id, buyer.as_str(), lines.as_slice()));
            }
        }
        orders
    }

    /// Units that came in, by SKU, as far as acknowledged.
    pub fn stock(&self) -> BTreeMap<&str, i64> {
        let mut stock = BTreeMap::new();
        for deed in self.deeds.iter().filter(|deed| matches!(deed.told, Told::Yes(..))) {
            if let What::Receipt { sku, units } = &deed.what {
                *stock.entry(sku.as_str()).or_default() += units;
            }
        }
        stock
    }
}

/// A field of a JSON body.
pub fn text(body: &[u8], field: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(body.get(field)?.as_str()?.to_owned())
}
