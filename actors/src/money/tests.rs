//! Money, by example and by random amounts.
#![allow(clippy::unwrap_used)] // a test that cannot make its example has failed

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn euro(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn minors(parts: Vec<Money>) -> Vec<i64> {
    parts.into_iter().map(|part| part.minor).collect()
}

#[test]
fn two_currencies_never_add_up() {
    let mismatch = Error::CurrencyMismatch { left: Currency::EUR, right: Currency::JPY };
    assert_eq!(euro(1).plus(Money::new(1, Currency::JPY)), Err(mismatch));
    assert_eq!(euro(1).minus(Money::new(1, Currency::JPY)), Err(mismatch));
    assert_eq!(Money::sum(Currency::EUR, [euro(1), euro(2)]), Ok(euro(3)));
    assert_eq!(Money::sum(Currency::EUR, [euro(1), Money::new(1, Currency::JPY)]), Err(mismatch));
}

#[test]
fn too_much_is_an_error_and_never_wraps() {
    assert_eq!(euro(i64::MAX).plus(euro(1)), Err(Error::TooLarge));
    assert_eq!(euro(i64::MIN).minus(euro(1)), Err(Error::TooLarge));
    assert_eq!(euro(i64::MAX / 2).times(3), Err(Error::TooLarge));
    assert_eq!(euro(i64::MAX).ratio(2, 1), Err(Error::TooLarge));
    assert_eq!(Money::parse("92233720368547758.08", Currency::EUR), Err(Error::TooLarge));
}

#[test]
fn a_ratio_rounds_halves_to_even() {
    let half = |minor| euro(minor).ratio(1, 2).unwrap().minor;
    assert_eq!([1, 3, 5, 7, -1, -3, -5].map(half), [0, 2, 2, 4, 0, -2, -2]);
    assert_eq!(euro(1999).ratio(19, 119), Ok(euro(319)));
    assert_eq!(euro(1).ratio(1, 0), Err(Error::NothingToDivideBy));
    assert_eq!(euro(i64::MIN).ratio(u64::MAX, u64::MAX), Ok(euro(i64::MIN)));
}

#[test]
fn what_is_left_of_a_split_goes_to_the_largest_remainders() {
    assert_eq!(minors(euro(100).split(&[1, 1, 1]).unwrap()), [34, 33, 33]);
    assert_eq!(minors(euro(-100).split(&[1, 1, 1]).unwrap()), [-34, -33, -33]);
    assert_eq!(minors(euro(10).split(&[1, 6, 0, 1]).unwrap()), [1, 8, 0, 1]);
    assert_eq!(minors(euro(5).split(&[0, 3, 7]).unwrap()), [0, 2, 3]);
    assert_eq!(minors(euro(i64::MIN).split(&[u64::MAX, u64::MAX]).unwrap()), [i64::MIN / 2, i64::MIN / 2]);
    assert_eq!(minors(euro(i64::MIN).split(&[7]).unwrap()), [i64::MIN]);
    assert_eq!(euro(5).split(&[0, 0]), Err(Error::NothingToDivideBy));
    assert_eq!(euro(5).split(&[]), Err(Error::NothingToDivideBy));
}

#[test]
fn amounts_are_written_with_their_currencys_decimals() {
    assert_eq!(euro(1999).to_string(), "19.99 EUR");
    assert_eq!(euro(-5).to_string(), "-0.05 EUR");
    assert_eq!(euro(i64::MIN).to_string(), "-92233720368547758.08 EUR");
    assert_eq!(Money::new(1999, Currency::JPY).to_string(), "1999 JPY");
    assert_eq!(Money::new(1999, Currency::KWD).to_string(), "1.999 KWD");
}

#[test]
fn amounts_are_read_exactly_or_not_at_all() {
    let read = |text: &str| Money::parse(text, Currency::EUR).map(|money| money.minor);
    let bad = Err(Error::BadAmount { currency: Currency::EUR });
    assert_eq!(read("19.99"), Ok(1999));
    assert_eq!(read("20"), Ok(2000));
    assert_eq!(read("-0.5"), Ok(-50));
    for text in ["", "-", ".5", "5.", "1.999", "1,5", "+1", "1e3", " 1", "1.-5", "--1", "NaN"] {
        assert_eq!(read(text), bad, "{text}");
    }
    assert_eq!(Money::parse("1.5", Currency::JPY), Err(Error::BadAmount { currency: Currency::JPY }));
    let why = Error::BadAmount { currency: Currency::EUR }.to_string();
    assert_eq!(why, "an amount in EUR is written with at most 2 decimals");
}

#[test]
fn a_currency_has_a_code_a_number_and_a_minor_unit() {
    assert_eq!(currency("EUR"), Ok(Currency::EUR));
    for code in ["eur", "XAU", "XXX", "EU", ""] {
        assert_eq!(currency(code), Err(Error::UnknownCurrency), "{code}");
    }
    // The log stores the number, so it must lead back to the same currency.
    let letters = || (b'A'..=b'Z').map(char::from);
    let codes = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])));
    let known: Vec<Currency> = codes.filter_map(|code| currency(&String::from_iter(code)).ok()).collect();
    assert!(known.len() > 150);
    assert!(known.iter().all(|one| Currency::from_numeric(one.numeric()) == Some(*one)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_split_adds_up_and_each_part_is_within_one_of_its_share(
        minor in any::<i64>(),
        weights in vec(prop_oneof![0..5u64, any::<u64>()], 1..20),
    ) {
        let total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
        prop_assume!(total > 0);
        let parts = minors(euro(minor).split(&weights).unwrap());
        prop_assert_eq!(parts.iter().map(|&part| i128::from(part)).sum::<i128>(), i128::from(minor));
        for (part, weight) in parts.iter().zip(&weights) {
            let floor = u128::from(minor.unsigned_abs()) * u128::from(*weight) / total;
            let above = u128::from(part.unsigned_abs()) - floor;
            prop_assert!(above <= 1 && part.signum() * minor.signum() >= 0);
        }
    }

    #[test]
    fn text_reads_back_as_the_same_amount(minor in (i64::MIN + 1)..) {
        for currency in [Currency::EUR, Currency::JPY, Currency::KWD] {
            let text = Money::new(minor, currency).to_string();
            let (amount, code) = text.split_once(' ').unwrap();
            prop_assert_eq!(Money::parse(amount, super::currency(code).unwrap()).unwrap().minor, minor);
        }
    }

    #[test]
    fn sums_undo_differences(a in any::<i64>(), b in any::<i64>()) {
        if let Ok(sum) = euro(a).plus(euro(b)) {
            prop_assert_eq!(sum.minus(euro(b)), Ok(euro(a)));
        }
    }
}
