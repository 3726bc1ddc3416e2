//! The database that keeps the log: reached, new enough, with our schema in one data centre, ours to write, fast enough.

use super::Finding;
use crate::config::Config;
use crate::cql::{Cluster, Error, bootstrap, schema};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A commit waits for one conditional write: slower than this, each buyer notices.
const SLOW: Duration = Duration::from_millis(25);
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
