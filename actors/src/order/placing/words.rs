//! What is asked, answered and refused while an order gets its holds.

use crate::ids::{BuyerRef, CartId, HoldId, Reference, SellerId, SkuId};
use crate::money::Money;
use crate::order::Placement;
use crate::sku::{self, Part, Units};
use crate::time::{Span, Timestamp};
use crate::trace::TraceLink;
use iso_currency::Currency;
use std::fmt;

/// A request to place an order: express, or a cart's checkout.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceRequest {
    /// The cart it comes from.
    pub cart: Option<CartId>,
    /// Who buys; without, it is refused.
    pub buyer: Option<BuyerRef>,
    /// Where to.
    pub delivery: Option<Reference>,
    /// What pays.
    pub token: Reference,
    /// Of the request body.
    pub fingerprint: u64,
    /// The currency that the caller counts in; `None`: whatever the lines have, as long as it is one.
    pub currency: Option<Currency>,
    /// What is wanted.
    pub wanted: Vec<Wanted>,
    /// Where it belongs in a trace that is kept.
    pub trace: Option<Box<TraceLink>>,
}

/// Units of one SKU.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Which SKU.
    pub sku: SkuId,
    /// How many units.
    pub units: Units,
    /// The price of one unit that the buyer was shown; another one refuses the order.
    pub expected_price: Option<Money>,
    /// The price of one unit that a cart froze; it holds, whatever the SKU costs by now.
    pub cart_price: Option<Money>,
    /// A hold that the buyer has already, of just these units.
    pub hold: Option<HoldId>,
}

/// What to ask a SKU for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRequest {
    /// Which SKU.
    pub sku: SkuId,
    /// The hold's id: the buyer's own, or derived from the order's (S15).
    pub hold: HoldId,
    /// How many units.
    pub units: Units,
    /// For whom.
    pub buyer: BuyerRef,
    /// The order needs other SKUs too, so this hold may yet be given back (S21).
    pub tentative: bool,
}

/// What a SKU answered. `F`: how the world fails, as whoever drives this knows it.
#[derive(Debug, Clone, PartialEq)]
pub enum HoldAnswer<F> {
    /// The units are claimed.
    Granted { parts: Vec<Part>, expires_at: Timestamp, unit_price: Money, seller: SellerId },
    /// They are not.
    Refused(sku::Refusal),
    /// Nobody knows.
    Failed(F),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next<F> {
    /// Ask for these holds, all at once, and come back with each answer.
    Hold(Vec<HoldRequest>),
    /// Other answers are on their way.
    Wait,
    /// Place this order.
    Place(Placement),
    /// Give these holds back, wait, and start again: another order that is being placed is in the way (S21).
    RetryAfter { release: Vec<(SkuId, HoldId)>, after: Span },
    /// Give these holds back, then answer this.
    Refuse { release: Vec<(SkuId, HoldId)>, refusal: PlaceRefusal },
    /// Give back what was or may have been claimed, then answer this.
    Fail { release: Vec<(SkuId, HoldId)>, failure: F },
}

/// Why there is no order: each line that could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} of the order's lines cannot be had{}", lines.len(), FirstOf(lines))]
pub struct PlaceRefusal {
    /// At least one.
    pub lines: Vec<RefusedLine>,
}

/// The first reason, if there is one.
struct FirstOf<'a>(&'a [RefusedLine]);

impl fmt::Display for FirstOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.first().map_or(Ok(()), |line| write!(f, "; {}: {}", line.sku, line.why))
    }
}

/// One line that could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedLine {
    /// Which SKU.
    pub sku: SkuId,
    /// Why not.
    pub why: LineRefusal,
}

/// Why a line could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineRefusal {
    /// The SKU refused the units.
    #[error(transparent)]
    Stock(#[from] sku::Refusal),
    /// The SKU has another price than the buyer was shown.
    #[error("the price is {} minor units, not {}", actual.minor, expected.minor)]
    PriceChanged { expected: Money, actual: Money },
    /// The SKU is priced in another currency than the request or the other lines.
    #[error("the price is in {}, not in {}", actual.code(), expected.code())]
    CurrencyMismatch { expected: Currency, actual: Currency },
}

impl PlaceRefusal {
    /// Stable name of the whole: `contended` when trying again at once is worth it, else that of the first line for
    /// which it is not.
    #[must_use]
    pub fn code(&self) -> &'static str {
        let certain = self.lines.iter().find(|line| !line.why.is_contended());
        certain.or(self.lines.first()).map_or("refused", |line| line.why.code())
    }
}

impl LineRefusal {
    /// Stable name: the HTTP `code` and the metric label are this one word.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            LineRefusal::Stock(refusal) => refusal.code(),
            LineRefusal::PriceChanged { .. } => "price_changed",
            LineRefusal::CurrencyMismatch { .. } => "currency_mismatch",
        }
    }

    /// Is it only an order in the way that is itself still being placed?
    pub(super) fn is_contended(&self) -> bool {
        matches!(self, LineRefusal::Stock(sku::Refusal::SoldOut { contended: true, .. }))
    }
}
