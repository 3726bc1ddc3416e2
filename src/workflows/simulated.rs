//! Outside parties that play along: a payment provider with books of its own, and a warehouse that ships.
//!
//! Both remember what they did in a store of their own, so that they still know after this process was killed: that is
//! what makes them outside parties, and their accounts witnesses. Each deed is with the operating system before anybody
//! hears of it. Neither syncs: they have to outlive a process, not the machine.

mod books;
mod depot;
mod fault;
mod provider;
mod recent;
mod rows;
mod script;
mod warehouse;

pub use books::{Books, Deed, Entry, OrderMoney};
pub use depot::Depot;
pub use fault::{BadFault, Fault, FaultBoard, Faults, Kind, Target};
pub use provider::{Desk, ProviderConfig, Received, SimulatedProvider};
pub use script::TOKENS;
pub use warehouse::{SimulatedWarehouse, WarehouseConfig};

/// Where the provider's books are, in the data directory.
pub const PROVIDER_DIR: &str = "provider";
/// Where the warehouse's account is.
pub const WAREHOUSE_DIR: &str = "warehouse";

/// A number that depends on these alone: chance that repeats with its seed, in whatever order things happen (S14).
fn draw(seed: u64, subject: &str, nth: u32, purpose: u64) -> u64 {
    let hash = xxhash_rust::xxh3::xxh3_64_with_seed(subject.as_bytes(), seed ^ (u64::from(nth) << 32) ^ purpose);
    // One more round: neighbouring seeds are no reason for neighbouring numbers.
    xxhash_rust::xxh3::xxh3_64(&hash.to_le_bytes())
}

#[cfg(test)]
mod tests;
