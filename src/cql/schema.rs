//! The tables: made and changed in numbered steps, and checked before anything is written.

use super::{Cluster, Error};
use scylla::statement::Consistency;
use std::fmt;

/// What answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Product {
    /// ScyllaDB, or else Apache Cassandra.
    pub scylla: bool,
    /// As it says.
    pub version: String,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.version)
    }
}

impl Product {
    fn name(&self) -> &'static str {
        if self.scylla { "ScyllaDB" } else { "Cassandra" }
    }

    /// Table options that only one of them knows.
    fn log_options(&self) -> &'static str {
        match self.scylla {
            true => " AND compaction = {'class': 'IncrementalCompactionStrategy'} AND paxos_grace_seconds = 864000",
            false => "",
        }
    }

    fn keyspace_options(&self) -> &'static str {
        // Whether the Paxos tables of tablets are synced as those of vnodes are is not known.
        if self.scylla { " AND tablets = {'enabled': false}" } else { "" }
    }
}

/// One step. Every statement can be repeated: a step that was cut off is taken again from its beginning.
pub struct Migration {
    /// From 1.
    pub version: i64,
    /// What it makes.
    pub name: &'static str,
    statements: fn(&Product, &str) -> Vec<String>,
}

/// All steps.
pub const MIGRATIONS: &[Migration] = &[Migration { version: 1, name: "log, owner, archive", statements: first }];

/// The version that this program works with.
pub const VERSION: i64 = 1;

fn first(product: &Product, keyspace: &str) -> Vec<String> {
    let options = product.log_options();
    vec![
        // seq 0 is the header row, the fence; frames are 1 and higher. Only conditional statements ever touch this table.
        format!(
            "CREATE TABLE IF NOT EXISTS {keyspace}.log (shard int, bucket bigint, seq bigint, \
             epoch bigint, head bigint, head_hash blob, state tinyint, next_bucket bigint, hash blob, frame blob, \
             PRIMARY KEY ((shard, bucket), seq)) WITH CLUSTERING ORDER BY (seq ASC){options}"
        ),
        // Where epochs come from. No authority: that is the header row.
        format!(
            "CREATE TABLE IF NOT EXISTS {keyspace}.shard_owner (shard int PRIMARY KEY, epoch bigint, writer blob, \
             node text, addr text, bucket_hint bigint, cursors map<text, bigint>, yielded boolean)"
        ),
        // What all processes of a cell must share, made once.
        format!("CREATE TABLE IF NOT EXISTS {keyspace}.cell (shard int PRIMARY KEY, log_id blob, secret blob)"),
        // Who lives. For liveness alone.
        format!(
            "CREATE TABLE IF NOT EXISTS {keyspace}.node_beat (shard int, node text, beat bigint, addr text, \
             PRIMARY KEY (shard, node))"
        ),
        // Frames of buckets that were trimmed, some of them in each piece.
        format!(
            "CREATE TABLE IF NOT EXISTS {keyspace}.archive (shard int, bucket bigint, piece bigint, last bigint, \
             frames blob, PRIMARY KEY ((shard, bucket), piece))"
        ),
    ]
}

/// Makes the keyspace and takes all steps that were not taken. Says what it did.
///
/// # Errors
/// [`Error`]: what failed. Running it again goes on from there.
pub fn apply(cluster: &Cluster) -> Result<Vec<String>, Error> {
    check_product(&cluster.product)?;
    let keyspace = &cluster.config.keyspace;
    let (center, copies) = (&cluster.config.data_center, cluster.config.replication);
    let mut done = Vec::new();
    if replication(cluster)?.is_none() {
        let options = cluster.product.keyspace_options();
        cluster.query(
            "making the keyspace",
            &format!(
                "CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = \
                 {{'class': 'NetworkTopologyStrategy', '{center}': {copies}}}{options}"
            ),
        )?;
        done.push(format!("keyspace {keyspace}: {copies} copies in {center}"));
    }
    check_keyspace(cluster)?;
    cluster.query(
        "making the table of schema versions",
        &format!(
            "CREATE TABLE IF NOT EXISTS {keyspace}.migration (version bigint PRIMARY KEY, name text, done boolean)"
        ),
    )?;
    for migration in MIGRATIONS {
        let Migration { version, name, statements } = migration;
        if applied(cluster, *version)? == Some(true) {
            continue;
        }
        note(cluster, *version, name, false)?;
        for statement in statements(&cluster.product, keyspace) {
            cluster.query("changing the schema", &statement)?;
        }
        note(cluster, *version, name, true)?;
        done.push(format!("version {version}: {name}"));
    }
    Ok(done)
}

