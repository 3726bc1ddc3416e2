//! The shop as a whole: whether it sells at all, and what its operators did, newest last. One per log.
//! Pure: time and ids come in as arguments, so replaying the log rebuilds exactly this state.

pub mod codec;

use crate::ids::{OpId, Reference};
use crate::time::{Moment, Span, Timestamp};
use compact_str::CompactString;
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

/// Actions that are kept at hand. The log has them all.
pub const MAX_ACTIONS: usize = 256;

/// Actions whose ids are remembered, so that a repeat is one; and for how long at least, when there are no more of them.
pub const MAX_KNOWN: usize = 4_096;
const REMEMBER: Span = Span::hours(24);

/// What an operator did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// The whole shop takes no new claims.
    PauseShop,
    /// It sells again.
    ResumeShop,
    /// One SKU takes no new claims.
    PauseSku,
    /// It sells again.
    ResumeSku,
    /// A server takes no new purchases.
    DrainNode,
    /// It does again.
    UndrainNode,
    /// A simulated outside party, or the log, does things wrong or slowly from now on.
    InjectFault,
    /// An order's open steps were asked for again.
    ReplayOutbox,
    /// A hold was given back.
    ReleaseHold,
}

impl What {
    /// All of them. Their place here is their number in the log: add at the end.
    pub const ALL: [What; 9] = [
        What::PauseShop,
        What::ResumeShop,
        What::PauseSku,
        What::ResumeSku,
        What::DrainNode,
        What::UndrainNode,
        What::InjectFault,
        What::ReplayOutbox,
        What::ReleaseHold,
    ];

    /// Stable name, in API and logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            What::PauseShop => "pause_shop",
            What::ResumeShop => "resume_shop",
            What::PauseSku => "pause_sku",
            What::ResumeSku => "resume_sku",
            What::DrainNode => "drain_node",
            What::UndrainNode => "undrain_node",
            What::InjectFault => "inject_fault",
            What::ReplayOutbox => "replay_outbox",
            What::ReleaseHold => "release_hold",
        }
    }
}

/// A line of somebody's own words: why, or to what. No personal data.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Words(CompactString);

/// Why a text is no [`Words`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {} bytes of text on one line", Words::MAX)]
pub struct BadWords;

impl Words {
    /// Longest allowed, in bytes.
    pub const MAX: usize = 200;

    /// Checks length and characters.
    ///
    /// # Errors
    /// [`BadWords`] when empty or blank, too long, or with control characters.
    pub fn new(text: &str) -> Result<Words, BadWords> {
        let fits = text.len() <= Words::MAX && !text.trim().is_empty() && !text.chars().any(char::is_control);
        if fits { Ok(Words(CompactString::new(text))) } else { Err(BadWords) }
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Words {
    type Err = BadWords;

    fn from_str(text: &str) -> Result<Words, BadWords> {
        Words::new(text)
    }
}

impl serde::Serialize for Words {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Words {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Words, D::Error> {
        let text = CompactString::deserialize(d)?;
        Words::new(&text).map_err(serde::de::Error::custom)
    }
}

/// Something that an operator does, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// By which a repeat is recognised.
    pub id: OpId,
    /// Of the request's content.
    pub fingerprint: u64,
    /// Who: the name of an API key.
    pub by: Reference,
    /// What.
    pub what: What,
    /// To what: a SKU, a hold, an order, a server; nothing when it is the shop.
    pub subject: Option<Words>,
    /// Why.
    pub reason: Words,
}

/// What a caller asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Does it, or notes that it is being done.
    Act(Deed),
}

/// What happened. Stored for good: add variants, never change one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody did this.
    Acted(Action),
}

/// A deed and when it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What was done.
    pub deed: Deed,
    /// When.
    pub at: Timestamp,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The id stands for something else.
    #[error("this id was used for something else")]
    Reused,
}

impl Refusal {
    /// Stable name: the HTTP `code`, the metric label and the log field are this one word.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Refusal::Reused => "reused",
        }
    }
}

/// What follows from the events so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shop {
    /// Since when it takes no new claims.
    paused_at: Option<Timestamp>,
    actions: VecDeque<Action>,
    /// The ids of these and of earlier ones, oldest first.
    known: VecDeque<Known>,
}

/// An action that a repeat is recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    id: OpId,
    fingerprint: u64,
    at: Timestamp,
}

impl Shop {
    /// Says what `command` would change; `None` when it already happened, with the same content.
    ///
    /// # Errors
    /// [`Refusal`]: nothing changed.
    pub fn decide(&self, command: &Command, at: Moment) -> Result<Option<Vec<Event>>, Refusal> {
        let Command::Act(deed) = command;
        match self.known.iter().find(|known| known.id == deed.id) {
            Some(known) if known.fingerprint == deed.fingerprint => Ok(None),
            Some(_) => Err(Refusal::Reused),
            None => Ok(Some(vec![Event::Acted(Action { deed: deed.clone(), at: at.now })])),
        }
    }

    /// Takes in what happened. Cannot fail: an event is a fact.
    pub fn apply(&mut self, event: &Event) {
        let Event::Acted(action) = event;
        match action.deed.what {
            What::PauseShop => self.paused_at = self.paused_at.or(Some(action.at)),
            What::ResumeShop => self.paused_at = None,
            _ => {}
        }
        if self.actions.len() >= MAX_ACTIONS {
            self.actions.pop_front();
        }
        self.actions.push_back(action.clone());
        let forgotten = |known: &Known| action.at.since(known.at) > REMEMBER;
        while self.known.len() >= MAX_KNOWN || self.known.front().is_some_and(forgotten) {
            self.known.pop_front();
        }
        self.known.push_back(Known { id: action.deed.id, fingerprint: action.deed.fingerprint, at: action.at });
    }

    /// Since when it takes no new claims; `None`: it sells.
    #[must_use]
    pub fn paused_at(&self) -> Option<Timestamp> {
        self.paused_at
    }

    /// The last things that were done, the newest first.
    pub fn actions(&self) -> impl DoubleEndedIterator<Item = &Action> + ExactSizeIterator {
        self.actions.iter().rev()
    }
}

#[cfg(test)]
mod tests;
