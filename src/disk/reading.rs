//! The disk of this machine for those who only look: whatever would change something is refused.

use super::real::{RealFile, open_direct};
use super::{Access, Disk, File, RealDisk};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Opens files for reading, also those that somebody else is writing, and on a file system that is mounted read-only.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadingDisk;

fn refused<T>() -> io::Result<T> {
    Err(io::Error::new(ErrorKind::PermissionDenied, "nothing is changed here"))
}

impl Disk for ReadingDisk {
    fn refuse_network(&self, dir: &Path) -> io::Result<()> {
        RealDisk.refuse_network(dir)
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn create(&self, _: &Path) -> io::Result<Box<dyn File>> {
        refused()
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        let mut reading = fs::OpenOptions::new();
        reading.read(true);
        let (file, direct) = match access {
            Access::Direct => open_direct(path, reading, libc::O_DIRECT)?,
            Access::Buffered => (reading.open(path)?, false),
        };
        Ok(Box::new(RealFile { file, direct }))
    }

    fn preallocate(&self, _: &Path, _: u64) -> io::Result<()> {
        refused()
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn inode(&self, path: &Path) -> io::Result<u64> {
        RealDisk.inode(path)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        RealDisk.free_space(dir)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail by panicking
    use super::*;

    #[test]
    fn a_file_is_read_and_nothing_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, [7; 4_096]).unwrap();
        for access in [Access::Direct, Access::Buffered] {
            let file = ReadingDisk.open(&path, access).unwrap();
            let mut block = [0; 4_096];
            file.read_at(0, &mut block).unwrap();
            assert_eq!(block, [7; 4_096]);
            assert!(file.write_at(0, &block).is_err());
        }
        assert!(ReadingDisk.remove(&path).is_err() && ReadingDisk.rename(&path, &dir.path().join("b")).is_err());
        assert!(ReadingDisk.create(&dir.path().join("b")).is_err());
        assert_eq!(fs::read(&path).unwrap(), [7; 4_096]);
    }
}
