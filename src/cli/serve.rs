//! `stampede serve`: the server, until SIGTERM or SIGINT.

use crate::cli::doctor::system;
use crate::cli::{Exit, Outcome, logging, make_data_dir};
use crate::config::{Backend, Config, Flags};
use crate::engine::Engine;
use crate::http::{self, Listeners};

/// `stampede serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// Serves until it is told to stop.
///
/// # Errors
/// A configuration that cannot be, ports or a directory that cannot be used, damaged data, a disk that fails.
pub fn run(args: &Args) -> Outcome {
    let config = Config::load(&args.flags)?;
    let _traces = logging::start(&config, "server")?;
    crate::metrics::log_is_kept_in(config.log.store);
    prepare(&config)?;
    let listeners = Listeners::bind(&config)?;
    let (api, operations) = (listeners.api_at, listeners.operations_at);
    let ready = |engine: &Engine| {
        let recovered = engine.recovered();
        tracing::info!(
            version = crate::cli::VERSION, %api, %operations, data_dir = %config.data_dir.display(),
            start_ms = u64::try_from(recovered.took.as_millis()).unwrap_or(u64::MAX), frames = recovered.frames,
            "ready"
        );
    };
    let system = actix_rt::System::new();
    match config.log.store {
        Backend::Embedded => {
            system.block_on(http::serve(&config, listeners, || Engine::start(config.clone()), ready))?;
        }
        Backend::Scylla => system.block_on(http::serve_in_turn(&config, listeners, ready))?,
    }
    tracing::info!("stopped");
    Ok(Exit::Ok)
}

/// What the process needs before it opens anything.
///
/// # Errors
/// When the data directory cannot be made.
pub fn prepare(config: &Config) -> anyhow::Result<()> {
    // Connections are files. Where the limit cannot be raised, the one there is holds.
    if let Err(error) = system::raise_file_limit() {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    make_data_dir(&config.data_dir)
}
