//! Whether all is right: units, orders and money in sums, the rules they keep, and when they were last seen to agree.

use crate::engine::Engine;
use crate::metrics::catalogue::{self, ORDER_STATES, OTHER};
use crate::metrics::families::Families;
use crate::metrics::sampled::set;
use crate::verify::{AuditSummary, Invariant};
use stampede_actors::time::Span;
use std::time::{SystemTime, UNIX_EPOCH};

/// Copies the sums of the audit, and when they were last seen to agree.
pub fn sample(families: &Families, engine: &Engine) {
    let sums = engine.reader().audit();
    invariants(families, &sums);
    reconciliation(families, engine);
    set(families, &catalogue::SHOP_PAUSED, &[], f64::from(u8::from(engine.fabric().paused())));
    families.counter(&catalogue::OVERSOLD, &[]).absolute(u64::try_from(sums.oversold).unwrap_or(0));
    let units = [
        ("supplied", sums.allocated_supply),
        ("available", sums.available),
        ("held", sums.held),
        ("allocated", sums.allocated),
        ("shipped", sums.shipped),
        ("returned", sums.returned),
    ];
    for (state, count) in units {
        set(families, &catalogue::UNITS, &[state], count as f64);
    }
    for state in ORDER_STATES {
        let count = sums.orders.get(*state).copied().unwrap_or(0);
        set(families, &catalogue::ORDERS_BY_STATE, &[state], count as f64);
    }
    set(families, &catalogue::LEDGER, &[], (sums.captured_orders - sums.charges) as f64);
    let captured = |minor| u64::try_from(minor).unwrap_or(0);
    families.revenue(sums.money.iter().map(|(currency, flow)| (currency.as_str(), captured(flow.captured))));
}

fn invariants(families: &Families, sums: &AuditSummary) {
    let mut of_no_rule = sums.violated;
    for rule in Invariant::RUNNING {
        let looks = sums.rules.get(&rule).copied().unwrap_or_default();
        families.counter(&catalogue::INVARIANT_CHECKS, &[rule.code()]).absolute(looks.evaluated);
        families.counter(&catalogue::INVARIANT_VIOLATIONS, &[rule.code()]).absolute(looks.violated);
        of_no_rule = of_no_rule.saturating_sub(looks.violated);
    }
    if of_no_rule > 0 {
        // Found before there was a count by rule. It stays a violation.
        families.counter(&catalogue::INVARIANT_VIOLATIONS, &[OTHER]).absolute(of_no_rule);
    }
}

fn reconciliation(families: &Families, engine: &Engine) {
    let committed = engine.committed();
    let (differences, mark) = engine.reader().differences();
    // Sums in which nothing is missing are of now; others are as old as the frame that they reach to.
    let age = if mark.position >= committed { Span::default() } else { engine.now().since(mark.at) };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    for (pair, difference) in differences {
        let last_success = families.gauge(&catalogue::RECONCILED, &[pair.word()]);
        if difference == 0 {
            last_success.set(now - age.0 as f64 / 1e6);
        }
    }
}
