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
