//! Messages that nobody can work on, and `stampede dlq`.

use super::{Hand, Services, audit, place, settled, stampede, start, wait_for};
use serde_json::Value;

fn dlq(rabbitmq: &Services, namespace: &str, words: &[&str]) -> (Option<i32>, Value) {
    let output = stampede(rabbitmq, namespace, &[&["dlq"], words, &["--json"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), serde_json::from_str(&text).unwrap_or(Value::Null))
}

#[test]
fn poison_ends_in_the_dead_letters_and_can_be_looked_at_retried_and_dropped() {
    let rabbitmq = Services::rabbitmq();
    let limit = ["--rabbitmq-delivery-limit", "3"];
    let mut server = start(rabbitmq, "poison", &limit);
    server.stock("hoodie", 5);
    let hand = Hand::on(rabbitmq);
    let bodies: [(&str, &[u8]); 3] = [("a", b"\xff\xfe"), ("b", b"{\"id\":1}"), ("c", b"")];
    for (id, body) in bodies {
        let kind = if id == "c" { "stampede.step.v9" } else { "stampede.step.v1" };
        let properties = lapin::BasicProperties::default().with_type(kind.into()).with_message_id(id.into());
        hand.publish("poison.work", "payment", body, properties);
    }
    // Others are not held up by it.
    let orders = place(&server, "hoodie", 5);
    settled(&server, &orders);
    wait_for(&server, "stampede_dead_letters{queue=\"payment\"}", |count| count == 3);
    wait_for(&server, "stampede_messages_consumed_total{queue=\"payment\",outcome=\"dead_lettered\"}", |count| {
        count == 3
    });

    let words = |words: &[&str]| dlq(rabbitmq, "poison", &[words, &limit].concat());
    let (code, counts) = words(&["ls"]);
    assert_eq!((code, &counts[0]["queue"], &counts[0]["dead"]), (Some(0), &"payment".into(), &3.into()));
    let (_, listed) = words(&["ls", "payment"]);
    let mut ids: Vec<_> = listed.as_array().unwrap().iter().map(|letter| letter["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["a", "b", "c"]);
    let (_, shown) = words(&["show", "payment", "c"]);
    assert_eq!((&shown["type"], &shown["reason"]), (&"stampede.step.v9".into(), &"delivery_limit".into()));
    assert_eq!(words(&["show", "payment", "d"]).0, Some(1));
    assert_eq!(words(&["drop", "payment", "d"]).0, Some(1));
    assert_eq!(words(&["drop", "payment", "a"]), (Some(0), serde_json::json!({ "count": 1 })));
    // To work again, where it is poison still, and comes back.
    assert_eq!(words(&["retry", "payment", "b"]), (Some(0), serde_json::json!({ "count": 1 })));
    wait_for(&server, "stampede_dead_letters{queue=\"payment\"}", |count| count == 1);
    wait_for(&server, "stampede_dead_letters{queue=\"payment\"}", |count| count == 2);
    assert_eq!(words(&["drop", "payment", "--all"]), (Some(0), serde_json::json!({ "count": 2 })));
    assert_eq!(words(&["ls", "payment"]).1, Value::Array(Vec::new()));
    audit(&mut server, None, "hoodie", 5);
}

#[test]
fn a_real_step_that_was_given_up_is_worked_on_after_a_retry() {
    let rabbitmq = Services::rabbitmq();
    let limit = ["--rabbitmq-delivery-limit", "2"];
    let lazy = [&limit[..], &["--rabbitmq-works", "none", "--payment-ask-again", "1h", "--holds-ttl", "10m"]].concat();
    let mut server = start(rabbitmq, "given-up", &lazy);
    server.stock("hoodie", 1);
    let orders = place(&server, "hoodie", 1);
    // A worker that dies over it, again and again.
    let hand = Hand::on(rabbitmq);
    hand.now(async |channel| {
        let back = lapin::options::BasicNackOptions { requeue: true, ..Default::default() };
        let mut times = 0;
        while times < 3 {
            match channel.basic_get("given-up.payment".into(), Default::default()).await.unwrap() {
                Some(got) => (times, _) = (times + 1, got.delivery.acker.nack(back).await.unwrap()),
                None => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        }
    });
    wait_for(&server, "stampede_dead_letters{queue=\"payment\"}", |count| count == 1);
    let (_, listed) = dlq(rabbitmq, "given-up", &[&["ls", "payment"], &limit[..]].concat());
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    assert!(listed[0]["body"].as_str().unwrap().contains(&orders[0]));
    let (code, _) = dlq(rabbitmq, "given-up", &[&["retry", "payment", &id], &limit[..]].concat());
    assert_eq!(code, Some(0));
    let works = super::flags(rabbitmq, "given-up", &limit);
    server.crash_and_restart_with(&works.iter().map(String::as_str).collect::<Vec<_>>());
    settled(&server, &orders);
    audit(&mut server, None, "hoodie", 1);
}
