//! One request, from its head to its answer: the checks that every route shares happen here, once.

use crate::http::app::{App, HEAD_LIMIT};
use crate::http::idempotency::Key;
use crate::http::problem::{Problem, kinds};
use crate::http::reply::Reply;
use crate::http::request_id::{self, RequestId};
use crate::http::routes::{Route, methods_of};
use crate::http::spec::{Method, Spec};
use crate::http::traced::{self, Answered, Seen, Traced};
use crate::http::wire::Object;
use crate::http::{body, limit, tally};
use crate::{metrics, traces};
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::de::DeserializeOwned;
use stampede_actors::ids::{BuyerRef, EntityId, OpId, OrderId, Slot};
use stampede_actors::journal::NoRoom;
use stampede_actors::shell::message::{Done, Failure, Question};
use stampede_actors::shell::{Permit, lane};
use stampede_actors::trace::TraceLink;
use std::fmt::{Display, Write};
use std::future::Future;
use std::rc::Rc;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

/// What a handler answers.
pub type Answer = Result<Reply, Problem>;

/// One request that passed the checks of its route.
pub struct Call {
    /// What it may use.
    pub app: Rc<App>,
    /// Its route.
    pub spec: &'static Spec,
    /// Its head.
    pub request: HttpRequest,
    /// Names it.
    pub id: RequestId,
    /// When its head had been read.
    pub started: Instant,
    /// The name of its API key, where one is needed.
    pub api_key: Option<Arc<str>>,
    /// Where what follows from it belongs, if it is traced.
    pub trace: Option<TraceLink>,
    /// What it is about, noted for its trace.
    seen: Option<Rc<Seen>>,
    key: Option<Key>,
    payload: Option<Payload>,
}

/// Registers a handler for a route.
pub fn bind<F, R>(services: &mut ServiceConfig, app: &Rc<App>, route: Route, handler: F)
where
    F: Fn(Call) -> R + Clone + 'static,
    R: Future<Output = Answer>,
{
    let spec = route.spec();
    let method = match spec.method {
        Method::Get => web::get(),
        Method::Put => web::put(),
        Method::Post => web::post(),
        Method::Delete => web::delete(),
    };
    let app = Rc::clone(app);
    let serve = move |request: HttpRequest, payload: Payload| {
        let (app, handler) = (Rc::clone(&app), handler.clone());
        serve(app, route, request, payload, handler)
    };
    services.route(spec.path, method.to(serve));
}

async fn serve<F, R>(app: Rc<App>, route: Route, request: HttpRequest, payload: Payload, handler: F) -> HttpResponse
where
    F: Fn(Call) -> R,
    R: Future<Output = Answer>,
{
    let started = Instant::now();
    let _in_flight = app.shared.enter();
    let _counted = metrics::InFlight::of(route);
    let spec = route.spec();
    let mut warning = None;
    let id = RequestId::next();
    let traced = traces::on().and_then(|tracer| Traced::begin(tracer, spec, request.headers()));
    let limited = app.shared.limits.is_on().then(|| request.clone());
    let answer = match Call::admit(Rc::clone(&app), spec, request, payload, started, id) {
        Ok(mut call) => {
            if let Some(traced) = &traced {
                (call.trace, call.seen) = (traced.link(), Some(traced.seen()));
            }
            warning = call.key.as_ref().and_then(Key::warning);
            match call.limit().await {
                Ok(()) => handler(call).await,
                Err(problem) => Err(problem),
            }
        }
        Err(problem) => Err(problem),
    };
    // Last of all: what was answered was true while the log was ours (S25).
    let answer = match app.engine().confirm().await {
        Ok(()) => answer,
        Err(not_ours) => Err(Problem::new(&kinds::OUTCOME_UNKNOWN, not_ours.to_string())),
    };
    let took = started.elapsed();
    tally::count(spec, &answer, took);
    let trace = traced.and_then(|traced| traced.end(id, started, answered(&answer)));
    let mut response = match answer {
        Ok(reply) => reply.into_response(),
        Err(problem) => {
            if problem.kind.status == 500 {
                let (order, trace) = (problem.order.as_deref().map(tracing::field::display), traces::shown(trace));
                let (operation, code) = (spec.operation, problem.kind.code);
                tracing::error!(request = %id, order, trace, operation, code, "{}", problem.detail);
            }
            problem.respond(id)
        }
    };
    response.headers_mut().insert(request_id::HEADER, id.header_value());
    if let Some(trace) = trace {
        traced::tell(trace, response.headers_mut());
    }
    if let Some(warning) = warning {
        response.headers_mut().insert(header::WARNING, warning);
    }
    if let Some(request) = limited {
        limit::tell(&request, response.headers_mut());
    }
    if app.shared.draining() {
        response.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
    }
    let status = response.status().as_u16();
    metrics::answered(route, status, took);
    if let Some(trace) = trace {
        metrics::example(route, status, took, trace.trace());
    }
    response
}

