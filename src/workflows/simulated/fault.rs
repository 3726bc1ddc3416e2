//! Faults on demand: `payment=timeout:30%`.

use parking_lot::Mutex;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Who misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The payment provider.
    Payment,
    /// The warehouse.
    Warehouse,
}

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It does not answer in time; half of the time it did what it was asked.
    Timeout,
    /// It does not answer, and did nothing.
    Lost,
    /// It does what it is asked, and says so after the caller has given up.
    Late,
    /// It says no.
    Decline,
    /// It answers that it cannot say, and did nothing.
    Error,
    /// It says everything twice more, unasked.
    Duplicate,
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Who.
    pub target: Target,
    /// How.
    pub kind: Kind,
    /// How often, of a million calls.
    pub per_million: u32,
}

/// The text is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a fault such as payment=timeout:30%: payment or warehouse, then timeout, lost, late, decline, error or \
     duplicate, then 0% to 100%"
)]
pub struct BadFault;

impl FromStr for Fault {
    type Err = BadFault;

    fn from_str(text: &str) -> Result<Fault, BadFault> {
        let (target, rest) = text.split_once('=').ok_or(BadFault)?;
        let (kind, share) = rest.split_once(':').ok_or(BadFault)?;
        let target = match target {
            "payment" => Target::Payment,
            "warehouse" => Target::Warehouse,
            _ => return Err(BadFault),
        };
        let kind = match kind {
            "timeout" => Kind::Timeout,
            "lost" => Kind::Lost,
            "late" => Kind::Late,
            "decline" => Kind::Decline,
            "error" => Kind::Error,
            "duplicate" => Kind::Duplicate,
            _ => return Err(BadFault),
        };
        let percent: f64 = share.strip_suffix('%').and_then(|share| share.parse().ok()).ok_or(BadFault)?;
        if !(0.0..=100.0).contains(&percent) {
            return Err(BadFault);
        }
        Ok(Fault { target, kind, per_million: (percent * 10_000.0).round() as u32 })
    }
}

/// As it is read.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = match self.target {
            Target::Payment => "payment",
            Target::Warehouse => "warehouse",
        };
        let kind = match self.kind {
            Kind::Timeout => "timeout",
            Kind::Lost => "lost",
            Kind::Late => "late",
            Kind::Decline => "decline",
            Kind::Error => "error",
            Kind::Duplicate => "duplicate",
        };
        write!(f, "{target}={kind}:{}%", f64::from(self.per_million) / 10_000.0)
    }
}

/// Faults that come up independently for each call; of several at once, the first counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

/// Faults that can be exchanged while whoever misbehaves is at work.
#[derive(Debug, Clone, Default)]
pub struct FaultBoard(Arc<Mutex<Faults>>);

impl FaultBoard {
    /// With these to begin with.
    #[must_use]
    pub fn new(faults: Faults) -> FaultBoard {
        FaultBoard(Arc::new(Mutex::new(faults)))
    }

    /// Those that hold now.
    #[must_use]
    pub fn now(&self) -> Faults {
        self.0.lock().clone()
    }

    /// From the next call on these hold, and no others.
    pub fn set(&self, faults: Faults) {
        *self.0.lock() = faults;
    }

    pub(super) fn strike(&self, target: Target, seed: u64, subject: &str, nth: u32) -> Option<Kind> {
        self.0.lock().strike(target, seed, subject, nth)
    }
}

impl From<Faults> for FaultBoard {
    fn from(faults: Faults) -> FaultBoard {
        FaultBoard::new(faults)
    }
}

impl PartialEq for FaultBoard {
    fn eq(&self, other: &FaultBoard) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.now() == other.now()
    }
}

impl Eq for FaultBoard {}

impl Faults {
    /// What goes wrong with the `nth` call of `subject`. The same for the same seed.
    fn strike(&self, target: Target, seed: u64, subject: &str, nth: u32) -> Option<Kind> {
        let of_target = self.0.iter().zip(0..).filter(|(fault, _)| fault.target == target);
        let mut struck = of_target.filter(|(fault, index)| {
            super::draw(seed, subject, nth, 0x00fa_0000 | *index) % 1_000_000 < u64::from(fault.per_million)
        });
        struck.next().map(|(fault, _)| fault.kind)
    }
}
