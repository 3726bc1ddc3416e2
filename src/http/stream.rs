//! Live stock of a SKU by server-sent events. One poller per worker and SKU feeds all its streams, so a hot SKU with ten
//! thousand watchers is asked twice a second, and a slow reader only misses what is out of date.

use crate::http::app::{App, Shared};
use crate::http::call::{Answer, Call};
use crate::http::problem::{Problem, kinds};
use crate::http::reply::Reply;
use crate::http::skus;
use crate::http::spec::{Good, Spec, of};
use crate::metrics;
use actix_web::body::{BodyStream, BoxBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Bytes;
use hashbrown::HashMap;
use stampede_actors::ids::{EntityId, SkuId};
use stampede_actors::shell::lane;
use stampede_actors::shell::message::{Done, Question};
use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// Least time between two events.
const PACE: Duration = Duration::from_millis(500);
/// Something is sent at least so often, so that a dead connection is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `GET /v1/skus/{sku}/stream`
pub const STREAM: Spec = Spec::get(
    "/v1/skus/{sku}/stream",
    "streamAvailability",
    "Live stock: an event at every change, twice a second at most.",
)
.about(
    "Server-sent events named `availability`; `data` is the same document as that of the availability, `id` its \
             version. The first event is sent at once, unless `Last-Event-ID` names it.",
)
.tag("skus")
.gives(&[Good {
    status: 200,
    meaning: "The stream. It ends when the server goes down.",
    body: Some(of::<skus::AvailabilityBody>),
    media: "text/event-stream",
}])
.fails(&[&kinds::UNKNOWN_SKU, &kinds::DRAINING]);

/// What watchers of a SKU are shown.
#[derive(Clone)]
struct Event {
    version: u64,
    text: Bytes,
}

type Watched = Rc<watch::Sender<Event>>;

/// The watched SKUs of one worker.
#[derive(Default)]
pub struct Hub {
    watched: RefCell<HashMap<SkuId, Watched, foldhash::fast::FixedState>>,
}

/// One of the bounded number of streams.
struct Place(Arc<Shared>);

impl Place {
    fn take(app: &App) -> Option<Place> {
        let taken = app.shared.streams.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&app.shared));
        (taken < app.streams_max).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Streams a SKU's stock.
pub async fn stream(call: Call) -> Answer {
    let sku: SkuId = call.path("sku")?;
    if call.app.shared.draining() {
        return Err(Problem::new(&kinds::DRAINING, "the server is going down"));
    }
    let place = Place::take(&call.app).ok_or_else(|| {
        metrics::shed(metrics::Shed::Streams);
        Problem::new(&kinds::OVERLOADED, "as many streams as allowed are open")
    })?;
    let done = call.ask(EntityId::Sku(sku.clone()), Question::ReadSku).await?;
    let first = event(&call.app, &sku, &done)?;
    let seen = call.request.headers().get("last-event-id").and_then(|id| id.to_str().ok()?.parse::<u64>().ok());
    let watching = Watching {
        first: (seen != Some(first.version)).then(|| first.clone()),
        last: first.version,
        events: watch(&call.app, sku, first),
        drain: call.app.shared.on_drain(),
        _place: place,
    };
    let body = futures_util::stream::unfold(watching, |mut watching| async move {
        let text = watching.next().await?;
        Some((Ok::<_, Infallible>(text), watching))
    });
    let media = HeaderValue::from_static("text/event-stream");
    let reply = Reply::new(StatusCode::OK, media, BoxBody::new(BodyStream::new(Box::pin(body))));
    Ok(reply.with(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

/// One stream.
struct Watching {
    first: Option<Event>,
    last: u64,
    events: watch::Receiver<Event>,
    drain: watch::Receiver<bool>,
    _place: Place,
}

impl Watching {
    /// The next piece of the stream; `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first.text);
        }
        loop {
            tokio::select! {
                biased;
                _ = self.drain.wait_for(|draining| *draining) => return None,
                changed = self.events.changed() => {
                    changed.ok()?;
                    let event = self.events.borrow_and_update().clone();
                    if event.version != self.last {
                        self.last = event.version;
                        return Some(event.text);
                    }
                }
                () = tokio::time::sleep(KEEP_ALIVE) => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }
}

/// Joins the watchers of a SKU, as the first of whom `event` is what everybody knows.
fn watch(app: &Rc<App>, sku: SkuId, event: Event) -> watch::Receiver<Event> {
    let mut watched = app.hub.watched.borrow_mut();
    if let Some(sender) = watched.get(&sku) {
        return sender.subscribe();
    }
    let (sender, receiver) = watch::channel(event);
    let sender = Rc::new(sender);
    watched.insert(sku.clone(), Rc::clone(&sender));
    actix_web::rt::spawn(poll(Rc::clone(app), sku, sender));
    receiver
}

/// Asks for a SKU's stock as long as somebody watches it.
async fn poll(app: Rc<App>, sku: SkuId, sender: Watched) {
    loop {
        tokio::time::sleep(PACE).await;
        if sender.is_closed() || app.shared.draining() {
            app.hub.watched.borrow_mut().remove(&sku);
            return;
        }
        // A refusal or failure may pass: the watchers see the next good answer.
        if let Ok(done) = lane::ask(EntityId::Sku(sku.clone()), Question::ReadSku, app.answer_within).await
            && done.version != sender.borrow().version
            && let Ok(event) = event(&app, &sku, &done)
        {
            sender.send_replace(event);
        }
    }
}

fn event(app: &App, sku: &SkuId, done: &Done) -> Result<Event, Problem> {
    let body = skus::availability(app, sku, done)?;
    let mut text = format!("id: {}\nevent: availability\ndata: ", done.version).into_bytes();
    // Writing to memory cannot fail, and the document has nothing that JSON cannot say. It is one line.
    let _ = serde_json::to_writer(&mut text, &body);
    text.extend_from_slice(b"\n\n");
    Ok(Event { version: done.version, text: text.into() })
}
