//! What every process that runs for long begins with: its own words, and its traces.

use crate::config::Config;
use crate::traces::Exporter;

/// Starts both. Once per process. `role`: what this process is, in traces.
///
/// # Errors
/// An unreadable filter, or no thread to be had.
pub fn start(config: &Config, role: &'static str) -> anyhow::Result<Traces> {
    crate::logs::start(&config.diagnostics)?;
    Ok(Traces(crate::traces::start(&config.tracing, role)?))
}

/// Sends the last spans when it is dropped.
#[must_use]
pub struct Traces(Option<Exporter>);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(exporter) = self.0.take() {
            exporter.stop();
        }
    }
}
