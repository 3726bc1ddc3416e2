//! `stampede backup` and `stampede restore`: a copy of what a node needs, and a data directory made of it.

use crate::backup::{self, Checked, Error, Manifest, Taken};
use crate::cli::{Exit, Outcome, Stop, out};
use crate::config::Config;
use crate::config::flags::DirFlags;
use crate::journal::Corrupt;
use serde_json::json;
use std::path::{Path, PathBuf};

/// `stampede backup`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory of the backup: new, or one with an earlier backup of the same log, which is brought up to date.
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// What was copied, as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    dir: DirFlags,
}

/// `stampede restore`.
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// A directory that `stampede backup` wrote.
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// The data directory to make; must be empty, or not there yet.
    #[arg(value_name = "DIR", required_unless_present = "check")]
    dir: Option<PathBuf>,
    /// Only check the backup, all of it.
    #[arg(long, conflicts_with = "dir")]
    check: bool,
    /// What was found, as JSON.
    #[arg(long)]
    json: bool,
}

/// Takes a backup, while a server runs or not.
///
/// # Errors
/// A directory that cannot be used, or that holds something else; with 99, a damaged log.
pub fn run(args: &Args) -> Outcome {
    let dir = Config::load(&args.dir.flags())?.data_dir;
    let taken = backup::take(&dir, &args.out).map_err(|error| stop(error, args.json, &dir))?;
    if args.json {
        out::json(&taken)?;
        return Ok(Exit::Ok);
    }
    let Taken { manifest, segments_copied, bytes_copied, bytes, seconds } = &taken;
    out::say(&format!(
        "{segments_copied} segments and {bytes_copied} bytes copied in {seconds:.1} s; the backup has {bytes} bytes\n{}\
         elsewhere: stampede restore {} DIR\n",
        holds(manifest),
        args.out.display()
    ));
    Ok(Exit::Ok)
}

/// Makes a data directory of a backup, or only checks the backup.
///
/// # Errors
/// A directory that is not empty; no backup; with 99, a damaged one.
pub fn restore(args: &Restore) -> Outcome {
    let done = match &args.dir {
        Some(dir) => backup::restore(&args.backup, dir),
        None => backup::check(&args.backup),
    };
    let checked = done.map_err(|error| stop(error, args.json, &args.backup))?;
    if args.json {
        out::json(&checked)?;
        return Ok(Exit::Ok);
    }
    let Checked { manifest, seconds } = &checked;
    let next = match &args.dir {
        Some(dir) => format!(
            "{} is restored: stampede verify {0}, and serve it once the server that it was copied from is stopped for good\n",
            dir.display()
        ),
        None => format!("{} is whole\n", args.backup.display()),
    };
    out::say(&format!("all of it checked in {seconds:.1} s\n{}{next}", holds(manifest)));
    Ok(Exit::Ok)
}

fn holds(manifest: &Manifest) -> String {
    let Manifest { taken_at, begins_after, ends_with, first_segment, last_segment, .. } = manifest;
    let from = match begins_after.record {
        0 => String::new(),
        record => format!("; history up to record {record} was let go, and a full checkpoint stands for it"),
    };
    format!(
        "taken {taken_at}, up to frame {} and record {}; segments {first_segment} to {last_segment}{from}\n\
         head: frame {}, {}\n",
        ends_with.frame, ends_with.record, ends_with.frame, ends_with.hash
    )
}

fn stop(error: Error, json: bool, dir: &Path) -> Stop {
    let exit = match error.corruption() {
        Some(Corrupt { file, offset, seq, what }) => {
            if json {
                // The message says the same where that cannot be written.
                let _ = out::json(&json!({ "corrupt": { "file": file, "offset": offset, "seq": seq, "what": what } }));
            }
            Exit::Violated
        }
        None => Exit::Failed,
    };
    Stop::new(exit, anyhow::Error::from(error).context(dir.display().to_string()))
}
