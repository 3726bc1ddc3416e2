//! Traces: what a sampled order went through, drawn as spans and sent to a collector over OTLP/HTTP. Off by default.
//!
//! Whether an order is traced is decided once, where it comes in ([`crate::http::traced`]), and then travels with it as
//! a [`TraceLink`]: through the actors, the log, the feed, RabbitMQ's headers, the workers and back (docs/adr/0016).
//! Whoever works on something without a link does nothing here but look for one. Attributes are closed words, numbers
//! and ids of ours: no buyer, delivery, token or key.

mod drawn;
mod export;
mod otlp;
pub mod parent;
mod post;
mod span;

pub use drawn::{Drawn, committed};
pub use export::{Counts, Exporter};
pub use otlp::Resource;
pub use span::{Kind, Span, Tracer, Value};

use crate::config;
use stampede_actors::trace::TraceLink;
use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

/// What became of the spans of this process; all zero while tracing is off.
pub static COUNTS: Counts = Counts::new();

static TRACER: OnceLock<Tracer> = OnceLock::new();

/// Who draws spans; `None`: tracing is off.
#[must_use]
pub fn on() -> Option<&'static Tracer> {
    TRACER.get()
}

/// Begins to draw and send, if so configured. `role`: what this process is. Once per process.
///
/// # Errors
/// When there is no thread to be had.
pub fn start(config: &config::Tracing, role: &'static str) -> std::io::Result<Option<Exporter>> {
    let Some(collector) = config.otlp.place() else { return Ok(None) };
    let (tracer, exporter) = export::start(collector.clone(), config.sample.0, Resource::of_this(role), &COUNTS)?;
    tracing::info!(collector = %config.otlp, sample = config.sample.0, "tracing");
    TRACER.get_or_init(|| tracer);
    Ok(Some(exporter))
}

/// Begins a span below this link; `None` without one, or while tracing is off.
#[must_use]
pub fn below(link: Option<TraceLink>, kind: Kind, name: impl Into<Cow<'static, str>>) -> Option<Span> {
    let link = link?;
    Some(on()?.below(link, kind, name))
}

/// The trace's id as log lines show it.
#[must_use]
pub fn shown(link: Option<TraceLink>) -> Option<tracing::field::DisplayValue<impl fmt::Display>> {
    link.map(|link| tracing::field::display(fmt::from_fn(move |f| write!(f, "{:032x}", link.trace()))))
}
