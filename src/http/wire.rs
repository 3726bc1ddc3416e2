//! Pieces that several bodies share: money, times, counts, objects. The domain never sees them.

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use stampede_actors::money::{self, Money};
use stampede_actors::sku::{MAX_UNITS, Units};
use stampede_actors::time::Timestamp;
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An amount of money in minor units: 1999 is 19.99 EUR, or 1999 JPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Money)]
pub struct Amount {
    /// Minor units.
    #[schema(example = 1999)]
    pub amount: i64,
    /// ISO 4217 code.
    #[schema(value_type = String, example = "EUR")]
    pub currency: Currency,
}

impl From<Money> for Amount {
    fn from(money: Money) -> Amount {
        Amount { amount: money.minor, currency: Currency(money.currency) }
    }
}

impl From<Amount> for Money {
    fn from(amount: Amount) -> Money {
        Money { minor: amount.amount, currency: amount.currency.0 }
    }
}

/// A currency by its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Currency(pub iso_currency::Currency);

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Currency, D::Error> {
        struct Code;
        impl Visitor<'_> for Code {
            type Value = Currency;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an ISO 4217 code, such as EUR")
            }
            fn visit_str<E: Error>(self, code: &str) -> Result<Currency, E> {
                money::currency(code).map(Currency).map_err(|_| E::invalid_value(Unexpected::Str(code), &self))
            }
        }
        deserializer.deserialize_str(Code)
    }
}

/// A time as it is written: RFC 3339, UTC, with microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The year 9999 is the last that can be written.
        const LAST: i64 = 253_402_300_799_000_000;
        let micros = self.0.0.clamp(0, LAST) as u64;
        humantime::format_rfc3339_micros(UNIX_EPOCH + Duration::from_micros(micros)).fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Time {
    /// Reads RFC 3339 in UTC.
    #[must_use]
    pub fn parse(text: &str) -> Option<Time> {
        let at: SystemTime = humantime::parse_rfc3339(text).ok()?;
        let micros = at.duration_since(UNIX_EPOCH).ok()?.as_micros();
        Some(Time(Timestamp(i64::try_from(micros).ok()?)))
    }
}

/// Reads a count of units: 1 to [`MAX_UNITS`].
///
/// # Errors
/// For anything else.
pub fn units<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Units, D::Error> {
    struct Count;
    impl Visitor<'_> for Count {
        type Value = Units;
        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "units from 1 to {MAX_UNITS}")
        }
        fn visit_u64<E: Error>(self, count: u64) -> Result<Units, E> {
            let units = Units::try_from(count).ok().filter(|units| (1..=MAX_UNITS).contains(units));
            units.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(count), &self))
        }
        fn visit_i64<E: Error>(self, count: i64) -> Result<Units, E> {
            match u64::try_from(count) {
                Ok(count) => self.visit_u64(count),
                Err(_) => Err(E::invalid_value(Unexpected::Signed(count), &self)),
            }
        }
    }
    deserializer.deserialize_u64(Count)
}

/// Takes an object only: serde would also take an array of the fields in their order, which is no part of this API.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// Reads an object.
///
/// # Errors
/// For anything else.
pub fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|object| object.0)
}

/// Reads an object, or nothing.
///
/// # Errors
/// For anything else.
pub fn maybe_object<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|object| object.0))
}

/// Reads a list of objects.
///
/// # Errors
/// For anything else.
pub fn objects<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::<Object<T>>::deserialize(deserializer)?.into_iter().map(|object| object.0).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed step fails the test
    use super::*;

    #[test]
    fn times_are_written_and_read() {
        let time = Time(Timestamp(1_795_473_849_123_456));
        assert_eq!(time.to_string(), "2026-11-23T22:44:09.123456Z");
        assert_eq!(Time::parse("2026-11-23T22:44:09.123456Z"), Some(time));
        assert_eq!(Time::parse("2026-11-23T22:44:09Z").unwrap().0, Timestamp(1_795_473_849_000_000));
        assert_eq!(Time::parse("yesterday"), None);
        assert_eq!(Time(Timestamp(i64::MAX)).to_string(), "9999-12-31T23:59:59.000000Z");
    }

    #[test]
    fn money_is_whole_and_in_a_known_currency() {
        let read = |text: &str| serde_json::from_str::<Object<Amount>>(text).map(|o| Money::from(o.0));
        assert_eq!(read(r#"{"amount":1999,"currency":"EUR"}"#).unwrap().to_string(), "19.99 EUR");
        for bad in [
            r#"{"amount":19.99,"currency":"EUR"}"#,
            r#"{"amount":"1999","currency":"EUR"}"#,
            r#"{"amount":1999,"currency":"eur"}"#,
            r#"{"amount":1999,"currency":"XXX"}"#,
            r#"{"amount":1999}"#,
            r#"{"amount":9223372036854775808,"currency":"EUR"}"#,
            r#"[1999,"EUR"]"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn units_are_counted_from_one() {
        #[derive(Deserialize)]
        struct Line {
            #[serde(deserialize_with = "units")]
            units: Units,
        }
        let read = |text: &str| serde_json::from_str::<Line>(text).map(|line| line.units);
        assert_eq!(read(r#"{"units":1000000000}"#).unwrap(), MAX_UNITS);
        for bad in ["0", "-1", "1000000001", "18446744073709551615", "1.0", "\"1\"", "null", "1e3"] {
            assert!(read(&format!("{{\"units\":{bad}}}")).is_err(), "{bad}");
        }
    }
}
