//! Money: integer minor units with a currency, checked arithmetic, declared rounding. No floating point.

use iso_currency::Currency;
use std::cmp::Reverse;
use std::fmt;

/// An amount in minor units (cents) of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// Minor units: 1999 is 19.99 EUR, or 1999 JPY.
    pub minor: i64,
    /// ISO 4217.
    pub currency: Currency,
}

/// Why an amount cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two currencies in one calculation.
    #[error("{} and {} cannot be added", left.code(), right.code())]
    CurrencyMismatch {
        /// Of the first amount.
        left: Currency,
        /// Of the second amount.
        right: Currency,
    },
    /// More than 64 bits of minor units.
    #[error("the amount is too large")]
    TooLarge,
    /// Not an ISO 4217 code, or one without a minor unit (gold, test codes).
    #[error("no such currency")]
    UnknownCurrency,
    /// Not a decimal number, or with more decimals than the currency has.
    #[error("an amount in {} is written with at most {} decimals", currency.code(), decimals(*currency))]
    BadAmount {
        /// Of the amount that was asked for.
        currency: Currency,
    },
    /// A ratio with denominator zero, or a split without weight.
    #[error("cannot divide by nothing")]
    NothingToDivideBy,
}

/// The currency with this ISO 4217 code, in upper case: `EUR`.
///
/// # Errors
/// [`Error::UnknownCurrency`] also for codes without a minor unit, in which nothing can be priced.
pub fn currency(code: &str) -> Result<Currency, Error> {
    Currency::from_code(code).filter(|currency| currency.exponent().is_some()).ok_or(Error::UnknownCurrency)
}

/// Decimals of the currency's minor unit: 2 for EUR, 0 for JPY.
#[must_use]
pub fn decimals(currency: Currency) -> u32 {
    currency.exponent().map_or(0, u32::from)
}

impl Money {
    /// `minor` units of `currency`.
    #[must_use]
    pub const fn new(minor: i64, currency: Currency) -> Money {
        Money { minor, currency }
    }

    /// Nothing, in `currency`.
    #[must_use]
    pub const fn zero(currency: Currency) -> Money {
        Money { minor: 0, currency }
    }

    /// Reads `19.99`, `20` or `-0.5`: digits, and after a point at most as many decimals as the currency has.
    ///
    /// # Errors
    /// [`Error::BadAmount`] for anything else, [`Error::TooLarge`] beyond 64 bits.
    pub fn parse(text: &str, currency: Currency) -> Result<Money, Error> {
        let bad = Error::BadAmount { currency };
        let places = decimals(currency) as usize;
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty()
            || !is_digits(whole)
            || !is_digits(fraction)
            || fraction.len() > places
            || digits.ends_with('.')
        {
            return Err(bad);
        }
        let padding = std::iter::repeat_n(b'0', places - fraction.len());
        let mut minor: i64 = 0;
        for byte in whole.bytes().chain(fraction.bytes()).chain(padding) {
            minor = minor
                .checked_mul(10)
                .and_then(|minor| minor.checked_add(i64::from(byte - b'0')))
                .ok_or(Error::TooLarge)?;
        }
        Ok(Money { minor: if negative { -minor } else { minor }, currency })
    }

    /// The sum.
    ///
    /// # Errors
    /// [`Error::CurrencyMismatch`]; [`Error::TooLarge`] beyond 64 bits.
    pub fn plus(self, other: Money) -> Result<Money, Error> {
        self.combine(other, i64::checked_add)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`Error::CurrencyMismatch`]; [`Error::TooLarge`] beyond 64 bits.
    pub fn minus(self, other: Money) -> Result<Money, Error> {
        self.combine(other, i64::checked_sub)
    }

    fn combine(self, other: Money, operation: fn(i64, i64) -> Option<i64>) -> Result<Money, Error> {
        if self.currency != other.currency {
            return Err(Error::CurrencyMismatch { left: self.currency, right: other.currency });
        }
        let minor = operation(self.minor, other.minor).ok_or(Error::TooLarge)?;
        Ok(Money { minor, currency: self.currency })
    }

    /// The price of `units` units at this price each.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond 64 bits.
    pub fn times(self, units: u32) -> Result<Money, Error> {
        let minor = self.minor.checked_mul(i64::from(units)).ok_or(Error::TooLarge)?;
        Ok(Money { minor, currency: self.currency })
    }

    /// The sum of `amounts`, which are all of `currency`.
    ///
    /// # Errors
    /// [`Error::CurrencyMismatch`]; [`Error::TooLarge`] beyond 64 bits.
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Money>) -> Result<Money, Error> {
        amounts.into_iter().try_fold(Money::zero(currency), Money::plus)
    }

    /// `numerator / denominator` of this amount. An exact half goes to the even neighbour: the one place where
    /// money is rounded.
    ///
    /// # Errors
    /// [`Error::NothingToDivideBy`] for denominator zero, [`Error::TooLarge`] beyond 64 bits.
    pub fn ratio(self, numerator: u64, denominator: u64) -> Result<Money, Error> {
        if denominator == 0 {
            return Err(Error::NothingToDivideBy);
        }
        let (exact, divisor) = (i128::from(self.minor) * i128::from(numerator), i128::from(denominator));
        let (floor, rest) = (exact.div_euclid(divisor), exact.rem_euclid(divisor));
        let up = match (rest * 2).cmp(&divisor) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => floor.rem_euclid(2),
            std::cmp::Ordering::Greater => 1,
        };
        let minor = i64::try_from(floor + up).map_err(|_| Error::TooLarge)?;
        Ok(Money { minor, currency: self.currency })
    }

    /// Divides this amount by `weights` so that the parts add up to it exactly: each gets its share rounded towards
    /// zero, and what is left goes, one minor unit each, to the largest remainders (the earlier one of equals).
    ///
    /// # Errors
    /// [`Error::NothingToDivideBy`] when the weights are zero altogether.
    pub fn split(self, weights: &[u64]) -> Result<Vec<Money>, Error> {
        let total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
        if total == 0 {
            return Err(Error::NothingToDivideBy);
        }
        let amount = u128::from(self.minor.unsigned_abs());
        let mut shares: Vec<u128> = weights.iter().map(|&weight| amount * u128::from(weight) / total).collect();
        let left = amount - shares.iter().sum::<u128>();
        let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
        by_remainder.sort_by_key(|&i| (Reverse(amount * u128::from(weights[i]) % total), i));
        for &i in by_remainder.iter().take(left as usize) {
            shares[i] += 1;
        }
        let sign = i128::from(self.minor.signum());
        let part = |share: u128| Money { minor: (sign * share as i128) as i64, currency: self.currency };
        Ok(shares.into_iter().map(part).collect())
    }

    /// ISO 4217 code of its currency.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.currency.code()
    }
}

/// `19.99 EUR`, with as many decimals as the currency has.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = decimals(self.currency);
        let (sign, minor) = (if self.minor < 0 { "-" } else { "" }, self.minor.unsigned_abs());
        let one = 10u64.pow(places);
        if places == 0 {
            return write!(f, "{sign}{minor} {}", self.code());
        }
        write!(f, "{sign}{}.{:0width$} {}", minor / one, minor % one, self.code(), width = places as usize)
    }
}

#[cfg(test)]
mod tests;
