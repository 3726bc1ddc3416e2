//! `stampede keys`: who may see orders and change stock.

use crate::cli::{Exit, Outcome, out};
use crate::config::{Config, flags::DirFlags};
use crate::keys;
use clap::Subcommand;
use serde_json::json;

/// `stampede keys`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key; its text is printed once and stored nowhere.
    Create {
        /// What to call it: letters, digits and . _ - only.
        name: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        dir: DirFlags,
    },
    /// List keys, revoked ones included.
    Ls {
        /// As JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        dir: DirFlags,
    },
    /// Revoke a key.
    Revoke {
        /// Its name.
        name: String,
        #[command(flatten)]
        dir: DirFlags,
    },
}

/// Changes or lists the keys of a data directory.
///
/// # Errors
/// Bad, taken and unknown names; a directory that cannot be read or written.
pub fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::Create { name, json, dir } => create(&Config::load(&dir.flags())?, name, *json),
        Command::Ls { json, dir } => list(&Config::load(&dir.flags())?, *json),
        Command::Revoke { name, dir } => {
            keys::revoke(&Config::load(&dir.flags())?.data_dir, name)?;
            out::complain(&format!("revoked {name}"));
            Ok(Exit::Ok)
        }
    }
}

fn create(config: &Config, name: &str, as_json: bool) -> Outcome {
    super::make_data_dir(&config.data_dir)?;
    let key = keys::create(&config.data_dir, name)?;
    if as_json {
        out::json(&json!({ "name": key.name, "key": key.secret }))?;
    } else {
        // The key alone on standard output, so that it can be caught in a variable.
        out::line(&key.secret);
        out::complain("Shown once and stored nowhere. Use it as: Authorization: Bearer <key>");
    }
    Ok(Exit::Ok)
}

fn list(config: &Config, as_json: bool) -> Outcome {
    let keys = keys::list(&config.data_dir)?;
    if as_json {
        out::json(&keys)?;
        return Ok(Exit::Ok);
    }
    for key in keys {
        let state = key.revoked_at.map_or_else(|| "live".to_owned(), |at| format!("revoked {at}"));
        out::line(&format!("{:24} {:10} created {}  {state}", key.name, key.hint, key.created_at));
    }
    Ok(Exit::Ok)
}
