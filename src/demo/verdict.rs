//! The verdict: what the buyers were told, against what the log says, against what the provider took.

use crate::demo::books::Books;
use crate::demo::ledger::Ledger;
use crate::demo::live::grouped;
use crate::demo::shelf::Shelf;
use crate::demo::stats::{Kind, Stats};
use serde::Serialize;
use std::collections::BTreeMap;

/// Most reasons that are printed.
const REASONS: usize = 20;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Word {
    /// Everything holds.
    Pass,
    /// Something that must hold does not.
    Fail,
    /// The generator was the bottleneck: the run proves nothing.
    Void,
}

impl Word {
    /// In capitals, as it is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Word::Pass => "PASS",
            Word::Fail => "FAIL",
            Word::Void => "VOID",
        }
    }
}

/// The outcome of a run. Field names are part of the interface (`--json`).
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// PASS, FAIL or VOID.
    pub verdict: Word,
    /// Units for sale.
    pub units: i64,
    /// Units of captured orders.
    pub sold: i64,
    /// Units sold beyond those there were, per SKU, summed.
    pub oversold: i64,
    /// Units left while buyers still wanted them, per SKU, summed.
    pub undersold: i64,
    /// Captured orders.
    pub orders: usize,
    /// Charges in the provider's own ledger.
    pub charges: usize,
    /// Orders in the log whose timeline tells all, from click to shipment or whatever ended them.
    pub complete_timelines: usize,
    /// Orders acknowledged to buyers, whether they were paid or not.
    pub acknowledged: usize,
    /// Acknowledged orders that the log does not have, or has otherwise.
    pub lost_acknowledged: usize,
    /// Acknowledged orders ÷ seconds of the rush.
    pub orders_per_second: f64,
    /// Answered requests ÷ seconds of the rush.
    pub answers_per_second: f64,
    /// Latency of all buyers' requests, each from the moment at which it was meant to be sent.
    pub p50_ms: f64,
    /// The same.
    pub p99_ms: f64,
    /// Of those that were accepted.
    pub p99_accepted_ms: f64,
    /// Of those that were refused.
    pub p99_refused_ms: f64,
    /// Repeats compared byte for byte with the first answer.
    pub replays: u64,
    /// Repeats after a failed connection, a 429 or a 503.
    pub sent_again: u64,
    /// Refusals by code.
    pub refusals: BTreeMap<String, u64>,
    /// Arrivals that could not be started.
    pub dropped_arrivals: u64,
    /// Largest delay of an arrival that was the generator's own.
    pub latest_arrival_ms: u64,
    /// CPU of the generator during the rush, in hundredths of one core: near 100 it is the bottleneck.
    pub generator_cpu_percent: u64,
    /// Rules evaluated over the log.
    pub rules_evaluated: u64,
    /// From the kill to the first ready answer; absent without a kill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outage_ms: Option<u64>,
    /// The seed that decided what buyers do.
    pub seed: u64,
    /// Why it did not pass.
    pub reasons: Vec<String>,
}

/// What the run itself can tell.
#[derive(Debug)]
pub struct Run<'a> {
    /// What was for sale.
    pub shelves: &'a [Shelf],
    /// What was acknowledged.
    pub ledger: &'a Ledger,
    /// What was felt.
    pub stats: &'a Stats,
    /// Buyers still in line, per SKU.
    pub in_line: &'a [u32],
    /// Length of the rush.
    pub seconds: f64,
    /// Everything had ended when the server was stopped.
    pub settled: bool,
    /// CPU of the generator during the rush, in hundredths of one core.
    pub generator_cpu_percent: u64,
    /// From the kill to the first ready answer.
    pub outage_ms: Option<u64>,
    /// Of the crowd.
    pub seed: u64,
}

