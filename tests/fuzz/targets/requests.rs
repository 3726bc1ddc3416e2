//! What a client of the API sends.

use actix_web::http::header::{HeaderMap, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stampede::http::body::{check_type, parse};
use stampede::http::idempotency::{self, Key, fingerprint};
use stampede::http::wire::Object;
use stampede::http::{attention, carts, fulfilment, holds, orders, payments, skus, stock};

/// Names of fields, and values.
pub const WORDS: &[&[u8]] = &[
    b"\"buyer\":",
    b"\"lines\":[",
    b"\"sku\":",
    b"\"units\":",
    b"\"unit_price\":",
    b"\"amount\":",
    b"\"currency\":",
    b"\"EUR\"",
    b"\"payment_token\":",
    b"\"hold\":",
    b"\"location\":",
    b"\"reason\":",
    b"\"ttl\":",
    b"null",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\\u0000",
    b"1e9",
    b"-1",
    b"18446744073709551616",
    b"\xff",
];

/// The first byte says which body it is. It is refused as what it is, or reads the same when it is written again: its
/// fingerprint is that of the content.
pub fn body(input: &[u8]) {
    let Some((&kind, bytes)) = input.split_first() else { return };
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        headers.insert(actix_web::http::header::CONTENT_TYPE, value);
        let _ = check_type(&headers);
    }
    match kind % 14 {
        0 => read::<orders::PlaceOrder>(bytes),
        1 => read::<carts::OpenCart>(bytes),
        2 => read::<carts::PutLine>(bytes),
        3 => read::<carts::CheckOutCart>(bytes),
        4 => read::<stock::Receive>(bytes),
        5 => read::<stock::Adjust>(bytes),
        6 => read::<skus::PutSku>(bytes),
        7 => read::<skus::PutLocation>(bytes),
        8 => read::<fulfilment::ShipOrder>(bytes),
        9 => read::<fulfilment::ReturnOrder>(bytes),
        10 => read::<payments::PayAgain>(bytes),
        11 => read::<payments::RefundOrder>(bytes),
        12 => read::<attention::AcknowledgeAttention>(bytes),
        _ => read::<holds::PutHold>(bytes),
    }
}

fn read<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    match parse::<Object<T>>(bytes) {
        Ok(Object(body)) => {
            let written = serde_json::to_vec(&body).unwrap();
            let Object(again) = parse::<Object<T>>(&written).unwrap();
            assert_eq!(fingerprint(&again), fingerprint(&body));
        }
        Err(problem) => {
            let code = problem.kind.code;
            assert!(["malformed_json", "validation_failed"].contains(&code), "{code}");
            let is_json = serde_json::from_slice::<serde_json::Value>(bytes).is_ok();
            assert_eq!(is_json, code == "validation_failed", "{problem:?}");
        }
    }
}

/// A key that is taken has 1 to 128 visible characters, and is the same when it is sent as a quoted string.
pub fn key(input: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(idempotency::HEADER, value);
    let Ok(key) = Key::read(&headers) else { return };
    let text = key.as_str();
    assert!((1..=idempotency::MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
    let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    headers.insert(idempotency::HEADER, HeaderValue::from_str(&quoted).unwrap());
    let again = Key::read(&headers).unwrap();
    assert_eq!((again.as_str(), again.warning()), (text, None));
}
