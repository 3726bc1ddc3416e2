//! The database that keeps the log: reached, new enough, with our schema in one data centre, ours to write, fast enough.

use super::Finding;
use crate::config::Config;
use crate::cql::{self, Cluster, Error, Reading, bootstrap, schema};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A commit waits for one conditional write: slower than this, each buyer notices.
const SLOW: Duration = Duration::from_millis(25);
/// Clocks further apart than this are not set by the same source; and much further, nothing is in its right order.
const OFF: Duration = Duration::from_secs(1);
const FAR_OFF: Duration = Duration::from_secs(30);
/// Looks, of which the median counts.
const TRIES: usize = 9;

/// All looks, up to the first that fails: the later ones would only say the same.
#[must_use]
pub fn all(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(error) = look(config, &mut findings) {
        let fix = fix(&error);
        findings.push(Finding::red(name(&error), error.to_string(), fix));
    }
    findings
}

fn look(config: &Config, findings: &mut Vec<Finding>) -> Result<(), Error> {
    let cluster = Cluster::connect(&config.cql)?;
    findings.push(Finding::ok("database", format!("{} at {}", cluster.product(), config.cql.contact_points)));
    let steps = schema::status(&cluster)?;
    let (keyspace, center) = (&config.cql.keyspace, &config.cql.data_center);
    findings.push(Finding::ok("replication", format!("keyspace {keyspace} is in {center} alone")));
    drop(cluster);
    let cluster = Cluster::open(&config.cql)?;
    findings.push(Finding::ok("schema", format!("version {}", steps.len())));
    // Conditional writes that change nothing where the log was begun: reading and writing are permissions of their own.
    bootstrap(&cluster)?;
    findings.push(Finding::ok("permissions", "may read and write"));
    findings.push(latency(&cluster)?);
    findings.push(clocks(&cql::clocks(&cluster)?));
    let owner = cluster.owner()?;
    findings.push(match (owner.epoch, owner.yielded) {
        (0, _) => Finding::ok("owner", "nobody yet"),
        (epoch, true) => Finding::ok("owner", format!("nobody; the last was {} (epoch {epoch})", owner.address)),
        (epoch, false) => Finding::ok("owner", format!("{} (epoch {epoch})", owner.address)),
    });
    Ok(())
}

fn latency(cluster: &Arc<Cluster>) -> Result<Finding, Error> {
    let mut took = Vec::with_capacity(TRIES);
    for _ in 0..TRIES {
        let began = Instant::now();
        cluster.owner()?;
        took.push(began.elapsed());
    }
    took.sort();
    let median = took[TRIES / 2];
    let detail = format!("a serial read takes {median:.1?} (median of {TRIES})");
    Ok(match median {
        slow if slow > SLOW => Finding::warn("latency", detail, "put the server beside the database: docs/cluster.md"),
        _ => Finding::ok("latency", detail),
    })
}

/// The clocks of all nodes that answer, against this machine's.
fn clocks(readings: &[Reading]) -> Finding {
    let known: Vec<(&Reading, i64)> = readings.iter().filter_map(|of| Some((of, of.ahead?))).collect();
    let Some((worst, ahead)) = known.iter().max_by_key(|(_, ahead)| ahead.unsigned_abs()) else {
        return Finding::warn("clocks", "no node says what time it is", "docs/cluster.md");
    };
    let off = Duration::from_millis(ahead.unsigned_abs()).saturating_sub(worst.within);
    let direction = if *ahead < 0 { "behind" } else { "ahead of" };
    let seconds = ahead.unsigned_abs() as f64 / 1_000.0;
    let detail = format!("{} is {seconds:.1} s {direction} this machine", worst.node);
    let fix =
        "set all machines by the same time source (chrony), and look again: until then writes may wait or be refused";
    match off {
        off if off > FAR_OFF => Finding::red("clocks", detail, fix),
        off if off > OFF => Finding::warn("clocks", detail, fix),
        _ => {
            Finding::ok("clocks", format!("{} nodes within {:.0?} of this machine", known.len(), off.max(worst.within)))
        }
    }
}

fn name(error: &Error) -> &'static str {
    match error {
        Error::Unreachable { .. } | Error::Login { .. } | Error::Version { .. } | Error::File { .. } => "database",
        Error::NoKeyspace(_) | Error::Schema { .. } => "schema",
        Error::Replication { .. } => "replication",
        Error::Permission { .. } => "permissions",
        _ => "log in CQL",
    }
}

fn fix(error: &Error) -> &'static str {
    match error {
        Error::Unreachable { .. } => "stampede config explain cql.contact-points",
        Error::Login { .. } | Error::File { .. } => "stampede config explain cql",
        Error::NoKeyspace(_) | Error::Schema { .. } => "stampede schema apply",
        Error::Permission { .. } => {
            "GRANT MODIFY, SELECT ON KEYSPACE stampede TO the_user; CREATE as well for schema apply"
        }
        _ => "docs/cluster.md",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Level;

    fn reading(node: &str, ahead: Option<i64>) -> Reading {
        Reading { node: node.to_owned(), ahead, within: Duration::from_millis(2) }
    }

    #[test]
    fn the_clock_that_is_furthest_off_counts_and_is_named() {
        let one = |ahead| clocks(&[reading("10.0.0.1:9042", Some(3)), reading("10.0.0.2:9042", Some(ahead))]);
        assert_eq!(one(-400).level, Level::Ok);
        assert_eq!(one(-1_500).level, Level::Warn);
        for hour in [3_600_000, -3_600_000] {
            let finding = one(hour);
            assert_eq!(finding.level, Level::Red);
            assert!(finding.detail.contains("10.0.0.2:9042 is 3600.0 s"), "{}", finding.detail);
        }
        // A node that is away is another look's matter; none at all is not a good sign.
        assert_eq!(clocks(&[reading("10.0.0.1:9042", Some(0)), reading("10.0.0.2:9042", None)]).level, Level::Ok);
        assert_eq!(clocks(&[reading("10.0.0.1:9042", None)]).level, Level::Warn);
    }
}
