//! The server's own words: what may be said is changed at run time, and what repeats itself is told by its count.

mod repeats;

pub use repeats::Repeats;

use crate::config::{Diagnostics, Format};
use anyhow::Context;
use parking_lot::Mutex;
use std::io::IsTerminal;
use std::sync::OnceLock;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// Longest filter.
pub const FILTER_MAX: usize = 1_024;

/// What may be said now.
static FILTER: OnceLock<Filter> = OnceLock::new();

struct Filter {
    handle: reload::Handle<EnvFilter, Registry>,
    /// As it was written.
    text: Mutex<String>,
}

/// Begins to write, on standard error. Once per process.
///
/// # Errors
/// An unreadable filter, or a second call.
pub fn start(config: &Diagnostics) -> anyhow::Result<()> {
    let parsed = parse(&config.filter)
        .map_err(anyhow::Error::msg)
        .with_context(|| format!("diagnostics.filter = {:?}", config.filter))?;
    let terminal = std::io::stderr().is_terminal();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let (filter, handle) = reload::Layer::new(parsed);
    let words = fmt::layer().with_writer(std::io::stderr);
    let words = match config.format {
        Format::Auto if terminal => words.with_ansi(!no_color).boxed(),
        Format::Text => words.with_ansi(terminal && !no_color).boxed(),
        Format::Auto | Format::Json => words.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(Repeats::start(config.repeats)?).with(words).try_init()?;
    FILTER.get_or_init(|| Filter { handle, text: Mutex::new(config.filter.clone()) });
    Ok(())
}

/// The filter in force; `None`: this process has none.
#[must_use]
pub fn filter() -> Option<String> {
    Some(FILTER.get()?.text.lock().clone())
}

/// Changes what may be said, until the process ends. What is unreadable changes nothing.
///
/// # Errors
/// What is wrong with it.
pub fn set_filter(text: &str) -> Result<(), String> {
    let parsed = parse(text)?;
    let Some(filter) = FILTER.get() else { return Err("this process has no filter".to_owned()) };
    // Held over both, so that what is shown is what is in force.
    let mut shown = filter.text.lock();
    filter.handle.reload(parsed).map_err(|error| error.to_string())?;
    text.clone_into(&mut shown);
    Ok(())
}

/// Levels, by module where wanted. Fields are compared as they are: a pattern could take for ever.
fn parse(text: &str) -> Result<EnvFilter, String> {
    if text.len() > FILTER_MAX {
        return Err(format!("a filter has at most {FILTER_MAX} characters"));
    }
    EnvFilter::builder().with_regex(false).parse(text).map_err(|error| error.to_string())
}
