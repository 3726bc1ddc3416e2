//! Health and metrics, on a port and a thread of their own: they answer while the engine starts, and while it is busy.

use crate::broker;
use crate::http::app::Shared;
use crate::metrics;
use crate::workflows;
use actix_web::dev::ServerHandle;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use anyhow::Context;
use parking_lot::Mutex;
use serde_json::json;
use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// Histogram samples are sorted into their buckets so often.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// What there is to report on; nothing before the engine has started.
type Watched = Arc<OnceLock<Arc<Shared>>>;

/// What a worker counts, where this process is one.
type Working = Arc<OnceLock<(Arc<workflows::Vitals>, Arc<broker::Vitals>)>>;

/// For whom this process stands by, while it does: the owner's address.
type Standing = Arc<Mutex<Option<String>>>;

/// The running operations server.
pub struct Operations {
    watched: Watched,
    working: Working,
    standing: Standing,
    handle: ServerHandle,
    thread: JoinHandle<()>,
}

/// Starts it.
///
/// # Errors
/// When its thread or server cannot be started.
pub fn start(listener: TcpListener) -> anyhow::Result<Operations> {
    let watched = Watched::default();
    let (started, starting) = mpsc::channel();
    let (standing, working) = (Standing::default(), Working::default());
    let (state, stands, works) = (Arc::clone(&watched), Arc::clone(&standing), Arc::clone(&working));
    let serve = move || {
        actix_web::rt::System::new().block_on(async move {
            let app = move || {
                let app = App::new().app_data(Data::new(Arc::clone(&state))).app_data(Data::new(Arc::clone(&stands)));
                app.app_data(Data::new(Arc::clone(&works))).configure(routes)
            };
            let server = HttpServer::new(app)
                .workers(1)
                .max_connections(256)
                .client_request_timeout(Duration::from_secs(5))
                .shutdown_timeout(1)
                .disable_signals()
                .listen(listener)
                .map(HttpServer::run);
            let server = match server {
                Ok(server) => server,
                Err(error) => return drop(started.send(Err(error))),
            };
            if started.send(Ok(server.handle())).is_err() {
                return;
            }
            actix_web::rt::spawn(async {
                let mut interval = tokio::time::interval(UPKEEP_EVERY);
                loop {
                    interval.tick().await;
                    metrics::upkeep();
                }
            });
            if let Err(error) = server.await {
                tracing::error!(%error, "the operations server failed");
            }
        });
    };
    let thread = std::thread::Builder::new().name("operations".into()).spawn(serve)?;
    let handle = starting.recv().context("the operations server's thread ended")?.context("the operations server")?;
    Ok(Operations { watched, working, standing, handle, thread })
}

impl Operations {
    /// The engine has started: reports on it from now on.
    pub fn watch(&self, shared: &Arc<Shared>) {
        self.watched.get_or_init(|| Arc::clone(shared));
    }

    /// This process is a worker: reports on it from now on.
    pub fn watch_worker(&self, workflows: Arc<workflows::Vitals>, broker: Arc<broker::Vitals>) {
        self.working.get_or_init(|| (workflows, broker));
    }

    /// This process stands by for the owner at this address, or does not.
    pub fn stands_by(&self, owner: Option<String>) {
        *self.standing.lock() = owner;
    }

    /// Stops it.
    pub fn stop(self) {
        // The command is on its way at once; its future only tells when it was done, and so does the thread's end.
        drop(self.handle.stop(false));
        if self.thread.join().is_err() {
            tracing::error!("the operations server's thread had panicked");
        }
    }
}

fn routes(services: &mut ServiceConfig) {
    services
        .route("/health/live", web::get().to(live))
        .route("/health/startup", web::get().to(startup))
        .route("/health/ready", web::get().to(ready))
        .route("/metrics", web::get().to(scrape));
}

/// The process runs.
async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

/// The engine has started.
async fn startup(watched: Data<Watched>, working: Data<Working>) -> HttpResponse {
    match watched.get().map(drop).or(working.get().map(drop)) {
        Some(()) => HttpResponse::Ok().json(json!({ "status": "started" })),
        None => HttpResponse::ServiceUnavailable().json(json!({ "status": "starting" })),
    }
}

/// The engine takes requests: check by check.
async fn ready(watched: Data<Watched>, working: Data<Working>, standing: Data<Standing>) -> HttpResponse {
    // A worker is ready to work also while there is nothing to work on, or nobody to get it from.
    if working.get().is_some() {
        return HttpResponse::Ok().json(json!({ "status": "ready", "checks": [] }));
    }
    if let Some(owner) = &*standing.lock() {
        return HttpResponse::ServiceUnavailable().json(json!({ "status": "standby", "owner": owner, "checks": [] }));
    }
    let Some(shared) = watched.get() else {
        return HttpResponse::ServiceUnavailable().json(json!({ "status": "starting", "checks": [] }));
    };
    let health = shared.engine.health();
    let (mut response, status) = match health.ready() {
        true => (HttpResponse::Ok(), "ready"),
        false => (HttpResponse::ServiceUnavailable(), "not_ready"),
    };
    response.json(json!({ "status": status, "checks": health.checks }))
}

/// Everything that is counted.
async fn scrape(request: HttpRequest, watched: Data<Watched>, working: Data<Working>) -> HttpResponse {
    if let Some((workflows, broker)) = working.get() {
        metrics::sampled::sample_worker(workflows, broker);
    }
    if let Some(shared) = watched.get() {
        metrics::sampled::sample(&shared.engine, shared.streams.load(Ordering::Relaxed));
        metrics::sampled::sample_limits(&shared.limits, shared.cache.as_ref());
    }
    let mut response = HttpResponse::Ok();
    let accepts = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accepts.contains("application/openmetrics-text") {
        let media = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
        response.insert_header((header::CONTENT_TYPE, media));
        return response.body(metrics::open_metrics());
    }
    let media = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.insert_header((header::CONTENT_TYPE, media));
    response.body(metrics::render())
}