fn answered(answer: &Answer) -> Answered {
    match answer {
        Ok(reply) => Answered { status: reply.status().as_u16(), code: None, replayed: reply.replayed },
        Err(problem) => Answered { status: problem.kind.status, code: Some(problem.kind.code), replayed: false },
    }
}

/// Answers what no route answers: 405 where the path has other methods, else 404.
pub async fn no_route(request: HttpRequest, measure: bool) -> HttpResponse {
    let methods = methods_of(request.path(), measure);
    let problem = if methods.is_empty() {
        Problem::new(&kinds::UNKNOWN_ROUTE, "there is no such resource")
    } else {
        Problem::method_not_allowed(methods.join(", "))
    };
    metrics::unmatched(problem.kind.status);
    let id = RequestId::next();
    let mut response = problem.respond(id);
    response.headers_mut().insert(request_id::HEADER, id.header_value());
    response
}

impl Call {
    fn admit(
        app: Rc<App>,
        spec: &'static Spec,
        request: HttpRequest,
        payload: Payload,
        started: Instant,
        id: RequestId,
    ) -> Result<Call, Problem> {
        check_head(&request)?;
        let api_key = if spec.api_key { Some(authenticate(&app, request.headers())?) } else { None };
        let key = if spec.idempotent { Some(Key::read(request.headers())?) } else { None };
        if spec.purchase && app.shared.draining() {
            return Err(Problem::new(
                &kinds::DRAINING,
                "the server is going down; repeat the request with the same key",
            ));
        }
        let payload = Some(payload);
        Ok(Call { app, spec, request, id, started, api_key, trace: None, seen: None, key, payload })
    }

