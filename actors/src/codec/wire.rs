//! Messages that several aggregates use, and the way back from them to the domain's types.

use super::Error;
use crate::ids::LocationId;
use crate::money;
use crate::sku;
use crate::trace::TraceLink;
use iso_currency::Currency;
use std::str::FromStr;

/// 128 bits of an id. Two fixed words, so that no allocation is needed on either side.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Bits {
    /// The upper half.
    #[prost(fixed64, tag = "1")]
    pub high: u64,
    /// The lower half.
    #[prost(fixed64, tag = "2")]
    pub low: u64,
}

impl From<u128> for Bits {
    fn from(bits: u128) -> Bits {
        Bits { high: (bits >> 64) as u64, low: bits as u64 }
    }
}

impl From<Bits> for u128 {
    fn from(bits: Bits) -> u128 {
        (u128::from(bits.high) << 64) | u128::from(bits.low)
    }
}

/// An amount.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Money {
    /// Minor units.
    #[prost(sint64, tag = "1")]
    pub minor: i64,
    /// ISO 4217's number of the currency.
    #[prost(uint32, tag = "2")]
    pub currency: u32,
}

impl From<money::Money> for Money {
    fn from(money: money::Money) -> Money {
        Money { minor: money.minor, currency: u32::from(money.currency.numeric()) }
    }
}

/// Units at one location.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Part {
    /// Where.
    #[prost(string, tag = "1")]
    pub location: String,
    /// How many.
    #[prost(uint32, tag = "2")]
    pub units: u32,
}

/// Parts as they are written.
#[must_use]
pub fn parts(parts: &[sku::Part]) -> Vec<Part> {
    parts.iter().map(|part| Part { location: part.location.to_string(), units: part.units }).collect()
}

/// The field `name`, which every version writes.
///
/// # Errors
/// [`Error::Missing`] when it is not there.
pub fn required<T>(field: Option<T>, name: &'static str) -> Result<T, Error> {
    field.ok_or(Error::Missing(name))
}

/// The 128 bits of the id in field `name`.
///
/// # Errors
/// [`Error::Missing`] when it is not there.
pub fn read_bits(field: Option<Bits>, name: &'static str) -> Result<u128, Error> {
    required(field, name).map(u128::from)
}

/// The text id in field `name`.
///
/// # Errors
/// [`Error::Invalid`] when it is no such id.
pub fn read_text<T: FromStr>(text: &str, name: &'static str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::Invalid(name))
}

/// The text id in field `name`, which may be empty for none.
///
/// # Errors
/// [`Error::Invalid`] when it is no such id.
pub fn read_optional_text<T: FromStr>(text: &str, name: &'static str) -> Result<Option<T>, Error> {
    if text.is_empty() { Ok(None) } else { read_text(text, name).map(Some) }
}

/// The link in field `trace`, which may be empty for none.
///
/// # Errors
/// [`Error::Invalid`] when it is no link.
pub fn read_trace(bytes: &[u8]) -> Result<Option<TraceLink>, Error> {
    if bytes.is_empty() { Ok(None) } else { TraceLink::from_bytes(bytes).map(Some).ok_or(Error::Invalid("trace")) }
}

/// The amount in field `name`.
///
/// # Errors
/// [`Error::Missing`] when it is not there, [`Error::Invalid`] when its currency does not exist.
pub fn read_money(field: Option<Money>, name: &'static str) -> Result<money::Money, Error> {
    let Money { minor, currency } = required(field, name)?;
    let number = u16::try_from(currency).map_err(|_| Error::Invalid(name))?;
    let currency = Currency::from_numeric(number).ok_or(Error::Invalid(name))?;
    Ok(money::Money { minor, currency })
}

/// The parts in field `name`.
///
/// # Errors
/// [`Error::Invalid`] when one names no location.
pub fn read_parts(field: &[Part], name: &'static str) -> Result<Vec<sku::Part>, Error> {
    read_all(field, |part| {
        Ok(sku::Part { location: read_text::<LocationId>(&part.location, name)?, units: part.units })
    })
}

/// Reads every item of a list into just as much memory as it takes: collecting results would make room for four.
///
/// # Errors
/// What the first item that cannot be read says.
pub fn read_all<M, T>(
    items: impl IntoIterator<Item = M, IntoIter: ExactSizeIterator>,
    read: impl Fn(M) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let items = items.into_iter();
    let mut all = Vec::with_capacity(items.len());
    for item in items {
        all.push(read(item)?);
    }
    Ok(all)
}
