//! Bytes of events and snapshots: protocol-buffer messages, so that fields can be added.
//!
//! Each aggregate encodes its own events and state (`sku/codec.rs`, `cart/codec.rs`, `order/codec.rs`); what they
//! share is in [`wire`]. The rules that keep old logs readable: a tag is never used for something else, a field is
//! never taken away, and a new field's default means what its absence meant. `tests/golden` holds one file for every
//! kind of event ever written.

pub mod wire;

/// Why bytes are no event, record or snapshot. In a frame whose checksum is right, this is a bug or a newer version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a protocol-buffer message of this kind.
    #[error("not a message: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// A field that every version writes is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field holds what no version writes.
    #[error("{0} is out of range")]
    Invalid(&'static str),
    /// An event that a newer version has added.
    #[error("an unknown kind of {0} event: written by a newer version?")]
    UnknownEvent(&'static str),
}
