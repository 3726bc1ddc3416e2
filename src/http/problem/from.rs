//! Which refusal or failure is which kind of problem. No match has a catch-all: a new variant asks for its own line.

use crate::http::problem::kinds::{self, Kind};
use crate::http::problem::{FieldError, Problem};
use stampede_actors::ids::SkuId;
use stampede_actors::journal::NoRoom;
use stampede_actors::order::placing::{LineRefusal, PlaceRefusal};
use stampede_actors::shell::Failure;
use stampede_actors::{cart, order, shop, sku};

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        match &failure {
            Failure::NotPlaced(refusal) => Problem::not_placed(refusal, |_| None),
            other => Problem::new(kind_of(other), other.to_string()),
        }
    }
}

impl Problem {
    /// Names each line that could not be had. `pointer` says where the request names the SKU.
    #[must_use]
    pub fn not_placed(refusal: &PlaceRefusal, pointer: impl Fn(&SkuId) -> Option<String>) -> Problem {
        let errors = refusal.lines.iter().map(|line| FieldError {
            pointer: pointer(&line.sku),
            parameter: None,
            code: kind_of_line(&line.why).code,
            message: format!("{}: {}", line.sku, line.why),
        });
        Problem::new(kind_of_lines(refusal), refusal.to_string()).with_errors(errors.collect())
    }

    /// Like the conversion, with pointers for the lines that could not be had.
    #[must_use]
    pub fn of_purchase(failure: Failure, pointer: impl Fn(&SkuId) -> Option<String>) -> Problem {
        match &failure {
            Failure::NotPlaced(refusal) => Problem::not_placed(refusal, pointer),
            _ => failure.into(),
        }
    }
}

fn kind_of(failure: &Failure) -> &'static Kind {
    match failure {
        Failure::Sku(refusal) => kind_of_sku(refusal),
        Failure::Cart(refusal) => kind_of_cart(refusal),
        Failure::Order(refusal) => kind_of_order(refusal),
        Failure::Shop(shop::Refusal::Reused) => &kinds::IDEMPOTENCY_KEY_REUSED,
        Failure::NotPlaced(refusal) => kind_of_lines(refusal),
        Failure::InFlight => &kinds::IDEMPOTENCY_KEY_IN_FLIGHT,
        Failure::NoRoom(NoRoom::Busy) | Failure::Overloaded => &kinds::OVERLOADED,
        Failure::NoRoom(NoRoom::DiskFull) => &kinds::DISK_FULL,
        Failure::NoRoom(NoRoom::Stopped) => &kinds::LOG_STOPPED,
        Failure::Crashed => &kinds::INTERNAL_ERROR,
        Failure::Quarantined => &kinds::QUARANTINED,
        Failure::NotLoaded => &kinds::NOT_LOADED,
        Failure::OutcomeUnknown => &kinds::OUTCOME_UNKNOWN,
    }
}

fn kind_of_sku(refusal: &sku::Refusal) -> &'static Kind {
    match refusal {
        sku::Refusal::UnknownSku => &kinds::UNKNOWN_SKU,
        sku::Refusal::SoldOut { contended: false, .. } => &kinds::SOLD_OUT,
        sku::Refusal::SoldOut { contended: true, .. } => &kinds::CONTENDED,
        sku::Refusal::SalePaused => &kinds::SALE_PAUSED,
        sku::Refusal::BuyerLimit { .. } => &kinds::BUYER_LIMIT,
        sku::Refusal::BadUnits => &kinds::BAD_UNITS,
        sku::Refusal::BadPrice => &kinds::BAD_PRICE,
        sku::Refusal::HoldDiffers => &kinds::HOLD_DIFFERS,
        sku::Refusal::HoldEnded => &kinds::HOLD_ENDED,
        sku::Refusal::HoldAllocated => &kinds::HOLD_ALLOCATED,
        sku::Refusal::NotAllocated => &kinds::NOT_ALLOCATED,
        sku::Refusal::Reused => &kinds::IDEMPOTENCY_KEY_REUSED,
        sku::Refusal::BelowClaimed { .. } => &kinds::BELOW_CLAIMED,
        sku::Refusal::WrongParts => &kinds::WRONG_PARTS,
        sku::Refusal::TableFull { .. } => &kinds::TABLE_FULL,
    }
}

fn kind_of_cart(refusal: &cart::Refusal) -> &'static Kind {
    match refusal {
        cart::Refusal::UnknownCart => &kinds::UNKNOWN_CART,
        cart::Refusal::CheckedOut { .. } => &kinds::CART_CHECKED_OUT,
        cart::Refusal::Abandoned => &kinds::CART_ABANDONED,
        cart::Refusal::Empty => &kinds::CART_EMPTY,
        cart::Refusal::CurrencyMismatch => &kinds::CURRENCY_MISMATCH,
        cart::Refusal::TooManyLines => &kinds::TOO_MANY_LINES,
        cart::Refusal::BadUnits => &kinds::BAD_UNITS,
        cart::Refusal::BadPrice => &kinds::BAD_PRICE,
        cart::Refusal::Reused => &kinds::IDEMPOTENCY_KEY_REUSED,
    }
}

fn kind_of_order(refusal: &order::Refusal) -> &'static Kind {
    match refusal {
        order::Refusal::UnknownOrder => &kinds::UNKNOWN_ORDER,
        order::Refusal::Reused => &kinds::IDEMPOTENCY_KEY_REUSED,
        order::Refusal::Invalid(_) => &kinds::INVALID_ORDER,
        order::Refusal::PaymentOpen => &kinds::PAYMENT_OPEN,
        order::Refusal::NotPayable => &kinds::NOT_PAYABLE,
        order::Refusal::TooManyAttempts => &kinds::TOO_MANY_ATTEMPTS,
        order::Refusal::NotCancellable => &kinds::NOT_CANCELLABLE,
        order::Refusal::NotRefundable => &kinds::NOT_REFUNDABLE,
        order::Refusal::NotShippable => &kinds::NOT_SHIPPABLE,
        order::Refusal::BeingCalledOff => &kinds::BEING_CALLED_OFF,
        order::Refusal::NotReturnable => &kinds::NOT_RETURNABLE,
        order::Refusal::NoAttention => &kinds::NO_ATTENTION,
        order::Refusal::TableFull { .. } => &kinds::TABLE_FULL,
    }
}

fn kind_of_line(refusal: &LineRefusal) -> &'static Kind {
    match refusal {
        LineRefusal::Stock(refusal) => kind_of_sku(refusal),
        LineRefusal::PriceChanged { .. } => &kinds::PRICE_CHANGED,
        LineRefusal::CurrencyMismatch { .. } => &kinds::CURRENCY_MISMATCH,
    }
}

/// Of several lines, the first that trying again at once will not help.
fn kind_of_lines(refusal: &PlaceRefusal) -> &'static Kind {
    let mut kinds = refusal.lines.iter().map(|line| kind_of_line(&line.why));
    kinds.clone().find(|kind| **kind != kinds::CONTENDED).or_else(|| kinds.next()).unwrap_or(&kinds::SOLD_OUT)
}
