//! How an order gets its holds, before there is an order: every SKU is asked at once, one refusal gives all back.
//! Pure: it says what to send and takes the answers; whoever drives it sends, waits and releases.

mod words;

pub use words::{HoldAnswer, HoldRequest, LineRefusal, Next, PlaceRefusal, PlaceRequest, RefusedLine, Wanted};

use crate::cart::MAX_LINES;
use crate::ids::{BuyerRef, HoldId, OrderId, SkuId};
use crate::order::{Line, Placement, Refusal};
use crate::sku::{self, MAX_UNITS};
use crate::time::{Span, Timestamp};
use iso_currency::Currency;

/// How often an order is tried whose only obstacle are orders that are being placed (S21).
const ROUNDS_MAX: u32 = 2;

/// An order on its way to its holds.
#[derive(Debug, Clone)]
pub struct Placing<F> {
    order: OrderId,
    buyer: BuyerRef,
    request: PlaceRequest,
    /// One per line of the order to be, in its order.
    claims: Vec<Claim<F>>,
    rounds: u32,
}

#[derive(Debug, Clone)]
struct Claim<F> {
    wanted: Wanted,
    hold: HoldId,
    state: ClaimState<F>,
}

#[derive(Debug, Clone)]
enum ClaimState<F> {
    NotAsked,
    Asked,
    Granted { line: Line, expires_at: Timestamp },
    Refused(LineRefusal, Held),
    Failed(F),
}

/// Does a refused line have its units all the same?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    No,
    Yes,
}

impl<F: Clone> Placing<F> {
    /// Prepares to collect the holds of `order`. Demand is summed per SKU, so that a SKU is asked once; only a line
    /// that brings a hold of its own stays by itself.
    ///
    /// # Errors
    /// [`Refusal::Invalid`]: no buyer, no lines or too many, zero or too many units, or contradictory lines of one SKU.
    pub fn new(order: OrderId, request: PlaceRequest) -> Result<Placing<F>, Refusal> {
        let Some(buyer) = request.buyer.clone() else { return Err(Refusal::Invalid("an order names its buyer")) };
        let wanted = merged(&request.wanted)?;
        let claim = |(index, wanted): (usize, Wanted)| Claim {
            hold: wanted.hold.unwrap_or_else(|| order.hold(index)),
            wanted,
            state: ClaimState::NotAsked,
        };
        let claims = wanted.into_iter().enumerate().map(claim).collect();
        Ok(Placing { order, buyer, request, claims, rounds: 0 })
    }

    /// Starts, or starts again after [`Next::RetryAfter`].
    pub fn start(&mut self) -> Next<F> {
        self.rounds += 1;
        for claim in &mut self.claims {
            claim.state = ClaimState::NotAsked;
        }
        self.ask()
    }

    /// Takes an answer; one that nobody waits for changes nothing.
    pub fn answered(&mut self, hold: HoldId, answer: HoldAnswer<F>) -> Next<F> {
        let currency = self.currency();
        let asked = |claim: &&mut Claim<F>| claim.hold == hold && matches!(claim.state, ClaimState::Asked);
        if let Some(claim) = self.claims.iter_mut().find(asked) {
            claim.state = claim.judge(answer, currency);
        }
        if self.claims.iter().any(|claim| matches!(claim.state, ClaimState::Asked)) {
            return Next::Wait;
        }
        self.conclude()
    }

    /// Holds that were or may have been granted.
    #[must_use]
    pub fn granted(&self) -> Vec<(SkuId, HoldId)> {
        let claimed = |claim: &&Claim<F>| match &claim.state {
            ClaimState::NotAsked => false,
            ClaimState::Refused(_, held) => *held == Held::Yes,
            ClaimState::Asked | ClaimState::Granted { .. } | ClaimState::Failed(_) => true,
        };
        self.claims.iter().filter(claimed).map(|claim| (claim.wanted.sku.clone(), claim.hold)).collect()
    }

    /// New holds first, the buyer's own last: they stay the buyer's when the order is refused for another line.
    fn ask(&mut self) -> Next<F> {
        let tentative = self.claims.len() > 1;
        let waiting = |claim: &Claim<F>| matches!(claim.state, ClaimState::NotAsked);
        let only_new = self.claims.iter().any(|claim| waiting(claim) && claim.wanted.hold.is_none());
        let mut requests = Vec::new();
        for claim in self.claims.iter_mut().filter(|claim| !only_new || claim.wanted.hold.is_none()) {
            if matches!(claim.state, ClaimState::NotAsked) {
                claim.state = ClaimState::Asked;
                requests.push(HoldRequest {
                    sku: claim.wanted.sku.clone(),
                    hold: claim.hold,
                    units: claim.wanted.units,
                    buyer: self.buyer.clone(),
                    tentative,
                });
            }
        }
        Next::Hold(requests)
    }

    /// The currency that the next line must have.
    fn currency(&self) -> Option<Currency> {
        self.request.currency.or_else(|| {
            self.claims.iter().find_map(|claim| match &claim.state {
                ClaimState::Granted { line, .. } => Some(line.unit_price.currency),
                _ => None,
            })
        })
    }

