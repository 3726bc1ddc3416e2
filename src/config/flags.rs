//! One flag per setting, made from the catalogue.

use super::layers::flag_name;
use super::settings::{FOR_MEASURING, catalogue};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Settings given on the command line.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config FILE`.
    pub config: Option<PathBuf>,
    /// Setting and value.
    pub values: BTreeMap<&'static str, String>,
}

impl Flags {
    /// Says a setting as its flag would.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Flags {
        self.values.insert(name, value.into());
        self
    }
}

/// The two that say where a server's files are, for commands that need no other setting.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DirFlags {
    /// Configuration file [env: STAMPEDE_CONFIG] [default: stampede.toml, when it is there].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of log, archive, store and keys [default: ./stampede-data].
    #[arg(long, value_name = "PATH")]
    data_dir: Option<String>,
}

impl DirFlags {
    /// As settings.
    #[must_use]
    pub fn flags(&self) -> Flags {
        let flags = Flags { config: self.config.clone(), ..Flags::default() };
        self.data_dir.iter().fold(flags, |flags, dir| flags.with("data-dir", dir))
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Flags, clap::Error> {
        let mut flags = Flags::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        if let Some(config) = matches.get_one::<PathBuf>("config") {
            self.config = Some(config.clone());
        }
        for setting in catalogue() {
            if let Some(value) = matches.get_one::<String>(setting.name) {
                self.values.insert(setting.name, value.clone());
            }
        }
        Ok(())
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Configuration file [env: STAMPEDE_CONFIG] [default: stampede.toml, when it is there]");
        catalogue().fold(command.arg(config), |command, setting| {
            let long = flag_name(setting.name);
            let arg = Arg::new(setting.name)
                .long(long.trim_start_matches('-').to_owned())
                .value_name(if setting.kind.contains('|') { setting.kind.into() } else { setting.kind.to_uppercase() })
                .help(setting.doc[0].trim())
                .help_heading("Settings (see `stampede config explain`)")
                .hide(FOR_MEASURING.contains(&setting.name))
                .action(ArgAction::Set);
            let arg = if setting.name == "log.store" { arg.visible_alias("store") } else { arg };
            // `--measure` alone means yes.
            let arg = match setting.kind {
                "true|false" => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
                _ => arg,
            };
            command.arg(arg)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args(command)
    }
}
