//! The server: configuration, command line, HTTP, log, store, feed and workflows around the domain in `actors/`.

pub mod backup;
pub mod bench;
pub mod broker;
pub mod cache;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod cql;
pub mod demo;
pub mod disk;
pub mod engine;
pub mod export;
pub mod feed;
pub mod http;
pub mod import;
pub mod journal;
pub mod keys;
pub mod limits;
pub mod load;
pub mod metrics;
pub mod store;
pub mod verify;
pub mod worker;
pub mod workflows;
