//! The API's description, made from the same table as the router.

use crate::http::problem::{self, Kind, ProblemBody, kinds};
use crate::http::routes::Route;
use crate::http::spec::{Good, Method, Spec, of};
use std::collections::BTreeMap;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, Content, Header, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem,
    PathsBuilder, RefOr, Required, Response, ResponseBuilder, Schema,
};

const ABOUT: &str = "\
Checkout and inventory for flash sales.

**Repeating.** Every POST that spends stock or money wants an `Idempotency-Key` and may be repeated with the same key and \
body: it happens once, and a repeat answers the same bytes with `Idempotency-Replayed: true`. Keys are remembered for at least \
24 hours. Effects are stored, refusals are not: a refused key is decided afresh. PUT and DELETE name what they change and may be \
repeated as they are.

**Problems** are `application/problem+json` (RFC 9457). `code` is stable; `retryable` says whether the same request may succeed \
later; `operation_state` says what became of it. After `outcome_unknown`, or no answer at all, repeat the same request with the \
same key. `Retry-After` is spread at random.

**Fields.** Unknown request fields are refused; ignore unknown response fields. Money is in minor units. Times are RFC 3339, UTC.";

/// Groups of routes.
const TAGS: &[(&str, &str)] = &[
    ("orders", "Purchases, and what becomes of them. An order's id is its capability."),
    ("carts", "Lines wanted. They claim nothing until they are checked out."),
    ("holds", "Units claimed for a buyer until a deadline."),
    ("skus", "What is sold, and how many units can be promised."),
    ("stock", "What changes the stock by hand, and the ledger of all that moved."),
    ("fulfilment", "Units that left, and units that came back."),
    ("work", "For workers in processes of their own, which take steps out of RabbitMQ."),
    ("operations", "For those who run the server."),
    ("audit", "The invariants in numbers."),
    ("docs", "This description."),
];

/// Routes that are described: all but those for measuring.
pub fn described() -> impl Iterator<Item = &'static Spec> {
    Route::ALL.iter().map(|route| route.spec()).filter(|spec| !spec.measure)
}

/// The path as the description writes it.
#[must_use]
pub fn path_of(spec: &Spec) -> String {
    spec.path.replace(":.*", "")
}

/// Problems of a route: its own, and those that every route of its kind has.
pub fn problems_of(spec: &'static Spec) -> Vec<&'static Kind> {
    let mut all: Vec<&'static Kind> = spec.problems.to_vec();
    if spec.path_parameters().next().is_some() || !spec.query.is_empty() || spec.body.is_some() {
        all.push(&kinds::VALIDATION_FAILED);
    }
    if spec.body.is_some() {
        all.extend([
            &kinds::MALFORMED_JSON,
            &kinds::UNSUPPORTED_MEDIA_TYPE,
            &kinds::BODY_TOO_LARGE,
            &kinds::BODY_TIMEOUT,
        ]);
    }
    if spec.api_key {
        all.extend([&kinds::API_KEY_MISSING, &kinds::API_KEY_INVALID]);
    }
    if spec.idempotent {
        all.extend([
            &kinds::IDEMPOTENCY_KEY_MISSING,
            &kinds::IDEMPOTENCY_KEY_MALFORMED,
            &kinds::IDEMPOTENCY_KEY_REUSED,
            &kinds::IDEMPOTENCY_KEY_IN_FLIGHT,
        ]);
    }
    if spec.purchase {
        all.push(&kinds::DRAINING);
    }
    all.push(&kinds::HEADERS_TOO_LARGE);
    if spec.path.starts_with("/v1/") {
        all.extend([
            &kinds::RATE_LIMITED,
            &kinds::OVERLOADED,
            &kinds::OUTCOME_UNKNOWN,
            &kinds::NOT_OWNER,
            &kinds::NOT_LOADED,
            &kinds::QUARANTINED,
            &kinds::INTERNAL_ERROR,
        ]);
        if spec.method != Method::Get {
            all.extend([&kinds::DISK_FULL, &kinds::LOG_STOPPED]);
        }
    }
    all
}

/// The description.
#[must_use]
pub fn document() -> OpenApi {
    let mut schemas = Vec::new();
    of::<ProblemBody>(&mut schemas);
    let mut items: Vec<(String, PathItem)> = Vec::new();
    for spec in described() {
        let (method, operation) = (http_method(spec.method), operation(spec, &mut schemas));
        let path = path_of(spec);
        match items.iter_mut().find(|(known, _)| *known == path) {
            Some((_, item)) => item.merge_operations(PathItem::new(method, operation)),
            None => items.push((path, PathItem::new(method, operation))),
        }
    }
    let paths = items.into_iter().fold(PathsBuilder::new(), |paths, (path, item)| paths.path(path, item));
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("sk_…")
        .description(Some("An API key: `stampede keys create NAME`."))
        .build();
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme("api_key", SecurityScheme::Http(bearer))
        .build();
    let info = InfoBuilder::new()
        .title("Stampede")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(LicenseBuilder::new().name(env!("CARGO_PKG_LICENSE")).build()))
        .build();
    let tags = TAGS.iter().map(|(name, about)| TagBuilder::new().name(*name).description(Some(*about)).build());
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components)).tags(Some(tags)).build()
}

