//! A Redis that says what is not so: other people's values, old ones, other types, numbers that cannot be.

use super::{Hand, Services, metric, reads, start};
use crate::server::{Server, eventually, order, unique};
use std::time::Duration;

fn available(server: &Server, sku: &str) -> i64 {
    server.available(sku)
}

/// Reads until one was answered from Redis.
fn wait_for_hit(server: &Server, sku: &str) {
    let before = reads(server, "hit");
    eventually(|| {
        available(server, sku);
        if reads(server, "hit") > before { Ok(()) } else { Err("no hit".into()) }
    });
}

#[test]
fn a_lie_about_stock_is_not_believed_and_is_put_right() {
    let redis = Services::redis();
    let server = start(redis, "lies", &["--redis-reads-max-age", "1s"]);
    server.stock("hoodie", 10);
    server.stock("mug", 77);
    wait_for_hit(&server, "hoodie");
    wait_for_hit(&server, "mug");
    let mut hand = Hand::on(redis);
    let key = hand.keys("lies:availability:*:hoodie").remove(0);
    let mugs = hand.keys("lies:availability:*:mug").remove(0);

    let ours: Vec<u8> = hand.ask(&[b"GET", key.as_bytes()]);
    let others: Vec<u8> = hand.ask(&[b"GET", mugs.as_bytes()]);
    let text = String::from_utf8_lossy(&ours[49..]).into_owned();
    assert!(text.contains("\"available\":10"), "{text}");
    let mut more = ours.clone();
    let at = ours.windows(14).position(|window| window == b"\"available\":10").unwrap();
    more[at + 12..at + 14].copy_from_slice(b"99");
    let mut younger = ours.clone();
    // The moment of observation: later, so that it would seem young for long.
    younger[44] ^= 1;
    let lies: [&[u8]; 8] = [&more, &younger, &others, b"", b"junk", &ours[..40], &[1; 49], &[0xff; 200_000]];
    for (index, lie) in lies.iter().enumerate() {
        let wrong = reads(&server, "wrong");
        eventually(|| {
            let _: () = hand.ask(&[b"SET", key.as_bytes(), lie]);
            assert_eq!(available(&server, "hoodie"), 10, "lie {index}");
            if reads(&server, "wrong") > wrong { Ok(()) } else { Err(format!("lie {index} was not looked at")) }
        });
        wait_for_hit(&server, "hoodie");
    }
    // Other types.
    for words in [["RPUSH", "x", "y"], ["HSET", "x", "y"], ["SADD", "x", "y"]] {
        let wrong = reads(&server, "wrong");
        eventually(|| {
            hand.tell(&["DEL", &key]);
            hand.tell(&[words[0], &key, words[1], words[2]]);
            assert_eq!(available(&server, "hoodie"), 10);
            if reads(&server, "wrong") > wrong { Ok(()) } else { Err("another type was not looked at".into()) }
        });
        wait_for_hit(&server, "hoodie");
    }
    // What was true once, put back when it is no longer.
    server.buy("k", "ada", "hoodie", 3).expect(201);
    std::thread::sleep(Duration::from_millis(1_100));
    let _: () = hand.ask(&[b"SET", key.as_bytes(), &ours]);
    assert_eq!(available(&server, "hoodie"), 7);

    // And whatever it says, the SKU decides.
    let _: () = hand.ask(&[b"SET", key.as_bytes(), &more]);
    server.buy("k2", "bob", "hoodie", 8).expect(409);
    server.buy("k3", "bob", "hoodie", 7).expect(201);
    server.buy("k4", "cid", "hoodie", 1).expect(409);
}

#[test]
fn a_lie_about_limits_lasts_no_longer_than_a_window() {
    let redis = Services::redis();
    let server = start(redis, "limit-lies", &["--limits-buyer", "5/1s"]);
    server.stock("hoodie", 10_000);
    let buy = || server.post("/v1/orders", &unique(), &order("ada", "tok_ok", "hoodie", 1)).status;
    assert_eq!(buy(), 201);
    let mut hand = Hand::on(redis);
    let key = hand.keys("limit-lies:rate:buyer:*").remove(0);
    for lie in ["nan", "-nan", "inf", "-inf", "1e300", "9223372036854775807", "-5", "", "soon", "0x7fffffffffffffff"] {
        hand.tell(&["SET", &key, lie]);
        assert!([201, 429].contains(&buy()), "{lie}");
        eventually(|| if buy() == 201 { Ok(()) } else { Err(format!("still refused after {lie:?}")) });
        // What is kept of one purchase lasts a fifth of a second: on a busy machine it may be gone before it is looked at.
        let kept = eventually(|| {
            buy();
            hand.ask::<Option<String>>(&[b"GET", key.as_bytes()]).ok_or_else(|| "nothing is kept".to_owned())
        });
        assert!(kept.parse::<u64>().is_ok(), "{lie:?} is a time again: {kept}");
    }
    for words in [["RPUSH", "x"], ["SADD", "x"]] {
        hand.tell(&["DEL", &key]);
        hand.tell(&[words[0], &key, words[1]]);
        eventually(|| if buy() == 201 { Ok(()) } else { Err(format!("{words:?}")) });
    }
    hand.tell(&["SCRIPT", "FLUSH"]);
    hand.tell(&["FLUSHALL"]);
    eventually(|| if buy() == 201 { Ok(()) } else { Err("after a flush".into()) });
    assert_eq!(metric(&server, "stampede_rate_limit_fallbacks_total"), 0, "Redis answered all the time");
}
