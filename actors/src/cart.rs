//! A cart: lines wanted, with a snapshot of their prices; it claims nothing. Checkout makes it terminal, and it
//! answers with its order for ever.
//! Pure: time and ids come in as arguments, so replaying the log rebuilds exactly this state.

pub mod codec;

use crate::ids::{BuyerRef, OrderId, SellerId, SkuId};
use crate::money::Money;
use crate::sku::{MAX_UNITS, Units};
use crate::time::{Moment, Span, Timestamp};

/// Most lines in a cart or an order.
pub const MAX_LINES: usize = 50;

/// One SKU wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which SKU.
    pub sku: SkuId,
    /// Who sells it.
    pub seller: SellerId,
    /// How many units; at least one.
    pub units: Units,
    /// Price of one unit when the line was set.
    pub unit_price: Money,
}

/// What a caller asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Opens the cart. `ttl`: abandoned after that long without a change.
    Open { buyer: BuyerRef, ttl: Span },
    /// Sets the line of its SKU; all lines share one currency.
    SetLine(Line),
    /// Takes a line out.
    RemoveLine { sku: SkuId },
    /// Ends the cart in `order`. Decided together with the order's placement, in one record.
    CheckOut { order: OrderId },
    /// Abandons the cart when its deadline has passed.
    Tick,
}

/// What happened. Stored for good: add variants, never change one.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The cart exists.
    Opened { buyer: BuyerRef, ttl: Span, at: Timestamp },
    /// The line of this SKU is now this.
    LineSet { line: Line, at: Timestamp },
    /// The line is gone.
    LineRemoved { sku: SkuId, at: Timestamp },
    /// It became this order, for ever.
    CheckedOut { order: OrderId, at: Timestamp },
    /// Nobody touched it in time.
    Abandoned { at: Timestamp },
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Never opened.
    #[error("no such cart")]
    UnknownCart,
    /// It is an order already.
    #[error("this cart was checked out as {order}")]
    CheckedOut { order: OrderId },
    /// Nobody touched it in time.
    #[error("this cart was abandoned")]
    Abandoned,
    /// Nothing to check out.
    #[error("the cart has no lines")]
    Empty,
    /// Another currency than its other lines.
    #[error("all lines of a cart have one currency")]
    CurrencyMismatch,
    /// More than [`MAX_LINES`].
    #[error("a cart has at most 50 lines")]
    TooManyLines,
    /// Zero or too many units.
    #[error("units must be 1 to 1000000000")]
    BadUnits,
    /// A negative price, or a total beyond what money can count.
    #[error("the price is negative or the total too large")]
    BadPrice,
    /// The cart exists for another buyer.
    #[error("this cart exists with different content")]
    Reused,
}

impl Refusal {
    /// Stable name: the HTTP `code`, the metric label and the log field are this one word.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::UnknownCart => "unknown_cart",
            Refusal::CheckedOut { .. } => "cart_checked_out",
            Refusal::Abandoned => "cart_abandoned",
            Refusal::Empty => "cart_empty",
            Refusal::CurrencyMismatch => "currency_mismatch",
            Refusal::TooManyLines => "too_many_lines",
            Refusal::BadUnits => "bad_units",
            Refusal::BadPrice => "bad_price",
            Refusal::Reused => "reused",
        }
    }
}

/// Where a cart stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Nobody has opened it.
    #[default]
    Unopened,
    /// Lines may change.
    Open,
    /// It is this order, for ever.
    CheckedOut(OrderId),
    /// Nobody touched it in time.
    Abandoned,
}

/// What follows from the events so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cart {
    state: State,
    buyer: Option<BuyerRef>,
    ttl: Span,
    /// Last change; the deadline counts from here.
    changed_at: Timestamp,
    /// In the order in which they were first set.
    lines: Vec<Line>,
}

impl Cart {
    /// Says what `command` would change; `None` when it already happened.
    ///
    /// # Errors
    /// [`Refusal`]: nothing changed.
    pub fn decide(&self, command: &Command, at: Moment) -> Result<Option<Vec<Event>>, Refusal> {
        let now = at.now;
        let event = match command {
            Command::Open { buyer, ttl } => match &self.buyer {
                None => Event::Opened { buyer: buyer.clone(), ttl: *ttl, at: now },
                Some(mine) if mine == buyer => return Ok(None),
                Some(_) => return Err(Refusal::Reused),
            },
            Command::SetLine(line) => {
                self.changeable()?;
                if self.line(&line.sku) == Some(line) {
                    return Ok(None);
                }
                self.fits(line)?;
                Event::LineSet { line: line.clone(), at: now }
            }
            Command::RemoveLine { sku } => {
                self.changeable()?;
                if self.line(sku).is_none() {
                    return Ok(None);
                }
                Event::LineRemoved { sku: sku.clone(), at: now }
            }
            Command::CheckOut { order } => match self.changeable() {
                Err(Refusal::CheckedOut { order: mine }) if mine == *order => return Ok(None),
                Err(refusal) => return Err(refusal),
                Ok(()) if self.lines.is_empty() => return Err(Refusal::Empty),
                Ok(()) => Event::CheckedOut { order: *order, at: now },
            },
            Command::Tick => match self.deadline() {
                Some(deadline) if deadline <= at.overdue => Event::Abandoned { at: now },
                _ => return Ok(None),
            },
        };
        Ok(Some(vec![event]))
    }

