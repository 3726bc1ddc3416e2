//! Bytes of an order's events and of its snapshot.

mod event;
mod parts;
mod snapshot;
mod tables;

pub use event::{decode_event, encode_event};
pub use snapshot::{decode_state, encode_state};
