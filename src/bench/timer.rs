//! A timer that is exact to microseconds: the runtime's own counts in milliseconds, in which a dozen arrivals would come
//! at once.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A timer of the kernel.
#[derive(Debug)]
pub struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    /// One that is not set.
    ///
    /// # Errors
    /// When the kernel has none.
    pub fn new() -> io::Result<Timer> {
        // SAFETY: the call has no preconditions.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a descriptor that was just made, and that nobody else has.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: it is open for as long as its owner, which the `AsyncFd` becomes, and its number never changes.
        let timer = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        Ok(Timer(timer.map_err(io::Error::from)?))
    }

    /// Comes back at `moment`, or at once when it is past.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn sleep_until(&self, moment: Instant) -> io::Result<()> {
        let wait = moment.saturating_duration_since(Instant::now());
        if wait < Duration::from_micros(1) {
            return Ok(());
        }
        let value = libc::timespec {
            tv_sec: libc::time_t::try_from(wait.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        };
        let once = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // SAFETY: an open timer and a valid specification; the old one is not asked for.
        if unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &raw const once, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        loop {
            let mut ready = self.0.readable().await?;
            let read = ready.try_io(|fd| {
                let mut times = 0_u64;
                // SAFETY: eight bytes, which is what a timer gives.
                match unsafe { libc::read(fd.as_raw_fd(), (&raw mut times).cast(), 8) } {
                    8 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                }
            });
            if let Ok(read) = read {
                return read;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a panic is how a test fails

    use super::*;

    #[test]
    fn it_is_never_early_and_can_be_set_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let timer = Timer::new().unwrap();
            for micros in [0, 50, 300, 5_000] {
                let moment = Instant::now() + Duration::from_micros(micros);
                timer.sleep_until(moment).await.unwrap();
                assert!(Instant::now() >= moment);
            }
        });
    }
}
