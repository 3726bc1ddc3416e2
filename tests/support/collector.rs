//! A collector for tests: takes OTLP over HTTP, reads it with the protocol's own types, and keeps everything.
#![allow(dead_code)] // not every test needs every function

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use prost::Message;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A span, and the process that it came from.
#[derive(Debug, Clone)]
pub struct Span {
    pub trace: String,
    pub id: String,
    /// Empty: the first of its trace.
    pub parent: String,
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    pub resource: BTreeMap<String, String>,
}

impl Span {
    pub fn says(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    pub fn pid(&self) -> i64 {
        self.resource["process.pid"].parse().unwrap()
    }
}

#[derive(Default)]
struct Taken {
    spans: Vec<Span>,
    bytes: Vec<u8>,
}

/// Listens until the process ends.
pub struct Collector {
    pub at: SocketAddr,
    taken: Arc<Mutex<Taken>>,
}

impl Collector {
    pub fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let taken = Arc::<Mutex<Taken>>::default();
        let to = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A process that is killed hangs up in the middle.
                let _ = take(stream.unwrap(), &to);
            }
        });
        Collector { at, taken }
    }

    /// What `--tracing-otlp` is to say.
    pub fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// What has come so far.
    pub fn spans(&self) -> Vec<Span> {
        self.taken.lock().unwrap().spans.clone()
    }

    /// Everything that came, as it came.
    pub fn bytes(&self) -> Vec<u8> {
        self.taken.lock().unwrap().bytes.clone()
    }
}

fn take(mut stream: TcpStream, to: &Mutex<Taken>) -> std::io::Result<()> {
    let (mut text, mut piece) = (Vec::new(), [0; 65_536]);
    let body = loop {
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        text.extend_from_slice(&piece[..count]);
        let Some(start) = text.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4) else { continue };
        let head = String::from_utf8_lossy(&text[..start]).to_ascii_lowercase();
        assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
        assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
        let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
        if text.len() - start >= length.parse::<usize>().unwrap() {
            break text.split_off(start);
        }
    };
    let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
    let mut taken = to.lock().unwrap();
    taken.bytes.extend_from_slice(&body);
    for of_process in request.resource_spans {
        let resource = pairs(&of_process.resource.unwrap().attributes);
        for span in of_process.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{span:?}");
            taken.spans.push(Span {
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                name: span.name,
                attributes: pairs(&span.attributes),
                resource: resource.clone(),
            });
        }
    }
    drop(taken);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
}

fn pairs(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
