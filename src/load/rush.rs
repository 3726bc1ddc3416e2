//! The open loop: every arrival has its moment, fixed before the first one, and is started then, whatever became of
//! those before it.

use crate::load::sale::{Sale, count};
use crate::load::scenario::Arrivals;
use crate::load::schedule::Schedule;
use crate::load::visit::End;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// An arrival that starts later than this after its time was held up by the generator: dropped.
const MAX_LATE: Duration = Duration::from_secs(1);
/// From the last arrival until everybody has left the counter. Every request has its own limit, so this is far off.
const LEAVE: Duration = Duration::from_secs(120);
/// Failures that are kept word for word.
const KEPT: u64 = 10;

/// Sends all buyers in, and comes back when they have left. At most `limit` are at the counter at once: an arrival
/// beyond them is dropped and counted.
pub async fn run(sale: &Rc<Sale>, limit: usize) {
    match sale.scenario.arrivals {
        Arrivals::Iterations(buyers) => one_after_the_other(sale, buyers).await,
        Arrivals::Rates { .. } => at_their_moments(sale, limit).await,
    }
    let deadline = Instant::now() + LEAVE;
    while sale.counts.active.get() > 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(5)).await;
    }
}

async fn one_after_the_other(sale: &Rc<Sale>, buyers: u32) {
    for buyer in 0..buyers {
        enter(sale.clone(), buyer, Instant::now()).await;
    }
}

async fn at_their_moments(sale: &Rc<Sale>, limit: usize) {
    let start = Instant::now();
    sale.metrics.begin(start.into_std());
    for (buyer, moment) in (0..).zip(Schedule::new(&sale.scenario.arrivals)) {
        let meant_at = start + moment;
        if meant_at > Instant::now() {
            sleep_until(meant_at).await;
        }
        if may_enter(sale, meant_at.elapsed(), limit) {
            // Only the task itself says that a visit has ended.
            drop(tokio::task::spawn_local(enter(sale.clone(), buyer, meant_at)));
        }
        if buyer % 64 == 63 {
            // A burst of overdue arrivals must not keep those inside from their answers.
            tokio::task::yield_now().await;
        }
    }
}

fn may_enter(sale: &Sale, late: Duration, limit: usize) -> bool {
    let stats = &mut *sale.stats.borrow_mut();
    stats.latest = stats.latest.max(late);
    sale.metrics.came(late);
    let may = late <= MAX_LATE && sale.counts.active.get() < limit;
    if may {
        sale.counts.active.set(sale.counts.active.get() + 1);
    } else {
        stats.dropped += 1;
        sale.metrics.dropped();
    }
    may
}

async fn enter(sale: Rc<Sale>, buyer: u32, meant_at: Instant) {
    let counts = &sale.counts;
    count(&counts.started);
    sale.metrics.started();
    let end = sale.visit(sale.buyers.first(buyer), meant_at).await;
    sale.metrics.ended(&end);
    match end {
        End::Bought => count(&counts.accepted),
        End::Refused(_) => count(&counts.refused),
        End::Failed(why) => {
            count(&counts.failed);
            if counts.failed.get() <= KEPT {
                sale.stats.borrow_mut().gave_up(&sale.words.buyer(buyer), &why);
            }
        }
    }
    counts.active.set(counts.active.get().saturating_sub(1));
}
