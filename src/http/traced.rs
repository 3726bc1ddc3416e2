//! Whether a request is traced: decided here, once. Its caller decides with `traceparent`; where none has, a share of
//! the purchases is chosen. A later request about an order that is traced joins the order's trace.

use crate::http::request_id::RequestId;
use crate::http::spec::{Method, Spec};
use crate::traces::{Kind, Span, Tracer, parent};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use stampede_actors::ids::{EntityId, OrderId};
use stampede_actors::shell::View;
use stampede_actors::trace::TraceLink;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

const HEADER: HeaderName = HeaderName::from_static(parent::NAME);

/// What a handler learns on its way.
#[derive(Debug, Default)]
pub struct Seen {
    order: Cell<Option<OrderId>>,
    link: Cell<Option<TraceLink>>,
}

impl Seen {
    /// It is about this order.
    pub fn is_about(&self, order: OrderId) {
        self.order.set(Some(order));
    }

    /// It asks this entity.
    pub fn asks(&self, entity: &EntityId) {
        if let EntityId::Order(order) = entity {
            self.is_about(*order);
        }
    }

    /// It is shown this.
    pub fn sees(&self, view: &View) {
        if let View::Order(order) = view {
            self.link.set(order.trace());
        }
    }
}

/// A request that is traced, or may turn out to be.
pub struct Traced {
    tracer: &'static Tracer,
    spec: &'static Spec,
    /// `None`: not unless its order is.
    span: Option<Span>,
    seen: Rc<Seen>,
}

impl Traced {
    /// `None`: it is not traced, and will not be.
    #[must_use]
    pub fn begin(tracer: &'static Tracer, spec: &'static Spec, headers: &HeaderMap) -> Option<Traced> {
        let span = match caller(headers) {
            Some(caller) if !caller.sampled => return None,
            Some(caller) => Some(tracer.below(caller.link, Kind::Server, name(spec))),
            None if spec.purchase && tracer.chooses() => tracer.first(Kind::Server, name(spec)),
            // Reads are many, and change nothing.
            None if spec.method != Method::Get && spec.path.contains("{order}") => None,
            None => return None,
        };
        let mut traced = Traced { tracer, spec, span, seen: Rc::default() };
        if let Some(span) = &mut traced.span {
            describe(span, spec);
            // Unless it comes to an answer.
            span.outcome("hung_up");
        }
        Some(traced)
    }

    /// Where what follows from the request belongs.
    #[must_use]
    pub fn link(&self) -> Option<TraceLink> {
        self.span.as_ref().map(Span::link)
    }

    /// Where the handler notes what it learns.
    #[must_use]
    pub fn seen(&self) -> Rc<Seen> {
        Rc::clone(&self.seen)
    }

    /// The request is answered. Gives the trace that it belonged to.
    pub fn end(mut self, id: RequestId, started: Instant, answer: Answered) -> Option<TraceLink> {
        let mut span = match self.span.take() {
            Some(span) => span,
            None => {
                let mut span = self.tracer.below(self.seen.link.get()?, Kind::Server, name(self.spec));
                span.began_before(started.elapsed());
                describe(&mut span, self.spec);
                span
            }
        };
        span.tell("http.response.status_code", u64::from(answer.status));
        span.tell("stampede.request", id.to_string());
        if let Some(order) = self.seen.order.get() {
            span.tell("stampede.order", order.to_string());
        }
        match answer.code {
            Some(code) if answer.status >= 500 => span.failed(code),
            Some(code) => span.outcome(code),
            None if answer.replayed => span.outcome("replayed"),
            None => span.outcome("ok"),
        }
        Some(span.link())
    }
}

/// What a request was answered.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    /// The code of a problem.
    pub code: Option<&'static str>,
    /// It was the answer of an earlier request.
    pub replayed: bool,
}

/// Tells the caller the span that answered.
pub fn tell(link: TraceLink, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::try_from(parent::write(link)) {
        headers.insert(HEADER, value);
    }
}

/// Who called. Sent twice it is malformed.
fn caller(headers: &HeaderMap) -> Option<parent::Parent> {
    let mut values = headers.get_all(&HEADER);
    let value = values.next()?;
    if values.next().is_some() { None } else { parent::parse(value.as_bytes()) }
}

fn describe(span: &mut Span, spec: &'static Spec) {
    span.tell("http.request.method", spec.method.as_str());
    span.tell("http.route", spec.path);
}

fn name(spec: &Spec) -> String {
    format!("{} {}", spec.method.as_str(), spec.path)
}