    fn changeable(&self) -> Result<(), Refusal> {
        match self.state {
            State::Unopened => Err(Refusal::UnknownCart),
            State::Open => Ok(()),
            State::CheckedOut(order) => Err(Refusal::CheckedOut { order }),
            State::Abandoned => Err(Refusal::Abandoned),
        }
    }

    fn fits(&self, line: &Line) -> Result<(), Refusal> {
        if line.units == 0 || line.units > MAX_UNITS {
            return Err(Refusal::BadUnits);
        }
        let mut others = self.lines.iter().filter(|other| other.sku != line.sku);
        if others.clone().any(|other| other.unit_price.currency != line.unit_price.currency) {
            return Err(Refusal::CurrencyMismatch);
        }
        if others.clone().count() >= MAX_LINES {
            return Err(Refusal::TooManyLines);
        }
        if line.unit_price.minor < 0 {
            return Err(Refusal::BadPrice);
        }
        let own = line.unit_price.times(line.units).map_err(|_| Refusal::BadPrice)?;
        others
            .try_fold(own, |sum, other| sum.plus(other.unit_price.times(other.units)?))
            .map(drop)
            .map_err(|_| Refusal::BadPrice)
    }

    /// Takes in what happened. Cannot fail: an event is a fact.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Opened { buyer, ttl, at } => {
                assert!(self.state == State::Unopened, "opened twice: {self:?}");
                *self = Cart {
                    state: State::Open,
                    buyer: Some(buyer.clone()),
                    ttl: *ttl,
                    changed_at: *at,
                    lines: Vec::new(),
                };
            }
            Event::LineSet { line, at } => {
                self.assert_open();
                match self.lines.iter_mut().find(|mine| mine.sku == line.sku) {
                    Some(mine) => *mine = line.clone(),
                    None => self.lines.push(line.clone()),
                }
                self.changed_at = *at;
            }
            Event::LineRemoved { sku, at } => {
                self.assert_open();
                self.lines.retain(|line| line.sku != *sku);
                self.changed_at = *at;
            }
            Event::CheckedOut { order, at } => {
                self.assert_open();
                self.state = State::CheckedOut(*order);
                self.changed_at = *at;
            }
            Event::Abandoned { at } => {
                self.assert_open();
                self.state = State::Abandoned;
                self.changed_at = *at;
            }
        }
    }

    fn assert_open(&self) {
        assert!(self.state == State::Open, "a cart that is not open changed: {self:?}");
    }

    /// When it next wants [`Command::Tick`]: an open cart only.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        (self.state == State::Open).then(|| self.changed_at.plus(self.ttl))
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Whose it is; `None` before it was opened.
    #[must_use]
    pub fn buyer(&self) -> Option<&BuyerRef> {
        self.buyer.as_ref()
    }

    /// What it became.
    #[must_use]
    pub fn order(&self) -> Option<OrderId> {
        match self.state {
            State::CheckedOut(order) => Some(order),
            State::Unopened | State::Open | State::Abandoned => None,
        }
    }

    /// In the order in which they were first set.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The line of this SKU.
    #[must_use]
    pub fn line(&self, sku: &SkuId) -> Option<&Line> {
        self.lines.iter().find(|line| line.sku == *sku)
    }

    /// The sum of its lines; `None` without lines, when there is no currency to count in.
    #[must_use]
    pub fn total(&self) -> Option<Money> {
        let currency = self.lines.first()?.unit_price.currency;
        let amounts = self.lines.iter().map(|line| line.unit_price.times(line.units));
        amounts.into_iter().try_fold(Money::zero(currency), |sum, amount| sum.plus(amount?)).ok()
    }

    /// The last change.
    #[must_use]
    pub fn changed_at(&self) -> Timestamp {
        self.changed_at
    }
}

#[cfg(test)]
mod tests;
