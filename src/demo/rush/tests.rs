#![allow(clippy::unwrap_used)] // a panic is how a test fails

use super::*;
use crate::demo::crowd::Crowd;
use crate::demo::fake::Fake;
use crate::demo::shelf::Shelf;

const SKUS: usize = 5;
const UNITS: u32 = 8;

#[test]
fn it_goes_on_until_everything_is_sold_and_every_order_has_ended() {
    let (shop, rush, fake, settled) = rush(600, Duration::from_secs(30));
    assert!(settled);
    let fake = fake.borrow();
    assert_eq!(fake.free.values().sum::<u64>(), 0, "units are left while {:?} are in line", rush.in_line());
    assert_eq!(fake.sold.values().sum::<u64>(), u64::from(UNITS) * SKUS as u64);
    let (ledger, stats) = (shop.ledger.borrow(), shop.stats.borrow());
    assert_eq!(ledger.units(Some(End::Sold)), UNITS * SKUS as u32);
    assert!(ledger.open().is_empty() && ledger.contradictions.is_empty(), "{:?}", ledger.contradictions);
    assert!(stats.unexpected == 0 && stats.gave_up == 0 && stats.dropped == 0, "{stats:?}");
    assert!(ledger.replays > 0, "somebody clicked twice");
    assert!(rush.in_line().iter().sum::<u32>() > 100, "most go home without");
}

#[test]
fn it_ends_when_buyers_want_less_than_there_is() {
    let (shop, rush, fake, settled) = rush(10, Duration::from_secs(30));
    assert!(settled);
    assert_eq!(rush.arrived(), 10);
    assert!(fake.borrow().free.values().sum::<u64>() > 0);
    assert!(shop.ledger.borrow().open().is_empty());
}

fn rush(buyers: u32, within: Duration) -> (Rc<Shop>, Rc<Rush>, Rc<RefCell<Fake>>, bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let shelves: Vec<Shelf> = (0..SKUS).map(|sku| Shelf { sku: format!("sku-{sku}"), units: UNITS }).collect();
        let free = shelves.iter().map(|shelf| (shelf.sku.clone(), u64::from(shelf.units))).collect();
        let (address, fake) = Fake::open(free).await;
        let shop = Rc::new(Shop::new(address, 32, Crowd::new(7, SKUS, true), shelves));
        let rush = Rush::new(shop.clone(), buyers, 1.0);
        let settled = rush.run(within).await;
        (shop, rush, fake, settled)
    })
}
