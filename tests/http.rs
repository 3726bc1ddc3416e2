//! The API from outside: one real server per test, on free ports and a fresh directory, and a client that sends exactly
//! the bytes it is told to.

#![allow(clippy::unwrap_used)] // a failed step fails the test

#[path = "http/bad_input.rs"]
mod bad_input;
#[path = "http/carts.rs"]
mod carts;
#[path = "http/client.rs"]
mod client;
#[path = "support/collector.rs"]
mod collector;
#[path = "http/disk_full.rs"]
mod disk_full;
#[path = "http/drain.rs"]
mod drain;
#[path = "http/idempotency.rs"]
mod idempotency;
#[path = "http/logs.rs"]
mod logs;
#[path = "http/operations.rs"]
mod operations;
#[path = "http/ops.rs"]
mod ops;
#[path = "http/orders.rs"]
mod orders;
#[path = "http/sale.rs"]
mod sale;
#[path = "http/server.rs"]
mod server;
#[path = "http/stock.rs"]
mod stock;
#[path = "http/stream.rs"]
mod stream;
#[path = "http/traces.rs"]
mod traces;
