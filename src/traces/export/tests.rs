#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::config::Collector;
use crate::config::value::Value as _;
use crate::traces::{Kind, Span};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use stampede_actors::trace::TraceLink;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

/// A collector that takes one request after the other and answers each as it is told to; what it was sent.
fn collector(answers: Vec<&'static [u8]>) -> (SocketAddr, Receiver<ExportTraceServiceRequest>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let (took, taken) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut text, mut piece) = (Vec::new(), [0; 4096]);
            let body = loop {
                let count = stream.read(&mut piece).unwrap();
                assert!(count > 0, "the request is whole");
                text.extend_from_slice(&piece[..count]);
                let Some(start) = text.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4) else { continue };
                let head = String::from_utf8_lossy(&text[..start]).to_ascii_lowercase();
                assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
                let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
                if text.len() - start >= length.parse::<usize>().unwrap() {
                    break text.split_off(start);
                }
            };
            let _ = stream.write_all(answer);
            if took.send(ExportTraceServiceRequest::decode(&body[..]).unwrap()).is_err() {
                return;
            }
        }
    });
    (at, taken)
}

fn to(at: SocketAddr) -> Endpoint {
    Collector::parse(&format!("http://{at}")).unwrap().place().unwrap().clone()
}

struct Rig {
    tracer: &'static Tracer,
    exporter: Exporter,
    counts: &'static Counts,
}

fn rig(at: SocketAddr) -> Rig {
    let counts: &'static Counts = Box::leak(Box::default());
    let (tracer, exporter) = start(to(at), 0.0, Resource::of_this("test"), counts).unwrap();
    Rig { tracer: Box::leak(Box::new(tracer)), exporter, counts }
}

impl Rig {
    fn span(&self) -> Span {
        self.tracer.below(TraceLink::new(7, 9).unwrap(), Kind::Client, "call")
    }
}

const BUSY: &[u8] = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[test]
fn spans_come_to_the_collector_as_they_were_told() {
    let (at, taken) = collector(vec![OK]);
    let rig = rig(at);
    let mut span = rig.span();
    span.tell("number", 3_u64);
    span.failed("timeout");
    let id = span.link().span().get();
    drop(span);
    rig.exporter.stop();
    let request = taken.recv().unwrap();
    let [of_process] = request.resource_spans.as_slice() else { panic!("{request:?}") };
    let keys: Vec<_> = of_process.resource.as_ref().unwrap().attributes.iter().map(|pair| pair.key.as_str()).collect();
    assert!(["service.name", "service.instance.id", "process.pid"].iter().all(|key| keys.contains(key)), "{keys:?}");
    let [span] = of_process.scope_spans[0].spans.as_slice() else { panic!("{request:?}") };
    assert_eq!((span.name.as_str(), span.kind), ("call", 3));
    assert_eq!(span.trace_id, 7_u128.to_be_bytes());
    assert_eq!(
        (span.span_id.as_slice(), span.parent_span_id.as_slice()),
        (&id.to_be_bytes()[..], &9_u64.to_be_bytes()[..])
    );
    assert_eq!(span.status.as_ref().unwrap().message, "timeout");
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    assert_eq!(rig.counts.all(), [1, 0, 0]);
}

#[test]
fn a_collector_that_is_busy_is_asked_again() {
    let (at, taken) = collector(vec![BUSY, OK]);
    let rig = rig(at);
    drop(rig.span());
    let (first, second) = (taken.recv().unwrap(), taken.recv().unwrap());
    assert_eq!(first, second);
    rig.exporter.stop();
    assert_eq!(rig.counts.all(), [1, 0, 0]);
}

#[test]
fn what_a_collector_does_not_want_is_counted() {
    // partial_success { rejected_spans: 2 }
    let partly: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n\x0a\x02\x08\x02";
    let rubbish: [&[u8]; 3] = [b"220 smtp.example ESMTP\r\n", b"HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n", b""];
    let (at, _taken) = collector(vec![partly]);
    let rig = self::rig(at);
    (0..3).for_each(|_| drop(rig.span()));
    rig.exporter.stop();
    assert_eq!(rig.counts.all(), [1, 0, 2]);
    for answer in rubbish {
        let (at, _taken) = collector(vec![answer]);
        let rig = self::rig(at);
        drop(rig.span());
        rig.exporter.stop();
        assert_eq!(rig.counts.all(), [0, 0, 1], "{}", String::from_utf8_lossy(answer));
    }
}

#[test]
fn a_collector_that_never_answers_holds_nobody_up_and_what_does_not_fit_is_counted() {
    // It takes connections, in the kernel's queue, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let rig = rig(silent.local_addr().unwrap());
    let all = 3 * QUEUE as u64;
    (0..all).for_each(|_| drop(rig.span()));
    let [exported, dropped, _] = rig.counts.all();
    assert_eq!(exported, 0);
    assert!(dropped >= all - (QUEUE + 4 * BATCH) as u64, "{dropped}");
    rig.exporter.stop();
}

#[test]
fn nobody_there_is_told_once_and_then_not_for_a_minute() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_queue, work) = sync_channel(1);
    let counts: &'static Counts = Box::leak(Box::default());
    let stopping = Arc::new(AtomicBool::new(true));
    let resource = Resource::of_this("test");
    let mut sender =
        Sender { to: to(nobody), resource, counts, work, stopping, pause: FIRST_PAUSE, told: None, lost: 0 };
    let trouble = || Trouble::Away(io::Error::other("away"));
    sender.tell(&trouble(), 5);
    let first = sender.told.unwrap();
    sender.tell(&trouble(), 6);
    assert_eq!((sender.told, sender.lost), (Some(first), 6));
    assert!(post(&to(nobody), b"", WITHIN).unwrap_err().passes());
}
