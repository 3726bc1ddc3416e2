//! Safety checks that can be switched off, one at a time, to see whether the tests notice (`dev/mutate`). Only in builds
//! with the feature `mutants`, of which no release is one: in all others each question here is the constant `false`.

/// A check that somebody must miss when it is gone. `MUTANT` names the one that is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// A frame is on disk before it counts as committed (S1).
    Sync,
    /// A frame of an earlier epoch does not follow one of a later (S3).
    EpochCheck,
    /// The bytes of a frame are those that were written (S2).
    ChecksumCheck,
    /// Frames follow each other without a gap (S2).
    SequenceCheck,
    /// A frame names the hash of the one before (S2).
    ChainCheck,
    /// An operation that is repeated happens once (S17).
    RepeatLookUp,
    /// An order whose key is known is read back, not begun anew (S15).
    OrderLookUp,
    /// Money is taken for units that are firm (S19).
    AllocateBeforeCapture,
    /// An answer leaves when what it rests on is committed (S10).
    CommitBeforeReply,
    /// An entity's events follow each other without a gap (S4).
    VersionCheck,
    /// The key is looked up before "sold out" is said from a flag (S16).
    KeyBeforeFlag,
    /// The store has what the log says, or it is made afresh (S4).
    StartLooksUp,
    /// A checkpoint is of a store that is durable (S4).
    StoreSync,
    /// All claims of a SKU are read back, or none is believed (S4).
    ClaimsSeal,
    /// A statement that a later owner has refused is not done (S24).
    CqlFence,
    /// A statement of unknown outcome is sent again until it is known (S23).
    CqlUnknown,
    /// An epoch is a process's own only when the owner's row says so (S24).
    CqlEpoch,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 17] = [
        Mutant::Sync,
        Mutant::EpochCheck,
        Mutant::ChecksumCheck,
        Mutant::SequenceCheck,
        Mutant::ChainCheck,
        Mutant::RepeatLookUp,
        Mutant::OrderLookUp,
        Mutant::AllocateBeforeCapture,
        Mutant::CommitBeforeReply,
        Mutant::VersionCheck,
        Mutant::KeyBeforeFlag,
        Mutant::StartLooksUp,
        Mutant::StoreSync,
        Mutant::ClaimsSeal,
        Mutant::CqlFence,
        Mutant::CqlUnknown,
        Mutant::CqlEpoch,
    ];

    /// Is this check switched off?
    #[cfg(not(feature = "mutants"))]
    #[inline(always)]
    #[must_use]
    pub fn is_off(self) -> bool {
        false
    }

    /// Is this check switched off?
    ///
    /// # Panics
    /// When the environment names a check that there is not: an audit of nothing would be green.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn is_off(self) -> bool {
        static CHOSEN: std::sync::LazyLock<Option<Mutant>> = std::sync::LazyLock::new(|| {
            let name = std::env::var("MUTANT").ok()?;
            let known = |mutant: &Mutant| format!("{mutant:?}") == name;
            Some(Mutant::ALL.into_iter().find(known).unwrap_or_else(|| panic!("there is no mutant {name}")))
        });
        *CHOSEN == Some(self)
    }
}
