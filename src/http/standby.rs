//! Standing by: another process owns the log. Every request is refused with the owner's address; health says so; and the
//! log is followed, until it is time to take over.

use crate::config::Config;
use crate::cql::{Cluster, OwnerRow};
use crate::engine::{self, Standby};
use crate::http::operations::Operations;
use crate::http::problem::{Problem, kinds};
use crate::http::request_id::{self, RequestId};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::Context;
use parking_lot::Mutex;
use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Where the owner is.
const OWNER: HeaderName = HeaderName::from_static("stampede-owner");

/// The owner's address; empty while it is not known.
type Owner = Arc<Mutex<String>>;

/// Waits for this process's turn, or for `signal`: then `None`. The ports answer all the while.
///
/// # Errors
/// When the database or the data directory cannot be used, or the API's port cannot.
pub async fn wait(
    config: &Config,
    listener: &TcpListener,
    operations: &Operations,
    signal: impl Future<Output = ()>,
) -> anyhow::Result<Option<Arc<Cluster>>> {
    operations.stands_by(Some(String::new()));
    let (owner, stop) = (Owner::default(), Arc::new(AtomicBool::new(false)));
    let server = refuse(listener, &owner)?;
    let handle = server.handle();
    let refusing = actix_web::rt::spawn(server);
    let (told, tell) = tokio::sync::watch::channel(String::new());
    let following = std::thread::spawn({
        let (config, stop) = (config.clone(), Arc::clone(&stop));
        move || follow(&config, &stop, &told)
    });
    let outcome = listen(operations, &owner, tell, signal).await;
    stop.store(true, Ordering::Release);
    let followed = tokio::task::spawn_blocking(move || following.join()).await?;
    handle.stop(false).await;
    refusing.await.context("the stand-by's server panicked")?.context("the stand-by's server failed")?;
    let taken = followed.map_err(|_| anyhow::anyhow!("the stand-by's thread panicked"))??;
    Ok(if outcome == Ended::Signal { None } else { taken })
}

#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Signal,
    Following,
}

/// Passes on who owns the log, until one of both ends.
async fn listen(
    operations: &Operations,
    owner: &Owner,
    mut tell: tokio::sync::watch::Receiver<String>,
    signal: impl Future<Output = ()>,
) -> Ended {
    let mut signal = std::pin::pin!(signal);
    loop {
        tokio::select! {
            () = &mut signal => return Ended::Signal,
            changed = tell.changed() => match changed {
                Ok(()) => {
                    let address = tell.borrow_and_update().clone();
                    operations.stands_by(Some(address.clone()));
                    *owner.lock() = address;
                }
                Err(_) => return Ended::Following,
            },
        }
    }
}

/// On a thread of its own. `None`: it was told to stop.
fn follow(
    config: &Config,
    stop: &AtomicBool,
    told: &tokio::sync::watch::Sender<String>,
) -> Result<Option<Arc<Cluster>>, engine::Error> {
    let standby = Standby::open(config)?;
    let tell = |owner: &OwnerRow| {
        told.send_if_modified(|address| {
            let changed = *address != owner.address;
            if changed {
                tracing::info!(owner = owner.address, epoch = owner.epoch, "standing by");
                address.clone_from(&owner.address);
            }
            changed
        });
    };
    let why = standby.wait(stop, &tell)?;
    Ok(why.map(|why| {
        tracing::info!(why = why.text(), "taking the commit log over");
        Arc::clone(standby.cluster())
    }))
}

/// Answers everything with where to ask.
fn refuse(listener: &TcpListener, owner: &Owner) -> anyhow::Result<actix_web::dev::Server> {
    let owner = Arc::clone(owner);
    let app = move || App::new().app_data(Data::new(Arc::clone(&owner))).default_service(web::to(elsewhere));
    let server = HttpServer::new(app)
        .workers(1)
        .keep_alive(Duration::from_secs(5))
        .client_request_timeout(Duration::from_secs(5))
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listener.try_clone().context("the API's port")?)
        .context("the stand-by's server")?;
    Ok(server.run())
}

async fn elsewhere(owner: Data<Owner>) -> HttpResponse {
    let owner = owner.lock().clone();
    let detail = match owner.is_empty() {
        true => "this process stands by; the owner of the commit log is not known yet".to_owned(),
        false => format!("this process stands by; the owner of the commit log is at {owner}"),
    };
    let id = RequestId::next();
    let mut response = Problem::new(&kinds::NOT_OWNER, detail).respond(id);
    response.headers_mut().insert(request_id::HEADER, id.header_value());
    if let Ok(owner) = HeaderValue::from_str(&owner) {
        response.headers_mut().insert(OWNER, owner);
    }
    // The next request may find this process the owner.
    response.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
    response
}
