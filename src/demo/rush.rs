//! The rush: buyers arrive when they meant to, whatever the server does (an open loop); refused ones come back or wait
//! in line; and it goes on until every order has ended and nobody in line could still be served.

use crate::demo::buyer::{self, Outcome};
use crate::demo::crowd::{Decision, Visit};
use crate::demo::ledger::End;
use crate::demo::shop::Shop;
use futures_util::StreamExt;
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Visits in progress at once; an arrival beyond them is dropped, and the run is void.
const MAX_ACTIVE: usize = 100_000;
/// An arrival that starts later than this after its time was not the server's fault: dropped.
const MAX_LATE: Duration = Duration::from_secs(5);
/// Looks at once while watching orders and shelves.
const LOOKS: usize = 8;
/// Most shelves looked at in one round.
const SHELVES_PER_ROUND: usize = 250;

/// A sale in progress.
#[derive(Debug)]
pub struct Rush {
    shop: Rc<Shop>,
    buyers: u32,
    seconds: f64,
    /// Who comes back, when, and after which SKU was refused.
    agenda: RefCell<BinaryHeap<Reverse<(Instant, Visit, usize)>>>,
    /// Who waits to be called, per SKU.
    lines: RefCell<Vec<VecDeque<Visit>>>,
    /// Who was called and is not back yet, per SKU.
    called: RefCell<Vec<usize>>,
    arrived: Cell<u32>,
    active: Cell<usize>,
    over: Cell<bool>,
}

impl Rush {
    /// `buyers` arrivals, evenly over `seconds`.
    #[must_use]
    pub fn new(shop: Rc<Shop>, buyers: u32, seconds: f64) -> Rc<Rush> {
        let skus = shop.shelves.len();
        Rc::new(Rush {
            shop,
            buyers,
            seconds,
            agenda: RefCell::default(),
            lines: RefCell::new(vec![VecDeque::new(); skus]),
            called: RefCell::new(vec![0; skus]),
            arrived: Cell::new(0),
            active: Cell::new(0),
            over: Cell::new(false),
        })
    }

    /// Buyers who have arrived so far.
    #[must_use]
    pub fn arrived(&self) -> u32 {
        self.arrived.get()
    }

    /// Buyers who still wait in line, per SKU: the demand that was not met.
    #[must_use]
    pub fn in_line(&self) -> Vec<u32> {
        self.lines.borrow().iter().map(|line| line.len() as u32).collect()
    }

    /// Runs it to its end; what is not settled `within` that time after the last arrival stays so.
    /// Answers whether all was settled.
    pub async fn run(self: &Rc<Rush>, within: Duration) -> bool {
        let watcher = tokio::task::spawn_local(self.clone().watch_orders());
        let caller = tokio::task::spawn_local(self.clone().call_from_lines());
        let comings = tokio::task::spawn_local(self.clone().come_back());
        self.clone().arrive().await;
        let settled = timeout(within, self.settle()).await.is_ok();
        self.over.set(true);
        for task in [watcher, caller, comings] {
            task.abort();
        }
        settled
    }

