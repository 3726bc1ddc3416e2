//! What can be asked of the demo.

use crate::workflows::simulated::Fault;
use std::path::PathBuf;
use std::str::FromStr;

/// `stampede demo`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Buyers who arrive.
    #[arg(long, default_value_t = 100_000, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub buyers: u32,
    /// Units for sale, over all SKUs.
    #[arg(long, default_value_t = 1_000, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(0..=100_000_000))]
    pub units: u32,
    /// SKUs for sale; one of them is very hot.
    #[arg(long, default_value_t = 200, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub skus: u32,
    /// How long buyers keep arriving; the demo ends when all is settled.
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub seconds: u32,
    /// Decides what every buyer does.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub seed: u64,
    /// Sells what is in this stock file (as for `stampede import`) instead of --units over --skus.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["units", "skus"])]
    pub stock: Option<PathBuf>,
    /// Plays it on a cluster: log in Cassandra, work over RabbitMQ, limits and reads in Redis, all started on loopback by
    /// dev/services, which installs what is missing.
    #[arg(long)]
    pub cluster: bool,
    /// The script that starts them.
    #[arg(long, value_name = "FILE", default_value = "dev/services", requires = "cluster")]
    pub services: PathBuf,
    /// Kills with SIGKILL when so many units are ordered, or buyers have arrived, and starts it again.
    #[arg(long, value_name = "PERCENT")]
    pub kill_at: Option<Percent>,
    /// Who is killed; all but the server only with --cluster. One of three CQL nodes, which stays away.
    #[arg(long, value_enum, value_name = "WHO", default_value = "server", requires = "kill_at")]
    pub kill: Victim,
    /// Lets the simulated payment provider or warehouse fail: payment=timeout:30%.
    #[arg(long, value_name = "FAULT", value_parser = fault)]
    pub fault: Option<String>,
    /// The verdict as one last line of JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Who is killed in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Victim {
    /// Stampede itself.
    Server,
    /// RabbitMQ.
    Broker,
    /// Redis.
    Redis,
    /// One of three nodes of the database.
    CqlNode,
}

impl Victim {
    /// In a sentence.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Victim::Server => "server",
            Victim::Broker => "broker",
            Victim::Redis => "cache",
            Victim::CqlNode => "second CQL node",
        }
    }
}

/// A part of a whole: `50%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(pub u32);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Percent, String> {
        let number = text.strip_suffix('%').unwrap_or(text).parse().ok().filter(|percent| (1..=100).contains(percent));
        number.map(Percent).ok_or_else(|| format!("{text:?}: expected a percentage like 50%"))
    }
}

impl Percent {
    /// This part of `whole`, at least one.
    #[must_use]
    pub fn of(self, whole: u32) -> u32 {
        (u64::from(whole) * u64::from(self.0) / 100).max(1) as u32
    }
}

/// A fault that the server will understand, in its own words.
fn fault(text: &str) -> Result<String, String> {
    text.parse::<Fault>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_and_faults_are_read() {
        assert_eq!("50%".parse(), Ok(Percent(50)));
        assert_eq!("7".parse(), Ok(Percent(7)));
        assert_eq!(fault("payment=timeout:30%"), Ok("payment=timeout:30%".to_owned()));
        for wrong in ["0%", "101%", "-1", "half", ""] {
            assert!(wrong.parse::<Percent>().is_err(), "{wrong}");
        }
        assert!(fault("disk=full:1%").is_err());
    }

    #[test]
    fn a_part_is_never_nothing() {
        assert_eq!((Percent(50).of(1_000), Percent(1).of(10), Percent(100).of(u32::MAX)), (500, 1, u32::MAX));
    }
}
