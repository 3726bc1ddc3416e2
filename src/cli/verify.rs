//! `stampede verify`: reads a whole log back and says whether everything in it was right, or checks an export against
//! the root that was noted down.

use crate::cli::{Exit, Outcome, Stop, out};
use crate::export::{self, Flaw, Shown, Side, Verdict};
use crate::feed::projection;
use crate::journal::{self, Corrupt, Hash};
use crate::verify::{self, Finding, Report, offline};
use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::fs::File;
use std::io::{BufReader, IsTerminal};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

/// `stampede verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Data directory of a stopped server, or a file that `stampede export` wrote.
    #[arg(value_name = "DIR|EXPORT")]
    path: PathBuf,
    /// Of an export: the root that the log's own machine printed.
    #[arg(long, value_name = "HASH", value_parser = export::read_hex)]
    root: Option<Hash>,
    /// Of an export: print its records.
    #[arg(long, conflicts_with = "json")]
    records: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Verifies a data directory or an export.
///
/// # Errors
/// What cannot be read or is in use; with 99, a damaged log, and an export that is not genuine or not complete.
pub fn run(args: &Args) -> Outcome {
    let is_file = args.path.is_file();
    match args.root {
        Some(root) if is_file => of_export(args, &root),
        None if is_file => Err(Stop::new(Exit::Usage, anyhow!("an export is checked against a root: --root HASH"))),
        Some(_) if args.path.is_dir() => {
            Err(Stop::new(Exit::Usage, anyhow!("--root is for an export, and this is a directory")))
        }
        _ if args.records => Err(Stop::new(Exit::Usage, anyhow!("--records is for an export"))),
        _ => of_directory(args),
    }
}

fn of_directory(args: &Args) -> Outcome {
    let bar = bar();
    let report = verify::verify(&args.path, &mut |done, all| show(&bar, done, all));
    bar.finish_and_clear();
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            if let (true, Some(Corrupt { file, offset, seq, what })) = (args.json, corruption(&error)) {
                out::json(&json!({ "corrupt": { "file": file, "offset": offset, "seq": seq, "what": what } }))?;
            }
            return Err(Stop::new(exit(&error), anyhow::Error::from(error).context(args.path.display().to_string())));
        }
    };
    if args.json {
        out::json(&report).context("the report")?;
    } else {
        out::say(&text(&report));
    }
    Ok(if report.is_sound() { Exit::Ok } else { Exit::Violated })
}

fn of_export(args: &Args, root: &Hash) -> Outcome {
    let file = File::open(&args.path).with_context(|| args.path.display().to_string())?;
    let mut print = |shown: Shown| {
        if args.records {
            out::line(&record(&shown));
        }
    };
    match export::check(BufReader::with_capacity(1 << 20, file), root, &mut print) {
        Ok(verdict) if args.json => out::json(&verdict).map(|()| Exit::Ok).context("the verdict").map_err(Stop::from),
        Ok(verdict) => {
            out::say(&proven(&verdict));
            Ok(Exit::Ok)
        }
        Err(flaw) => {
            if let (true, Flaw::Refuted { offset, what }) = (args.json, &flaw) {
                out::json(&json!({ "refuted": { "file": args.path, "offset": offset, "what": what } }))?;
            }
            let exit = if let Flaw::Refuted { .. } = flaw { Exit::Violated } else { Exit::Failed };
            Err(Stop::new(exit, anyhow::Error::from(flaw).context(args.path.display().to_string())))
        }
    }
}

