//! What a route is: written once beside its handler, read by the router, the checks before the handler, the metrics and
//! the API's description.

use crate::http::problem::Kind;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A method of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates or replaces what the client has named.
    Put,
    /// Does something once per idempotency key.
    Post,
    /// Ends what the client has named.
    Delete,
}

impl Method {
    /// As it is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        }
    }
}

/// Describes a type, and what it refers to.
pub type Describe = fn(&mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema>;

/// The description of `T`.
pub fn of<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema> {
    T::schemas(schemas);
    let name = T::name().into_owned();
    schemas.push((name.clone(), <T as PartialSchema>::schema()));
    Ref::from_schema_name(name).into()
}

/// A good answer.
#[derive(Debug, Clone, Copy)]
pub struct Good {
    /// Status code.
    pub status: u16,
    /// When.
    pub meaning: &'static str,
    /// Its JSON body; `None`: no body.
    pub body: Option<Describe>,
    /// Media type of the body.
    pub media: &'static str,
}

/// A query parameter.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Method.
    pub method: Method,
    /// Templated path: the label of its metrics.
    pub path: &'static str,
    /// Unique name in the API's description.
    pub operation: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// More, in Markdown.
    pub description: &'static str,
    /// Group in the API's description.
    pub tag: &'static str,
    /// Needs an API key.
    pub api_key: bool,
    /// Needs an idempotency key.
    pub idempotent: bool,
    /// Starts a new purchase: refused while the server is going down.
    pub purchase: bool,
    /// Its body names the buyer, who may be limited.
    pub names_buyer: bool,
    /// Only there when the server was told to measure.
    pub measure: bool,
    /// The body that it takes.
    pub body: Option<Describe>,
    /// Query parameters.
    pub query: &'static [Query],
    /// Good answers.
    pub good: &'static [Good],
    /// Problems of its own, beside those that every route of its kind has.
    pub problems: &'static [&'static Kind],
}

impl Spec {
    /// A route with nothing but a name.
    #[must_use]
    pub const fn new(method: Method, path: &'static str, operation: &'static str, summary: &'static str) -> Spec {
        Spec {
            method,
            path,
            operation,
            summary,
            description: "",
            tag: "orders",
            api_key: false,
            idempotent: false,
            purchase: false,
            names_buyer: false,
            measure: false,
            body: None,
            query: &[],
            good: &[],
            problems: &[],
        }
    }

    /// `GET`.
    #[must_use]
    pub const fn get(path: &'static str, operation: &'static str, summary: &'static str) -> Spec {
        Spec::new(Method::Get, path, operation, summary)
    }

    /// `PUT`.
    #[must_use]
    pub const fn put(path: &'static str, operation: &'static str, summary: &'static str) -> Spec {
        Spec::new(Method::Put, path, operation, summary)
    }

    /// `POST`.
    #[must_use]
    pub const fn post(path: &'static str, operation: &'static str, summary: &'static str) -> Spec {
        Spec::new(Method::Post, path, operation, summary)
    }

    /// `DELETE`.
    #[must_use]
    pub const fn delete(path: &'static str, operation: &'static str, summary: &'static str) -> Spec {
        Spec::new(Method::Delete, path, operation, summary)
    }

    /// More to say.
    #[must_use]
    pub const fn about(self, description: &'static str) -> Spec {
        Spec { description, ..self }
    }

    /// Its group.
    #[must_use]
    pub const fn tag(self, tag: &'static str) -> Spec {
        Spec { tag, ..self }
    }

    /// Needs an API key.
    #[must_use]
    pub const fn api_key(self) -> Spec {
        Spec { api_key: true, ..self }
    }

    /// Needs an idempotency key.
    #[must_use]
    pub const fn idempotent(self) -> Spec {
        Spec { idempotent: true, ..self }
    }

    /// Starts a purchase.
    #[must_use]
    pub const fn purchase(self) -> Spec {
        Spec { purchase: true, ..self }
    }

    /// Its body names the buyer: the handler calls `Call::limit_buyer`.
    #[must_use]
    pub const fn names_buyer(self) -> Spec {
        Spec { names_buyer: true, ..self }
    }

    /// Only for measuring.
    #[must_use]
    pub const fn measure(self) -> Spec {
        Spec { measure: true, ..self }
    }

    /// Takes this body.
    #[must_use]
    pub const fn takes(self, body: Describe) -> Spec {
        Spec { body: Some(body), ..self }
    }

    /// Takes these query parameters.
    #[must_use]
    pub const fn query(self, query: &'static [Query]) -> Spec {
        Spec { query, ..self }
    }

    /// Gives these answers.
    #[must_use]
    pub const fn gives(self, good: &'static [Good]) -> Spec {
        Spec { good, ..self }
    }

    /// Has these problems of its own.
    #[must_use]
    pub const fn fails(self, problems: &'static [&'static Kind]) -> Spec {
        Spec { problems, ..self }
    }

    /// The names in the path's braces, in order.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }
}

/// An answer with a JSON body.
#[must_use]
pub const fn json(status: u16, meaning: &'static str, body: Describe) -> Good {
    Good { status, meaning, body: Some(body), media: "application/json" }
}

/// An answer without a body.
#[must_use]
pub const fn empty(status: u16, meaning: &'static str) -> Good {
    Good { status, meaning, body: None, media: "" }
}
