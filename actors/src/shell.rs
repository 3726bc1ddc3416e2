//! The actix actors around the aggregates, and how they talk.
//!
//! A *lane* is a thread that hosts shards or asks for things: an HTTP worker, a shard thread, the workflow thread.
//! Each shard lives on one lane, and its [`directory`] starts, addresses and passivates the actors of its warm
//! entities. Commands leave a lane in batches, once per poll round; replies come back the same way. A reply says on
//! which log position it rests, and the lane that asked holds it back until that position is committed: there is no
//! other place where an effect could leave too early.

mod address;
mod cart;
mod directory;
pub mod durations;
mod entity;
pub mod fabric;
mod harbour;
pub mod lane;
pub mod loader;
pub mod message;
mod order;
pub mod pieces;
mod post;
mod releasing;
mod shop;
mod sku;
mod slots;
mod sold_out;
pub mod stats;
mod sync;
mod timers;
mod unread;
mod vital;

pub use fabric::{Clock, Fabric, LaneId, Permit, Settings, Shard};
pub use lane::{Ask, Lane};
pub use loader::{Loaded, Loader};
pub use message::{Done, Failure, Question, View};
