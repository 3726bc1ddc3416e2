//! Answers `GET /metrics` while a run goes on, on a thread of its own, so that being asked does not hold up an arrival.

use crate::load::metrics::Metrics;
use actix_web::dev::ServerHandle;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::Context;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// Connections at once; more wait.
const CONNECTIONS: usize = 16;

/// A running server. Dropped, it stops.
pub struct Serving {
    /// Where it listens.
    pub at: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

/// Takes the address, so that a wrong one is known before anything is played.
///
/// # Errors
/// An address that is in use, or not of this machine.
pub fn listen(at: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(at).with_context(|| format!("--metrics: cannot listen on {at}"))
}

/// Starts answering.
///
/// # Errors
/// When its thread or server cannot be started.
pub fn start(listener: TcpListener, metrics: Arc<Metrics>) -> anyhow::Result<Serving> {
    let at = listener.local_addr()?;
    let (started, starting) = mpsc::channel();
    let serve = move || {
        actix_web::rt::System::new().block_on(async move {
            let app =
                move || App::new().app_data(Data::from(Arc::clone(&metrics))).route("/metrics", web::get().to(scrape));
            let server = HttpServer::new(app)
                .workers(1)
                .max_connections(CONNECTIONS)
                .client_request_timeout(Duration::from_secs(5))
                .shutdown_timeout(1)
                .disable_signals()
                .listen(listener)
                .map(HttpServer::run);
            let server = match server {
                Ok(server) => server,
                Err(error) => return drop(started.send(Err(error))),
            };
            if started.send(Ok(server.handle())).is_ok() {
                // It ends when it is told to; a run is judged without it.
                let _ = server.await;
            }
        });
    };
    let thread = std::thread::Builder::new().name("load-metrics".into()).spawn(serve)?;
    let handle = starting.recv().context("the thread for metrics ended")?.context("the server of metrics")?;
    Ok(Serving { at, handle, thread: Some(thread) })
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The command is on its way at once; its future only tells when it was done, and so does the thread's end.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn scrape(metrics: Data<Metrics>) -> HttpResponse {
    let media = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, media)).body(metrics.render())
}
