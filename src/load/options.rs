//! What can be asked of the load generator.

use std::net::SocketAddr;
use std::path::PathBuf;

/// `stampede load`.
///
/// Buyers arrive when the scenario says, whatever the server does; latencies count from the moment a request was meant
/// to be sent. Ends with 0 (PASS), 1 (FAIL), 99 (FAIL: an invariant is violated), 3 (the server is not ready) or 4
/// (VOID: the generator was the bottleneck, and the run proves nothing).
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Which scenario; --list shows them.
    #[arg(required_unless_present = "list")]
    pub scenario: Option<String>,
    /// Shows the scenarios of the file, and its profiles.
    #[arg(long, conflicts_with = "scenario")]
    pub list: bool,
    /// How much of it: multiplies its rates and durations as the file says.
    #[arg(long, default_value = "laptop", value_name = "NAME")]
    pub profile: String,
    /// A scenario file. Without it, that of this release.
    #[arg(long, value_name = "FILE")]
    pub scenarios: Option<PathBuf>,
    /// API of a running server on this machine, like http://127.0.0.1:8080. Without it, a server of its own on a fresh
    /// directory.
    #[arg(long, value_name = "URL", requires = "key")]
    pub url: Option<String>,
    /// An API key of that server.
    #[arg(long, value_name = "KEY", env = "STAMPEDE_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// Multiplies the rates once more.
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR", value_parser = factor)]
    pub rate_factor: f64,
    /// p99 of accepted purchases that the scenario "baseline" had on this machine, in milliseconds (`accepted_ms.p99` in
    /// its summary.json): what others are compared with. Without it, the limit of that scenario.
    #[arg(long, value_name = "MS", value_parser = factor)]
    pub baseline_p99_ms: Option<f64>,
    /// Connections that buyers share.
    #[arg(long, default_value_t = 256, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub connections: u32,
    /// Buyers at the counter at once; an arrival beyond them is dropped, and the run is void.
    #[arg(long, default_value_t = 20_000, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub in_flight: u32,
    /// Where summary.json, junit.xml and report.html go. Default: ./load-report-SCENARIO.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Serves what the run looks like to Prometheus at /metrics there, while it goes on, like 127.0.0.1:9464. Port 0: one
    /// that is free, which is said.
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics: Option<SocketAddr>,
    /// Decides who wants what and goes about it how.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub seed: u64,
    /// The summary as one last line of JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor| (1e-6..=1e6).contains(factor));
    factor.ok_or_else(|| format!("{text:?}: expected a number from 0.000001 to 1000000"))
}

#[cfg(test)]
mod tests {
    use super::factor;

    #[test]
    fn a_factor_is_a_positive_number() {
        assert_eq!((factor("0.5"), factor("40")), (Ok(0.5), Ok(40.0)));
        for wrong in ["0", "-1", "NaN", "inf", "", "fast"] {
            assert!(factor(wrong).is_err(), "{wrong}");
        }
    }
}
