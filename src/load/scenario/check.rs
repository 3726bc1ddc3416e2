//! What the types of a scenario file do not say: ranges, and what must not be empty.

use super::{Arrivals, BASELINE, Bad, Scenario, Scenarios, Slo, VERSION};
use crate::load::schedule::Schedule;
use std::ops::RangeInclusive;

/// Most arrivals of one run: the ledger keeps an entry of some hundred bytes for each order.
const MAX_ARRIVALS: f64 = 100_000_000.0;
/// Longest run, in seconds.
const MAX_SECONDS: f64 = 86_400.0;
/// Highest rate, in arrivals per second.
const MAX_RATE: f64 = 1_000_000.0;

pub(super) fn file(file: &Scenarios) -> Result<(), Bad> {
    if file.version != VERSION {
        return bad("/version", format!("version {} is not understood, only {VERSION}", file.version));
    }
    for (name, profile) in &file.profiles {
        let at = format!("/profiles/{name}");
        number(&format!("{at}/rate"), profile.rate, 1e-6..=1e6)?;
        number(&format!("{at}/time"), profile.time, 1e-6..=1e6)?;
    }
    for (name, scenario) in &file.scenarios {
        let at = format!("/scenarios/{name}");
        // Names become directories and parts of reports.
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return bad(&at, "a scenario's name is 1 to 64 of a-z, 0-9 and -".to_owned());
        }
        self::scenario(&at, scenario)?;
        compared(&at, scenario, file.baseline())?;
    }
    Ok(())
}

fn scenario(at: &str, scenario: &Scenario) -> Result<(), Bad> {
    let stock = &scenario.stock;
    number(&format!("{at}/stock/skus"), stock.skus.into(), 1.0..=100_000.0)?;
    number(&format!("{at}/stock/units"), stock.units.into(), 0.0..=1e9)?;
    number(&format!("{at}/stock/zipf"), stock.zipf, 0.0..=10.0)?;
    match &scenario.arrivals {
        Arrivals::Iterations(count) => number(&format!("{at}/arrivals/count"), (*count).into(), 1.0..=100_000.0)?,
        Arrivals::Rates { start_rate, stages } => {
            number(&format!("{at}/arrivals/start_rate"), *start_rate, 0.0..=MAX_RATE)?;
            if stages.is_empty() || stages.len() > 1_000 {
                return bad(&format!("{at}/arrivals/stages"), "there must be 1 to 1000 stages".to_owned());
            }
            for (index, stage) in stages.iter().enumerate() {
                let at = format!("{at}/arrivals/stages/{index}");
                number(&format!("{at}/rate"), stage.rate, 0.0..=MAX_RATE)?;
                number(&format!("{at}/seconds"), stage.seconds, 1e-3..=MAX_SECONDS)?;
            }
        }
    }
    let ways = [("express", scenario.buyer.express), ("cart", scenario.buyer.cart), ("hold", scenario.buyer.hold)];
    for (way, weight) in ways {
        number(&format!("{at}/buyer/{way}"), weight, 0.0..=1e6)?;
    }
    if ways.iter().all(|(_, weight)| *weight == 0.0) {
        return bad(&format!("{at}/buyer"), "one weight must be more than 0".to_owned());
    }
    number(&format!("{at}/repeat/same"), scenario.repeat.same.into(), 1.0..=16.0)?;
    number(&format!("{at}/repeat/other_body"), scenario.repeat.other_body, 0.0..=1.0)?;
    let limits = [("accepted_p99_ms", scenario.slo.accepted_p99_ms), ("refused_p99_ms", scenario.slo.refused_p99_ms)];
    for (name, limit) in limits {
        limit.map_or(Ok(()), |limit| number(&format!("{at}/slo/{name}"), limit, 1e-3..=600_000.0))?;
    }
    let twice = |index: usize| scenario.invariants[..index].contains(&scenario.invariants[index]);
    if let Some(index) = (0..scenario.invariants.len()).find(|index| twice(*index)) {
        return bad(&format!("{at}/invariants/{index}"), "it is named twice".to_owned());
    }
    if scenario.invariants.is_empty() {
        return bad(&format!("{at}/invariants"), "a run that must keep nothing proves nothing".to_owned());
    }
    Ok(())
}

/// Limits that rest on the baseline, and on what the scenario has to show.
fn compared(at: &str, scenario: &Scenario, baseline: Option<f64>) -> Result<(), Bad> {
    let Slo { cold_p99_times, recovered_within_s, .. } = scenario.slo;
    let limits =
        [("cold_p99_times", cold_p99_times, 1.0..=100.0), ("recovered_within_s", recovered_within_s, 1e-3..=600.0)];
    for (name, limit, range) in limits {
        let at = format!("{at}/slo/{name}");
        limit.map_or(Ok(()), |limit| number(&at, limit, range))?;
        if limit.is_some() && baseline.is_none() {
            return bad(&at, format!("there must be a scenario {BASELINE} with accepted_p99_ms to compare with"));
        }
    }
    if cold_p99_times.is_some() && scenario.stock.zipf == 0.0 {
        return bad(&format!("{at}/slo/cold_p99_times"), "no SKU is hotter than another".to_owned());
    }
    if recovered_within_s.is_some_and(|within| scenario.arrivals.recovered_at(within).is_none()) {
        return bad(
            &format!("{at}/slo/recovered_within_s"),
            "the rate never falls, or all is over so long after it".to_owned(),
        );
    }
    Ok(())
}

/// Is a scenario, at its size, one that can be run?
pub(super) fn size(arrivals: &Arrivals) -> Result<(), String> {
    if let Arrivals::Rates { start_rate, stages } = arrivals {
        let rates = stages.iter().map(|stage| stage.rate).chain([*start_rate]);
        if rates.fold(0.0, f64::max) > MAX_RATE {
            return Err(format!("at this size it has more than {MAX_RATE} arrivals per second"));
        }
        if stages.iter().map(|stage| stage.seconds).sum::<f64>() > MAX_SECONDS {
            return Err(format!("at this size it lasts longer than {MAX_SECONDS} s"));
        }
    }
    let expected = Schedule::new(arrivals).expected();
    if expected > MAX_ARRIVALS {
        return Err(format!("at this size it has {expected:.0} arrivals; at most {MAX_ARRIVALS} are taken"));
    }
    Ok(())
}

fn number(pointer: &str, number: f64, range: RangeInclusive<f64>) -> Result<(), Bad> {
    // A number that is none is in no range.
    if range.contains(&number) {
        return Ok(());
    }
    bad(pointer, format!("{number} is not within {} to {}", range.start(), range.end()))
}

fn bad(pointer: &str, message: String) -> Result<(), Bad> {
    Err(Bad { pointer: pointer.to_owned(), message })
}
