//! What time the nodes of the database think it is. Our own log needs nobody's clock; the database does: it orders the rounds
//! of conditional writes by its nodes' clocks, and one that is far ahead makes the others wait or be refused.

use super::{Cluster, Error, rows};
use scylla::client::execution_profile::ExecutionProfile;
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::statement::Consistency;
use scylla::statement::unprepared::Statement;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The clock of one node against this machine's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Which node: address and port.
    pub node: String,
    /// Milliseconds by which it is ahead of ours; negative: behind. `None`: it did not answer.
    pub ahead: Option<i64>,
    /// By how much that may be wrong: half the round trip.
    pub within: Duration,
}

/// Asks every node that is known. Nodes that do not answer say nothing about their clocks.
///
/// # Errors
/// When an answer is none.
pub fn clocks(cluster: &Cluster) -> Result<Vec<Reading>, Error> {
    let state = cluster.session.get_cluster_state();
    let mut readings = Vec::new();
    for node in state.get_nodes_info() {
        let alone = SingleTargetLoadBalancingPolicy::new(NodeIdentifier::HostId(node.host_id), None);
        let profile = ExecutionProfile::builder()
            .load_balancing_policy(alone)
            .consistency(Consistency::One)
            .request_timeout(Some(cluster.config.timeout))
            .build();
        let mut statement = Statement::new("SELECT toUnixTimestamp(now()) AS time FROM system.local");
        statement.set_execution_profile_handle(Some(profile.into_handle()));
        let before = now();
        let answer = cluster.block_on(cluster.session.query_unpaged(statement, ()));
        let (after, node) = (now(), node.address.to_string());
        let within = Duration::from_millis(u64::try_from((after - before) / 2).unwrap_or_default());
        let Ok(answer) = answer else {
            readings.push(Reading { node, ahead: None, within });
            continue;
        };
        let rows = rows::read("asking for the time", answer)?;
        let time = rows.first().and_then(|row| row.int("time"));
        readings.push(Reading { node, ahead: time.map(|time| time - before.midpoint(after)), within });
    }
    readings.sort_by(|a, b| a.node.cmp(&b.node));
    Ok(readings)
}

/// Unix time in milliseconds.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
