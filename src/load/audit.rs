//! What must hold in the server's own sums. Other buyers may be on the same server, so the rules are about what changed
//! since the run began.

use crate::load::clerk::{Audit, Clerk};
use crate::load::sale::Sale;
use crate::load::tally::{Invariant, Tally};
use std::time::Duration;
use tokio::time::sleep;

/// How often the sums are looked at while buyers come.
const EVERY: Duration = Duration::from_secs(2);

/// Looks at the sums again and again, until it is dropped. A server too busy to answer is looked at later.
pub async fn watch(sale: &Sale, clerk: &Clerk, before: &Audit) {
    loop {
        sleep(EVERY).await;
        if let Ok(now) = clerk.try_read::<Audit>("/v1/audit").await {
            look(&mut sale.tally.borrow_mut(), before, &now);
        }
    }
}

/// The rules that hold at any time.
pub fn look(tally: &mut Tally, before: &Audit, now: &Audit) {
    let (before, now) = (&before.sums, &now.sums);
    tally.must(Invariant::Oversell, now.oversold <= before.oversold, || {
        format!("the audit counts {} units sold twice, {} before the run", now.oversold, before.oversold)
    });
    // Units that came back may be on the shelf again or not.
    let (all, supply) = (now.available + now.held + now.sold, now.allocated_supply - now.written_off);
    tally.must(Invariant::Conservation, (supply..=supply + now.returned).contains(&all), || {
        let (available, held, sold) = (now.available, now.held, now.sold);
        format!("the audit counts {available} available, {held} held and {sold} sold units of {supply}")
    });
    tally.must(Invariant::Conservation, now.violated <= before.violated, || {
        let last = now.violations.last().map(|violation| format!("{violation:?}")).unwrap_or_default();
        format!("the audit found {} violations, {} before the run: {last}", now.violated, before.violated)
    });
}

/// The rules that hold when everything is paid: as many charges as paid orders, and the server's own rules were looked
/// at when there was something to look at.
pub fn settled(tally: &mut Tally, before: &Audit, now: &Audit, orders: usize) {
    let charges = now.sums.charges - before.sums.charges;
    let paid = now.sums.captured_orders - before.sums.captured_orders;
    tally.must(Invariant::DoubleCharge, charges == paid, || format!("{charges} charges for {paid} paid orders"));
    let looked = now.sums.evaluated > before.sums.evaluated;
    tally.must(Invariant::Evaluated, looked || orders == 0, || "the server looked at none of its own rules".to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::AuditSummary;
    use std::collections::BTreeMap;

    fn audit(change: impl FnOnce(&mut AuditSummary)) -> Audit {
        let mut sums = AuditSummary {
            allocated_supply: 100,
            on_hand: 90,
            available: 70,
            held: 5,
            allocated: 15,
            sold: 25,
            shipped: 10,
            captured_orders: 25,
            charges: 25,
            evaluated: 1_000,
            ..AuditSummary::default()
        };
        change(&mut sums);
        Audit { log_position: 1, as_of: String::new(), sums }
    }

    fn violated(before: &Audit, now: &Audit) -> Vec<&'static str> {
        let mut tally = Tally::default();
        look(&mut tally, before, now);
        settled(&mut tally, before, now, 25);
        let outcome: BTreeMap<_, _> = tally.outcome(&[]);
        outcome.into_keys().map(Invariant::word).collect()
    }

    #[test]
    fn a_sale_that_adds_up_is_right() {
        let before = audit(|sums| *sums = AuditSummary { allocated_supply: 100, available: 100, ..Default::default() });
        assert!(violated(&before, &audit(|_| {})).is_empty());
        assert!(
            violated(&before, &audit(|sums| (sums.returned, sums.available) = (3, 72))).is_empty(),
            "two restocked"
        );
    }

    #[test]
    fn each_lie_is_found() {
        let before = audit(|sums| *sums = AuditSummary { allocated_supply: 100, available: 100, ..Default::default() });
        let found = |change: fn(&mut AuditSummary)| violated(&before, &audit(change));
        assert_eq!(found(|sums| sums.oversold = 1), ["oversell"]);
        assert_eq!(found(|sums| sums.available = 71), ["conservation"]);
        assert_eq!(found(|sums| sums.held = 4), ["conservation"]);
        assert_eq!(found(|sums| sums.violated = 1), ["conservation"]);
        assert_eq!(found(|sums| sums.charges = 26), ["double_charge"]);
        assert_eq!(found(|sums| sums.captured_orders = 26), ["double_charge"]);
        assert_eq!(found(|sums| sums.evaluated = 0), ["evaluated"]);
    }

    #[test]
    fn what_was_wrong_before_is_not_this_run() {
        let broken = |sums: &mut AuditSummary| (sums.oversold, sums.violated) = (2, 2);
        let mut before = audit(broken);
        before.sums.evaluated = 1;
        assert!(violated(&before, &audit(broken)).is_empty());
    }
}
