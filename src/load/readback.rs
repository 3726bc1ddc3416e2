//! At the end: every acknowledged order is read back, every SKU's stock is counted, and requests are sent once more.

mod compare;

pub use compare::{Compared, ReadBack};

use crate::load::clerk::{AT_ONCE, Clerk, Listed, Page, Stock, Trouble};
use crate::load::ledger::Entry;
use crate::load::sale::Sale;
use crate::load::tally::Invariant;
use crate::load::visit::PATIENCE;
use futures_util::{StreamExt, TryStreamExt};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Purchases that are sent once more, at most: spread evenly over the ledger.
pub const REPLAYS: usize = 20_000;
/// How long nothing may be paid while there are orders to be paid.
const STANDSTILL: Duration = Duration::from_secs(30);
/// How long payment may take in all.
const LONGEST: Duration = Duration::from_secs(900);

/// Waits until no unit of the run is held any more: every order is paid, or has come to nothing. Answers whether that
/// came about.
///
/// # Errors
/// When the stock cannot be read.
pub async fn wait_for_payment(sale: &Sale, clerk: &Clerk) -> Result<bool, Trouble> {
    let mut waiting: Vec<u32> = (0..sale.scenario.stock.skus).collect();
    let (began, mut moved_at, mut held) = (Instant::now(), Instant::now(), i64::MAX);
    loop {
        let stocks = stocks(sale, clerk, &waiting).await?;
        waiting = stocks.iter().filter(|(_, stock)| stock.held > 0).map(|(sku, _)| *sku).collect();
        if waiting.is_empty() {
            return Ok(true);
        }
        let now_held: i64 = stocks.iter().map(|(_, stock)| stock.held).sum();
        if now_held < held {
            (held, moved_at) = (now_held, Instant::now());
        }
        if moved_at.elapsed() > STANDSTILL || began.elapsed() > LONGEST {
            return Ok(false);
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Reads the stock of these SKUs, by index.
///
/// # Errors
/// When it cannot be read.
pub async fn stocks(sale: &Sale, clerk: &Clerk, skus: &[u32]) -> Result<Vec<(u32, Stock)>, Trouble> {
    let reads = skus.iter().map(|&sku| async move { Ok((sku, clerk.stock(&sale.words.sku(sku)).await?)) });
    futures_util::stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await
}

/// Reads every order placed since `from` (engine time) and compares those of this run with the ledger. Those that are
/// not paid yet are looked at until they are.
///
/// # Errors
/// When they cannot be read.
pub async fn orders(sale: &Sale, clerk: &Clerk, from: &str) -> Result<Compared, Trouble> {
    let unclear = sale.open.borrow().unclear.iter().map(|purchase| purchase.buyer).collect();
    let mut read = ReadBack::new(&sale.words, unclear);
    let mut path = format!("/v1/orders?limit=200&from={from}");
    loop {
        let page: Page = clerk.read(&path).await?;
        for order in &page.data {
            read.take(order, &sale.ledger.borrow(), &mut sale.tally.borrow_mut());
        }
        let Some(next) = page.next else { break };
        path = format!("/v1/orders?limit=200&from={from}&after={next}");
    }
    let deadline = Instant::now() + STANDSTILL;
    let mut unpaid = read.unpaid();
    while !unpaid.is_empty() && Instant::now() < deadline {
        sleep(Duration::from_millis(100)).await;
        let looks =
            unpaid.iter().map(|order| async move { clerk.read::<Listed>(&format!("/v1/orders/{order}")).await });
        let looked: Vec<Listed> = futures_util::stream::iter(looks).buffer_unordered(AT_ONCE).try_collect().await?;
        for order in &looked {
            read.take(order, &sale.ledger.borrow(), &mut sale.tally.borrow_mut());
        }
        unpaid = read.unpaid();
    }
    Ok(read.finish(&sale.ledger.borrow(), &mut sale.tally.borrow_mut()))
}

/// Sends acknowledged purchases once more: each must be answered as it was the first time. How many were sent.
pub async fn replay(sale: &Sale) -> usize {
    let entries: Vec<Entry> = {
        let ledger = sale.ledger.borrow();
        let step = ledger.len().div_ceil(REPLAYS).max(1);
        ledger.entries().step_by(step).copied().collect()
    };
    let replays = entries.iter().map(|entry| replay_one(sale, entry));
    futures_util::stream::iter(replays).buffer_unordered(AT_ONCE).collect::<()>().await;
    entries.len()
}

async fn replay_one(sale: &Sale, entry: &Entry) {
    let request = sale.words.purchase(&entry.purchase, false);
    let mut what = String::new();
    for _ in 0..10 {
        match sale.pool.send(&request, PATIENCE).await {
            Ok(answer) if answer.status() == 201 => {
                // The ledger compares it.
                sale.acknowledge(entry.purchase, &answer);
                return;
            }
            Ok(answer) if matches!(answer.status(), 429 | 503) => {
                what = format!("{} {}", answer.status(), answer.code());
                sleep(answer.wait().min(Duration::from_secs(1))).await;
            }
            Ok(answer) => {
                what = format!("{} {}", answer.status(), answer.code());
                break;
            }
            Err(failure) => {
                what = failure.to_string();
                sleep(Duration::from_millis(200)).await;
            }
        }
    }
    sale.must(Invariant::IdempotentReplay, false, || {
        format!("{}: acknowledged, but a repeat was answered {what}", entry.order)
    });
}
