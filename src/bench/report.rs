//! Figures for people and for programs.

use crate::bench::Measured;
use crate::bench::figure::{Figure, Rounded};
use serde_json::{Map, Value};
use std::fmt::Write;

/// One object, by name of figure.
///
/// # Errors
/// When a figure cannot be written as JSON.
pub fn object(measured: &Measured) -> serde_json::Result<Value> {
    let mut object = Map::new();
    for (spec, figure) in measured {
        object.insert(spec.name.to_owned(), serde_json::to_value(figure)?);
    }
    Ok(Value::Object(object))
}

/// A table, with what each figure is and what was measured beside it under its row.
#[must_use]
pub fn table(measured: &Measured) -> String {
    let mut text = format!(
        "{:<22} {:>10} {:>10} {:>10}  {:<11} {:>9}  {:<7} unit\n",
        "figure", "median", "min", "max", "rounds", "bar", ""
    );
    for (spec, figure) in measured {
        let number = |number: Option<Rounded>| number.map_or("-".to_owned(), |number| number.to_string());
        let rounds = match figure.discarded {
            0 => figure.rounds.to_string(),
            discarded => format!("{} ({discarded} void)", figure.rounds),
        };
        let bar = figure.bar.map_or(String::new(), |bar| bar.to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<22} {:>10} {:>10} {:>10}  {rounds:<11} {bar:>9}  {:<7} {}",
            spec.name,
            number(figure.median),
            number(figure.min),
            number(figure.max),
            word(figure),
            spec.unit,
        );
        let _ = writeln!(text, "    {}", spec.what);
        let details: Vec<String> = figure.detail.iter().map(|(name, value)| format!("{name} {value}")).collect();
        for line in details.chunks(4) {
            let _ = writeln!(text, "    {}", line.join("   "));
        }
    }
    text
}

fn word(figure: &Figure) -> &'static str {
    match figure.met {
        _ if figure.void => "void",
        Some(true) => "met",
        Some(false) => "missed",
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figure::{Bar, Sample, Spec};

    const SPEC: Spec = Spec { name: "P0", unit: "ratio", bar: Some(Bar::AtMost(3.0)), what: "nothing ÷ nothing" };

    #[test]
    fn a_table_says_value_bar_and_what_was_discarded() {
        let sample = Sample::new(2.5).with("noop_per_s", 96_000.0);
        let text = table(&vec![(&SPEC, Figure::of(&SPEC, &[&sample], 1, false))]);
        for part in ["P0", "2.5", "<= 3", "met", "1 (1 void)", "nothing ÷ nothing", "noop_per_s 96000"] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert!(table(&vec![(&SPEC, Figure::of(&SPEC, &[], 7, true))]).contains("void"));
    }
}
