//! Rows by the names of their columns: what a refused condition returns differs between ScyllaDB and Cassandra, in order
//! and in number.

use super::Error;
use super::protocol::{Header, Mark, Reply, State};
use scylla::response::query_result::QueryResult;
use scylla::value::{CqlValue, Row};
use std::collections::BTreeMap;

/// One row.
#[derive(Debug, Clone, Default)]
pub(super) struct Named(BTreeMap<String, CqlValue>);

/// All rows of an answer; none when it has none.
///
/// # Errors
/// When the answer cannot be decoded.
pub(super) fn read(what: &'static str, result: QueryResult) -> Result<Vec<Named>, Error> {
    if !result.is_rows() {
        return Ok(Vec::new());
    }
    let result = result.into_rows_result().map_err(|error| Error::request(what, error))?;
    let names: Vec<String> = result.column_specs().iter().map(|spec| spec.name().to_owned()).collect();
    let rows = result.rows::<Row>().map_err(|error| Error::request(what, error))?;
    rows.map(|row| {
        let row = row.map_err(|error| Error::request(what, error))?;
        let named = names.iter().cloned().zip(row.columns).filter_map(|(name, value)| Some((name, value?)));
        Ok(Named(named.collect()))
    })
    .collect()
}

impl Named {
    /// A whole number of any width.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.0.get(name)? {
            CqlValue::BigInt(value) => Some(*value),
            CqlValue::Int(value) => Some(i64::from(*value)),
            CqlValue::SmallInt(value) => Some(i64::from(*value)),
            CqlValue::TinyInt(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    /// A count, which is never negative.
    pub fn count(&self, name: &str) -> Option<u64> {
        self.int(name).and_then(|value| u64::try_from(value).ok())
    }

    pub fn truth(&self, name: &str) -> Option<bool> {
        match self.0.get(name)? {
            CqlValue::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            CqlValue::Text(value) | CqlValue::Ascii(value) => Some(value),
            _ => None,
        }
    }

    pub fn blob(&self, name: &str) -> Option<&[u8]> {
        match self.0.get(name)? {
            CqlValue::Blob(value) => Some(value),
            _ => None,
        }
    }

    /// A blob of a fixed length.
    pub fn array<const N: usize>(&self, name: &str) -> Option<[u8; N]> {
        self.blob(name)?.try_into().ok()
    }

    /// A map of texts to counts.
    pub fn counts(&self, name: &str) -> BTreeMap<String, u64> {
        let Some(CqlValue::Map(pairs)) = self.0.get(name) else { return BTreeMap::new() };
        let pair = |(key, value): &(CqlValue, CqlValue)| match (key, value) {
            (CqlValue::Text(key), CqlValue::BigInt(value)) => Some((key.clone(), u64::try_from(*value).ok()?)),
            _ => None,
        };
        pairs.iter().filter_map(pair).collect()
    }

    /// A map of texts to texts.
    pub fn texts(&self, name: &str) -> BTreeMap<String, String> {
        let Some(CqlValue::Map(pairs)) = self.0.get(name) else { return BTreeMap::new() };
        let pair = |(key, value): &(CqlValue, CqlValue)| match (key, value) {
            (CqlValue::Text(key), CqlValue::Text(value)) => Some((key.clone(), value.clone())),
            _ => None,
        };
        pairs.iter().filter_map(pair).collect()
    }

    /// The header that this row is, as far as it is shown; `None` when it is none.
    pub fn header(&self) -> Option<Header> {
        if self.int("seq").is_some_and(|seq| seq != 0) {
            return None;
        }
        let state = match self.int("state").unwrap_or(0) {
            0 => State::Open,
            1 => State::Sealed,
            _ => State::Trimmed,
        };
        Some(Header {
            epoch: self.count("epoch")?,
            head: Mark {
                seq: self.count("head").unwrap_or_default(),
                hash: self.array("head_hash").unwrap_or_default(),
            },
            state,
            next: self.count("next_bucket").unwrap_or_default(),
        })
    }
}

/// What a conditional statement was answered.
pub(super) fn verdict(rows: &[Named]) -> Reply {
    match rows.iter().find_map(|row| row.truth("[applied]")) {
        Some(true) => Reply::Applied,
        Some(false) => Reply::Refused(rows.iter().find_map(Named::header)),
        // Every conditional statement is answered with this column.
        None => Reply::Unknown,
    }
}
