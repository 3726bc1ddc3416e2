//! Words for the caller: standard output and error, colours, and JSON.

use serde::Serialize;
use std::io::{IsTerminal, Write};

/// Writes to standard output. A reader that has gone away (`| head`) is no error of ours.
pub fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Writes a line to standard output.
pub fn line(text: &str) {
    say(&format!("{text}\n"));
}

/// Writes a line to standard error.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes a document to standard output, indented.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn json(document: &impl Serialize) -> serde_json::Result<()> {
    line(&serde_json::to_string_pretty(document)?);
    Ok(())
}

/// May standard output be coloured? Only a terminal, and only when `NO_COLOR` is not set.
#[must_use]
pub fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
