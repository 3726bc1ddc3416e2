//! The domain of Stampede, and the actix actors around it.
//!
//! `sku`, `cart`, `order`, `shop` and `money` are pure: no clock, no random number, no I/O, no async.
//! `shell` holds the actors; `journal` is the port that they hand their events to.

pub mod cart;
pub mod codec;
pub mod ids;
pub mod journal;
pub mod money;
pub mod mutant;
pub mod order;
pub mod record;
pub mod shell;
pub mod shop;
pub mod sku;
pub mod time;
pub mod trace;
