//! Finished pieces of traced work, told to whoever draws traces. The shells know no tracing library and make no ids:
//! they say when something began and ended, for orders that brought a link and for no others.

use crate::ids::{HoldId, OrderId, SkuId};
use crate::order::placing::HoldRequest;
use crate::shell::message::{Done, Failure};
use crate::trace::TraceLink;
use tokio::time::Instant;

/// Who draws them. Called on a lane, so it must not wait.
pub trait Pieces: Send + Sync {
    /// A piece is finished.
    fn done(&self, piece: &Piece<'_>);
}

/// Something that began and ended.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// Where the order belongs.
    pub link: TraceLink,
    /// Which order.
    pub order: OrderId,
    /// What it was.
    pub what: What<'a>,
    /// `granted`, a refusal's code, or `failed`.
    pub outcome: &'static str,
    /// Since when.
    pub began: Instant,
    /// Until when.
    pub ended: Instant,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What<'a> {
    /// From reaching the order to all its holds being granted, or not.
    Reserve,
    /// From asking one SKU for a hold to its answer. Part of a [`What::Reserve`].
    Hold(&'a SkuId),
}

/// A traced placement on its way.
#[derive(Debug)]
pub(crate) struct Traced {
    pub link: TraceLink,
    /// Holds without an answer, and since when each was asked for; at most one per line.
    asked: Vec<(HoldId, SkuId, Instant)>,
}

impl Traced {
    pub fn new(link: TraceLink) -> Box<Traced> {
        Box::new(Traced { link, asked: Vec::new() })
    }

    /// These holds are asked for now. Nobody waits any more for those of an earlier round.
    pub fn asks(&mut self, requests: &[HoldRequest]) {
        let now = Instant::now();
        self.asked.retain(|(hold, ..)| requests.iter().all(|request| request.hold != *hold));
        self.asked.extend(requests.iter().map(|request| (request.hold, request.sku.clone(), now)));
    }

    /// A SKU has answered: which, and since when it was asked. `None`: it answers twice, or for an earlier round.
    pub fn answered(&mut self, hold: HoldId) -> Option<(SkuId, Instant)> {
        let index = self.asked.iter().position(|(asked, ..)| *asked == hold)?;
        let (_, sku, since) = self.asked.swap_remove(index);
        Some((sku, since))
    }
}

/// What became of a hold, in one word.
pub(crate) fn outcome(result: &Result<Done, Failure>) -> &'static str {
    match result {
        Ok(_) => "granted",
        Err(Failure::Sku(refusal)) => refusal.code(),
        Err(_) => "failed",
    }
}
