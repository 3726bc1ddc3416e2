//! What must always hold, evaluated while the engine runs (`GET /v1/audit`) and offline over the log (`stampede verify`).
//!
//! [`invariants`] says what must hold; [`summary`] counts; [`ledger`] is a second set of books, kept from the events
//! alone and knowing nothing of the aggregates' own state, so that a mistake in an aggregate does not hide itself.

pub mod counting;
pub mod invariants;
pub mod ledger;
pub mod offline;
pub mod summary;

pub use counting::Share;
pub use invariants::{Invariant, Violation};
pub use ledger::Ledger;
pub use offline::{Finding, Report, verify};
pub use summary::{AuditSummary, Looks, Pair, Totals};
