//! Stock of one SKU: the units at each location, and the holds and allocations that claim some of them.
//! Pure: time and ids come in as arguments, so replaying the log rebuilds exactly this state.
//! Invariant: per location, held + allocated never exceed on-hand.
//!
//! `state` is what there is and `apply` how events change it; `decide` answers commands, with `holding` and
//! `allocating` for the two halves of a claim's life; `sourcing` chooses locations; `view` is what others may see, and
//! `movement` the ledger.
//!
//! **What is remembered, and where (S17).** A command may be repeated after its entity moved on, so the ids of
//! operations and of ended holds outlive them by [`Terms::remember`]. Every one goes to the store's `remembered` table
//! ([`Sku::remembers`] says which, before the event is applied); the newest [`memory::CAPACITY`] stay in memory too.
//! Before a command is decided, the shell asks [`Sku::unsure_of`]. Nearly always the answer is `None`: memory knows.
//! Otherwise it is the key to look up among those that the store has not read yet, and in the store; what was found goes
//! to [`Sku::decide`] as `known`.

mod allocating;
mod apply;
pub mod codec;
mod command;
mod deadlines;
mod decide;
mod holding;
mod memory;
mod movement;
mod roll;
mod sourcing;
mod state;
mod view;

pub use command::{Command, End, Event, Listing, Part, Reason, Refusal};
pub use memory::{CAPACITY as REMEMBERED_IN_MEMORY, Closed, Remembered, RememberedKey, What};
pub use movement::{Delta, Movement, MovementReason, MovementReference};
pub use sourcing::{ByPriority, Sourcing};
pub use state::{LocationStock, Sku, Totals};
pub use view::{Availability, HoldView};

use crate::time::Span;
use std::sync::Arc;

/// A count of units of one SKU.
pub type Units = u32;

/// Largest count in any one command, and largest stock over all locations.
pub const MAX_UNITS: Units = 1_000_000_000;

/// Most locations of one SKU.
pub const MAX_LOCATIONS: usize = 256;

/// Most holds and allocations at a time. Each takes some 400 bytes of memory, so a SKU takes 400 MB at the very most.
pub const MAX_CLAIMS: usize = 1_000_000;

/// Most buyers counted at a time, with a claim or with shipped units under a limit. Each takes some 80 bytes.
pub const MAX_BUYERS: usize = 1_000_000;

/// Most holds that one command expires; when more are overdue, [`Sku::deadline`] goes on to say so.
pub const EXPIRIES_AT_ONCE: usize = 64;

/// Priority of a location that nobody has set one for.
pub const DEFAULT_PRIORITY: u32 = 100;

/// A hold of an order that is still being placed makes a refusal `contended` for so long (S21).
pub const CONTENTION: Span = Span::seconds(1);

/// How stock is handled. From configuration, passed in with each command.
#[derive(Debug, Clone)]
pub struct Terms {
    /// A hold ends this long after its creation, however often it is extended.
    pub max_hold: Span,
    /// How long ids of operations and of ended holds are remembered.
    pub remember: Span,
    /// Which locations serve a hold.
    pub sourcing: Arc<dyn Sourcing>,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms { max_hold: Span::minutes(30), remember: Span::hours(24), sourcing: Arc::new(ByPriority) }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
