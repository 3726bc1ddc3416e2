//! Bytes on disk: one file for every kind of event of stock and carts that was ever written, and one record. The text
//! beside each says what is in it. With `GOLDEN=write`, files that are not there yet are written; none is ever changed.
#![allow(clippy::unwrap_used)] // a test that cannot make its example has failed

use iso_currency::Currency;
use stampede_actors::cart;
use stampede_actors::codec::{Error, decode_record, encode_record};
use stampede_actors::ids::{BuyerRef, CartId, EntityId, HoldId, LocationId, OpId, OrderId, Reference, SellerId, SkuId};
use stampede_actors::money::Money;
use stampede_actors::order;
use stampede_actors::record::{Entry, Event, Record};
use stampede_actors::shop::{self, What, Words};
use stampede_actors::sku::{self, End, Listing, Part, Reason};
use stampede_actors::time::{Span, Timestamp};
use stampede_actors::trace::TraceLink;
use std::fmt::Debug;
use std::path::PathBuf;

const AT: Timestamp = Timestamp(1_700_000_000_123_456);
const HOLD: HoldId = HoldId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
const ORDER: OrderId = OrderId(u128::MAX / 7);
const OPERATION: OpId = OpId(u128::MAX);

fn parts() -> Vec<Part> {
    let part = |code, units| Part { location: location(code), units };
    vec![part("berlin", 2), part("hamburg", 1_000_000_000)]
}

fn location(code: &str) -> LocationId {
    LocationId::new(code).unwrap()
}

fn buyer() -> BuyerRef {
    BuyerRef::new("buyer-7").unwrap()
}

fn adjusted(reason: Reason, delta: i64) -> sku::Event {
    let reference = Reference::new("count-2026-11").unwrap();
    let (location, fingerprint) = (location("berlin"), 7);
    sku::Event::Adjusted { adjustment: OPERATION, fingerprint, location, delta, reason, reference, at: AT }
}

fn held(order: Option<OrderId>, tentative: bool) -> sku::Event {
    let expires_at = AT.plus(Span::minutes(10));
    sku::Event::Held { hold: HOLD, buyer: buyer(), order, parts: parts(), at: AT, expires_at, tentative }
}

fn sku_events() -> Vec<(&'static str, sku::Event)> {
    use sku::Event;
    let listing = |buyer_limit| Listing {
        seller: SellerId::new("acme").unwrap(),
        price: Money::new(1999, Currency::EUR),
        buyer_limit,
    };
    let (hold, at) = (HOLD, AT);
    let reduced = |restock| Event::AllocationReduced { hold, reduction: OPERATION, parts: parts(), restock, at };
    let returned = |restock| Event::Returned {
        hold,
        buyer: buyer(),
        return_id: OPERATION,
        location: location("berlin"),
        units: 2,
        restock,
        at,
    };
    vec![
        ("listed", Event::Listed(listing(None))),
        ("listed_limit", Event::Listed(listing(Some(2)))),
        ("location_set", Event::LocationSet { location: location("berlin"), priority: 3, safety_stock: 4 }),
        (
            "received",
            Event::Received { receipt: OPERATION, fingerprint: u64::MAX, location: location("berlin"), units: 5, at },
        ),
        ("adjusted_count", adjusted(Reason::Count, -3)),
        ("adjusted_damage", adjusted(Reason::Damage, -1_000_000_000)),
        ("adjusted_loss", adjusted(Reason::Loss, -1)),
        ("adjusted_found", adjusted(Reason::Found, 1_000_000_000)),
        ("adjusted_other", adjusted(Reason::Other, 1)),
        ("held", held(None, false)),
        ("held_for_order", held(Some(ORDER), true)),
        ("adopted", Event::Adopted { hold, order: ORDER }),
        ("extended", Event::Extended { hold, expires_at: AT.plus(Span::minutes(20)) }),
        ("ended_released", Event::Ended { hold, how: End::Released, at }),
        ("ended_expired", Event::Ended { hold, how: End::Expired, at }),
        ("allocated", Event::Allocated { hold, order: ORDER, at }),
        ("shipped", Event::Shipped { hold, shipment: OPERATION, parts: parts(), at }),
        ("allocation_reduced", reduced(true)),
        ("allocation_written_off", reduced(false)),
        ("allocation_cancelled", Event::AllocationCancelled { hold, at }),
        ("returned", returned(false)),
        ("returned_restocked", returned(true)),
        ("paused", Event::Paused),
        ("resumed", Event::Resumed),
    ]
}

fn cart_events() -> Vec<(&'static str, cart::Event)> {
    use cart::Event;
    let line = cart::Line {
        sku: SkuId::new("hoodie-m").unwrap(),
        seller: SellerId::new("acme").unwrap(),
        units: 2,
        unit_price: Money::new(i64::MAX, Currency::JPY),
    };
    let (sku, at) = (line.sku.clone(), AT);
    vec![
        ("opened", Event::Opened { buyer: buyer(), ttl: Span::hours(24), at }),
        ("line_set", Event::LineSet { line, at }),
        ("line_removed", Event::LineRemoved { sku, at }),
        ("checked_out", Event::CheckedOut { order: ORDER, at }),
        ("abandoned", Event::Abandoned { at }),
    ]
}

