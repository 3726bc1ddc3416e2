//! Keeps requests away from what keeps failing. It opens by what requests see, and is closed by whoever tends the
//! connection, after probes of its own: no request is spent on finding out.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

/// So many failures one after the other open it at once.
const IN_A_ROW: u32 = 5;
/// So few in one look may be chance.
const FEW: u32 = 5;

/// Where a circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Requests go through.
    Closed,
    /// None does.
    Open,
    /// None does; probes are on their way.
    HalfOpen,
}

impl State {
    /// All of them.
    pub const ALL: [State; 3] = [State::Closed, State::Open, State::HalfOpen];

    /// The label value.
    #[must_use]
    pub fn word(self) -> &'static str {
        ["closed", "open", "half_open"][self as usize]
    }
}

/// The circuit. Begins open.
#[derive(Debug)]
pub struct Circuit {
    state: AtomicU8,
    in_a_row: AtomicU32,
    done: AtomicU32,
    failed: AtomicU32,
}

impl Default for Circuit {
    fn default() -> Circuit {
        Circuit {
            state: AtomicU8::new(State::Open as u8),
            in_a_row: AtomicU32::new(0),
            done: AtomicU32::new(0),
            failed: AtomicU32::new(0),
        }
    }
}

impl Circuit {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        State::ALL[usize::from(self.state.load(Relaxed)) % State::ALL.len()]
    }

    /// Changes where it stands; counts begin afresh.
    pub fn set(&self, state: State) {
        self.in_a_row.store(0, Relaxed);
        self.done.store(0, Relaxed);
        self.failed.store(0, Relaxed);
        self.state.store(state as u8, Relaxed);
    }

    /// Something went through.
    pub fn done(&self) {
        self.done.fetch_add(1, Relaxed);
        if self.in_a_row.load(Relaxed) != 0 {
            self.in_a_row.store(0, Relaxed);
        }
    }

    /// Something failed. Is it one too many?
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failed.fetch_add(1, Relaxed);
        self.in_a_row.fetch_add(1, Relaxed) + 1 >= IN_A_ROW
    }

    /// Looks at what happened since the last look: did half of it, and more than chance, fail?
    #[must_use]
    pub fn half_failed(&self) -> bool {
        let (done, failed) = (self.done.swap(0, Relaxed), self.failed.swap(0, Relaxed));
        failed > FEW && failed >= done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_it_and_single_ones_do_not() {
        let circuit = Circuit::default();
        assert_eq!(circuit.state(), State::Open, "until the connection is there");
        circuit.set(State::Closed);
        for _ in 0..100 {
            assert!(!(0..IN_A_ROW - 1).any(|_| circuit.failed()));
            circuit.done();
        }
        assert!((0..IN_A_ROW).any(|_| circuit.failed()));
    }

    #[test]
    fn half_of_many_failing_opens_it_too() {
        let circuit = Circuit::default();
        circuit.set(State::Closed);
        for _ in 0..FEW {
            let _ = circuit.failed();
        }
        assert!(!circuit.half_failed(), "a few may be chance");
        for _ in 0..20 {
            let _ = circuit.failed();
            circuit.done();
        }
        assert!(circuit.half_failed());
        assert!(!circuit.half_failed(), "each is counted in one look");
    }
}
