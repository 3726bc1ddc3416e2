//! `stampede config explain [NAME]`.

use crate::cli::{Exit, Outcome, Stop, out};
use crate::config::{Flags, Layers, explain};
use clap::Subcommand;

/// `stampede config`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Value, source, default and effect of a setting, of a group (`holds`), or of all.
    Explain(Explain),
}

#[derive(Debug, clap::Args)]
struct Explain {
    /// `holds.ttl`, or `holds` for the whole group.
    name: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Explains settings.
///
/// # Errors
/// Unknown names, and a configuration that would not start.
pub fn run(args: &Args) -> Outcome {
    let Command::Explain(args) = &args.command;
    let layers = Layers::load(&args.flags)?;
    let explained =
        explain::explain(&layers, args.name.as_deref()).map_err(|e| Stop::new(Exit::Usage, anyhow::anyhow!(e)))?;
    if args.json {
        out::json(&explained)?;
    } else {
        out::say(&explain::text(&explained));
    }
    // Explained first, so that whoever has a wrong value sees where it comes from.
    crate::config::Config::from_layers(&layers)?;
    Ok(Exit::Ok)
}
