//! One span: begun, told about, and handed to the exporter when it is dropped, so that none is forgotten on any way
//! out.

use super::export::{Counts, Work};
use stampede_actors::trace::TraceLink;
use std::borrow::Cow;
use std::num::NonZeroU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant, SystemTime};

/// What side of an exchange a span is, as OTLP numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Within the process.
    Internal = 1,
    /// Answers somebody.
    Server = 2,
    /// Asks somebody.
    Client = 3,
    /// Sends a message.
    Producer = 4,
    /// Works on a message.
    Consumer = 5,
}

/// What an attribute may be. Never personal data, never a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Out of a closed set.
    Word(&'static str),
    /// An id of ours.
    Text(String),
    /// A number.
    Number(i64),
}

impl From<&'static str> for Value {
    fn from(word: &'static str) -> Value {
        Value::Word(word)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A span as it is exported.
#[derive(Debug, Clone)]
pub(super) struct Finished {
    pub link: TraceLink,
    /// `None`: the first of its trace.
    pub parent: Option<NonZeroU64>,
    pub name: Cow<'static, str>,
    pub kind: Kind,
    /// Since 1970.
    pub began: Duration,
    pub took: Duration,
    pub attributes: Vec<(&'static str, Value)>,
    /// How it ended, in one word.
    pub outcome: Option<&'static str>,
    /// It ended badly.
    pub failed: bool,
}

/// Makes spans and hands finished ones to the exporter's thread. Never waits.
#[derive(Debug)]
pub struct Tracer {
    queue: SyncSender<Work>,
    share: f64,
    counts: &'static Counts,
}

impl Tracer {
    pub(super) fn new(queue: SyncSender<Work>, share: f64, counts: &'static Counts) -> Tracer {
        Tracer { queue, share, counts }
    }

    /// Shall an order be traced whose caller has not decided?
    #[must_use]
    pub fn chooses(&self) -> bool {
        self.share > 0.0 && rand::random::<f64>() < self.share
    }

    /// Begins a span below another.
    #[must_use]
    pub fn below(&'static self, parent: TraceLink, kind: Kind, name: impl Into<Cow<'static, str>>) -> Span {
        Span::begin(self, parent.at(new_id()), Some(parent.span()), kind, name.into())
    }

    /// Begins the first span of a trace.
    #[must_use]
    pub fn first(&'static self, kind: Kind, name: impl Into<Cow<'static, str>>) -> Option<Span> {
        let link = TraceLink::new(rand::random(), new_id().get())?;
        Some(Span::begin(self, link, None, kind, name.into()))
    }

    /// What has ended already, under an id of its own.
    pub(super) fn past(&self, finished: Box<Finished>) {
        if self.queue.try_send(Work::Span(finished)).is_err() {
            self.counts.dropped.fetch_add(1, Relaxed);
        }
    }
}

fn new_id() -> NonZeroU64 {
    NonZeroU64::new(rand::random()).unwrap_or(NonZeroU64::MAX)
}

/// A span that has begun. It ends when it is dropped.
#[derive(Debug)]
pub struct Span {
    tracer: &'static Tracer,
    began: Instant,
    /// Taken when it ends.
    finished: Option<Box<Finished>>,
    link: TraceLink,
}

impl Span {
    fn begin(
        tracer: &'static Tracer,
        link: TraceLink,
        parent: Option<NonZeroU64>,
        kind: Kind,
        name: Cow<'static, str>,
    ) -> Span {
        let finished = Finished {
            link,
            parent,
            name,
            kind,
            began: since_1970(SystemTime::now()),
            took: Duration::ZERO,
            attributes: Vec::new(),
            outcome: None,
            failed: false,
        };
        Span { tracer, began: Instant::now(), finished: Some(Box::new(finished)), link }
    }

    /// Where whatever follows from it belongs.
    #[must_use]
    pub fn link(&self) -> TraceLink {
        self.link
    }

    /// Says more about it.
    pub fn tell(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(finished) = &mut self.finished {
            finished.attributes.push((key, value.into()));
        }
    }

    /// How it ended, so far.
    pub fn outcome(&mut self, word: &'static str) {
        if let Some(finished) = &mut self.finished {
            finished.outcome = Some(word);
        }
    }

    /// It has ended badly: this is no answer that anybody wants.
    pub fn failed(&mut self, word: &'static str) {
        self.outcome(word);
        if let Some(finished) = &mut self.finished {
            finished.failed = true;
        }
    }

    /// It began so long before this was called.
    pub fn began_before(&mut self, earlier: Duration) {
        self.began = self.began.checked_sub(earlier).unwrap_or(self.began);
        if let Some(finished) = &mut self.finished {
            finished.began = finished.began.saturating_sub(earlier);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(mut finished) = self.finished.take() {
            finished.took = self.began.elapsed();
            self.tracer.past(finished);
        }
    }
}

/// Since 1970; zero for a clock that stands before it.
pub(super) fn since_1970(at: SystemTime) -> Duration {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
