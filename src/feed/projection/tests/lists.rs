//! Lists are complete, in order, and go on from a cursor.

use super::*;
use stampede_actors::order::{Order, State};
use std::collections::BTreeSet;

fn filled(shop: &Shop) -> Reader {
    let mut projection = projection(&Arc::new(MemoryStore::default()));
    shop.frames.iter().for_each(|frame| projection.ingest(frame).unwrap());
    projection.flush().unwrap();
    projection.reader()
}

fn all_pages(reader: &Reader, filter: &Filter, limit: usize) -> Vec<OrderId> {
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let page = reader.orders(filter, cursor.as_deref(), limit).unwrap().unwrap();
        assert!(page.rows.len() <= limit);
        ids.extend(page.rows.iter().map(|row| row.id));
        cursor = page.next;
        if cursor.is_none() {
            return ids;
        }
    }
}

fn expected(shop: &Shop, fits: impl Fn(&Order) -> bool) -> Vec<OrderId> {
    let orders = shop.orders.iter().filter(|(_, order)| order.placed_at().is_some() && fits(order));
    let mut ids: Vec<_> = orders.map(|(id, order)| (order.placed_at(), *id)).collect();
    ids.sort();
    ids.into_iter().rev().map(|(_, id)| id).collect()
}

#[test]
fn orders_are_listed_newest_first_by_what_is_asked() {
    let shop = busy_shop(100);
    let reader = filled(&shop);
    for limit in [1, 3, 7, 200] {
        assert_eq!(all_pages(&reader, &Filter::default(), limit), expected(&shop, |_| true));
        let filter = Filter { buyer: Some(buyer("buyer-2")), ..Filter::default() };
        let of = |order: &Order| order.placement().unwrap().buyer == buyer("buyer-2");
        assert_eq!(all_pages(&reader, &filter, limit), expected(&shop, of));
        let states: BTreeSet<State> = shop.orders.values().filter_map(Order::state).collect();
        assert!(states.len() >= 4, "{states:?}");
        for state in states {
            let filter = Filter { state: Some(state), ..Filter::default() };
            assert_eq!(all_pages(&reader, &filter, limit), expected(&shop, |order| order.state() == Some(state)));
            let both = Filter { buyer: Some(buyer("buyer-2")), ..filter };
            let fits = |order: &Order| of(order) && order.state() == Some(state);
            assert_eq!(all_pages(&reader, &both, limit), expected(&shop, fits));
        }
        let (from, to) = (shop.orders[&OrderId(20)].placed_at(), shop.orders[&OrderId(70)].placed_at());
        let during = Filter { from, to, ..Filter::default() };
        let fits = |order: &Order| order.placed_at() >= from && order.placed_at() < to;
        assert_eq!(all_pages(&reader, &during, limit), expected(&shop, fits));
    }
}

#[test]
fn a_cursor_that_is_none_of_ours_is_refused() {
    let reader = filled(&busy_shop(3));
    for cursor in ["", "x", "zz", &"g".repeat(48), &"0".repeat(47), "é".repeat(24).as_str()] {
        assert_eq!(reader.orders(&Filter::default(), Some(cursor), 5).unwrap(), Err(BadCursor), "{cursor}");
        assert_eq!(reader.movements(&sku("mug"), Some(cursor), 5).unwrap(), Err(BadCursor), "{cursor}");
    }
}

#[test]
fn movements_are_listed_newest_first_and_add_up() {
    let shop = busy_shop(100);
    let reader = filled(&shop);
    for code in ["mug", "pen"] {
        let (mut cursor, mut versions, mut on_hand) = (None, Vec::new(), 0);
        loop {
            let page = reader.movements(&sku(code), cursor.as_deref(), 7).unwrap().unwrap();
            for (version, movement) in page.rows {
                versions.push(version);
                on_hand += movement.deltas.iter().map(|delta| delta.on_hand).sum::<i64>();
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert!(versions.len() > 30 && versions.is_sorted_by(|newer, older| newer > older));
        assert_eq!(on_hand, i64::from(shop.skus[&sku(code)].availability().on_hand));
    }
    assert_eq!(reader.movements(&sku("none"), None, 7).unwrap().unwrap(), Page { rows: vec![], next: None });
}

#[test]
fn an_order_that_needs_a_person_is_on_a_list_until_somebody_takes_care_of_it() {
    let mut shop = busy_shop(2);
    let order = OrderId(50);
    assert!(shop.buy(50, "b", "mug", 1));
    for _ in 0..8 {
        shop.pass(Span::minutes(30));
        shop.order(order, order::Command::Tick);
    }
    assert!(shop.orders[&order].attention().is_some());
    shop.frame();
    let ids = |reader: &Reader| -> Vec<OrderId> {
        reader.attention(None, 10).unwrap().unwrap().rows.iter().map(|row| row.id).collect()
    };
    assert_eq!(ids(&filled(&shop)), [order]);
    let note = shop::reference("ticket-1");
    assert!(
        shop.order(order, order::Command::Acknowledge { acknowledgement: OpId(1), fingerprint: 1, reason: None, note })
    );
    shop.frame();
    assert_eq!(ids(&filled(&shop)), [], "somebody takes care of it");
    // Asked to be cancelled, and the provider does not give up what it has reserved: something else.
    let cancel = order::Command::Cancel { cancel: OpId(2), fingerprint: 1, reason: "changed_mind".to_owned() };
    assert!(shop.order(order, cancel));
    let report = |step, answer| order::Command::Report { step, answer };
    let authorize = order::Step::Authorize { attempt: 1 };
    assert!(shop.order(order, report(authorize, order::Answer::Done { reference: None })));
    let no = order::Answer::Refused { code: "no".to_owned() };
    assert!(shop.order(order, report(order::Step::Void { attempt: 1 }, no)));
    shop.frame();
    assert_eq!(ids(&filled(&shop)), [order]);
}

#[test]
fn an_order_whose_steps_are_answered_needs_nobody() {
    let mut shop = busy_shop(2);
    let order = OrderId(50);
    assert!(shop.buy(50, "b", "mug", 1));
    for _ in 0..8 {
        shop.pass(Span::minutes(30));
        shop.order(order, order::Command::Tick);
    }
    shop.frame();
    let ids = |reader: &Reader| reader.attention(None, 10).unwrap().unwrap().rows.len();
    assert_eq!(ids(&filled(&shop)), 1);
    shop.work(order);
    shop.frame();
    assert_eq!(shop.orders[&order].attention(), None);
    assert_eq!(ids(&filled(&shop)), 0);
}
