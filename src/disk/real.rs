//! The disk of this machine: `O_DIRECT | O_DSYNC` for segments where the file system can, else `pwrite` and `fdatasync`.

use super::{Access, AlignedBuf, BLOCK, Disk, File, whole_blocks};
use std::ffi::CString;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Zeros written at once when a file is preallocated: large enough to be fast, small enough not to stall the log.
const ZEROS: usize = 256 << 10;

/// The operating system's disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

/// Magic numbers from `statfs(2)`.
fn network_name(magic: u64) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => "SMB",
        0x00c3_6400 => "Ceph",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x0102_1997 => "9P",
        0x7375_7245 => "Coda",
        0x564c => "NCP",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x1983_0326 => "BeeGFS",
        0x0116_1970 => "GFS2",
        0x7461_636f => "OCFS2",
        _ => return None,
    })
}

fn statfs(dir: &Path) -> io::Result<libc::statfs> {
    let path = CString::new(dir.as_os_str().as_bytes())?;
    // SAFETY: all zeros is a valid `statfs`.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `path` ends in zero and `stat` is a valid place, both for as long as the call.
    if unsafe { libc::statfs(path.as_ptr(), &raw mut stat) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(stat)
}

/// Opens a file for reading and writing.
fn writable(create: bool) -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(create).truncate(false);
    options
}

/// Opens with `flags` of direct I/O, or without where the file system does not know them. True: with.
pub(super) fn open_direct(path: &Path, mut how: fs::OpenOptions, flags: i32) -> io::Result<(fs::File, bool)> {
    match how.custom_flags(flags).open(path) {
        Ok(file) => Ok((file, true)),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok((how.custom_flags(0).open(path)?, false)),
        Err(error) => Err(error),
    }
}

impl Disk for RealDisk {
    fn refuse_network(&self, dir: &Path) -> io::Result<()> {
        match network_name(statfs(dir)?.f_type as u64) {
            Some(name) => Err(io::Error::new(
                ErrorKind::Unsupported,
                format!("{name} is a network file system; the log needs a local one"),
            )),
            None => Ok(()),
        }
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(Box::new(RealFile { file, direct: false }))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        let (file, direct) = match access {
            Access::Direct => open_direct(path, writable(false), libc::O_DIRECT | libc::O_DSYNC)?,
            Access::Buffered => (writable(false).open(path)?, false),
        };
        Ok(Box::new(RealFile { file, direct }))
    }

    fn preallocate(&self, path: &Path, len: u64) -> io::Result<()> {
        let (file, _) = open_direct(path, writable(true), libc::O_DIRECT)?;
        if file.metadata()?.len() > len {
            file.set_len(len)?;
        }
        allocate(&file, len)?;
        // Allocated blocks still count as unwritten: real zeros now save a metadata write with every frame later.
        let zeros = AlignedBuf::zeroed(ZEROS);
        let mut offset = 0;
        while offset < len {
            let bytes = zeros.len().min(usize::try_from(len - offset).unwrap_or(usize::MAX));
            file.write_all_at(&zeros[..bytes], offset)?;
            offset += bytes as u64;
        }
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn inode(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.ino())
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        let stat = statfs(dir)?;
        Ok(stat.f_bavail * u64::try_from(stat.f_bsize).unwrap_or(0))
    }
}

/// Reserves the space at once, so that a full disk says so before gigabytes of zeros are written.
fn allocate(file: &fs::File, len: u64) -> io::Result<()> {
    let len = i64::try_from(len).map_err(|_| ErrorKind::InvalidInput)?;
    // SAFETY: a plain system call on a descriptor that is open.
    if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, len) } == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        // The zeros that follow allocate as well.
        error if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS)) => Ok(()),
        error => Err(error),
    }
}

pub(super) struct RealFile {
    pub file: fs::File,
    /// Opened with `O_DIRECT | O_DSYNC`.
    pub direct: bool,
}

impl RealFile {
    /// Direct I/O wants memory on block boundaries; what comes otherwise is copied.
    fn suits(&self, bytes: &[u8]) -> bool {
        !self.direct || (bytes.as_ptr() as usize).is_multiple_of(BLOCK)
    }
}

impl File for RealFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.suits(bytes) {
            return self.file.write_all_at(bytes, offset);
        }
        let mut copy = AlignedBuf::zeroed(bytes.len());
        copy.copy_from_slice(bytes);
        self.file.write_all_at(&copy, offset)
    }

    fn write_synced(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_at(offset, bytes)?;
        if self.direct { Ok(()) } else { self.file.sync_data() }
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        if self.suits(into) {
            return self.file.read_exact_at(into, offset);
        }
        let mut copy = AlignedBuf::zeroed(whole_blocks(into.len()));
        self.file.read_exact_at(&mut copy, offset)?;
        into.copy_from_slice(&copy[..into.len()]);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn inode(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.ino())
    }

    fn try_lock(&self) -> io::Result<bool> {
        // SAFETY: a plain system call on a descriptor that is open.
        if unsafe { libc::flock(self.file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
            return Ok(true);
        }
        match io::Error::last_os_error() {
            error if error.kind() == ErrorKind::WouldBlock => Ok(false),
            error => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail by panicking
    use super::*;

    #[test]
    fn a_preallocated_file_takes_synced_blocks_and_gives_them_back() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk;
        disk.refuse_network(dir.path()).unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, b"what was here before").unwrap();
        disk.preallocate(&path, 3 * BLOCK as u64).unwrap();
        let file = disk.open(&path, Access::Direct).unwrap();
        assert_eq!(file.len().unwrap(), 3 * BLOCK as u64);
        let mut block = vec![1; BLOCK];
        file.read_at(0, &mut block).unwrap();
        assert!(block.iter().all(|&byte| byte == 0));
        file.write_synced(BLOCK as u64, &[7; BLOCK]).unwrap();
        file.read_at(BLOCK as u64, &mut block).unwrap();
        assert_eq!(block, vec![7; BLOCK]);
        let past_the_end = file.read_at(3 * BLOCK as u64, &mut block).map_err(|error| error.kind());
        assert_eq!(past_the_end, Err(ErrorKind::UnexpectedEof));
    }

    #[test]
    fn s08_a_second_opener_does_not_get_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let first = RealDisk.create(&path).unwrap();
        assert!(first.try_lock().unwrap());
        let second = RealDisk.open(&path, Access::Buffered).unwrap();
        assert!(!second.try_lock().unwrap());
        drop(first);
        assert!(second.try_lock().unwrap());
    }

    #[test]
    fn s08_network_file_systems_are_refused() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0xef53), None, "ext4");
    }
}