    /// The body, parsed.
    ///
    /// # Errors
    /// What is wrong with its type, size, form or content.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        body::check_type(self.request.headers())?;
        let bytes = self.bytes().await?;
        body::parse::<Object<T>>(&bytes).map(|object| object.0)
    }

    /// Counts it for API key and address, unless its buyer has to be read first: then [`Call::limit_buyer`] counts it for
    /// all of them at once. A body that cannot be read is not counted there, as it costs next to nothing.
    async fn limit(&self) -> Result<(), Problem> {
        if self.spec.names_buyer || !self.spec.path.starts_with("/v1/") {
            return Ok(());
        }
        limit::admit(self, None).await
    }

    /// Counts it for this buyer, API key and address.
    ///
    /// # Errors
    /// `rate_limited`.
    pub async fn limit_buyer(&self, buyer: &BuyerRef) -> Result<(), Problem> {
        limit::admit(self, Some(buyer)).await
    }

    /// The body, parsed; an absent one counts as an empty object.
    ///
    /// # Errors
    /// As [`Call::json`].
    pub async fn json_or_empty<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        let bytes = self.bytes().await?;
        if bytes.is_empty() {
            return body::parse::<Object<T>>(b"{}").map(|object| object.0);
        }
        body::check_type(self.request.headers())?;
        body::parse::<Object<T>>(&bytes).map(|object| object.0)
    }

    async fn bytes(&mut self) -> Result<web::Bytes, Problem> {
        match self.payload.take() {
            Some(payload) => {
                let App { body_limit, body_within, .. } = *self.app;
                body::read(self.request.headers(), payload, body_limit, body_within).await
            }
            None => Ok(web::Bytes::new()),
        }
    }

    /// A parameter of the path.
    ///
    /// # Errors
    /// `validation_failed` when it is none of its kind.
    pub fn path<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<T, Problem> {
        let text = self.request.match_info().get(name).unwrap_or_default();
        text.parse().map_err(|error: T::Err| Problem::bad_parameter(name, error))
    }

    /// The query parameters, each at most once and none but these.
    ///
    /// # Errors
    /// `validation_failed` for others.
    pub fn query<const N: usize>(&self, names: [&'static str; N]) -> Result<[Option<String>; N], Problem> {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(self.request.query_string())
            .map_err(|error| Problem::bad_parameter("query", error))?;
        let mut values = [const { None }; N];
        for (name, value) in pairs.into_inner() {
            let Some(index) = names.iter().position(|known| *known == name) else {
                let known = names.join(", ");
                return Err(Problem::bad_parameter("query", format!("{name:?} is not one of: {known}")));
            };
            if values[index].replace(value).is_some() {
                return Err(Problem::bad_parameter(names[index], "given more than once"));
            }
        }
        Ok(values)
    }

    /// The idempotency key.
    #[must_use]
    pub fn key(&self) -> &str {
        // Routes that ask for it have it: `admit` refuses requests without.
        self.key.as_ref().map_or("", Key::as_str)
    }

    /// What the key is unique in: the route, what its path names, and the API key where one is needed. Of the path it
    /// takes the parsed names, since one name may be spelt in several ways.
    #[must_use]
    pub fn scope(&self, path: impl Display) -> String {
        let mut scope = String::with_capacity(96);
        let _ = write!(scope, "{} {} {path}", self.spec.method.as_str(), self.spec.path);
        if let Some(name) = &self.api_key {
            let _ = write!(scope, " by {name}");
        }
        scope
    }

    /// The operation that this key names, on what the path names.
    #[must_use]
    pub fn op(&self, path: impl Display) -> OpId {
        self.app.engine().ids().op(&self.scope(path), self.key())
    }

    /// A permit for one purchase (S13).
    ///
    /// # Errors
    /// `overloaded` when all are taken.
    pub fn permit(&self, slot: Slot) -> Result<Permit, Problem> {
        let permit = self.app.engine().permit(slot).ok_or_else(|| {
            metrics::shed(metrics::Shed::NoPermit);
            Problem::new(&kinds::OVERLOADED, "too many purchases in progress; repeat the request with the same key")
        })?;
        metrics::admitted(self.started.elapsed());
        Ok(permit)
    }

    /// It is about this order, though it asks somebody else.
    pub fn is_about(&self, order: OrderId) {
        if let Some(seen) = &self.seen {
            seen.is_about(order);
        }
    }

    /// Asks an entity. The answer comes when it may leave.
    ///
    /// # Errors
    /// Whatever the entity or the world said.
    pub async fn ask(&self, entity: EntityId, question: Question) -> Result<Done, Failure> {
        let within = self.app.answer_within;
        if let Some(seen) = &self.seen {
            seen.asks(&entity);
        }
        let answer = match self.key {
            Some(_) => lane::ask_keyed(entity, question, within).await,
            None => lane::ask(entity, question, within).await,
        };
        if let Err(Failure::Overloaded | Failure::NoRoom(NoRoom::Busy)) = answer {
            metrics::shed(metrics::Shed::Busy);
        }
        if let (Some(seen), Ok(done)) = (&self.seen, &answer) {
            seen.sees(&done.view);
        }
        answer
    }
}

/// Limits what nobody needs: the parser itself takes 128 KiB and 96 headers.
fn check_head(request: &HttpRequest) -> Result<(), Problem> {
    let head = request.uri().path().len()
        + request.query_string().len()
        + request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
    if head > HEAD_LIMIT {
        let detail = format!("path, query and headers may have {HEAD_LIMIT} bytes in all");
        return Err(Problem::new(&kinds::HEADERS_TOO_LARGE, detail));
    }
    Ok(())
}

fn authenticate(app: &App, headers: &HeaderMap) -> Result<Arc<str>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(Problem::new(
            &kinds::API_KEY_MISSING,
            "send Authorization: Bearer sk_… (see: stampede keys create)",
        ));
    };
    let secret = value.to_str().ok().and_then(|value| {
        let (scheme, secret) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
    });
    secret
        .and_then(|secret| app.shared.keys.name_of(secret))
        .ok_or_else(|| Problem::new(&kinds::API_KEY_INVALID, "this is no API key, or it was revoked"))
}
