//! The disk as the commit log sees it: real, or simulated with everything a disk may do to us.

pub mod aligned;

pub use aligned::{AlignedBuf, BLOCK, whole_blocks};