fn operation(spec: &'static Spec, schemas: &mut Vec<(String, RefOr<Schema>)>) -> OperationBuilder {
    let mut operation =
        OperationBuilder::new().tag(spec.tag).summary(Some(spec.summary)).operation_id(Some(spec.operation));
    if !spec.description.is_empty() {
        operation = operation.description(Some(spec.description));
    }
    for name in spec.path_parameters() {
        let name = name.split(':').next().unwrap_or(name);
        operation = operation.parameter(parameter(name, ParameterIn::Path, Required::True, path_meaning(name)));
    }
    for query in spec.query {
        operation = operation.parameter(parameter(query.name, ParameterIn::Query, Required::False, query.meaning));
    }
    if spec.idempotent {
        let meaning = "What you call this intent, as a quoted string: a UUID, say. The same at every repeat.";
        operation = operation.parameter(parameter("Idempotency-Key", ParameterIn::Header, Required::True, meaning));
    }
    if spec.api_key {
        operation = operation.security(SecurityRequirement::new::<_, [&str; 0], &str>("api_key", []));
    }
    if let Some(describe) = spec.body {
        let content = Content::new(Some(describe(schemas)));
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        operation = operation.request_body(Some(body.build()));
    }
    for good in spec.good {
        operation = operation.response(good.status.to_string(), good_response(good, spec, schemas));
    }
    let mut by_status: BTreeMap<u16, Vec<&Kind>> = BTreeMap::new();
    for kind in problems_of(spec) {
        by_status.entry(kind.status).or_default().push(kind);
    }
    for (status, kinds) in by_status {
        operation = operation.response(status.to_string(), bad_response(&kinds));
    }
    operation
}

fn good_response(good: &Good, spec: &Spec, schemas: &mut Vec<(String, RefOr<Schema>)>) -> Response {
    let mut response =
        ResponseBuilder::new().description(good.meaning).header("Request-Id", text_header("This request."));
    if spec.idempotent {
        let meaning = "`true`: this is the answer of an earlier request with this key.";
        response = response.header("Idempotency-Replayed", text_header(meaning));
    }
    if !good.media.is_empty() {
        response = response.content(good.media, Content::new(good.body.map(|describe| describe(schemas))));
    }
    response.build()
}

fn bad_response(kinds: &[&Kind]) -> Response {
    let lines: Vec<String> = kinds.iter().map(|kind| format!("- `{}`: {}", kind.code, kind.meaning)).collect();
    let schema = utoipa::openapi::Ref::from_schema_name("Problem");
    let mut response = ResponseBuilder::new()
        .description(lines.join("\n"))
        .header("Request-Id", text_header("This request."))
        .content(problem::CONTENT_TYPE, Content::new(Some(schema)));
    if kinds.iter().any(|kind| kind.retry_after_ms.is_some()) {
        response = response.header("Retry-After", text_header("Seconds to wait before repeating."));
    }
    response.build()
}

fn text_header(meaning: &str) -> Header {
    let mut header = Header::new(text());
    header.description = Some(meaning.to_owned());
    header
}

fn parameter(name: &str, place: ParameterIn, required: Required, meaning: &str) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(meaning))
        .schema(Some(text()))
}

fn text() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).build().into()
}

fn path_meaning(name: &str) -> &'static str {
    match name {
        "sku" => "The marketplace's own code: 1 to 64 letters, digits and . _ : -",
        "hold" => "`hld_` and 26 characters of Crockford's base 32, drawn at random by the client.",
        "cart" => "`crt_` and 26 characters.",
        "order" => "`ord_` and 26 characters.",
        "shipment" => "`op_` and 26 characters: the same whenever this shipment is reported.",
        _ => "A name.",
    }
}

fn http_method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::Get,
        Method::Put => HttpMethod::Put,
        Method::Post => HttpMethod::Post,
        Method::Delete => HttpMethod::Delete,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed step fails the test
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn json() -> Value {
        serde_json::from_str(&document().to_json().unwrap()).unwrap()
    }

    fn operations(document: &Value) -> Vec<(String, &Value)> {
        let items = document["paths"].as_object().unwrap();
        let of_item = |(path, item): (&String, &'_ Value)| -> Vec<String> {
            item.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())).collect()
        };
        let names = items.iter().flat_map(of_item);
        let bodies = items.values().flat_map(|item| item.as_object().unwrap().values());
        names.zip(bodies).collect()
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = json();
        let described: BTreeSet<String> = operations(&document).into_iter().map(|(name, _)| name).collect();
        let routes: BTreeSet<String> =
            super::described().map(|spec| format!("{} {}", spec.method.as_str(), path_of(spec))).collect();
        assert_eq!(described, routes);
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    }

    #[test]
    fn operation_ids_are_unique_and_every_operation_has_a_good_answer_and_a_known_tag() {
        let document = json();
        let mut seen = BTreeSet::new();
        for (name, operation) in operations(&document) {
            assert!(seen.insert(operation["operationId"].as_str().unwrap().to_owned()), "{name}");
            let statuses: Vec<&String> = operation["responses"].as_object().unwrap().keys().collect();
            assert!(statuses.iter().any(|status| status.starts_with('2') || status.starts_with('3')), "{name}");
            let tag = operation["tags"][0].as_str().unwrap();
            assert!(TAGS.iter().any(|(known, _)| *known == tag), "{name}: {tag}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(fields) => {
                    found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    fields.values().for_each(|value| references(value, found));
                }
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = json();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_code_is_described_somewhere() {
        let mut described: BTreeSet<&str> = described().flat_map(problems_of).map(|kind| kind.code).collect();
        // No route has these: there is none, or not for the method.
        described.extend([kinds::METHOD_NOT_ALLOWED.code, kinds::UNKNOWN_ROUTE.code]);
        let missing: Vec<&str> =
            kinds::ALL.iter().map(|kind| kind.code).filter(|code| !described.contains(code)).collect();
        assert_eq!(missing, ["not_allocated", "wrong_parts"], "codes of commands that no route sends");
    }
}
