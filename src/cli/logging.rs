//! The server's own words, on standard error.

use crate::config::{Diagnostics, Format};
use anyhow::Context;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts to write them. Once per process.
///
/// # Errors
/// An unreadable filter.
pub fn start(config: &Diagnostics) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .parse(&config.filter)
        .with_context(|| format!("diagnostics.filter = {:?}", config.filter))?;
    let terminal = std::io::stderr().is_terminal();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.format {
        Format::Json => builder.json().flatten_event(true).init(),
        Format::Auto if !terminal => builder.json().flatten_event(true).init(),
        Format::Auto | Format::Text => builder.with_ansi(terminal && !no_color).init(),
    }
    Ok(())
}