    /// The open loop: every arrival has its moment, fixed before the first one.
    async fn arrive(self: Rc<Rush>) {
        let start = Instant::now() + Duration::from_millis(50);
        for buyer in 0..self.buyers {
            let meant_at = start + Duration::from_secs_f64(self.seconds * f64::from(buyer) / f64::from(self.buyers));
            if meant_at > Instant::now() {
                sleep_until(meant_at).await;
            }
            self.arrived.set(buyer + 1);
            let late = meant_at.elapsed();
            {
                let stats = &mut *self.shop.stats.borrow_mut();
                stats.latest = stats.latest.max(late);
                if late > MAX_LATE || self.active.get() >= MAX_ACTIVE {
                    stats.dropped += 1;
                    continue;
                }
            }
            let visit = Visit { buyer, number: 0 };
            self.send_in(visit, self.shop.crowd.first(visit), meant_at, None);
            if buyer % 64 == 63 {
                // A burst of overdue arrivals must not keep those inside from their answers.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Starts one visit, and sees to what follows from how it ends.
    fn send_in(self: &Rc<Rush>, visit: Visit, decision: Decision, meant_at: Instant, called_to: Option<usize>) {
        self.active.set(self.active.get() + 1);
        let rush = self.clone();
        tokio::task::spawn_local(async move {
            let outcome = buyer::visit(&rush.shop, visit, &decision, meant_at).await;
            if let Some(sku) = called_to {
                rush.called.borrow_mut()[sku] -= 1;
            }
            match outcome {
                Outcome::Refused { sku } => rush.refused(visit, sku, called_to.is_some()),
                Outcome::Bought | Outcome::Abandoned | Outcome::NoAnswer => {}
            }
            rush.active.set(rush.active.get() - 1);
        });
    }

    fn refused(&self, visit: Visit, sku: usize, was_called: bool) {
        match self.shop.crowd.pause_ms(visit) {
            Some(pause) if !was_called => {
                let at = Instant::now() + Duration::from_millis(pause);
                self.agenda.borrow_mut().push(Reverse((at, visit.next(), sku)));
            }
            _ => self.lines.borrow_mut()[sku].push_back(visit.next()),
        }
    }

    /// Sends in those whose time to come back has come.
    async fn come_back(self: Rc<Rush>) {
        loop {
            sleep(Duration::from_millis(5)).await;
            while let Some((at, visit, sku)) = self.due() {
                self.send_in(visit, self.shop.crowd.come_back(visit, sku), at, None);
            }
        }
    }

    fn due(&self) -> Option<(Instant, Visit, usize)> {
        let mut agenda = self.agenda.borrow_mut();
        let Reverse((at, ..)) = agenda.peek()?;
        if *at > Instant::now() { None } else { agenda.pop().map(|Reverse(entry)| entry) }
    }

    /// Looks after orders that have not ended. Who wanted the goods and did not get them is in line again.
    async fn watch_orders(self: Rc<Rush>) {
        loop {
            sleep(Duration::from_millis(300)).await;
            let open = self.shop.ledger.borrow().open();
            let looks = open.into_iter().map(|index| self.look_after(index));
            futures_util::stream::iter(looks).buffer_unordered(LOOKS).collect::<()>().await;
        }
    }

    async fn look_after(&self, index: usize) {
        let path = format!("/v1/orders/{}", self.shop.ledger.borrow().orders()[index].order);
        let Some(order) = self.shop.look(&path).await else { return };
        let end = match order.get("state").and_then(|state| state.as_str()) {
            Some("captured" | "fulfilment_requested" | "partly_shipped" | "fulfilled") => End::Sold,
            Some("expired" | "cancelled") => End::NotSold,
            _ => return,
        };
        let ledger = &mut *self.shop.ledger.borrow_mut();
        ledger.end(index, end);
        let order = &ledger.orders()[index];
        if end == End::NotSold && order.wants_it {
            self.lines.borrow_mut()[order.wants[0].sku].push_back(order.visit.next());
        }
    }

    /// Calls as many from a line as there are units for.
    async fn call_from_lines(self: Rc<Rush>) {
        let mut from = 0;
        loop {
            sleep(Duration::from_millis(250)).await;
            let wanted = self.wanted_shelves();
            let round: Vec<usize> =
                wanted.iter().cycle().skip(from).take(wanted.len().min(SHELVES_PER_ROUND)).copied().collect();
            from = if wanted.len() > SHELVES_PER_ROUND { (from + SHELVES_PER_ROUND) % wanted.len() } else { 0 };
            let looks = round.into_iter().map(|sku| self.call_to(sku));
            futures_util::stream::iter(looks).buffer_unordered(LOOKS).collect::<()>().await;
        }
    }

    async fn call_to(self: &Rc<Rush>, sku: usize) {
        let Some(stock) = self.look_at(sku).await else { return };
        loop {
            let called = self.called.borrow()[sku];
            if called as u64 >= stock.available {
                return;
            }
            let Some(visit) = self.lines.borrow_mut()[sku].pop_front() else { return };
            self.called.borrow_mut()[sku] += 1;
            self.send_in(visit, self.shop.crowd.called(visit, sku), Instant::now(), Some(sku));
        }
    }

    /// Comes back when everything is settled: everybody is home or in line, every order has ended, and nobody in line
    /// could be served, neither from the shelf nor from a hold that may run out.
    async fn settle(self: &Rc<Rush>) {
        loop {
            sleep(Duration::from_millis(100)).await;
            let busy = self.active.get() > 0 || !self.agenda.borrow().is_empty();
            if !busy && self.shop.ledger.borrow().open().is_empty() && self.shelves_are_settled().await {
                return;
            }
        }
    }

    async fn shelves_are_settled(self: &Rc<Rush>) -> bool {
        for sku in self.unsold_shelves() {
            let Some(stock) = self.look_at(sku).await else { return false };
            let could_be_served = stock.available > 0 && !self.lines.borrow()[sku].is_empty();
            if stock.held > 0 || could_be_served {
                return false;
            }
        }
        // While the shelves were looked at, somebody may have been called.
        self.active.get() == 0 && self.shop.ledger.borrow().open().is_empty()
    }

    async fn look_at(&self, sku: usize) -> Option<Stock> {
        let stock = self.shop.look(&format!("/v1/skus/{}/availability", self.shop.shelves[sku].sku)).await?;
        Some(Stock { available: stock.get("available")?.as_u64()?, held: stock.get("held")?.as_u64()? })
    }

    fn wanted_shelves(&self) -> Vec<usize> {
        let lines = self.lines.borrow();
        self.unsold_shelves().into_iter().filter(|&sku| !lines[sku].is_empty()).collect()
    }

    /// Shelves with units that are not in sold orders, as far as the buyers know.
    fn unsold_shelves(&self) -> Vec<usize> {
        let mut sold = vec![0; self.shop.shelves.len()];
        for order in self.shop.ledger.borrow().orders().iter().filter(|order| order.end == Some(End::Sold)) {
            order.wants.iter().for_each(|want| sold[want.sku] += want.units);
        }
        let shelves = self.shop.shelves.iter().enumerate();
        shelves.filter(|(sku, shelf)| shelf.units != sold[*sku]).map(|(sku, _)| sku).collect()
    }
}

#[derive(Debug, Clone, Copy)]
struct Stock {
    available: u64,
    held: u64,
}

#[cfg(test)]
mod tests;