    fn conclude(&mut self) -> Next<F> {
        let failure = self.claims.iter().find_map(|claim| match &claim.state {
            ClaimState::Failed(failure) => Some(failure.clone()),
            _ => None,
        });
        if let Some(failure) = failure {
            return Next::Fail { release: self.granted(), failure };
        }
        let refused = self.claims.iter().filter_map(|claim| match &claim.state {
            ClaimState::Refused(why, _) => Some(RefusedLine { sku: claim.wanted.sku.clone(), why: why.clone() }),
            _ => None,
        });
        let lines: Vec<RefusedLine> = refused.collect();
        if !lines.is_empty() {
            let release = self.granted();
            if self.rounds < ROUNDS_MAX && lines.iter().all(|line| line.why.is_contended()) {
                return Next::RetryAfter { release, after: self.pause() };
            }
            return Next::Refuse { release, refusal: PlaceRefusal { lines } };
        }
        if self.claims.iter().any(|claim| matches!(claim.state, ClaimState::NotAsked)) {
            return self.ask();
        }
        self.place()
    }

    fn place(&self) -> Next<F> {
        let mut lines = Vec::with_capacity(self.claims.len());
        let mut hold_expires_at = Timestamp(i64::MAX);
        for claim in &self.claims {
            if let ClaimState::Granted { line, expires_at } = &claim.state {
                lines.push(line.clone());
                hold_expires_at = hold_expires_at.min(*expires_at);
            }
        }
        assert_eq!(lines.len(), self.claims.len(), "an order is placed from granted holds only");
        Next::Place(Placement {
            cart: self.request.cart,
            buyer: self.buyer.clone(),
            delivery: self.request.delivery.clone(),
            token: self.request.token.clone(),
            fingerprint: self.request.fingerprint,
            lines,
            hold_expires_at,
            trace: self.request.trace.clone(),
        })
    }

    /// 5 to 36 ms, other for other orders, so that two that cross do not cross again.
    fn pause(&self) -> Span {
        Span::millis(5 + (self.order.hold(0).0 % 32) as i64)
    }
}

impl<F> Claim<F> {
    fn judge(&self, answer: HoldAnswer<F>, currency: Option<Currency>) -> ClaimState<F> {
        let (parts, expires_at, unit_price, seller) = match answer {
            HoldAnswer::Granted { parts, expires_at, unit_price, seller } => (parts, expires_at, unit_price, seller),
            HoldAnswer::Refused(refusal) => return ClaimState::Refused(refusal.into(), Held::No),
            HoldAnswer::Failed(failure) => return ClaimState::Failed(failure),
        };
        if parts.iter().map(|part| u64::from(part.units)).sum::<u64>() != u64::from(self.wanted.units) {
            // The answer to an earlier request of this order's key, which wanted something else.
            return ClaimState::Refused(sku::Refusal::HoldDiffers.into(), Held::Yes);
        }
        if let Some(expected) = self.wanted.expected_price.filter(|expected| *expected != unit_price) {
            let why = LineRefusal::PriceChanged { expected, actual: unit_price };
            return ClaimState::Refused(why, Held::Yes);
        }
        let unit_price = self.wanted.cart_price.unwrap_or(unit_price);
        if let Some(expected) = currency.filter(|expected| *expected != unit_price.currency) {
            let why = LineRefusal::CurrencyMismatch { expected, actual: unit_price.currency };
            return ClaimState::Refused(why, Held::Yes);
        }
        let (sku, units, hold) = (self.wanted.sku.clone(), self.wanted.units, self.hold);
        ClaimState::Granted { line: Line { sku, seller, units, unit_price, hold, parts }, expires_at }
    }
}

/// One line per SKU and hold, in the order of first mention.
fn merged(wanted: &[Wanted]) -> Result<Vec<Wanted>, Refusal> {
    let mut lines: Vec<Wanted> = Vec::with_capacity(wanted.len().min(MAX_LINES));
    for one in wanted {
        let same = |line: &&mut Wanted| line.sku == one.sku && line.hold == one.hold;
        let elsewhere = |line: &Wanted| line.hold.is_some() && line.hold == one.hold && line.sku != one.sku;
        if lines.iter().any(elsewhere) {
            return Err(Refusal::Invalid("a hold is of one SKU"));
        }
        let Some(line) = lines.iter_mut().find(same) else {
            if lines.len() == MAX_LINES {
                return Err(Refusal::Invalid("an order has at most 50 lines"));
            }
            lines.push(one.clone());
            continue;
        };
        if one.hold.is_some() || line.expected_price != one.expected_price || line.cart_price != one.cart_price {
            return Err(Refusal::Invalid("two lines of one SKU contradict each other"));
        }
        line.units = line.units.saturating_add(one.units);
    }
    if lines.is_empty() {
        return Err(Refusal::Invalid("an order has at least one line"));
    }
    if wanted.iter().any(|one| one.units == 0) || lines.iter().any(|line| line.units > MAX_UNITS) {
        return Err(Refusal::Invalid("units must be 1 to 1000000000"));
    }
    Ok(lines)
}
