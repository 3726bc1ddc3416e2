//! Memory that `O_DIRECT` can read into and write from.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Alignment of direct reads and writes, and the unit of the log's layout: offsets, lengths and memory, in bytes.
pub const BLOCK: usize = 4096;

/// `bytes` rounded up to whole blocks.
#[must_use]
pub const fn whole_blocks(bytes: usize) -> usize {
    bytes.div_ceil(BLOCK) * BLOCK
}

/// A growing buffer that begins on a block boundary and is a whole number of blocks in size.
pub struct AlignedBuf {
    start: NonNull<u8>,
    capacity: usize,
    len: usize,
}

// SAFETY: the buffer owns its memory, like a `Vec<u8>`.
unsafe impl Send for AlignedBuf {}
// SAFETY: shared references only read.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// Empty, with room for `bytes`.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> AlignedBuf {
        let capacity = whole_blocks(bytes.max(1));
        let layout = layout(capacity);
        // SAFETY: the layout has a size of at least one block.
        let start = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        AlignedBuf { start, capacity, len: 0 }
    }

    /// `len` zero bytes.
    #[must_use]
    pub fn zeroed(len: usize) -> AlignedBuf {
        let mut buf = AlignedBuf::with_capacity(len);
        buf.resize(len);
        buf
    }

    /// Bytes there is room for without moving.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Adds `bytes` at the end.
    pub fn extend(&mut self, bytes: &[u8]) {
        let start = self.len;
        self.resize(start + bytes.len());
        self[start..].copy_from_slice(bytes);
    }

    /// Makes it `len` long. Bytes that come in are zero.
    pub fn resize(&mut self, len: usize) {
        if len > self.capacity {
            let mut larger = AlignedBuf::with_capacity(len.max(self.capacity * 2));
            // SAFETY: two allocations, both at least `self.len` long.
            unsafe { larger.start.copy_from_nonoverlapping(self.start, self.len) };
            larger.len = self.len;
            *self = larger;
        }
        if len > self.len {
            // SAFETY: from the length to at most the capacity.
            unsafe { self.start.add(self.len).write_bytes(0, len - self.len) };
        }
        self.len = len;
    }
}

fn layout(capacity: usize) -> Layout {
    Layout::from_size_align(capacity, BLOCK).expect("a capacity of whole blocks below half of the address space")
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        // SAFETY: allocated with the same layout, and nobody else has it.
        unsafe { dealloc(self.start.as_ptr(), layout(self.capacity)) }
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` never passes `capacity`, and everything up to it was written.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` is the only access.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl std::fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlignedBuf").field("len", &self.len).field("capacity", &self.capacity).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_keeps_its_bytes_and_stays_aligned() {
        let mut buf = AlignedBuf::with_capacity(10);
        buf.extend(&[7; BLOCK]);
        buf.extend(&[8; 10]);
        assert_eq!(buf.len(), BLOCK + 10);
        assert_eq!(buf[BLOCK - 1..BLOCK + 1], [7, 8]);
        assert_eq!(buf.as_ptr() as usize % BLOCK, 0);
        buf.resize(5);
        buf.resize(BLOCK);
        assert_eq!(buf[4..7], [7, 0, 0], "bytes that come in are zero");
    }
}
