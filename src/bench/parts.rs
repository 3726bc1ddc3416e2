//! Every figure there is: its name, its unit, its bar, and who measures it.

use crate::bench::figure::Bar::AtLeast;
use crate::bench::figure::{Bar, Spec};
use crate::bench::{Game, Measured, ratios};

const fn spec(name: &'static str, unit: &'static str, bar: Option<Bar>, what: &'static str) -> Spec {
    Spec { name, unit, bar, what }
}

/// What is measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Orders ÷ no-ops over so many connections.
    P1(usize),
    /// The same until captured.
    P1Full,
    /// Sold out ÷ no-ops.
    P2,
    /// Hot ÷ uniform.
    P3,
    /// Records per flush.
    P11,
}

const PARTS: &[(Part, &[Spec])] = &[
    (Part::P1(256), &[spec("P1_256", "ratio", Some(AtLeast(0.50)), "durable orders ÷ no-ops, 256 connections")]),
    (Part::P1(1_024), &[spec("P1_1024", "ratio", Some(AtLeast(0.50)), "durable orders ÷ no-ops, 1,024 connections")]),
    (Part::P1Full, &[spec("P1_full", "ratio", None, "orders until the last is captured ÷ no-ops")]),
    (Part::P2, &[spec("P2", "ratio", Some(AtLeast(0.80)), "\"sold out\" ÷ no-ops")]),
    (Part::P3, &[spec("P3", "ratio", Some(AtLeast(0.90)), "orders for one hot SKU ÷ over 10,000 SKUs")]),
    (Part::P11, &[spec("P11", "records", Some(AtLeast(50.0)), "records per flush, 1,024 connections")]),
];

impl Part {
    /// The figures that it measures.
    #[must_use]
    pub fn specs(self) -> &'static [Spec] {
        PARTS.iter().find(|(part, _)| *part == self).map_or(&[], |(_, specs)| *specs)
    }

    /// Their names.
    #[must_use]
    pub fn names(self) -> String {
        self.specs().iter().map(|spec| spec.name).collect::<Vec<_>>().join(", ")
    }

    /// Measures them.
    ///
    /// # Errors
    /// When a server does not start, or answers what it should not.
    pub async fn measure(self, game: &Game<'_>) -> anyhow::Result<Measured> {
        let specs = self.specs();
        match self {
            Part::P1(connections) => ratios::order_to_noop(game, specs, connections).await,
            Part::P1Full => ratios::settled_to_noop(game, specs).await,
            Part::P2 => ratios::sold_out_to_noop(game, specs).await,
            Part::P3 => ratios::hot_to_uniform(game, specs).await,
            Part::P11 => ratios::records_per_flush(game, specs).await,
        }
    }
}

/// The parts that measure what was named, in the order of their documentation; all of them when nothing was.
///
/// # Errors
/// A name that no figure has, with those that there are.
pub fn select(names: &[String]) -> Result<Vec<Part>, String> {
    if let Some(unknown) = names.iter().find(|name| !PARTS.iter().any(|(_, specs)| is_named(specs, name))) {
        let known: Vec<&str> = PARTS.iter().flat_map(|(_, specs)| specs.iter().map(|spec| spec.name)).collect();
        return Err(format!("there is no figure {unknown:?}; there are {}", known.join(", ")));
    }
    let wanted = |specs: &[Spec]| names.is_empty() || names.iter().any(|name| is_named(specs, name));
    Ok(PARTS.iter().filter(|(_, specs)| wanted(specs)).map(|(part, _)| *part).collect())
}

/// Is one of these figures meant: by its name, or by the beginning of it up to an underscore?
fn is_named(specs: &[Spec], name: &str) -> bool {
    let means = |spec: &Spec| spec.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
    specs.iter().any(means)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(names: &[&str]) -> Result<Vec<Part>, String> {
        select(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn figures_are_selected_by_name_or_by_its_beginning() {
        assert_eq!(selected(&["P3", "P1_256"]), Ok(vec![Part::P1(256), Part::P3]));
        assert_eq!(selected(&["P1"]), Ok(vec![Part::P1(256), Part::P1(1_024), Part::P1Full]));
        assert_eq!(selected(&[]).map(|parts| parts.len()), Ok(PARTS.len()));
    }

    #[test]
    fn a_name_that_no_figure_has_is_refused_with_those_there_are() {
        for wrong in ["P", "P99", "p1", "", "P1_"] {
            let error = selected(&["P2", wrong]).err().unwrap_or_default();
            assert!(error.contains("P1_256"), "{wrong:?}: {error}");
        }
    }

    #[test]
    fn no_name_is_given_twice() {
        let mut names: Vec<&str> = PARTS.iter().flat_map(|(_, specs)| specs.iter().map(|spec| spec.name)).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(PARTS.iter().all(|(part, specs)| part.specs() == *specs));
    }
}