fn shop_events() -> Vec<(String, shop::Event)> {
    let deed = |what| shop::Deed {
        id: OPERATION,
        fingerprint: 7,
        by: Reference::new("oncall").unwrap(),
        what,
        subject: (what != What::PauseShop).then(|| Words::new("hoodie-m").unwrap()),
        reason: Words::new("the provider is down, INC-42").unwrap(),
    };
    let acted = |what: What| shop::Event::Acted(shop::Action { deed: deed(what), at: AT });
    What::ALL.into_iter().map(|what| (what.word().to_owned(), acted(what))).collect()
}

fn record() -> Record {
    let sku = EntityId::Sku(SkuId::new("hoodie-m").unwrap());
    let entry = |entity, version, event| Entry { entity, version, event };
    Record {
        at: AT,
        entries: vec![
            entry(sku.clone(), 41, Event::Sku(sku::Event::Ended { hold: HoldId(1), how: End::Expired, at: AT })),
            entry(sku, 42, Event::Sku(held(Some(ORDER), false))),
            entry(EntityId::Order(ORDER), u64::MAX, Event::Order(order::Event::Expired { at: AT })),
            entry(EntityId::Cart(CartId(5)), 3, Event::Cart(cart::Event::CheckedOut { order: ORDER, at: AT })),
        ],
        trace: None,
    }
}

/// Compares with the file, which is written if it is not there and that was asked for.
fn check<T: Debug + PartialEq>(
    name: &str,
    value: &T,
    encode: impl Fn(&T) -> Vec<u8>,
    decode: impl Fn(&[u8]) -> Result<T, Error>,
) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.bin"));
    if !file.exists() && std::env::var_os("GOLDEN").is_some_and(|value| value == "write") {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, encode(value)).unwrap();
        std::fs::write(file.with_extension("txt"), format!("{value:#?}\n")).unwrap();
    }
    let golden = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert_eq!(decode(&golden).as_ref(), Ok(value), "{name}");
    assert_eq!(encode(value), golden, "{name} is written as before");
    // A field that a newer version has added is passed over: tag 1000, one byte.
    let newer = [&golden[..], &[0xc0, 0x3e, 0x01]].concat();
    assert_eq!(decode(&newer).as_ref(), Ok(value), "{name} with an unknown field");
    assert!(decode(&golden[..golden.len() - 1]).is_err(), "{name} cut short");
}

#[test]
fn events_of_stock_of_every_version_read_back() {
    for (name, event) in sku_events() {
        check(&format!("sku_{name}"), &event, sku::codec::encode_event, sku::codec::decode_event);
    }
}

#[test]
fn events_of_carts_of_every_version_read_back() {
    for (name, event) in cart_events() {
        check(&format!("cart_{name}"), &event, cart::codec::encode_event, cart::codec::decode_event);
    }
}

#[test]
fn events_of_the_shop_of_every_version_read_back() {
    for (name, event) in shop_events() {
        check(&format!("shop_{name}"), &event, shop::codec::encode_event, shop::codec::decode_event);
    }
}

#[test]
fn a_record_of_every_version_reads_back() {
    let encode = |record: &Record| {
        let mut bytes = Vec::new();
        encode_record(record, &mut bytes);
        bytes
    };
    check("record", &record(), encode, decode_record);
    let traced = Record { trace: TraceLink::new(u128::MAX / 3, u64::MAX / 5), ..record() };
    check("record_traced", &traced, encode, decode_record);
}

/// A snapshot may be rebuilt, so it has no golden file; but a newer version's must not be misread as an older one's.
#[test]
fn what_is_no_event_record_or_snapshot_is_an_error() {
    assert_eq!(sku::codec::decode_event(&[]), Err(Error::UnknownEvent("sku")));
    assert_eq!(cart::codec::decode_event(&[]), Err(Error::UnknownEvent("cart")));
    // An event of a newer kind: tag 900, an empty message.
    assert_eq!(sku::codec::decode_event(&[0xa2, 0x38, 0x00]), Err(Error::UnknownEvent("sku")));
    assert_eq!(decode_record(&[]), Err(Error::Missing("entries")));
    assert_eq!(sku::codec::decode_state(&[]), Err(Error::Missing("totals")));
    for noise in [&[0xff_u8; 9][..], &[0x0a, 0x7f], &[0x12, 0x02, 0x0a]] {
        assert!(sku::codec::decode_event(noise).is_err());
        assert!(cart::codec::decode_event(noise).is_err());
        assert!(sku::codec::decode_state(noise).is_err());
        assert!(cart::codec::decode_state(noise).is_err());
        assert!(decode_record(noise).is_err());
    }
}
