//! Every figure there is: its name, its unit, its bar, and who measures it.

use crate::bench::figure::Bar::{AtLeast, AtMost};
use crate::bench::figure::{Bar, Spec};
use crate::bench::memory::Warm;
use crate::bench::peers::Opponent;
use crate::bench::{Game, Measured, cluster, growth, latency, memory, peers, ratios, recovery, stages};

const fn spec(name: &'static str, unit: &'static str, bar: Option<Bar>, what: &'static str) -> Spec {
    Spec { name, unit, bar, what }
}

/// What is measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Orders ÷ no-ops over so many connections.
    P1(usize),
    /// The same until captured.
    P1Full,
    /// Sold out ÷ no-ops.
    P2,
    /// Hot ÷ uniform.
    P3,
    /// Orders ÷ what somebody else does.
    Peer(Opponent),
    /// Latency at half of saturation.
    P9,
    /// Goodput under overload.
    P10,
    /// Records per flush.
    P11,
    /// Recovery.
    P12,
    /// Memory of a warm entity.
    Memory(Warm),
    /// Bytes of log.
    LogBytes,
    /// Many SKUs.
    GrowthSkus,
    /// Many orders.
    GrowthOrders,
    /// CPU by thread.
    Stages,
    /// The log in a database.
    Cluster,
}

const WARM: Option<Bar> = Some(AtMost(2_048.0));
const GROWTH: Option<Bar> = Some(AtMost(1.3));

const PARTS: &[(Part, &[Spec])] = &[
    (Part::P1(256), &[spec("P1_256", "ratio", Some(AtLeast(0.50)), "durable orders ÷ no-ops, 256 connections")]),
    (Part::P1(1_024), &[spec("P1_1024", "ratio", Some(AtLeast(0.50)), "durable orders ÷ no-ops, 1,024 connections")]),
    (Part::P1Full, &[spec("P1_full", "ratio", None, "orders until the last is captured ÷ no-ops")]),
    (Part::P2, &[spec("P2", "ratio", Some(AtLeast(0.80)), "\"sold out\" ÷ no-ops")]),
    (Part::P3, &[spec("P3", "ratio", Some(AtLeast(0.90)), "orders for one hot SKU ÷ over 10,000 SKUs")]),
    (
        Part::Peer(Opponent::PostgresHot),
        &[spec("P4", "ratio", Some(AtLeast(15.0)), "orders for one SKU ÷ PostgreSQL, one row")],
    ),
    (
        Part::Peer(Opponent::PostgresRows),
        &[spec("P5", "ratio", Some(AtLeast(2.0)), "orders over 1,000 SKUs ÷ PostgreSQL, 1,000 rows")],
    ),
    (
        Part::Peer(Opponent::RedisAlways),
        &[spec("P6", "ratio", Some(AtLeast(1.0)), "orders ÷ Redis Lua, appendfsync always")],
    ),
    (
        Part::Peer(Opponent::RedisEverySecond),
        &[spec(
            "P7",
            "ratio",
            Some(AtLeast(0.6)),
            "durable orders ÷ Redis Lua, appendfsync everysec, which is not durable",
        )],
    ),
    (
        Part::P9,
        &[spec(
            "P9",
            "ratio",
            Some(AtMost(3.0)),
            "(order p99 - no-op p99, at half of saturation) ÷ (fdatasync p99 + pace bound)",
        )],
    ),
    (Part::P10, &[spec("P10", "ratio", Some(AtLeast(0.90)), "orders per second at twice saturation ÷ at the peak")]),
    (Part::P11, &[spec("P11", "records", Some(AtLeast(50.0)), "records per flush, 1,024 connections")]),
    (
        Part::P12,
        &[
            spec(
                "P12",
                "events/s",
                Some(AtLeast(1e6)),
                "events per second that a start after SIGKILL has the store up to",
            ),
            spec(
                "P12_start",
                "s",
                Some(AtMost(3.0)),
                "from exec to the first answered order, with these events to replay",
            ),
        ],
    ),
    (Part::Memory(Warm::Sku), &[spec("memory_sku", "bytes", WARM, "resident memory per warm SKU with one live hold")]),
    (Part::Memory(Warm::Cart), &[spec("memory_cart", "bytes", WARM, "resident memory per warm cart with one line")]),
    (
        Part::Memory(Warm::Order),
        &[spec("memory_order", "bytes", WARM, "resident memory per warm order that awaits payment")],
    ),
    (
        Part::LogBytes,
        &[
            spec("log_bytes_per_order", "bytes", None, "log written per placed order"),
            spec("log_bytes_per_order_settled", "bytes", None, "the same until it is captured and shipped"),
        ],
    ),
    (
        Part::GrowthSkus,
        &[
            spec("growth_skus", "ratio", GROWTH, "orders per second with 1,000 SKUs in the store ÷ with many"),
            spec("growth_skus_memory", "ratio", GROWTH, "resident memory with many SKUs in the store ÷ with 1,000"),
        ],
    ),
    (
        Part::GrowthOrders,
        &[
            spec("growth_orders", "ratio", GROWTH, "orders per second with 1,000 settled orders on disk ÷ with many"),
            spec("growth_orders_memory", "ratio", GROWTH, "resident memory with many settled orders ÷ with 1,000"),
        ],
    ),
    (
        Part::Stages,
        &[
            spec("stage_worker", "us/order", None, "CPU of HTTP workers and shards"),
            spec("stage_log_writer", "us/order", None, "CPU of the log's writer"),
            spec("stage_log_upkeep", "us/order", None, "CPU of the log's upkeep: next segments, archive"),
            spec("stage_projection", "us/order", None, "CPU of the projection"),
            spec("stage_workflows", "us/order", None, "CPU of the workflows"),
            spec("stage_store", "us/order", None, "CPU of the store's flushes and compaction"),
            spec("stage_rest", "us/order", None, "CPU of all other threads"),
        ],
    ),
    (
        Part::Cluster,
        &[
            spec("cluster", "ratio", None, "orders with the log in Cassandra on this machine ÷ in the data directory"),
            spec(
                "cluster_records",
                "records",
                Some(AtLeast(100.0)),
                "records per conditional write, 1,024 connections",
            ),
            spec(
                "cluster_cpu",
                "ratio",
                Some(AtMost(1.5)),
                "the server's own CPU per order, in Cassandra ÷ in the data directory",
            ),
        ],
    ),
];

