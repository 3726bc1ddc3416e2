//! `stampede completions SHELL`.

use crate::cli::{Cli, Exit, Outcome, out};
use clap::CommandFactory;
use clap_complete::Shell;

/// `stampede completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which shell.
    shell: Shell,
}

/// Prints the shell's completions.
///
/// # Errors
/// None.
pub fn run(args: &Args) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "stampede", &mut script);
    out::say(&String::from_utf8_lossy(&script));
    Ok(Exit::Ok)
}