fn note(cluster: &Cluster, version: i64, name: &str, done: bool) -> Result<(), Error> {
    let table = cluster.table("migration");
    let text = format!("INSERT INTO {table} (version, name, done) VALUES ({version}, '{name}', {done})");
    cluster.query_at("noting the schema's version", &text, Consistency::LocalQuorum).map(drop)
}

/// Was this step taken? `Some(false)`: it was begun.
fn applied(cluster: &Cluster, version: i64) -> Result<Option<bool>, Error> {
    let text = format!("SELECT done FROM {} WHERE version = {version}", cluster.table("migration"));
    let rows = cluster.query_at("reading the schema's version", &text, Consistency::LocalQuorum)?;
    Ok(rows.first().map(|row| row.truth("done").unwrap_or(false)))
}

/// A step's version and name, and whether it was taken: `None`: not begun; `Some(false)`: begun.
pub type Taken = (i64, &'static str, Option<bool>);

/// The steps, and whether each was taken.
///
/// # Errors
/// [`Error`].
pub fn status(cluster: &Cluster) -> Result<Vec<Taken>, Error> {
    check_keyspace(cluster)?;
    let known = has_table(cluster, "migration")?;
    let of = |migration: &Migration| {
        let state = if known { applied(cluster, migration.version)? } else { None };
        Ok((migration.version, migration.name, state))
    };
    MIGRATIONS.iter().map(of).collect()
}

/// Refuses a schema that this program cannot work with.
pub(super) fn check_version(cluster: &Cluster) -> Result<(), Error> {
    let keyspace = cluster.config.keyspace.clone();
    let bad = |what: String| Err(Error::Schema { keyspace: keyspace.clone(), what });
    if !has_table(cluster, "migration")? {
        return bad("it has no tables of ours: run `stampede schema apply` with the same settings".to_owned());
    }
    for (version, _, state) in status(cluster)? {
        match state {
            Some(true) => {}
            Some(false) => {
                return bad(format!("version {version} of the schema is half made: run `stampede schema apply` again"));
            }
            None => return bad(format!("version {version} of the schema is missing: run `stampede schema apply`")),
        }
    }
    let newer = format!("SELECT version, done FROM {} WHERE version = {}", cluster.table("migration"), VERSION + 1);
    if !cluster.query_at("reading the schema's version", &newer, Consistency::LocalQuorum)?.is_empty() {
        return bad(format!("its schema is newer than this program, which knows version {VERSION}"));
    }
    Ok(())
}

fn has_table(cluster: &Cluster, table: &str) -> Result<bool, Error> {
    let keyspace = &cluster.config.keyspace;
    let text = format!(
        "SELECT table_name FROM system_schema.tables WHERE keyspace_name = '{keyspace}' AND table_name = '{table}'"
    );
    Ok(!cluster.query("looking for the tables", &text)?.is_empty())
}

/// How the keyspace is replicated; `None`: there is no such keyspace.
fn replication(cluster: &Cluster) -> Result<Option<Vec<(String, String)>>, Error> {
    let keyspace = &cluster.config.keyspace;
    let text = format!("SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = '{keyspace}'");
    let rows = cluster.query("looking for the keyspace", &text)?;
    Ok(rows.first().map(|row| row.texts("replication").into_iter().collect()))
}

/// S26: one data centre, and that the configured one.
pub(super) fn check_keyspace(cluster: &Cluster) -> Result<(), Error> {
    let (keyspace, center) = (&cluster.config.keyspace, &cluster.config.data_center);
    let Some(replication) = replication(cluster)? else { return Err(Error::NoKeyspace(keyspace.clone())) };
    one_center(&replication, center).map_err(|what| Error::Replication { keyspace: keyspace.clone(), what })
}

fn one_center(replication: &[(String, String)], center: &str) -> Result<(), String> {
    let class = replication.iter().find(|(name, _)| name == "class").map_or("", |(_, class)| class);
    if !class.ends_with("NetworkTopologyStrategy") {
        return Err(format!("its replication is {class}, and must be NetworkTopologyStrategy"));
    }
    let copies = |text: &str| text.parse::<u32>().unwrap_or(1);
    let held: Vec<&str> = replication
        .iter()
        .filter(|(name, value)| name != "class" && copies(value) > 0)
        .map(|(name, _)| name.as_str())
        .collect();
    match held.as_slice() {
        [one] if *one == center => Ok(()),
        [one] => Err(format!("its data centre is {one}, and cql.data-center is {center}")),
        [] => Err("it has no copies at all".to_owned()),
        more => Err(format!("it has copies in {}", more.join(" and "))),
    }
}

/// Who answers, by what only ScyllaDB has.
pub(super) fn product(cluster: &Cluster) -> Result<Product, Error> {
    let versions =
        "SELECT table_name FROM system_schema.tables WHERE keyspace_name = 'system' AND table_name = 'versions'";
    let scylla = !cluster.query("asking for the version", versions)?.is_empty();
    let (text, column) = match scylla {
        true => ("SELECT version FROM system.versions WHERE key = 'local'", "version"),
        false => ("SELECT release_version FROM system.local WHERE key = 'local'", "release_version"),
    };
    let rows = cluster.query("asking for the version", text)?;
    let version = rows.first().and_then(|row| row.text(column)).unwrap_or("of unknown version").to_owned();
    let product = Product { scylla, version };
    check_product(&product)?;
    Ok(product)
}

fn check_product(product: &Product) -> Result<(), Error> {
    let (least, numbers) = if product.scylla { ("2025.1", (2025, 1)) } else { ("4.1", (4, 1)) };
    let mut parts = product.version.split(['.', '-', '~']).map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if version < numbers {
        return Err(Error::Version { product: product.name(), version: product.version.clone(), least });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicated(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn s26_copies_in_two_data_centres_are_refused() {
        let class = ("class", "org.apache.cassandra.locator.NetworkTopologyStrategy");
        assert_eq!(one_center(&replicated(&[class, ("north", "3")]), "north"), Ok(()));
        assert_eq!(one_center(&replicated(&[class, ("north", "3"), ("south", "0")]), "north"), Ok(()));
        let both = one_center(&replicated(&[class, ("north", "3"), ("south", "3")]), "north");
        assert_eq!(both, Err("it has copies in north and south".to_owned()));
        assert!(one_center(&replicated(&[class, ("south", "3")]), "north").is_err());
        assert!(one_center(&replicated(&[class]), "north").is_err());
        let simple = ("class", "org.apache.cassandra.locator.SimpleStrategy");
        assert!(one_center(&replicated(&[simple, ("replication_factor", "3")]), "north").is_err());
    }

    #[test]
    fn versions_that_are_too_old_are_refused() {
        let product = |scylla, version: &str| Product { scylla, version: version.to_owned() };
        for (good, product) in [
            (true, product(false, "5.0.6")),
            (true, product(false, "4.1.0-beta1")),
            (false, product(false, "4.0.11")),
            (false, product(false, "3.11.4")),
            (true, product(true, "2025.1.0")),
            (true, product(true, "2026.2.3-0.20260101.abc")),
            (false, product(true, "6.2.0")),
            (false, product(true, "of unknown version")),
        ] {
            assert_eq!(check_product(&product).is_ok(), good, "{product}");
        }
    }

    #[test]
    fn the_steps_are_numbered_without_gaps() {
        let versions: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..=VERSION).collect::<Vec<_>>());
    }

    #[test]
    fn both_flavours_make_the_same_tables_with_their_own_options() {
        let scylla = first(&Product { scylla: true, version: String::new() }, "shop");
        let cassandra = first(&Product { scylla: false, version: String::new() }, "shop");
        assert!(scylla[0].contains("IncrementalCompactionStrategy") && scylla[0].contains("paxos_grace_seconds"));
        assert!(!cassandra.concat().contains("compaction"));
        let table = |text: &String| text.split('(').next().map(str::to_owned);
        assert_eq!(scylla.iter().map(table).collect::<Vec<_>>(), cassandra.iter().map(table).collect::<Vec<_>>());
    }
}