impl Part {
    /// The figures that it measures.
    #[must_use]
    pub fn specs(self) -> &'static [Spec] {
        PARTS.iter().find(|(part, _)| *part == self).map_or(&[], |(_, specs)| *specs)
    }

    /// Their names.
    #[must_use]
    pub fn names(self) -> String {
        self.specs().iter().map(|spec| spec.name).collect::<Vec<_>>().join(", ")
    }

    /// Measures them.
    ///
    /// # Errors
    /// When a server does not start, or answers what it should not.
    pub async fn measure(self, game: &Game<'_>) -> anyhow::Result<Measured> {
        let specs = self.specs();
        match self {
            Part::P1(connections) => ratios::order_to_noop(game, specs, connections).await,
            Part::P1Full => ratios::settled_to_noop(game, specs).await,
            Part::P2 => ratios::sold_out_to_noop(game, specs).await,
            Part::P3 => ratios::hot_to_uniform(game, specs).await,
            Part::Peer(against) => peers::order_to_peer(game, specs, against).await,
            Part::P9 => latency::order_to_sync(game, specs).await,
            Part::P10 => latency::overload_to_peak(game, specs).await,
            Part::P11 => ratios::records_per_flush(game, specs).await,
            Part::P12 => recovery::recovery(game, specs).await,
            Part::Memory(kind) => memory::per_entity(game, specs, kind).await,
            Part::LogBytes => memory::log_per_order(game, specs).await,
            Part::GrowthSkus => growth::skus(game, specs).await,
            Part::GrowthOrders => growth::orders(game, specs).await,
            Part::Stages => stages::per_order(game, specs).await,
            Part::Cluster => cluster::cluster_to_embedded(game, specs).await,
        }
    }
}

/// The parts that measure what was named, in the order of their documentation; all of them when nothing was.
///
/// # Errors
/// A name that no figure has, with those that there are.
pub fn select(names: &[String]) -> Result<Vec<Part>, String> {
    if let Some(unknown) = names.iter().find(|name| !PARTS.iter().any(|(_, specs)| is_named(specs, name))) {
        let known: Vec<&str> = PARTS.iter().flat_map(|(_, specs)| specs.iter().map(|spec| spec.name)).collect();
        return Err(format!("there is no figure {unknown:?}; there are {}", known.join(", ")));
    }
    let wanted = |specs: &[Spec]| names.is_empty() || names.iter().any(|name| is_named(specs, name));
    Ok(PARTS.iter().filter(|(_, specs)| wanted(specs)).map(|(part, _)| *part).collect())
}

/// Is one of these figures meant: by its name, or by the beginning of it up to an underscore?
fn is_named(specs: &[Spec], name: &str) -> bool {
    let means = |spec: &Spec| spec.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
    specs.iter().any(means)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(names: &[&str]) -> Result<Vec<Part>, String> {
        select(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn figures_are_selected_by_name_or_by_its_beginning() {
        assert_eq!(selected(&["P3", "P1_256"]), Ok(vec![Part::P1(256), Part::P3]));
        assert_eq!(selected(&["P1"]), Ok(vec![Part::P1(256), Part::P1(1_024), Part::P1Full]));
        assert_eq!(selected(&[]).map(|parts| parts.len()), Ok(PARTS.len()));
    }

    #[test]
    fn a_name_that_no_figure_has_is_refused_with_those_there_are() {
        for wrong in ["P", "P99", "p1", "", "P1_", "stages"] {
            let error = selected(&["P2", wrong]).err().unwrap_or_default();
            assert!(error.contains("P1_256"), "{wrong:?}: {error}");
        }
    }

    #[test]
    fn no_name_is_given_twice() {
        let mut names: Vec<&str> = PARTS.iter().flat_map(|(_, specs)| specs.iter().map(|spec| spec.name)).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(PARTS.iter().all(|(part, specs)| part.specs() == *specs));
    }
}