impl Run<'_> {
    /// Compares the three accounts.
    #[must_use]
    pub fn judge(&self, books: &Books) -> Verdict {
        let mut reasons = Vec::new();
        let (sold, oversold, undersold) = self.units(books, &mut reasons);
        let lost_acknowledged = self.lost(books, &mut reasons);
        self.conduct(&mut reasons);
        reasons.extend(books.complaints());
        let stats = self.stats;
        let void = stats.dropped > 0;
        if void {
            reasons.push(format!("{} arrivals were dropped: the generator was the bottleneck", stats.dropped));
        }
        let failed = reasons.len() > usize::from(void);
        Verdict {
            verdict: match (failed, void) {
                (true, _) => Word::Fail,
                (false, true) => Word::Void,
                (false, false) => Word::Pass,
            },
            units: self.shelves.iter().map(|shelf| i64::from(shelf.units)).sum(),
            sold,
            oversold,
            undersold,
            orders: books.captured(),
            charges: books.charges(),
            complete_timelines: books.complete_timelines(),
            acknowledged: self.ledger.orders().len(),
            lost_acknowledged,
            orders_per_second: rounded(self.ledger.orders().len() as f64 / self.seconds),
            answers_per_second: rounded(stats.answers as f64 / self.seconds),
            p50_ms: stats.ms(0.50),
            p99_ms: stats.ms(0.99),
            p99_accepted_ms: stats.kind_ms(Kind::Accepted, 0.99),
            p99_refused_ms: stats.kind_ms(Kind::Refused, 0.99),
            replays: self.ledger.replays,
            sent_again: stats.sent_again,
            refusals: stats.refusals.clone(),
            dropped_arrivals: stats.dropped,
            latest_arrival_ms: stats.latest.as_millis() as u64,
            generator_cpu_percent: self.generator_cpu_percent,
            rules_evaluated: books.evaluated,
            outage_ms: self.outage_ms,
            seed: self.seed,
            reasons,
        }
    }

    /// Sold, oversold and undersold units.
    fn units(&self, books: &Books, reasons: &mut Vec<String>) -> (i64, i64, i64) {
        let mut sums = (0, 0, 0);
        for (shelf, &in_line) in self.shelves.iter().zip(self.in_line) {
            let (sold, units) = (books.sold(&shelf.sku), i64::from(shelf.units));
            let undersold = (units - sold).clamp(0, i64::from(in_line));
            sums = (sums.0 + sold, sums.1 + (sold - units).max(0), sums.2 + undersold);
            if sold > units {
                reasons.push(format!("{}: {sold} sold of {units}", shelf.sku));
            }
            if undersold > 0 {
                reasons.push(format!("{}: {sold} sold of {units} while {in_line} buyers were in line", shelf.sku));
            }
        }
        sums
    }

    /// Acknowledged orders that the log does not have as they were acknowledged; and orders that nobody was told of.
    fn lost(&self, books: &Books, reasons: &mut Vec<String>) -> usize {
        let mut lost = 0;
        for order in self.ledger.orders() {
            let wants = order.wants.iter().map(|want| (self.shelves[want.sku].sku.clone(), want.units)).collect();
            if let Err(why) = books.has(&order.order, &order.visit.name(), wants) {
                lost += 1;
                reasons.push(format!("{}: acknowledged, but {why}", order.order));
            }
        }
        let told: hashbrown::HashSet<&str, foldhash::fast::FixedState> =
            self.ledger.orders().iter().map(|order| order.order.as_str()).collect();
        let untold = books.orders().filter(|order| !told.contains(order)).count();
        // A request that was given up may have been carried out: its order is known to nobody.
        if untold > self.stats.gave_up as usize {
            reasons.push(format!("{untold} orders in the log that no buyer was told of"));
        }
        lost
    }

    /// What is wrong with how the server answered.
    fn conduct(&self, reasons: &mut Vec<String>) {
        reasons.extend(self.ledger.contradictions.iter().cloned());
        if self.stats.unexpected > 0 {
            let kept = self.stats.unexpected_kept.join("; ");
            reasons.push(format!("{} unexpected answers: {kept}", self.stats.unexpected));
        }
        if self.stats.gave_up > 0 {
            let kept = self.stats.gave_up_kept.join("; ");
            reasons.push(format!("{} requests never got a definite answer: {kept}", self.stats.gave_up));
        }
        if !self.settled {
            reasons.push("not everything was settled in time".to_owned());
        }
    }
}

impl Verdict {
    /// For people: one line, and the reasons above it when there are any.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for reason in self.reasons.iter().take(REASONS) {
            text.push_str(&format!("  {reason}\n"));
        }
        if self.reasons.len() > REASONS {
            text.push_str(&format!("  and {} more\n", self.reasons.len() - REASONS));
        }
        let equals = if self.orders == self.charges { "=" } else { "but" };
        let there = match self.lost_acknowledged {
            0 => "acknowledged all there".to_owned(),
            lost => format!("acknowledged {lost} of {} LOST", grouped(self.acknowledged as u64)),
        };
        let word = self.verdict.as_str();
        text.push_str(&format!(
            "sold {}/{}  oversold {}  undersold {}  orders {} {equals} charges {}  {there}  p99 {} ms  {word}",
            grouped(self.sold.unsigned_abs()),
            grouped(self.units.unsigned_abs()),
            self.oversold,
            self.undersold,
            grouped(self.orders as u64),
            grouped(self.charges as u64),
            if self.p99_ms < 10.0 { format!("{:.1}", self.p99_ms) } else { format!("{:.0}", self.p99_ms) },
        ));
        text
    }
}

fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests;
