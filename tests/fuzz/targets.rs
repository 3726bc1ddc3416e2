//! What is fuzzed, and what must hold of every input.

pub mod events;
pub mod export;
pub mod frames;
pub mod requests;
pub mod stock;
