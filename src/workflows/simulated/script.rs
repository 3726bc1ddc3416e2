//! What the provider will do with a call: by its token, by the faults that were ordered, by how often it came.

use super::fault::{Kind, Target};
use super::provider::ProviderConfig;
use crate::workflows::provider::{Call, Operation};
use stampede_actors::time::Span;

/// Tokens by outcome. Any other is refused.
pub const TOKENS: &[&str] = &[
    "tok_ok",
    "tok_declined_funds",
    "tok_timeout_30s",
    "tok_timeout_lost",
    "tok_ok_after_2_retries",
    "tok_duplicate_callback",
    "tok_late_answer",
    "tok_forgets_key",
    "tok_capture_declined",
    "tok_capture_timeout",
    "tok_refund_declined",
];

/// When the deed happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// When the call arrives.
    AtOnce,
    /// So much later.
    Late(Span),
    /// Not because of this call.
    Never,
}

/// What the caller hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hears {
    /// The truth.
    Truth,
    /// That nobody can say.
    CannotSay,
    /// Nothing.
    Nothing,
}

/// What happens with one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    pub effect: Effect,
    /// Said no, whatever the books would allow.
    pub refused: Option<&'static str>,
    pub hears: Hears,
    /// The truth, unasked, after each of these.
    pub callbacks: Vec<Span>,
    /// The key is forgotten as soon as the deed is done.
    pub forgets_key: bool,
}

impl Script {
    pub const PLAIN: Script = Script {
        effect: Effect::AtOnce,
        refused: None,
        hears: Hears::Truth,
        callbacks: Vec::new(),
        forgets_key: false,
    };

    fn refused(code: &'static str) -> Script {
        Script { refused: Some(code), ..Script::PLAIN }
    }

    /// Done, but the caller hears nothing.
    fn unheard() -> Script {
        Script { hears: Hears::Nothing, ..Script::PLAIN }
    }

    fn lost() -> Script {
        Script { effect: Effect::Never, hears: Hears::Nothing, ..Script::PLAIN }
    }

    fn unavailable() -> Script {
        Script { effect: Effect::Never, hears: Hears::CannotSay, ..Script::PLAIN }
    }

    /// Done and said after the caller has given up.
    fn late(config: &ProviderConfig) -> Script {
        let after = Span(config.timeout.0 + config.timeout.0 / 5);
        Script { effect: Effect::Late(after), hears: Hears::Nothing, ..Script::PLAIN }
    }

    fn said_again(config: &ProviderConfig) -> Script {
        Script { callbacks: vec![Span(0), config.latency.1], ..Script::PLAIN }
    }

    /// For the `nth` call with this reference, from 0.
    pub fn of(config: &ProviderConfig, call: &Call, nth: u32) -> Script {
        let by_token = Script::by_token(config, call, nth);
        if by_token != Script::PLAIN {
            return by_token;
        }
        let subject = call.reference.as_str();
        match config.faults.strike(Target::Payment, config.seed, subject, nth) {
            None => Script::PLAIN,
            Some(Kind::Timeout) if super::draw(config.seed, subject, nth, 1).is_multiple_of(2) => Script::unheard(),
            Some(Kind::Timeout | Kind::Lost) => Script::lost(),
            Some(Kind::Late) => Script::late(config),
            Some(Kind::Decline) => match call.operation {
                Operation::Authorize => Script::refused("declined"),
                // Declined by chance, these would end in a person's hands.
                Operation::Capture | Operation::Void | Operation::Refund => Script::PLAIN,
            },
            Some(Kind::Error) => Script::unavailable(),
            Some(Kind::Duplicate) => Script::said_again(config),
        }
    }

    fn by_token(config: &ProviderConfig, call: &Call, nth: u32) -> Script {
        let first = nth == 0;
        match (call.operation, call.token.as_str()) {
            (Operation::Authorize, "tok_declined_funds") => Script::refused("insufficient_funds"),
            (Operation::Authorize, "tok_timeout_30s") if first => {
                Script { callbacks: vec![config.slow_answer], ..Script::unheard() }
            }
            (Operation::Authorize, "tok_timeout_lost") if first => Script::lost(),
            (Operation::Authorize, "tok_ok_after_2_retries") if nth < 2 => Script::unavailable(),
            (Operation::Authorize, "tok_duplicate_callback") => Script::said_again(config),
            (Operation::Authorize, "tok_late_answer") if first => Script::late(config),
            (Operation::Authorize, "tok_forgets_key") if first => Script { forgets_key: true, ..Script::unheard() },
            (Operation::Authorize, token) if !TOKENS.contains(&token) => Script::refused("unknown_token"),
            (Operation::Capture, "tok_capture_declined") => Script::refused("capture_declined"),
            (Operation::Capture, "tok_capture_timeout") if first => Script::unheard(),
            (Operation::Refund, "tok_refund_declined") => Script::refused("refund_declined"),
            _ => Script::PLAIN,
        }
    }
}
