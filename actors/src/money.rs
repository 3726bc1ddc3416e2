//! Money: integer minor units with a currency, checked arithmetic, declared rounding.

use iso_currency::Currency;

/// An amount in minor units (cents) of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// Minor units: 1999 is 19.99 EUR, or 1999 JPY.
    pub minor: i64,
    /// ISO 4217.
    pub currency: Currency,
}
