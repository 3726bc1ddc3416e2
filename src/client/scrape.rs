//! What a server says about itself on its operations port.

use crate::client::{Pool, Request};
use anyhow::bail;
use std::net::SocketAddr;
use std::time::Duration;

/// All metrics at one moment.
#[derive(Debug, Clone)]
pub struct Metrics(String);

impl Metrics {
    /// Asks for them.
    ///
    /// # Errors
    /// When they are not answered.
    pub async fn of(operations: SocketAddr) -> anyhow::Result<Metrics> {
        let answer = Pool::new(operations, 1).send(&Request::get("/metrics"), Duration::from_secs(10)).await?;
        match answer.status() {
            200 => Ok(Metrics(String::from_utf8_lossy(&answer.body).into_owned())),
            status => bail!("/metrics answered {status}"),
        }
    }

    /// How many series there are of this name.
    #[must_use]
    pub fn count(&self, name: &str) -> f64 {
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        self.0.lines().filter(of_name).count() as f64
    }

    /// From their text.
    #[must_use]
    pub fn read(text: String) -> Metrics {
        Metrics(text)
    }

    /// A histogram's buckets: upper bounds, and how many samples were at most so much, over all series that have this label.
    #[must_use]
    pub fn buckets(&self, name: &str, label: &str) -> Vec<(f64, f64)> {
        let name = format!("{name}_bucket");
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for line in self.0.lines() {
            let Some((labels, value)) =
                line.strip_prefix(&name).and_then(|rest| rest.strip_prefix('{')?.split_once('}'))
            else {
                continue;
            };
            let of_label = label.is_empty() || labels.split(',').any(|one| one == label);
            let bound = labels.split(',').find_map(|one| one.strip_prefix("le=\"")?.strip_suffix('"'));
            let bound = bound.and_then(|bound| if bound == "+Inf" { Some(f64::INFINITY) } else { bound.parse().ok() });
            let (Some(bound), Ok(count), true) = (bound, value.trim().parse::<f64>(), of_label) else { continue };
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, sum)) => *sum += count,
                None => buckets.push((bound, count)),
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets
    }

    /// The sum over all series of this name that have this label, as `key="value"`; an empty one is had by all.
    #[must_use]
    pub fn sum(&self, name: &str, label: &str) -> f64 {
        let value = |line: &str| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = match rest.strip_prefix('{') {
                Some(rest) => rest.split_once('}')?,
                None => ("", rest.strip_prefix(' ')?),
            };
            if !label.is_empty() && !labels.split(',').any(|one| one == label) {
                return None;
            }
            value.trim().parse::<f64>().ok()
        };
        self.0.lines().filter_map(value).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_summed_by_their_bounds() {
        let text = "h_bucket{s=\"a\",le=\"0.5\"} 1\nh_bucket{s=\"a\",le=\"+Inf\"} 3\nh_bucket{s=\"b\",le=\"0.5\"} 4\n\
            h_bucket{s=\"b\",le=\"+Inf\"} 4\nh_sum{s=\"a\"} 9\n";
        let metrics = Metrics::read(text.to_owned());
        assert_eq!(metrics.buckets("h", "s=\"a\""), [(0.5, 1.0), (f64::INFINITY, 3.0)]);
        assert_eq!(metrics.buckets("h", ""), [(0.5, 5.0), (f64::INFINITY, 7.0)]);
        assert!(metrics.buckets("g", "").is_empty());
    }

    #[test]
    fn series_are_summed_by_name_and_label() {
        let metrics = Metrics(
            "# TYPE a counter\na{x=\"1\",y=\"2\"} 3\na{x=\"2\",y=\"2\"} 4\nab 100\nb 7.5\na_sum{x=\"1\"} 9\n"
                .to_owned(),
        );
        assert_eq!(metrics.sum("a", ""), 7.0);
        assert_eq!(metrics.sum("a", "x=\"1\""), 3.0);
        assert_eq!(metrics.sum("b", ""), 7.5);
        assert_eq!(metrics.sum("c", ""), 0.0);
    }
}
