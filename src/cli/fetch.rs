//! `stampede fetch`: copies a log out of the database into a directory, where `verify` and `export` read it.

use crate::cli::{Exit, Outcome, out};
use crate::clock::BootClock;
use crate::config::{Config, Flags};
use crate::cql::{self, Cluster};
use crate::disk::{RealDisk, SharedDisk};
use crate::journal;
use anyhow::anyhow;
use std::path::PathBuf;
use std::sync::Arc;

/// `stampede fetch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory: new, or one that this log was fetched into before.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    flags: Flags,
}

/// Copies what is committed by now. Takes nothing from the owner, and needs none.
///
/// # Errors
/// A database or a directory that cannot be used; with 99, a damaged log.
pub fn run(args: &Args) -> Outcome {
    let config = Config::load(&args.flags)?;
    let cluster = Cluster::open(&config.cql)?;
    let (id, _) = cluster.shared()?.ok_or_else(|| anyhow!("nobody has begun this log"))?;
    let head = cql::head(&cluster)?;
    std::fs::create_dir_all(&args.dir)?;
    let disk: SharedDisk = Arc::new(RealDisk);
    let journal = journal::Config {
        segment_bytes: config.log.segment_bytes.0,
        frame_bytes: config.log.frame_bytes.as_usize(),
        ..journal::Config::default()
    };
    let mut opened = cql::open_mirror(&disk, &args.dir, id, &journal, &BootClock::new())?;
    let fetched = cql::follow_into(&cluster, &mut opened.wal, Some(head.seq), &mut |_| ())?;
    opened.wal.close_mirror()?;
    let (frame, position) = (opened.log.head().seq, opened.log.head().position.0);
    out::line(&format!("{fetched} frames fetched; {} ends with frame {frame}, record {position}", args.dir.display()));
    Ok(Exit::Ok)
}
