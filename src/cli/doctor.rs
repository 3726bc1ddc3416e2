//! `stampede doctor`: will this machine carry a server? Each answer is green, or comes with a line to paste.

pub mod checks;
pub mod cql;
pub mod disk;
pub mod rabbitmq;
pub mod redis;
pub mod system;

use crate::cli::{Exit, Outcome, out};
use crate::config::{Config, Flags};
use serde::Serialize;

/// `stampede doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good.
    Ok,
    /// It works, and could be better.
    Warn,
    /// The server will not start, or not do its job.
    Red,
}

/// What one look found.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    name: &'static str,
    level: Level,
    detail: String,
    /// A line to paste, or what to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(name: &'static str, detail: impl Into<String>) -> Finding {
        Finding { name, level: Level::Ok, detail: detail.into(), fix: None }
    }

    /// It works, and could be better.
    pub fn warn(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { name, level: Level::Warn, detail: detail.into(), fix: Some(fix.into()) }
    }

    /// It does not work.
    pub fn red(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { name, level: Level::Red, detail: detail.into(), fix: Some(fix.into()) }
    }
}

#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    checks: Vec<Finding>,
}

/// Looks at everything and says what it found.
///
/// # Errors
/// A configuration that would not start.
pub fn run(args: &Args) -> Outcome {
    let config = Config::load(&args.flags)?;
    let checks = checks::all(&config);
    let report = Report { ok: checks.iter().all(|finding| finding.level != Level::Red), checks };
    if args.json {
        out::json(&report)?;
    } else {
        out::say(&text(&report, out::colours()));
    }
    Ok(if report.ok { Exit::Ok } else { Exit::Failed })
}

/// For people: a mark and a word, so that it can be read without colours.
fn text(report: &Report, colours: bool) -> String {
    let mut text = String::new();
    for Finding { name, level, detail, fix } in &report.checks {
        let (word, colour) = match level {
            Level::Ok => ("ok  ", "32"),
            Level::Warn => ("warn", "33"),
            Level::Red => ("RED ", "31"),
        };
        let word = if colours { format!("\x1b[{colour}m{word}\x1b[0m") } else { word.to_owned() };
        text.push_str(&format!("{word}  {name:14}  {detail}\n"));
        if let Some(fix) = fix {
            text.push_str(&format!("{:22}{fix}\n", ""));
        }
    }
    text.push_str(if report.ok { "ready to serve\n" } else { "not ready: see the red lines\n" });
    text
}
