//! Exemplars: a bucket of a histogram names a trace that fell into it, so that a slow percentile leads to the very request
//! that was slow. Only of requests that are traced and were slow or failed, and rarely: what is rare costs nothing, and one
//! example is as good as a thousand. Shown in OpenMetrics alone; the older format has no place for them.

use crate::metrics::catalogue::Metric;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Requests faster than this are no examples, unless they failed. The bound of the checkout's objective.
pub const SLOW: Duration = Duration::from_millis(100);
/// A bucket gets a new example at most so often.
const EVERY: Duration = Duration::from_secs(5);
/// Buckets that have one; beyond them nothing is noted. There are fewer: routes times bounds.
const MOST: usize = 4_096;

/// The last example of each bucket.
#[derive(Debug, Default)]
pub struct Exemplars(Mutex<BTreeMap<Bucket, Example>>);

/// Series without its `le`, and the index of the bound.
type Bucket = (String, usize);

#[derive(Debug)]
struct Example {
    trace: u128,
    /// In seconds.
    value: f64,
    /// In Unix seconds.
    at: f64,
    noted: Instant,
}

impl Exemplars {
    /// A sample of the series `labels` (as they are written, without braces) fell into a bucket of `bounds`.
    pub fn note(&self, metric: &Metric, labels: &str, bounds: &[f64], took: Duration, trace: u128) {
        let value = took.as_secs_f64();
        let index = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
        let bucket = (format!("{}{{{labels}", metric.name), index);
        let mut examples = self.0.lock();
        let room = examples.len() < MOST;
        match examples.get(&bucket) {
            Some(known) if known.noted.elapsed() < EVERY => return,
            None if !room => return,
            _ => {}
        }
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        examples.insert(bucket, Example { trace, value, at, noted: Instant::now() });
    }

    /// What follows a line of a bucket: ` # {trace_id="…"} 0.3 1700000000.5`, or nothing.
    pub fn append(&self, line: &str, bounds: &[f64], text: &mut String) {
        let Some((series, le)) = bucket_of(line) else { return };
        let index = match le {
            "+Inf" => Some(bounds.len()),
            bound => bound.parse::<f64>().ok().and_then(|bound| bounds.iter().position(|known| *known == bound)),
        };
        let examples = self.0.lock();
        if let Some(Example { trace, value, at, .. }) = index.and_then(|index| examples.get(&(series, index))) {
            // Writing to a String cannot fail.
            let _ = write!(text, " # {{trace_id=\"{trace:032x}\"}} {value} {at:.3}");
        }
    }

    /// Is there none at all?
    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

/// The series of a bucket's line without its `le`, as [`Exemplars::note`] names it, and the bound.
fn bucket_of(line: &str) -> Option<(String, &str)> {
    let (name, labels) = line.split_once("_bucket{")?;
    let (labels, _) = labels.split_once('}')?;
    let (others, le) = labels.rsplit_once("le=\"")?;
    Some((format!("{name}{{{}", others.trim_end_matches(',')), le.strip_suffix('"')?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalogue::{CHECKOUT_DURATION, SECONDS};

    fn appended(exemplars: &Exemplars, le: &str) -> String {
        let line = format!("stampede_checkout_duration_seconds_bucket{{stage=\"total\",le=\"{le}\"}} 7");
        let mut text = String::new();
        exemplars.append(&line, SECONDS, &mut text);
        text
    }

    #[test]
    fn the_bucket_that_a_sample_fell_into_names_its_trace() {
        let exemplars = Exemplars::default();
        assert!(exemplars.is_empty());
        let took = Duration::from_millis(300);
        exemplars.note(&CHECKOUT_DURATION, "stage=\"total\"", SECONDS, took, 0xabc);
        let said = appended(&exemplars, "0.5");
        assert!(said.starts_with(" # {trace_id=\"00000000000000000000000000000abc\"} 0.3 1"), "{said}");
        assert_eq!(appended(&exemplars, "0.25") + &appended(&exemplars, "1") + &appended(&exemplars, "+Inf"), "");
        // The next one soon after is not needed.
        exemplars.note(&CHECKOUT_DURATION, "stage=\"total\"", SECONDS, took, 0xdef);
        assert_eq!(appended(&exemplars, "0.5"), said);
        exemplars.note(&CHECKOUT_DURATION, "stage=\"total\"", SECONDS, Duration::from_secs(60), 0xdef);
        assert!(appended(&exemplars, "+Inf").contains("0def\"} 60 "));
        let mut text = String::new();
        exemplars.append("stampede_orders_total{outcome=\"placed\"} 7", SECONDS, &mut text);
        assert_eq!(text, "");
    }
}