/// A progress bar over records, on a terminal.
pub(super) fn bar() -> ProgressBar {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} records  {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Moves the bar.
pub(super) fn show(bar: &ProgressBar, done: u64, all: u64) {
    bar.set_length(all);
    bar.set_position(done);
}

fn corruption(error: &offline::Error) -> Option<&Corrupt> {
    match error {
        offline::Error::Journal(journal::Error::Corrupt(corrupt))
        | offline::Error::Projection(projection::Error::Journal(journal::Error::Corrupt(corrupt))) => Some(corrupt),
        _ => None,
    }
}

fn exit(error: &offline::Error) -> Exit {
    match error {
        offline::Error::Journal(error) => journal_exit(error),
        offline::Error::Projection(error) => projection_exit(error),
    }
}

pub(super) fn journal_exit(error: &journal::Error) -> Exit {
    if let journal::Error::Corrupt(_) = error { Exit::Violated } else { Exit::Failed }
}

pub(super) fn projection_exit(error: &projection::Error) -> Exit {
    match error {
        projection::Error::Journal(error) => journal_exit(error),
        projection::Error::Broken { .. } | projection::Error::Gap { .. } => Exit::Violated,
        _ => Exit::Failed,
    }
}

fn text(report: &Report) -> String {
    let Report { frames, records, events, entities, head, hash, root, first, found, findings, seconds, .. } = report;
    let root = root.as_deref().unwrap_or("none, since versions have gaps");
    let mut text = format!(
        "{frames} frames, {records} records, {events} events, {entities} entities, read in {seconds:.1} s\n\
         head: frame {head}, {hash}\n\
         root: {root}\n"
    );
    if *first > 1 {
        text.push_str(&format!("history before record {first} was deleted; its full checkpoint stands for it\n"));
    }
    if let Some((file, offset)) = &report.cut {
        let file = file.display();
        text.push_str(&format!("{file}: an incomplete frame at byte {offset}, never acknowledged, will be cut off\n"));
    }
    for damaged in &report.damaged_checkpoints {
        text.push_str(&format!(
            "{}: this checkpoint is damaged; an older one, or the log, stands in\n",
            damaged.display()
        ));
    }
    for Finding { violation, seq, file, offset, .. } in findings {
        text.push_str(&format!(
            "VIOLATED  {} of {}: {}",
            violation.invariant.code(),
            violation.entity,
            violation.detail
        ));
        match (seq, file, offset) {
            (Some(seq), Some(file), Some(offset)) => {
                text.push_str(&format!("  (frame {seq}, {} at byte {offset})\n", file.display()));
            }
            _ => text.push('\n'),
        }
    }
    match found {
        0 => text.push_str("every invariant holds\n"),
        _ => text.push_str(&format!("{found} violations\n")),
    }
    text
}

fn proven(verdict: &Verdict) -> String {
    let Verdict { skus, orders, from, to, records, borders, frames, head, hash, root } = verdict;
    let from = from.map_or_else(|| "the beginning".to_owned(), |at| when(at.0));
    let to = to.map_or_else(|| "the end".to_owned(), |at| when(at.0));
    let mut text = format!("from {from} to {to}: {records} records, {orders} orders\n");
    for (sku, records) in skus {
        text.push_str(&format!("  sku {sku}: {records} records\n"));
    }
    text.push_str(&format!(
        "{borders} records at the borders and {frames} frame headers prove it\n\
         head: frame {head}, {hash}\n\
         genuine and complete: these are all records of these SKUs and orders in this range of the log with root {root}\n"
    ));
    text
}

/// One record, for people to read.
fn record(shown: &Shown) -> String {
    let Shown { side, seq, at, position, record } = shown;
    let side = match side {
        Side::Before => "before the range",
        Side::Within => "in the range",
        Side::After => "after the range",
    };
    let mut text = format!("record {} in frame {seq}, {}, {side}", position.0, when(at.0));
    for entry in &record.entries {
        text.push_str(&format!("\n  {} version {}: {:?}", entry.entity, entry.version, entry.event));
    }
    text
}

fn when(micros: i64) -> String {
    let time = u64::try_from(micros).ok().and_then(|micros| UNIX_EPOCH.checked_add(Duration::from_micros(micros)));
    // What humantime cannot write, beyond the year 9999, it would panic at.
    const YEAR_9999: i64 = 253_402_300_800_000_000;
    match time {
        Some(time) if micros < YEAR_9999 => humantime::format_rfc3339_micros(time).to_string(),
        _ => format!("{micros} µs"),
    }
}
