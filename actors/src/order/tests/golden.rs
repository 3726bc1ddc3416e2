//! Bytes on disk: one file for every kind of event that was ever written.

use super::*;
use crate::ids::CartId;
use crate::trace::TraceLink;
use std::path::PathBuf;

fn events() -> Vec<(&'static str, Event)> {
    let ask_at = T0.plus(Span::seconds(30));
    let at = T0;
    let part = |line, name, units| LinePart { line, location: location(name), units };
    let cart = Placement { cart: Some(CartId(u128::MAX / 3)), delivery: None, ..placement() };
    let trace = TraceLink::new(u128::MAX / 3, u64::MAX / 5).map(Box::new);
    let traced = Placement { trace, ..placement() };
    let opened = |step| Event::Opened { step, at, ask_at, due: None };
    let due = Some(T0.plus(Span::hours(48)));
    vec![
        ("placed", Event::Placed { placement: placement(), total: eur(2300), at, ask_at }),
        ("placed_cart", Event::Placed { placement: cart, total: eur(2300), at, ask_at }),
        ("placed_traced", Event::Placed { placement: traced, total: eur(2300), at, ask_at }),
        (
            "payment_retried",
            Event::PaymentRetried {
                payment: OpId(3),
                fingerprint: 4,
                attempt: 2,
                token: reference("tok_2"),
                at,
                ask_at,
            },
        ),
        ("opened_authorize", opened(Step::Authorize { attempt: 1 })),
        ("opened_allocate", opened(Step::Allocate)),
        ("opened_capture", opened(Step::Capture { attempt: 1 })),
        ("opened_void", opened(Step::Void { attempt: 1 })),
        ("opened_refund", opened(Step::Refund { refund: REFUND })),
        ("opened_fulfil", Event::Opened { step: Step::Fulfil, at, ask_at, due }),
        ("opened_call_off", opened(Step::CallOff { refund: REFUND })),
        ("opened_give_back", opened(Step::GiveBack)),
        ("opened_give_back_units", opened(Step::GiveBackUnits { refund: REFUND })),
        ("opened_ship_stock", opened(Step::ShipStock { shipment: OpId(9) })),
        ("opened_return_stock", opened(Step::ReturnStock { return_id: OpId(u128::MAX) })),
        ("asked", Event::Asked { step: Step::Allocate, tries: 3, at, ask_at }),
        ("answered_done", Event::Answered { step: Step::Capture { attempt: 2 }, answer: done(), at }),
        ("answered_refused", Event::Answered { step: Step::Authorize { attempt: 1 }, answer: no(), at }),
        ("cancel_requested", Event::CancelRequested { cancel: CANCEL, fingerprint: 1, reason: "why".to_owned(), at }),
        ("cancelled", Event::Cancelled { reason: "refunded".to_owned(), at }),
        ("expired", Event::Expired { at }),
        (
            "refund_requested",
            Event::RefundRequested {
                refund: REFUND,
                fingerprint: u64::MAX,
                lines: units(&[(0, 1), (1, 3)]),
                amount: eur(1300),
                restock: true,
                withheld: vec![part(1, "hamburg", 2)],
                at,
            },
        ),
        (
            "shipped",
            Event::Shipped {
                shipment: OpId(9),
                fingerprint: 5,
                location: location("berlin"),
                lines: units(&[(0, 2)]),
                tracking: Some(reference("parcel-1")),
                at,
                ask_at,
            },
        ),
        (
            "returned",
            Event::Returned {
                return_id: OpId(10),
                fingerprint: 6,
                location: location("berlin"),
                lines: units(&[(0, 2)]),
                restock: true,
                at,
            },
        ),
        (
            "attention_needed",
            Event::AttentionNeeded { reason: Attention::Unanswered, step: Some(Step::Fulfil), at, again_at: None },
        ),
        (
            "attention_unfulfilled",
            Event::AttentionNeeded { reason: Attention::Unfulfilled, step: None, at, again_at: due },
        ),
        (
            "attention_acknowledged",
            Event::AttentionAcknowledged {
                acknowledgement: OpId(11),
                fingerprint: 7,
                reason: None,
                note: reference("ticket-1"),
                at,
            },
        ),
        (
            "attention_acknowledged_reason",
            Event::AttentionAcknowledged {
                acknowledgement: OpId(u128::MAX),
                fingerprint: u64::MAX,
                reason: Some(Attention::Contradiction),
                note: reference("ticket-2"),
                at,
            },
        ),
    ]
}

/// With `GOLDEN=write`, files that are not there yet are written; none is ever changed.
#[test]
fn events_of_every_version_read_back() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (name, event) in events() {
        let file = folder.join(format!("order_{name}.bin"));
        if !file.exists() && std::env::var_os("GOLDEN").is_some_and(|value| value == "write") {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, codec::encode_event(&event)).unwrap();
        }
        let golden = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(codec::decode_event(&golden).unwrap(), event, "{name}");
        assert_eq!(codec::encode_event(&event), golden, "{name} is written as before");
    }
}

#[test]
fn a_placed_event_is_small() {
    let mut placement = placement();
    placement.lines.truncate(1);
    let ask_at = T0.plus(Span::seconds(30));
    let bytes = codec::encode_event(&Event::Placed { placement, total: eur(2000), at: T0, ask_at });
    assert!(bytes.len() <= 116, "{} bytes", bytes.len());
}

/// Both the event and the snapshot keep the link, and its absence costs no byte.
#[test]
fn an_order_remembers_where_it_belongs_in_a_trace() {
    let link = TraceLink::new(7, 9).unwrap();
    let placed = |trace: Option<TraceLink>| {
        let placement = Placement { trace: trace.map(Box::new), ..placement() };
        let event = Event::Placed { placement, total: eur(2300), at: T0, ask_at: T0 };
        let bytes = codec::encode_event(&event);
        let mut order = Order::default();
        order.apply(&codec::decode_event(&bytes).unwrap());
        (bytes.len(), codec::decode_state(&codec::encode_state(&order)).unwrap().trace())
    };
    let ((without, none), (with, some)) = (placed(None), placed(Some(link)));
    assert_eq!((none, some), (None, Some(link)));
    // One byte for the tag and one for the length; the length of what it is in may take one more.
    assert!((2..=3).contains(&(with - without - TraceLink::BYTES)), "{without} and {with} bytes");
}

#[test]
fn what_is_no_event_is_an_error() {
    assert!(matches!(codec::decode_event(&[]), Err(crate::codec::Error::UnknownEvent("order"))));
    assert!(codec::decode_event(&[0xff; 7]).is_err());
    let bytes = codec::encode_event(&Event::Expired { at: T0 });
    assert!(codec::decode_event(&bytes[..bytes.len() - 1]).is_err());
}
