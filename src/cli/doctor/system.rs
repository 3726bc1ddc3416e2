//! Questions that only the operating system can answer.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// Files and sockets that this process may have open: soft and hard limit.
///
/// # Errors
/// When the system does not say.
pub fn file_limit() -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for one rlimit, and the call keeps no reference to it.
    let done = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if done == 0 { Ok((limit.rlim_cur, limit.rlim_max)) } else { Err(io::Error::last_os_error()) }
}

/// Raises the soft limit of open files to the hard one: connections are files.
///
/// # Errors
/// When the system refuses.
pub fn raise_file_limit() -> io::Result<u64> {
    let (soft, hard) = file_limit()?;
    let limit = libc::rlimit { rlim_cur: hard, rlim_max: hard };
    // SAFETY: `limit` is a valid rlimit, and the call only reads it.
    if soft < hard && unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(hard)
}

/// Time since boot, suspend included.
///
/// # Errors
/// When there is no such clock.
pub fn boottime() -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for one timespec, and the call keeps no reference to it.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0)))
}

/// A file system: what kind, and how many bytes of it are free for us.
#[derive(Debug, Clone, Copy)]
pub struct FileSystem {
    /// `f_type`.
    pub magic: u32,
    /// Bytes.
    pub free: u64,
}

/// The file system that a directory is on.
///
/// # Errors
/// When there is no such directory.
pub fn file_system(dir: &Path) -> io::Result<FileSystem> {
    let path = CString::new(dir.as_os_str().as_bytes())?;
    // SAFETY: all-zero is a valid statfs.
    let mut status: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `path` ends with a zero byte, `status` is a valid place for one statfs, and neither is kept.
    if unsafe { libc::statfs(path.as_ptr(), &raw mut status) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // The width and sign of these fields differ between C libraries.
    #[allow(clippy::unnecessary_cast, reason = "needed on other targets")]
    let (magic, free) = (status.f_type as u32, status.f_bavail as u64 * status.f_bsize.unsigned_abs() as u64);
    Ok(FileSystem { magic, free })
}

/// Memory that could still be used, in bytes: of the machine, or of our control group where that is less.
#[must_use]
pub fn memory_available() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let machine = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024);
    Some(cgroup_available().map_or(machine, |group| group.min(machine)))
}

fn cgroup_available() -> Option<u64> {
    let number =
        |file: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{file}")).ok()?.trim().parse::<u64>().ok();
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}
