//! After the arrivals: what is unclear is asked until it is clear, and, where the scenario says so, refused buyers come
//! back until demand or stock is used up. None of this is measured.

use crate::client::Failure;
use crate::load::buyer::{Purchase, Via};
use crate::load::sale::{Came, Sale, count};
use crate::load::visit::PATIENCE;
use futures_util::StreamExt;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Requests at once.
const AT_ONCE: usize = 32;
/// How often one request is repeated until there is a definite answer.
const TRIES: u32 = 40;
/// Longest pause between two of them.
const PAUSE: Duration = Duration::from_secs(1);
/// How long buyers go on coming back without anybody being served.
const WITHOUT_SUCCESS: Duration = Duration::from_secs(30);
/// How long they come back in all.
const LONGEST: Duration = Duration::from_secs(600);

impl Sale {
    /// Asks for every purchase of which nobody knows whether it happened, until that is known, and gives unused holds
    /// back. What stays unclear stays in the list.
    pub async fn clear_up(&self) {
        let unclear = std::mem::take(&mut self.open.borrow_mut().unclear);
        let asked = unclear.into_iter().map(|purchase| self.insist(purchase));
        futures_util::stream::iter(asked).buffer_unordered(AT_ONCE).collect::<()>().await;
        let holds = std::mem::take(&mut self.open.borrow_mut().holds);
        let given_back = holds.into_iter().map(|(sku, hold)| self.give_back(sku, hold));
        futures_util::stream::iter(given_back).buffer_unordered(AT_ONCE).map(drop).collect::<()>().await;
    }

    /// Sends a purchase until there is a definite answer.
    async fn insist(&self, purchase: Purchase) {
        match self.definite(&purchase).await {
            Some(true) => count(&self.counts.came_back),
            Some(false) => self.leave(&purchase).await,
            None => self.open.borrow_mut().unclear.push(purchase),
        }
    }

    /// Was it granted? Nothing: that could not be found out.
    async fn definite(&self, purchase: &Purchase) -> Option<bool> {
        let request = self.words.purchase(purchase, false);
        for _ in 0..TRIES {
            let answer = self.send(&request, PATIENCE).await;
            let wait = answer.as_ref().map_or(PAUSE, |answer| answer.wait().min(PAUSE));
            if let Err(Failure::Connection(_)) = answer {
                self.pool.forget_idle();
            }
            match self.weigh(answer) {
                Came::Yes(answer) => return self.acknowledge(*purchase, &answer).then_some(true),
                Came::No(_) => return Some(false),
                Came::Busy(_) | Came::Nothing(_) => sleep(wait).await,
            }
        }
        None
    }

    /// Lets refused buyers come back, each for any SKU that has units left, until demand or stock is used up.
    pub async fn drain(&self) {
        let mut buyers: VecDeque<u32> = std::mem::take(&mut self.open.borrow_mut().refused).into();
        let (began, mut served_at) = (Instant::now(), Instant::now());
        let mut visit = 1;
        while !buyers.is_empty() && self.stock_left() > 0 {
            if served_at.elapsed() > WITHOUT_SUCCESS || began.elapsed() > LONGEST {
                break;
            }
            let round = self.offers(&mut buyers, visit);
            let before = self.stock_left();
            let visits = round.into_iter().map(|purchase| self.insist(purchase));
            futures_util::stream::iter(visits).buffer_unordered(AT_ONCE).collect::<()>().await;
            buyers.extend(std::mem::take(&mut self.open.borrow_mut().refused));
            if self.stock_left() < before {
                served_at = Instant::now();
            } else {
                sleep(Duration::from_millis(200)).await;
            }
            visit += 1;
        }
        self.open.borrow_mut().refused = buyers.into();
    }

    /// One buyer for each unit that is left, as far as there are buyers.
    fn offers(&self, buyers: &mut VecDeque<u32>, visit: u32) -> Vec<Purchase> {
        let ledger = self.ledger.borrow();
        let stock = &self.scenario.stock;
        let left = (0..stock.skus).flat_map(|sku| {
            let left = stock.units_of(sku).saturating_sub(ledger.units(sku));
            (0..left).map(move |_| sku)
        });
        let pair = |sku| Some(Purchase { buyer: buyers.pop_front()?, visit, sku, via: Via::Express });
        left.map_while(pair).collect()
    }
}
