//! Spans as OTLP writes them, in the protocol's own message types.

use super::span::{Finished, Value};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

/// Flags of a span: sampled, as all are that are exported.
const SAMPLED: u32 = 1;

/// Who draws the spans.
#[derive(Debug, Clone)]
pub struct Resource(Vec<KeyValue>);

impl Resource {
    /// This process.
    #[must_use]
    pub fn of_this(role: &'static str) -> Resource {
        let instance = format!("{:032x}", rand::random::<u128>());
        Resource(vec![
            text("service.name", "stampede".to_owned()),
            text("service.version", crate::cli::VERSION.to_owned()),
            text("service.instance.id", instance),
            number("process.pid", i64::from(std::process::id())),
            text("stampede.role", role.to_owned()),
        ])
    }
}

/// The bytes of one request with these spans.
pub(super) fn request(resource: &Resource, spans: &[Box<Finished>]) -> Vec<u8> {
    let scope = InstrumentationScope { name: "stampede".to_owned(), ..InstrumentationScope::default() };
    let scope_spans = ScopeSpans {
        scope: Some(scope),
        spans: spans.iter().map(|span| write(span)).collect(),
        ..ScopeSpans::default()
    };
    let resource = v1::Resource { attributes: resource.0.clone(), ..v1::Resource::default() };
    let resource_spans =
        ResourceSpans { resource: Some(resource), scope_spans: vec![scope_spans], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}

/// Of a good answer's body: how many spans the collector did not want all the same.
pub(super) fn rejected(body: &[u8]) -> u64 {
    let answer = ExportTraceServiceResponse::decode(body).unwrap_or_default();
    answer.partial_success.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0))
}

fn write(span: &Finished) -> Span {
    let began = nanoseconds(span.began);
    let mut attributes: Vec<KeyValue> = span.attributes.iter().map(|(key, value)| attribute(key, value)).collect();
    attributes.extend(span.outcome.map(|word| text("stampede.outcome", word.to_owned())));
    let status = span
        .failed
        .then(|| Status { code: StatusCode::Error as i32, message: span.outcome.unwrap_or("failed").to_owned() });
    Span {
        trace_id: span.link.trace().to_be_bytes().to_vec(),
        span_id: span.link.span().get().to_be_bytes().to_vec(),
        parent_span_id: span.parent.map(|parent| parent.get().to_be_bytes().to_vec()).unwrap_or_default(),
        flags: SAMPLED,
        name: span.name.clone().into_owned(),
        kind: span.kind as i32,
        start_time_unix_nano: began,
        end_time_unix_nano: began.saturating_add(nanoseconds(span.took)),
        attributes,
        status,
        ..Span::default()
    }
}

fn nanoseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn attribute(key: &str, value: &Value) -> KeyValue {
    match value {
        Value::Word(word) => text(key, (*word).to_owned()),
        Value::Text(value) => text(key, value.clone()),
        Value::Number(value) => number(key, *value),
    }
}

fn text(key: &str, value: String) -> KeyValue {
    key_value(key, any_value::Value::StringValue(value))
}

fn number(key: &str, value: i64) -> KeyValue {
    key_value(key, any_value::Value::IntValue(value))
}

fn key_value(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
