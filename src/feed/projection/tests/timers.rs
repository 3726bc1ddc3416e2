//! Due times rest in the store, and are found again when they were lost (S5).

use super::*;
use crate::store::{Batch, Range, Read};

fn due_rows(store: &MemoryStore) -> Vec<Vec<u8>> {
    let all = Range { from: &[], to: None, reverse: false, limit: usize::MAX };
    store.range(Table::Due, all).unwrap().into_iter().map(|(key, _)| key).collect()
}

fn wanted(shop: &Shop) -> Vec<Vec<u8>> {
    let mut keys: Vec<_> = shop
        .entities()
        .into_iter()
        .filter_map(|(entity, state, _)| Some(keys::due(state.deadline()?, &entity)))
        .collect();
    keys.sort();
    keys
}

#[test]
fn there_is_one_due_row_for_each_deadline() {
    let (shop, store) = (busy_shop(60), Arc::new(MemoryStore::default()));
    let mut projection = projection(&store);
    for (number, frame) in shop.frames.iter().enumerate() {
        projection.ingest(frame).unwrap();
        if number % 3 == 0 {
            projection.flush().unwrap();
        }
        if number % 8 == 0 {
            projection = super::projection(&store);
            let back = shop.frames.iter().filter(|frame| frame.first > projection.taken_in().position);
            let read: Vec<_> = back.take_while(|later| later.seq <= frame.seq).collect();
            read.into_iter().for_each(|frame| projection.ingest(frame).unwrap());
        }
    }
    projection.flush().unwrap();
    assert_eq!(due_rows(&store), wanted(&shop));
    let reader = projection.reader();
    let all = reader.due_between(Timestamp::ZERO, Timestamp(i64::MAX), 10_000).unwrap();
    assert_eq!(all.len(), wanted(&shop).len());
    assert!(all.is_sorted());
    let (from, to) = (all[1].0, all[all.len() - 1].0);
    let some = reader.due_between(from, to, 2).unwrap();
    assert!(some.len() == 2 && some.iter().all(|(at, _)| *at >= from && *at < to));
}

#[test]
fn s05_random_timer_rows_are_deleted_and_the_sweep_puts_them_back() {
    let (shop, store) = (busy_shop(60), Arc::new(MemoryStore::default()));
    let mut projection = projection(&store);
    shop.frames.iter().for_each(|frame| projection.ingest(frame).unwrap());
    projection.flush().unwrap();
    let mut batch = Batch::default();
    let lost = due_rows(&store).into_iter().enumerate().filter(|(number, _)| number % 3 == 1);
    let lost: Vec<_> = lost.map(|(_, key)| key).collect();
    lost.iter().for_each(|key| batch.delete(Table::Due, key));
    let stray = keys::due(Timestamp(12), &EntityId::Order(OrderId(77_777)));
    batch.put(Table::Due, &stray, Vec::new());
    store.write(&batch).unwrap();

    let mut swept = Swept::default();
    while !swept.wrapped {
        let step = projection.sweep(7).unwrap();
        swept = Swept {
            repaired: swept.repaired + step.repaired,
            stale: swept.stale + step.stale,
            wrapped: step.wrapped,
            forgotten: 0,
        };
    }
    assert_eq!((swept.repaired, swept.stale), (lost.len(), 1));
    assert_eq!(due_rows(&store), wanted(&shop));
    assert_eq!(projection.sweep(1_000).unwrap().repaired, 0);
}
