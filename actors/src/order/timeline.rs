//! What happened to an order, in words, for people: bounded, the middle is left out when it grows too long.

use crate::order::apply::refused_code;
use crate::order::{Answer, Event, Order, Step};
use crate::time::Timestamp;
use compact_str::{CompactString, ToCompactString};
use std::sync::Arc;

/// Most entries kept.
pub const MAX_ENTRIES: usize = 256;
/// The entry that says how many were left out; those before it are the oldest and stay.
const OMITTED_AT: usize = 64;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// When; of several in a row, the last.
    pub at: Timestamp,
    /// What: a stable word, such as `capture_done`.
    pub word: &'static str,
    /// The attempt, operation, refusal code or reason; may be empty.
    pub detail: CompactString,
    /// How often in a row.
    pub times: u32,
}

/// What is done to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Logged as open.
    Opened,
    /// Asked once more.
    AskedAgain,
    /// Definitely done.
    Done,
    /// Definitely not done.
    Refused,
}

macro_rules! step_words {
    ($($step:literal),*) => {
        [$([
            concat!($step, "_opened"),
            concat!($step, "_asked_again"),
            concat!($step, "_done"),
            concat!($step, "_refused"),
        ]),*]
    };
}

/// Words of steps, by step and verb. Append only: snapshots hold their numbers.
static STEP_WORDS: [[&str; 4]; 11] = step_words!(
    "authorize",
    "allocate",
    "capture",
    "void",
    "refund",
    "fulfil",
    "call_off",
    "give_back",
    "give_back_units",
    "ship_stock",
    "return_stock"
);

/// The other words. Append only, at most [`FIRST_STEP_WORD`]: snapshots hold their numbers.
static WORDS: [&str; 12] = [
    "omitted",
    "placed",
    "payment_retried",
    "cancel_requested",
    "cancel_lapsed",
    "cancelled",
    "expired",
    "refund_requested",
    "shipped",
    "returned",
    "attention_needed",
    "attention_acknowledged",
];

/// Number of the first word of a step.
const FIRST_STEP_WORD: usize = 64;

/// The word of a step and a verb.
#[must_use]
pub fn step_word(step: Step, verb: Verb) -> &'static str {
    let row = match step {
        Step::Authorize { .. } => 0,
        Step::Allocate => 1,
        Step::Capture { .. } => 2,
        Step::Void { .. } => 3,
        Step::Refund { .. } => 4,
        Step::Fulfil => 5,
        Step::CallOff { .. } => 6,
        Step::GiveBack => 7,
        Step::GiveBackUnits { .. } => 8,
        Step::ShipStock { .. } => 9,
        Step::ReturnStock { .. } => 10,
    };
    STEP_WORDS[row][verb as usize]
}

/// The number of a word, for snapshots.
#[must_use]
pub fn number(word: &str) -> u32 {
    let plain = WORDS.iter().position(|w| *w == word);
    let of_step = || STEP_WORDS.iter().flatten().position(|w| *w == word).map(|n| n + FIRST_STEP_WORD);
    plain.or_else(of_step).unwrap_or(0) as u32
}

/// The word of a number; `None` when a later version wrote it.
#[must_use]
pub fn word(number: u32) -> Option<&'static str> {
    let number = number as usize;
    match number.checked_sub(FIRST_STEP_WORD) {
        None => WORDS.get(number).copied(),
        Some(n) => STEP_WORDS.get(n / 4).map(|row| row[n % 4]),
    }
}

/// Which attempt or operation a step is about, in text.
#[must_use]
pub fn subject(step: Step) -> CompactString {
    match step {
        Step::Authorize { attempt } | Step::Capture { attempt } | Step::Void { attempt } => {
            compact_str::format_compact!("{attempt}")
        }
        Step::Refund { refund: op }
        | Step::CallOff { refund: op }
        | Step::GiveBackUnits { refund: op }
        | Step::ShipStock { shipment: op }
        | Step::ReturnStock { return_id: op } => compact_str::format_compact!("{op}"),
        Step::Allocate | Step::Fulfil | Step::GiveBack => CompactString::default(),
    }
}

impl Order {
    /// Adds to the timeline.
    pub(super) fn note(&mut self, event: &Event) {
        let none = CompactString::default;
        let (at, word, detail) = match event {
            Event::Placed { at, .. } => (*at, "placed", none()),
            Event::PaymentRetried { attempt, at, .. } => (*at, "payment_retried", attempt.to_compact_string()),
            Event::Opened { step, at, .. } => (*at, step_word(*step, Verb::Opened), subject(*step)),
            Event::Asked { step, at, .. } => (*at, step_word(*step, Verb::AskedAgain), subject(*step)),
            Event::Answered { step, answer, at } => match answer {
                Answer::Done { .. } => (*at, step_word(*step, Verb::Done), subject(*step)),
                Answer::Refused { .. } => (*at, step_word(*step, Verb::Refused), refused_code(answer)),
                Answer::Unknown => return,
            },
            Event::CancelRequested { reason, at, .. } => (*at, "cancel_requested", reason.into()),
            Event::Cancelled { reason, at } => (*at, "cancelled", reason.into()),
            Event::Expired { at } => (*at, "expired", none()),
            Event::RefundRequested { refund, at, .. } => (*at, "refund_requested", refund.to_compact_string()),
            Event::Shipped { shipment, at, .. } => (*at, "shipped", shipment.to_compact_string()),
            Event::Returned { return_id, at, .. } => (*at, "returned", return_id.to_compact_string()),
            Event::AttentionNeeded { reason, at, .. } => (*at, "attention_needed", reason.word().into()),
            Event::AttentionAcknowledged { note, at, .. } => (*at, "attention_acknowledged", note.as_str().into()),
        };
        let entries = Arc::make_mut(&mut self.timeline);
        if entries.is_empty() {
            entries.reserve_exact(1);
        }
        push(entries, at, word, detail);
        let refused_call_off = match event {
            Event::Answered { step: Step::CallOff { refund }, answer: Answer::Refused { .. }, .. } => Some(refund),
            _ => None,
        };
        if self.aftersales.wish.as_ref().is_some_and(|wish| Some(&wish.cancel) == refused_call_off) {
            push(entries, at, "cancel_lapsed", none());
        }
    }
}

/// Adds an entry; one like the last only counts up; beyond [`MAX_ENTRIES`] the middle is left out.
fn push(entries: &mut Vec<Happening>, at: Timestamp, word: &'static str, detail: CompactString) {
    if let Some(last) = entries.last_mut().filter(|last| last.word == word && last.detail == detail) {
        last.at = at;
        last.times = last.times.saturating_add(1);
        return;
    }
    if entries.len() >= MAX_ENTRIES {
        if entries[OMITTED_AT].word == WORDS[0] {
            entries[OMITTED_AT].times = entries[OMITTED_AT].times.saturating_add(1);
            entries.remove(OMITTED_AT + 1);
        } else {
            entries[OMITTED_AT].word = WORDS[0];
            entries[OMITTED_AT].detail = CompactString::default();
            entries[OMITTED_AT].times = 2;
            entries.remove(OMITTED_AT + 1);
        }
    }
    entries.push(Happening { at, word, detail, times: 1 });
}
