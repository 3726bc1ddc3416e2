//! What operators do to a running sale: each deed has a reason, and is noted in the log before it is done, with the name of
//! the API key that asked for it. The command line (`stampede ops`, `stampede fault`) does nothing that is not here.

pub mod claims;
pub mod hot;
pub mod node;
pub mod outbox;
pub mod shop;
pub mod trouble;

use crate::http::call::Call;
use crate::http::idempotency::fingerprint;
use crate::http::problem::{Problem, State};
use serde::{Deserialize, Serialize};
use stampede_actors::ids::{EntityId, OpId, Reference};
use stampede_actors::shell::message::{Failure, Question, View};
use stampede_actors::shop::{Command, Deed, Shop, What, Words};

/// The group of these routes in the API's description.
const TAG: &str = "operations";

/// Why somebody does something.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// For whoever reads it later: one line of at most 200 bytes. No personal data.
    #[schema(value_type = String, example = "the provider is down, INC-42")]
    pub reason: Words,
}

/// What was noted.
pub(super) struct Noted {
    /// The shop with it.
    pub shop: Box<Shop>,
    /// It had been noted, and done, before.
    pub replayed: bool,
}

/// Notes that the caller does this, and why. Repeating it with the same key notes nothing more.
///
/// # Errors
/// `idempotency_key_reused`, or the log takes no record: then it must not be done either.
pub(super) async fn note(call: &Call, what: What, subject: Option<&str>, why: &Words) -> Result<Noted, Problem> {
    let id = call.op(subject.unwrap_or_default());
    note_as(call, id, what, subject, why).await
}

/// The same for a route without an idempotency key: each request is a deed of its own.
///
/// # Errors
/// The log takes no record.
pub(super) async fn note_afresh(call: &Call, what: What, subject: &str, why: &Words) -> Result<Noted, Problem> {
    note_as(call, OpId(rand::random()), what, Some(subject), why).await
}

/// Notes that what was noted before could not be done, or that nobody knows.
pub(super) async fn note_failure(call: &Call, what: What, subject: &str, problem: &Problem) {
    let how = if problem.kind.state == State::Unknown { "perhaps not done" } else { "not done" };
    let Ok(why) = Words::new(&format!("{how}: {}", problem.kind.code)) else { return };
    // What is not noted was not done either: there is nothing to take back.
    let _ = note_as(call, OpId(rand::random()), what, Some(subject), &why).await;
}

async fn note_as(call: &Call, id: OpId, what: What, subject: Option<&str>, why: &Words) -> Result<Noted, Problem> {
    // These routes need an API key; its name has the characters of a reference.
    let by = call.api_key.as_deref().unwrap_or("unknown");
    let by = Reference::new(by).map_err(|error| Problem::bad_parameter("authorization", error))?;
    // Names of SKUs, holds and orders fit; a list of faults may be longer.
    let subject = subject.map(|text| Words::new(text.get(..Words::MAX).unwrap_or(text))).transpose();
    let subject = subject.map_err(|error| Problem::bad_parameter("subject", error))?;
    let content = fingerprint(&(what.word(), subject.as_ref(), why));
    let deed = Deed { id, fingerprint: content, by, what, subject, reason: why.clone() };
    tracing::info!(
        by = %deed.by, what = what.word(), subject = deed.subject.as_ref().map(Words::as_str), reason = why.as_str(),
        "an operator acts"
    );
    let done = call.ask(EntityId::Shop, Question::Shop(Command::Act(deed))).await?;
    match done.view {
        View::Shop(shop) => Ok(Noted { shop, replayed: done.replayed }),
        _ => Err(Failure::Crashed.into()),
    }
}
