//! Golden problems, and the codes of the domain against the codes of the API.

#![allow(clippy::unwrap_used)] // a failed step fails the test

use super::*;
use actix_web::body::MessageBody;
use stampede_actors::ids::SkuId;
use stampede_actors::order::placing::{LineRefusal, PlaceRefusal, RefusedLine};
use stampede_actors::shell::Failure;
use stampede_actors::{cart, order, sku};

#[test]
fn a_problem_has_its_golden_form() {
    let sku = SkuId::new("hoodie-m").unwrap();
    let why = LineRefusal::Stock(sku::Refusal::SoldOut { requested: 2, available: 1, contended: false });
    let refusal = PlaceRefusal { lines: vec![RefusedLine { sku, why }] };
    let problem = Problem::of_purchase(Failure::NotPlaced(refusal), |_| Some("/lines/0/units".into()));
    let request = RequestId::next();
    let response = problem.respond(request);

    assert_eq!(response.status(), 409);
    assert_eq!(response.headers().get("content-type").unwrap(), CONTENT_TYPE);
    assert!(response.headers().get("retry-after").is_none());
    let body = String::from_utf8(response.into_body().try_into_bytes().unwrap().to_vec()).unwrap();
    let golden = r#"{"type":"https://stampede.example/problems/sold-out","title":"Sold out","status":409,"detail":"1 of the order's lines cannot be had; hoodie-m: 2 units requested, 1 available","instance":"/v1/requests/REQUEST","code":"sold_out","retryable":true,"safe_new_key":false,"operation_state":"not_started","request_id":"REQUEST","errors":[{"pointer":"/lines/0/units","code":"sold_out","message":"hoodie-m: 2 units requested, 1 available"}]}"#;
    assert_eq!(body.replace(&request.to_string(), "REQUEST"), golden);
}

#[test]
fn a_wait_is_jittered_and_in_both_places() {
    for _ in 0..100 {
        let response = Problem::from(Failure::Overloaded).respond(RequestId::next());
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers().get("retry-after").unwrap(), "1");
        let body = response.into_body().try_into_bytes().unwrap();
        let wait = serde_json::from_slice::<serde_json::Value>(&body).unwrap()["retry_after_ms"].as_u64().unwrap();
        assert!((1000..=1500).contains(&wait), "{wait}");
    }
}

#[test]
fn a_key_in_flight_says_when_to_come_again() {
    let problem = Problem::from(Failure::InFlight);
    assert_eq!((problem.kind.status, problem.kind.state), (409, State::InProgress));
    assert_eq!(problem.respond(RequestId::next()).headers().get("retry-after").unwrap(), "1");
}

#[test]
fn the_page_is_the_list_of_kinds() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/problems.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, kinds::markdown()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap();
    assert_eq!(page, kinds::markdown(), "run with UPDATE_DOCS=1 to write docs/problems.md");
}

#[test]
fn an_unknown_outcome_says_so() {
    let problem = Problem::from(Failure::OutcomeUnknown);
    assert_eq!((problem.kind.status, problem.kind.state), (503, State::Unknown));
    assert!(problem.kind.retryable && !problem.kind.safe_new_key());
}

#[test]
fn the_domains_codes_are_the_apis_codes() {
    for refusal in sku_refusals() {
        check(refusal.code(), Failure::Sku(refusal));
    }
    for refusal in cart_refusals() {
        check(refusal.code(), Failure::Cart(refusal));
    }
    for refusal in order_refusals() {
        check(refusal.code(), Failure::Order(refusal));
    }
}

#[track_caller]
fn check(code: &str, failure: Failure) {
    // The domain says "reused" of its ids; at the edge these are idempotency keys.
    let expected = if code.ends_with("reused") { "idempotency_key_reused" } else { code };
    assert_eq!(Problem::from(failure).kind.code, expected);
}

#[test]
fn of_several_lines_contention_counts_last() {
    let line = |contended| RefusedLine {
        sku: SkuId::new("a").unwrap(),
        why: sku::Refusal::SoldOut { requested: 1, available: 0, contended }.into(),
    };
    let kind = |lines: Vec<RefusedLine>| Problem::not_placed(&PlaceRefusal { lines }, |_| None).kind.code;
    assert_eq!(kind(vec![line(true), line(false)]), "sold_out");
    assert_eq!(kind(vec![line(true), line(true)]), "contended");
}

#[test]
fn codes_are_unique_and_their_states_make_sense() {
    let mut seen = std::collections::BTreeSet::new();
    for kind in kinds::ALL {
        assert!(seen.insert(kind.code), "{} twice", kind.code);
        assert!((400..600).contains(&kind.status), "{}", kind.code);
        assert!(kind.retry_after_ms.is_none() || kind.retryable, "{}", kind.code);
        assert_eq!(kind.status == 503, kind.status == 503 && kind.retry_after_ms.is_some(), "{}", kind.code);
    }
}

fn sku_refusals() -> Vec<sku::Refusal> {
    use sku::Refusal::*;
    vec![
        UnknownSku,
        SoldOut { requested: 1, available: 0, contended: false },
        SoldOut { requested: 1, available: 0, contended: true },
        SalePaused,
        BuyerLimit { limit: 1, counted: 1, requested: 1 },
        BadUnits,
        BadPrice,
        HoldDiffers,
        HoldEnded,
        HoldAllocated,
        NotAllocated,
        Reused,
        BelowClaimed { claimed: 1 },
        WrongParts,
        TableFull { what: "holds" },
    ]
}

fn cart_refusals() -> Vec<cart::Refusal> {
    use cart::Refusal::*;
    let order = stampede_actors::ids::OrderId(1);
    vec![
        UnknownCart,
        CheckedOut { order },
        Abandoned,
        Empty,
        CurrencyMismatch,
        TooManyLines,
        BadUnits,
        BadPrice,
        Reused,
    ]
}

fn order_refusals() -> Vec<order::Refusal> {
    use order::Refusal::*;
    vec![
        UnknownOrder,
        Reused,
        Invalid("no lines"),
        PaymentOpen,
        NotPayable,
        TooManyAttempts,
        NotCancellable,
        NotRefundable,
        NotShippable,
        BeingCalledOff,
        NotReturnable,
        NoAttention,
        TableFull { what: "refunds" },
    ]
}
