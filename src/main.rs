//! The program `stampede`. Everything it does is in [`stampede::cli`].

use std::ffi::{c_int, c_long};

/// Requests are allocated on one thread and freed on another, which is where mimalloc saves most.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay`, the same number in all versions of mimalloc.
const PURGE_DELAY: c_int = 15;

/// Memory that nobody has used for this long goes back to the system; ten times as long where it lies in large pieces.
/// The store's writes come in waves, and under mimalloc's own second each wave paid for its pages anew: see
/// docs/performance. Unit: milliseconds. Environment: MIMALLOC_PURGE_DELAY.
const KEEP_MEMORY: c_long = 60_000;

unsafe extern "C" {
    /// Sets an option of mimalloc that the environment does not set.
    fn mi_option_set_default(option: c_int, value: c_long);
}

fn main() -> std::process::ExitCode {
    // SAFETY: a number in a table of the allocator; no other thread runs yet.
    unsafe { mi_option_set_default(PURGE_DELAY, KEEP_MEMORY) };
    stampede::cli::run(std::env::args_os()).into()
}
