//! `stampede export`: writes a portable proof, which `stampede verify EXPORT --root HASH` checks on another machine.

use crate::cli::{Exit, Outcome, Stop, out, verify};
use crate::config::Config;
use crate::config::flags::DirFlags;
use crate::export::{self, Error, Range, Selection};
use anyhow::{Context, anyhow};
use stampede_actors::ids::SkuId;
use stampede_actors::time::Timestamp;
use std::fs::File;
use std::io::{BufWriter, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// `stampede export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A SKU; may be given more than once.
    #[arg(long = "sku", value_name = "SKU", required = true)]
    skus: Vec<SkuId>,
    /// From when, like 2026-11-27T09:00:00Z; without it, from the beginning. A record has the time of its frame.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Until when, and not at that time any more; without it, to the end.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    /// As of this frame, whose root was noted down; without it, the last one.
    #[arg(long, value_name = "FRAME")]
    head: Option<u64>,
    /// The file to write; must not be there yet.
    #[arg(long, value_name = "FILE", default_value = "stampede.export")]
    out: PathBuf,
    /// What was written, as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    dir: DirFlags,
}

fn time(text: &str) -> Result<Timestamp, String> {
    let time = humantime::parse_rfc3339_weak(text).map_err(|error| error.to_string())?;
    let since = time.duration_since(UNIX_EPOCH).map_err(|_| "before 1970".to_owned())?;
    i64::try_from(since.as_micros()).map(Timestamp).map_err(|_| "too late".to_owned())
}

/// Writes an export.
///
/// # Errors
/// A log that cannot be read or is in use; what cannot be proven; with 99, a damaged log.
pub fn run(args: &Args) -> Outcome {
    let dir = Config::load(&args.dir.flags())?.data_dir;
    let all = Range::ALL;
    let range = Range { from: args.from.unwrap_or(all.from), to: args.to.unwrap_or(all.to) };
    let selection = Selection { skus: args.skus.iter().cloned().collect(), range, head: args.head };
    let file = match File::create_new(&args.out) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(anyhow!("{} is there already", args.out.display()).into());
        }
        file => file.with_context(|| args.out.display().to_string())?,
    };
    let bar = verify::bar();
    let written =
        export::write(&dir, &selection, BufWriter::new(&file), &mut |done, all| verify::show(&bar, done, all));
    bar.finish_and_clear();
    let written = written.and_then(|written| Ok(file.sync_all().map(|()| written)?));
    match written {
        Ok(written) => {
            say(args, &written)?;
            Ok(Exit::Ok)
        }
        Err(error) => {
            // What was written of it proves nothing. The first error is the one to tell.
            let _ = std::fs::remove_file(&args.out);
            Err(stop(error, &dir))
        }
    }
}

fn say(args: &Args, written: &export::Written) -> anyhow::Result<()> {
    if args.json {
        return Ok(out::json(written)?);
    }
    let export::Written { orders, records, bytes, head, root } = written;
    let file = args.out.display();
    out::say(&format!(
        "{records} records of {} SKUs and {orders} orders, {bytes} bytes, as of frame {head}\n\
         root: {root}\n\
         elsewhere: stampede verify {file} --root {root}\n",
        args.skus.len()
    ));
    Ok(())
}

fn stop(error: Error, dir: &Path) -> Stop {
    let exit = match &error {
        Error::Journal(error) => verify::journal_exit(error),
        Error::Projection(error) => verify::projection_exit(error),
        Error::Refused(_) | Error::Io(_) => Exit::Failed,
    };
    Stop::new(exit, anyhow::Error::from(error).context(dir.display().to_string()))
}
