//! Server.

pub mod client;
pub mod clock;
pub mod config;
pub mod disk;
pub mod journal;
pub mod store;
