//! `stampede verify DIR`: reads the whole log back and says whether everything in it was right.

use crate::cli::{Exit, Outcome, Stop, out};
use crate::feed::projection;
use crate::journal;
use crate::verify::{self, Finding, Report, offline};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::PathBuf;

/// `stampede verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Data directory of a stopped server.
    dir: PathBuf,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Verifies a data directory.
///
/// # Errors
/// A directory that cannot be read or is in use; with 99, a damaged log.
pub fn run(args: &Args) -> Outcome {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} records  {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let report = verify::verify(&args.dir, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report = report
        .map_err(|error| Stop::new(exit(&error), error))
        .map_err(|stop| Stop { error: stop.error.context(args.dir.display().to_string()), ..stop })?;
    if args.json {
        out::json(&report).context("the report")?;
    } else {
        out::say(&text(&report));
    }
    Ok(if report.is_sound() { Exit::Ok } else { Exit::Violated })
}

fn exit(error: &offline::Error) -> Exit {
    let journal = match error {
        offline::Error::Journal(error) | offline::Error::Projection(projection::Error::Journal(error)) => Some(error),
        offline::Error::Projection(projection::Error::Broken { .. } | projection::Error::Gap { .. }) => {
            return Exit::Violated;
        }
        offline::Error::Projection(_) => None,
    };
    match journal {
        Some(journal::Error::Corrupt(_)) => Exit::Violated,
        _ => Exit::Failed,
    }
}

fn text(report: &Report) -> String {
    let Report { frames, records, events, entities, head, hash, first, found, findings, seconds, .. } = report;
    let mut text = format!(
        "{frames} frames, {records} records, {events} events, {entities} entities, read in {seconds:.1} s\n\
         head: frame {head}, {hash}\n"
    );
    if *first > 1 {
        text.push_str(&format!("history before record {first} was deleted; its full checkpoint stands for it\n"));
    }
    if let Some((file, offset)) = &report.cut {
        let file = file.display();
        text.push_str(&format!("{file}: an incomplete frame at byte {offset}, never acknowledged, will be cut off\n"));
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
