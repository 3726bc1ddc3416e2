//! The wall clock of a server under the shim: seconds in a shared file, added to what the kernel says.

use std::fs;
use std::path::{Path, PathBuf};

pub struct WallClock(PathBuf);

impl WallClock {
    /// One that is right, kept in this directory.
    pub fn new(dir: &Path) -> std::io::Result<WallClock> {
        let clock = WallClock(dir.join("clock"));
        fs::write(&clock.0, 0_i64.to_ne_bytes())?;
        Ok(clock)
    }

    /// From now on it is wrong by so many seconds, also for a server that runs.
    pub fn set(&self, seconds: i64) {
        // Not truncated on the way: the server has it mapped.
        let file = fs::File::options().write(true).open(&self.0);
        let written = file.and_then(|file| std::os::unix::fs::FileExt::write_all_at(&file, &seconds.to_ne_bytes(), 0));
        written.expect("the clock's file was made by us");
    }

    /// For the server's environment.
    pub fn env(&self) -> (String, String) {
        ("TORTURE_CLOCK".to_owned(), self.0.display().to_string())
    }
}
