//! Where the code has been. `dev/fuzz` compiles our own crates with counters (`-C instrument-coverage`, which stable Rust
//! has) and says so by `--cfg counted`; without, nothing is known, and changes are random only.

/// Which counters have been seen at which height: a bit for 1, 2, 3, 4 to 7, 8 to 15, 16 to 31, 32 to 127, more.
#[derive(Default)]
pub struct Seen(Vec<u8>);

#[cfg(counted)]
mod region {
    unsafe extern "C" {
        /// The first counter; from the compiler's runtime.
        fn __llvm_profile_begin_counters() -> *mut u64;
        /// Behind the last one.
        fn __llvm_profile_end_counters() -> *mut u64;
    }

    /// All counters of this program.
    pub fn counters() -> &'static mut [u64] {
        // SAFETY: the runtime's own bounds of its section. One thread runs at a time (`engine::ALONE`), and a count that
        // is lost by a race would only be a lost hint.
        unsafe {
            let (begin, end) = (__llvm_profile_begin_counters(), __llvm_profile_end_counters());
            std::slice::from_raw_parts_mut(begin, end.offset_from(begin) as usize)
        }
    }
}

#[cfg(not(counted))]
mod region {
    /// None.
    pub fn counters() -> &'static mut [u64] {
        &mut []
    }
}

/// Is anything counted?
pub fn are_there() -> bool {
    !region::counters().is_empty()
}

/// Begins to count anew.
pub fn clear() {
    region::counters().fill(0);
}

impl Seen {
    /// Did the code get anywhere new since [`clear`]? Remembers it.
    pub fn is_new(&mut self) -> bool {
        let counters = region::counters();
        self.0.resize(counters.len(), 0);
        let mut new = false;
        for (seen, &count) in self.0.iter_mut().zip(counters.iter()).filter(|(_, count)| **count > 0) {
            let height = match count {
                1..=3 => count as u32 - 1,
                4..=7 => 3,
                8..=15 => 4,
                16..=31 => 5,
                32..=127 => 6,
                _ => 7,
            };
            new |= *seen & (1 << height) == 0;
            *seen |= 1 << height;
        }
        new
    }

    /// Places that the code has been to.
    pub fn places(&self) -> usize {
        self.0.iter().filter(|seen| **seen > 0).count()
    }
}
