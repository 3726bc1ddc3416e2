//! Histograms that are counted in plain atomics where things happen, and written out here: the exporter takes only
//! single observations, and those of the hot path are too many for that.

use crate::metrics::catalogue::Metric;
use parking_lot::Mutex;
use stampede_actors::shell::durations::{BOUNDS_MICROS, Durations};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// A metric's name and its label values.
type Series = (&'static str, Vec<String>);

/// All series.
#[derive(Default)]
pub(crate) struct Histograms {
    series: Mutex<BTreeMap<Series, Arc<Durations>>>,
}

impl Histograms {
    /// The series of these label values, in the catalogue's order, is counted there from now on.
    pub fn show(&self, metric: &'static Metric, values: &[&str], counted: &Arc<Durations>) {
        assert_eq!(values.len(), metric.labels.len(), "{} has its labels from the catalogue", metric.name);
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.series.lock().insert((metric.name, values), Arc::clone(counted));
    }

    /// Writes those of a catalogue in version 0.0.4 of the format.
    pub fn render(&self, catalogue: &[&Metric], text: &mut String) {
        let series = self.series.lock();
        for metric in catalogue {
            let of_metric = series.range((metric.name, Vec::new())..).take_while(|((name, _), _)| *name == metric.name);
            for (index, ((name, values), counted)) in of_metric.enumerate() {
                // Writing to a String cannot fail.
                if index == 0 {
                    let _ = write!(text, "# HELP {name} {}\n# TYPE {name} histogram\n", metric.help);
                }
                let labels: String =
                    metric.labels.iter().zip(values).map(|(l, v)| format!("{}=\"{v}\",", l.key)).collect();
                let observed = counted.observed();
                for (bound, up_to) in BOUNDS_MICROS.iter().zip(observed.up_to) {
                    let bound = *bound as f64 / 1e6;
                    let _ = writeln!(text, "{name}_bucket{{{labels}le=\"{bound}\"}} {up_to}");
                }
                let (all, seconds) = (observed.up_to[BOUNDS_MICROS.len()], observed.seconds);
                let _ = writeln!(text, "{name}_bucket{{{labels}le=\"+Inf\"}} {all}");
                let labels = labels.trim_end_matches(',');
                let _ = writeln!(text, "{name}_sum{{{labels}}} {seconds}\n{name}_count{{{labels}}} {all}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalogue;
    use std::time::Duration;

    #[test]
    fn a_histogram_is_written_as_the_exporter_writes_its_own() {
        let (histograms, counted) = (Histograms::default(), Arc::new(Durations::default()));
        counted.record(Duration::from_millis(1));
        counted.record(Duration::from_secs(60));
        histograms.show(&catalogue::SHARD_WAIT, &["3"], &counted);
        histograms.show(&catalogue::SHARD_WAIT, &["1"], &Arc::default());
        let mut text = String::new();
        histograms.render(catalogue::ALL, &mut text);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("# HELP stampede_shard_wait_seconds {}", catalogue::SHARD_WAIT.help));
        assert_eq!(lines[1], "# TYPE stampede_shard_wait_seconds histogram");
        assert_eq!(lines.len(), 2 + 2 * (14 + 3), "{text}");
        for line in [
            "stampede_shard_wait_seconds_bucket{shard=\"1\",le=\"+Inf\"} 0",
            "stampede_shard_wait_seconds_bucket{shard=\"3\",le=\"0.0005\"} 0",
            "stampede_shard_wait_seconds_bucket{shard=\"3\",le=\"0.001\"} 1",
            "stampede_shard_wait_seconds_bucket{shard=\"3\",le=\"10\"} 1",
            "stampede_shard_wait_seconds_bucket{shard=\"3\",le=\"+Inf\"} 2",
            "stampede_shard_wait_seconds_sum{shard=\"3\"} 60.001",
            "stampede_shard_wait_seconds_count{shard=\"3\"} 2",
        ] {
            assert!(lines.contains(&line), "{line}\n{text}");
        }
    }

    #[test]
    fn the_bounds_are_the_catalogues() {
        let bounds: Vec<f64> = BOUNDS_MICROS.iter().map(|micros| *micros as f64 / 1e6).collect();
        assert_eq!(bounds, catalogue::SECONDS);
    }
}
