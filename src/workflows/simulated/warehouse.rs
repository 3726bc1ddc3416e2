//! The simulated warehouse.

use super::depot::Depot;
use super::fault::{FaultBoard, Kind, Target};
use super::recent::Recent;
use crate::workflows::run::duration;
use crate::workflows::warehouse::{CallOff, Dispatched, Request, Warehouse};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use stampede_actors::ids::{LocationId, OpId, OrderId};
use stampede_actors::order::Answer;
use stampede_actors::time::Span;
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc;

/// How the warehouse behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarehouseConfig {
    /// Of its chances.
    pub seed: u64,
    /// How long it takes to answer.
    pub latency: Span,
    /// How long after a request it ships; `None`: somebody else reports shipments.
    pub ships_after: Option<Span>,
    /// What goes wrong.
    pub faults: FaultBoard,
}

impl Default for WarehouseConfig {
    fn default() -> WarehouseConfig {
        WarehouseConfig {
            seed: 0,
            latency: Span::millis(5),
            ships_after: Some(Span::millis(200)),
            faults: FaultBoard::default(),
        }
    }
}

/// A warehouse in this process that plays an outside party.
#[derive(Clone)]
pub struct SimulatedWarehouse(Arc<Inner>);

struct Inner {
    config: WarehouseConfig,
    state: Mutex<State>,
}

struct State {
    depot: Depot,
    /// How often something went wrong with a call.
    troubles: Recent,
    shipments: Option<mpsc::Sender<Dispatched>>,
}

impl SimulatedWarehouse {
    /// Opens for business, with the account it has.
    #[must_use]
    pub fn new(config: WarehouseConfig, depot: Depot) -> SimulatedWarehouse {
        let state = Mutex::new(State { depot, troubles: Recent::default(), shipments: None });
        SimulatedWarehouse(Arc::new(Inner { config, state }))
    }

    /// Does it, unless a fault is in the way, and answers in the end.
    fn answer(
        &self,
        subject: String,
        do_it: impl FnOnce(&Arc<Inner>) -> io::Result<Answer> + Send + 'static,
    ) -> BoxFuture<'static, Answer> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let done = |inner| match do_it(inner) {
                Ok(answer) => answer,
                Err(error) => {
                    tracing::error!(%error, "the simulated warehouse cannot write its account");
                    Answer::Unknown
                }
            };
            let answer = match inner.strike(&subject) {
                None | Some((Kind::Duplicate, _)) => done(&inner),
                Some((Kind::Decline, _)) => Answer::Refused { code: "declined".to_owned() },
                Some((Kind::Error, _)) => Answer::Unknown,
                Some((Kind::Lost, _) | (Kind::Timeout, false)) => return std::future::pending().await,
                Some((Kind::Late, _) | (Kind::Timeout, true)) => {
                    done(&inner);
                    return std::future::pending().await;
                }
            };
            tokio::time::sleep(duration(inner.config.latency)).await;
            answer
        })
    }
}

impl Inner {
    /// What goes wrong with this call, and a coin.
    fn strike(&self, subject: &str) -> Option<(Kind, bool)> {
        let Inner { config: WarehouseConfig { seed, faults, .. }, state } = self;
        let troubles = &mut state.lock().troubles;
        let nth = troubles.count(subject);
        let kind = faults.strike(Target::Warehouse, *seed, subject, nth)?;
        troubles.add(subject);
        Some((kind, super::draw(*seed, subject, nth, 1).is_multiple_of(2)))
    }

    fn ship_later(self: &Arc<Self>, order: OrderId, location: LocationId) {
        let Some(after) = self.config.ships_after else { return };
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(duration(after)).await;
            let shipped = inner.state.lock().depot.ship(order, &location);
            match shipped {
                Ok(Some(dispatched)) => inner.report(dispatched).await,
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "the simulated warehouse cannot write its account"),
            }
        });
    }

    async fn report(&self, dispatched: Dispatched) {
        let shipments = self.state.lock().shipments.clone();
        if let Some(shipments) = shipments {
            // When nobody listens any more, it is reported again after the next start.
            let _ = shipments.send(dispatched).await;
        }
    }
}

impl Warehouse for SimulatedWarehouse {
    fn request(&self, request: Request) -> BoxFuture<'static, Answer> {
        self.answer(format!("{}:{}", request.order, request.location), move |inner| {
            let is_new = inner.state.lock().depot.request(&request)?;
            if is_new {
                inner.ship_later(request.order, request.location);
            }
            Ok(Answer::Done { reference: None })
        })
    }

    fn call_off(&self, call_off: CallOff) -> BoxFuture<'static, Answer> {
        self.answer(format!("{}:{}", call_off.order, call_off.refund), move |inner| {
            inner.state.lock().depot.call_off(&call_off)
        })
    }

    fn listen(&self, shipments: mpsc::Sender<Dispatched>) {
        let inner = Arc::clone(&self.0);
        let (unconfirmed, to_ship) = {
            let mut state = inner.state.lock();
            state.shipments = Some(shipments.clone());
            (state.depot.unconfirmed(), state.depot.to_ship())
        };
        tokio::spawn(async move {
            let listener = shipments.clone();
            report_all(listener, unconfirmed.map(|dispatched| Ok(Some(dispatched?)))).await;
            let Some(after) = inner.config.ships_after else { return };
            tokio::time::sleep(duration(after)).await;
            let ship = move |place: io::Result<(OrderId, LocationId)>| {
                let (order, location) = place?;
                inner.state.lock().depot.ship(order, &location)
            };
            report_all(shipments, to_ship.map(ship)).await;
        });
    }

    fn confirmed(&self, shipment: OpId) {
        if let Err(error) = self.0.state.lock().depot.confirm(shipment) {
            tracing::error!(%error, "the simulated warehouse cannot write its account");
        }
    }
}

/// Reports what an earlier process has left to report, until nobody listens any more. However much that is, it is read
/// on a thread that may wait for the disk, and only as fast as it is taken.
async fn report_all(
    shipments: mpsc::Sender<Dispatched>,
    left: impl Iterator<Item = io::Result<Option<Dispatched>>> + Send + 'static,
) {
    let report = move || -> io::Result<()> {
        for dispatched in left {
            if let Some(dispatched) = dispatched?
                && shipments.blocking_send(dispatched).is_err()
            {
                break;
            }
        }
        Ok(())
    };
    if let Err(error) = tokio::task::spawn_blocking(report).await.map_err(io::Error::other).flatten() {
        tracing::error!(%error, "the simulated warehouse cannot read or write its account");
    }
}
