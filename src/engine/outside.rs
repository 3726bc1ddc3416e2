//! The workflows of an engine, and the outside parties that they talk to: here, or over a broker in another process.

use super::start::{Error, workflow_lane};
use crate::broker::Broker;
use crate::clock::{BootClock, Clock};
use crate::config::{BrokerKind, Config, Works, span};
use crate::feed::{Cursor, FrameSource, Inlet};
use crate::journal::Log;
use crate::store;
use crate::workflows::simulated::{
    Books, Depot, FaultBoard, PROVIDER_DIR, ProviderConfig, SimulatedProvider, SimulatedWarehouse, WAREHOUSE_DIR,
    WarehouseConfig,
};
use crate::workflows::{self, NotHere, PaymentProvider, Warehouse, WorkflowThread};
use stampede_actors::record::Position;
use stampede_actors::shell::{Fabric, Lane, LaneId};
use stampede_actors::time::Span;
use std::sync::Arc;

/// Whom the workers of this process talk to.
pub struct Outside {
    /// Who moves money.
    pub provider: Arc<dyn PaymentProvider>,
    /// Who ships.
    pub warehouse: Arc<dyn Warehouse>,
    /// Whether their books can still be written.
    pub failures: Vec<store::Failure>,
    /// What they do wrong.
    pub faults: FaultBoard,
}

impl Outside {
    /// Opens those that this process works for.
    ///
    /// # Errors
    /// When their books are in use by another process, or damaged.
    pub fn open(config: &Config, works: Works, clock: Arc<dyn Clock>) -> Result<Outside, Error> {
        let mut failures = Vec::new();
        let faults = FaultBoard::new(config.faults.clone());
        let mut provider: Arc<dyn PaymentProvider> = Arc::new(NotHere);
        let mut warehouse: Arc<dyn Warehouse> = Arc::new(NotHere);
        if works.payment {
            let dir = config.data_dir.join(PROVIDER_DIR);
            let books = Books::open(&dir).map_err(Error::io("cannot open the provider's books"))?;
            failures.push(books.failure());
            provider = Arc::new(SimulatedProvider::new(provider_config(config, &faults), books, clock));
        }
        if works.fulfilment {
            let dir = config.data_dir.join(WAREHOUSE_DIR);
            let depot = Depot::open(&dir).map_err(Error::io("cannot open the warehouse"))?;
            failures.push(depot.failure());
            warehouse = Arc::new(SimulatedWarehouse::new(warehouse_config(config, &faults), depot));
        }
        Ok(Outside { provider, warehouse, failures, faults })
    }
}

pub(super) fn start_workflows(
    config: &Config,
    fabric: &Arc<Fabric>,
    log: &Arc<Log>,
    frames: &Arc<dyn FrameSource>,
    inlet: Arc<Inlet>,
    head: Position,
    clock: Arc<BootClock>,
) -> Result<(WorkflowThread, Option<Broker>, Vec<store::Failure>, FaultBoard), Error> {
    let kept = log.cursors().get(Cursor::NAME).copied().unwrap_or_default();
    let (fabric, lane) = (Arc::clone(fabric), LaneId(workflow_lane(config)));
    let here = match config.broker {
        BrokerKind::InProcess => Works { payment: true, fulfilment: true },
        BrokerKind::RabbitMq => config.rabbitmq.works,
    };
    let Outside { provider, warehouse, failures, faults } = Outside::open(config, here, clock.clone())?;
    let (broker, port) = match config.broker {
        BrokerKind::InProcess => (None, None),
        BrokerKind::RabbitMq => {
            let (broker, port) =
                Broker::start(&config.rabbitmq).map_err(Error::io("cannot start the thread beside RabbitMQ"))?;
            (Some(broker), Some(port))
        }
    };
    let thread = WorkflowThread::start(workflows::Parts {
        config: workflows_config(config),
        inlet,
        source: Arc::clone(frames),
        cursor: Cursor::at(kept),
        head,
        clock,
        provider,
        warehouse,
        broker: port,
        attach: Box::new(move || drop(Lane::start(&fabric, lane))),
    });
    Ok((thread.map_err(Error::io("cannot start the workflow thread"))?, broker, failures, faults))
}

fn provider_config(config: &Config, faults: &FaultBoard) -> ProviderConfig {
    let (latency, timeout) = (span(config.payment.latency), span(config.payment.timeout));
    ProviderConfig {
        latency: (Span(latency.0 / 2), Span(latency.0 * 3 / 2)),
        timeout,
        slow_answer: Span(timeout.0.saturating_mul(3)).min(Span::seconds(30)),
        key_lifetime: span(config.payment.key_lifetime),
        faults: faults.clone(),
        ..ProviderConfig::default()
    }
}

fn warehouse_config(config: &Config, faults: &FaultBoard) -> WarehouseConfig {
    WarehouseConfig {
        ships_after: config.fulfilment.auto_ship.then(|| span(config.fulfilment.latency)),
        faults: faults.clone(),
        ..WarehouseConfig::default()
    }
}

/// Pace, patience and bounds of the workers.
pub fn workflows_config(config: &Config) -> workflows::Config {
    let defaults = workflows::Config::default();
    let mut feed = defaults.feed;
    if config.broker == BrokerKind::RabbitMq {
        // What is being published counts as being worked on, until it is confirmed.
        (feed.payment, feed.fulfilment) = (config.rabbitmq.window, config.rabbitmq.window);
    }
    workflows::Config {
        feed,
        terms: workflows::Terms {
            provider_timeout: span(config.payment.timeout),
            key_lifetime: span(config.payment.key_lifetime),
            ..defaults.terms
        },
    }
}
