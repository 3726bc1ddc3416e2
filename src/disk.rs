//! The disk as the commit log sees it: real, or simulated with everything that a disk may do to us.

use std::io;
use std::path::Path;
use std::sync::Arc;

pub mod aligned;
pub mod probe;
pub mod reading;
pub mod real;
pub mod sim;

pub use aligned::{AlignedBuf, BLOCK, whole_blocks};
pub use probe::SyncTimes;
pub use reading::ReadingDisk;
pub use real::RealDisk;
pub use sim::SimDisk;

/// A disk, shared by all that use it.
pub type SharedDisk = Arc<dyn Disk>;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Past the page cache where the file system can: offsets and lengths are whole blocks. For segments.
    Direct,
    /// Through the page cache.
    Buffered,
}

/// Files and directories. What was not synced may be lost, torn or reordered by a crash: bytes until [`File::sync`],
/// names until [`Disk::sync_dir`].
///
/// # Errors
/// Every method passes on what the operating system says.
#[allow(clippy::missing_errors_doc)] // said once, above
pub trait Disk: Send + Sync {
    /// Refuses file systems whose locks and syncs promise too little: those of a network (S8). `dir` exists.
    fn refuse_network(&self, dir: &Path) -> io::Result<()>;
    /// Makes a directory and those above it, if they are not there.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes an empty file; `AlreadyExists` when there is one.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Opens a file that is there, for reading and writing.
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>>;
    /// Makes the file `len` zero bytes long, allocated and synced, whatever it was before. Its name is not synced.
    fn preallocate(&self, path: &Path, len: u64) -> io::Result<()>;
    /// Gives a file another name in the same directory; a file of that name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Which file has this name now: its inode number.
    fn inode(&self, path: &Path) -> io::Result<u64>;
    /// Bytes left for us on the file system of `dir`.
    fn free_space(&self, dir: &Path) -> io::Result<u64>;
}

/// An open file.
///
/// # Errors
/// Every method passes on what the operating system says.
#[allow(clippy::missing_errors_doc)] // said once, above
pub trait File: Send + Sync {
    /// Writes all of `bytes`. Not durable before [`File::sync`].
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Writes all of `bytes` and returns once they are durable. The file must not grow by it.
    fn write_synced(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Fills `into`; `UnexpectedEof` when the file ends before.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
    /// Makes bytes and length durable.
    fn sync(&self) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Which file this is, whatever its name is now.
    fn inode(&self) -> io::Result<u64>;
    /// Locks the file against other processes until it is closed. `false`: somebody has it.
    fn try_lock(&self) -> io::Result<bool>;

    /// Has it no bytes?
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}
