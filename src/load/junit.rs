//! `junit.xml`: a case for each limit and each invariant, and one for the run itself, as CI systems read them.

use crate::demo::Word;
use crate::load::summary::Summary;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// The file's text.
///
/// # Errors
/// When it cannot be written as XML.
pub fn text(summary: &Summary) -> Result<String, quick_junit::SerializeError> {
    let name = format!("stampede load {} {}", summary.scenario, summary.profile);
    let mut thresholds = TestSuite::new("thresholds");
    for threshold in &summary.thresholds {
        let found = (!threshold.kept).then(|| (NonSuccessKind::Failure, threshold.what.clone()));
        thresholds.add_test_case(case(threshold.name, &name, found));
    }
    let mut invariants = TestSuite::new("invariants");
    for (invariant, seen) in &summary.invariants {
        let found = (seen.violated > 0).then(|| {
            let what = format!("violated {} times of {}: {}", seen.violated, seen.evaluated, seen.kept.join("; "));
            (NonSuccessKind::Failure, what)
        });
        invariants.add_test_case(case(invariant.word(), &name, found));
    }
    // A run that proves nothing is neither good nor bad, and must not look green.
    let mut run = TestSuite::new("run");
    let void = (summary.verdict == Word::Void).then(|| (NonSuccessKind::Error, summary.reasons.join("; ")));
    run.add_test_case(case("valid", &name, void));

    let mut report = Report::new(&name);
    report.add_test_suites([run, thresholds, invariants]);
    report.to_string()
}

fn case(name: &str, class: &str, found: Option<(NonSuccessKind, String)>) -> TestCase {
    let status = match found {
        None => TestCaseStatus::success(),
        Some((kind, what)) => {
            let mut status = TestCaseStatus::non_success(kind);
            status.set_message(what);
            status
        }
    };
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    case
}
