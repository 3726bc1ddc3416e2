//! The actix actors around the aggregates.
