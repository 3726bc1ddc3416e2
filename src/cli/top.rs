//! `stampede top`: a running server at a glance. Everything but the names of hot SKUs comes from its metrics.

use crate::cli::{Exit, Outcome, Stop, out};
use crate::client::scrape::Metrics;
use crate::client::{Pool, Request};
use crate::demo::live::grouped;
use crate::import::remote;
use anyhow::anyhow;
use serde::Serialize;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// SKUs shown.
const HOT: usize = 10;
/// Longest wait for the list of hot SKUs.
const WITHIN: Duration = Duration::from_secs(5);

/// `stampede top`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A running server's API: names the hot SKUs, with --key.
    #[arg(long, value_name = "URL", env = "STAMPEDE_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// Its operations port.
    #[arg(long, value_name = "URL", env = "STAMPEDE_OPS", default_value = "http://127.0.0.1:8081")]
    ops: String,
    /// An API key; without one, hot SKUs have no names.
    #[arg(long, value_name = "KEY", env = "STAMPEDE_KEY", hide_env_values = true)]
    key: Option<String>,
    /// How often to look.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "1s")]
    every: Duration,
    /// Look so often, then end; without it, until interrupted.
    #[arg(long, value_name = "N")]
    times: Option<u64>,
    /// A JSON object per line instead of a screen.
    #[arg(long)]
    json: bool,
}

/// Shows it until it is interrupted.
///
/// # Errors
/// Addresses that are none; with exit code 3, a server that is not there at the first look.
pub fn run(args: &Args) -> Outcome {
    let address = |url: &str| remote::address(url).map_err(|error| Stop::new(Exit::Usage, anyhow!(error)));
    let (api, operations) = (address(&args.server)?, address(&args.ops)?);
    if args.every < Duration::from_millis(100) {
        return Err(Stop::new(Exit::Usage, anyhow!("--every must be at least 100ms")));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let away = |error: anyhow::Error| Stop::new(Exit::NotReady, error.context(args.ops.clone()));
        let mut before = Look::at(operations).await.map_err(away)?;
        let screen = console::Term::stdout();
        for _ in 0..args.times.unwrap_or(u64::MAX) {
            tokio::time::sleep(args.every).await;
            let Ok(now) = Look::at(operations).await else {
                // A restart: it comes back, and its counters begin anew.
                if args.times.is_some() {
                    return Err(away(anyhow!("it does not answer any more")));
                }
                out::complain(&format!("{} does not answer", args.ops));
                continue;
            };
            let glance = Glance::between(&before, &now, hot(api, args.key.as_deref(), &now.metrics).await);
            before = now;
            if args.json {
                out::line(&serde_json::to_string(&glance)?);
                continue;
            }
            if screen.is_term() {
                screen.move_cursor_to(0, 0)?;
                screen.clear_to_end_of_screen()?;
            }
            out::say(&glance.text());
        }
        Ok(Exit::Ok)
    })
}

/// The metrics at one moment.
struct Look {
    metrics: Metrics,
    at: Instant,
}

impl Look {
    async fn at(operations: SocketAddr) -> anyhow::Result<Look> {
        Ok(Look { metrics: Metrics::of(operations).await?, at: Instant::now() })
    }
}

/// What is shown.
#[derive(Debug, Serialize)]
struct Glance {
    ready: bool,
    paused: bool,
    faults: bool,
    units: Units,
    /// Per second.
    orders: f64,
    sold_out: f64,
    refused: f64,
    errors: f64,
    requests: f64,
    /// Of purchases, in milliseconds; absent when there was none. An upper bound: the histogram's.
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    permits: f64,
    permits_capacity: f64,
    queues: Vec<QueueGlance>,
    dead_letters: f64,
    log: LogGlance,
    projection_lag: f64,
    memory_mb: f64,
    /// Of one core.
    cpu: f64,
    oversold: f64,
    violations: f64,
    attention: f64,
    hot: Vec<(String, f64)>,
}

#[derive(Debug, Serialize)]
struct Units {
    available: f64,
    held: f64,
    allocated: f64,
    shipped: f64,
}

#[derive(Debug, Serialize)]
struct QueueGlance {
    queue: &'static str,
    waiting: f64,
    /// In seconds.
    oldest: f64,
}

#[derive(Debug, Serialize)]
struct LogGlance {
    /// Flushes per second.
    flushes: f64,
    records_per_flush: f64,
    sync_ms: f64,
    waiting_records: f64,
}

impl Glance {
    fn between(before: &Look, now: &Look, hot: Vec<(String, f64)>) -> Glance {
        let seconds = now.at.duration_since(before.at).as_secs_f64().max(0.001);
        let of = |name: &str, label: &str| now.metrics.sum(name, label);
        // After a restart counters begin anew.
        let grown = |name: &str, label: &str| (of(name, label) - before.metrics.sum(name, label)).max(0.0);
        let rate = |name: &str, label: &str| grown(name, label) / seconds;
        let checkouts = |outcome: &str| rate("stampede_checkout_requests_total", &format!("outcome=\"{outcome}\""));
        let quantile = |share: f64| {
            let name = "stampede_checkout_duration_seconds";
            let (then, now) = (before.metrics.buckets(name, TOTAL), now.metrics.buckets(name, TOTAL));
            quantile(&then, &now, share).map(|seconds| seconds * 1e3)
        };
        let units = |state: &str| of("stampede_units", &format!("state=\"{state}\""));
        let queue = |queue: &'static str| {
            let label = format!("queue=\"{queue}\"");
            QueueGlance {
                queue,
                waiting: of("stampede_queue_depth_messages", &label),
                oldest: of("stampede_queue_oldest_message_age_seconds", &label),
            }
        };
        let frames = grown("stampede_journal_frames_total", "");
        let refused =
            ["buyer_limit", "paused", "price_changed", "invalid", "rate_limited", "not_admitted", "contended"];
        Glance {
            ready: of("stampede_ready", "") >= now.metrics.count("stampede_ready"),
            paused: of("stampede_shop_paused", "") > 0.0,
            faults: of("stampede_scenario_active", "kind=\"fault\"") > 0.0,
            units: Units {
                available: units("available"),
                held: units("held"),
                allocated: units("allocated"),
                shipped: units("shipped"),
            },
            orders: checkouts("accepted"),
            sold_out: checkouts("sold_out"),
            refused: refused.map(checkouts).iter().sum(),
            errors: checkouts("error") + checkouts("shed_after_admission"),
            requests: rate("stampede_http_requests_total", ""),
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            permits: of("stampede_shard_permits_in_use", ""),
            permits_capacity: of("stampede_shard_permits_capacity", ""),
            queues: ["payment", "fulfilment", "stock"].map(queue).into(),
            dead_letters: of("stampede_dead_letters", ""),
            log: LogGlance {
                flushes: frames / seconds,
                records_per_flush: grown("stampede_journal_records_total", "") / frames.max(1.0),
                sync_ms: of("stampede_journal_sync_seconds", "") * 1e3,
                waiting_records: of("stampede_journal_waiting_records", ""),
            },
            projection_lag: of("stampede_projection_lag_records", ""),
            memory_mb: of("stampede_process_resident_memory_bytes", "") / 1e6,
            cpu: rate("stampede_process_cpu_milliseconds_total", "") / 1e3,
            oversold: of("stampede_oversold_units_total", ""),
            violations: of("stampede_invariant_violations_total", ""),
            attention: grown("stampede_orders_attention_total", ""),
            hot,
        }
    }

    fn text(&self) -> String {
        let whole = |number: f64| grouped(number.max(0.0).round() as u64);
        let ms = |quantile: Option<f64>| quantile.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
        let state = match (self.ready, self.paused, self.faults) {
            (false, ..) => "NOT READY",
            (true, true, _) => "THE SHOP IS PAUSED",
            (true, false, true) => "ready, faults on purpose",
            (true, false, false) => "ready",
        };
        let truth = match self.oversold > 0.0 || self.violations > 0.0 {
            true => format!("OVERSOLD {}  VIOLATIONS {}", self.oversold, self.violations),
            false => "oversold 0  violations 0".to_owned(),
        };
        let queues: Vec<String> = self
            .queues
            .iter()
            .map(|queue| format!("{} {} ({:.1} s)", queue.queue, whole(queue.waiting), queue.oldest))
            .collect();
        let Units { available, held, allocated, shipped } = &self.units;
        let mut lines = vec![
            format!("{state}   {truth}   new orders that need a person {}", self.attention),
            format!(
                "stock    available {}  held {}  allocated {}  shipped {}",
                whole(*available),
                whole(*held),
                whole(*allocated),
                whole(*shipped)
            ),
            format!(
                "orders   {}/s  sold out {}/s  refused {}/s  errors {}/s  requests {}/s",
                whole(self.orders),
                whole(self.sold_out),
                whole(self.refused),
                whole(self.errors),
                whole(self.requests)
            ),
            format!(
                "latency  p50 <= {}  p99 <= {}  permits {}/{}",
                ms(self.p50_ms),
                ms(self.p99_ms),
                whole(self.permits),
                whole(self.permits_capacity)
            ),
            format!("queues   {}  dead letters {}", queues.join("  "), whole(self.dead_letters)),
            format!(
                "log      {} flushes/s of {:.1} records  sync {:.2} ms  waiting {}  store behind {}",
                whole(self.log.flushes),
                self.log.records_per_flush,
                self.log.sync_ms,
                whole(self.log.waiting_records),
                whole(self.projection_lag)
            ),
            format!("process  {:.0} % of a core  {} MB", self.cpu * 100.0, whole(self.memory_mb)),
        ];
        let hot = self.hot.iter().map(|(sku, share)| format!("  {:>5.1} %  {sku}", share * 100.0));
        lines.push("hot SKUs, by share of holds".to_owned());
        lines.extend(hot);
        lines.join("\n") + "\n"
    }
}

/// The stage of a purchase that is its whole time.
const TOTAL: &str = "stage=\"total\"";

/// The upper bound of the bucket that this share of the samples between two looks is within; `None` without samples.
fn quantile(before: &[(f64, f64)], now: &[(f64, f64)], share: f64) -> Option<f64> {
    let new = |(bound, count): &(f64, f64)| {
        let before = before.iter().find(|(known, _)| known == bound).map_or(0.0, |(_, count)| *count);
        (*bound, (count - before).max(0.0))
    };
    let grown: Vec<(f64, f64)> = now.iter().map(new).collect();
    let all = grown.last().map(|(_, count)| *count).filter(|all| *all > 0.0)?;
    let (bound, _) = grown.iter().find(|(_, count)| *count >= share * all)?;
    // Beyond the last bound there is none to name.
    let last = grown.iter().rev().map(|(bound, _)| *bound).find(|bound| bound.is_finite());
    if bound.is_finite() { Some(*bound) } else { last }
}

/// The most wanted SKUs: by name where a key is given and the server answers, else by rank.
async fn hot(api: SocketAddr, key: Option<&str>, metrics: &Metrics) -> Vec<(String, f64)> {
    let by_rank = || {
        let share = |rank: usize| metrics.sum("stampede_hot_sku_share_ratio", &format!("rank=\"{rank}\""));
        (1..=HOT).map(|rank| (format!("rank {rank}"), share(rank))).filter(|(_, share)| *share > 0.0).collect()
    };
    let Some(key) = key else { return by_rank() };
    let authorization = format!("Bearer {key}");
    let path = format!("/v1/ops/hot-skus?limit={HOT}");
    let request = Request::new("GET", &path, &[("authorization", &authorization)], None);
    let Ok(answer) = Pool::new(api, 1).send(&request, WITHIN).await else { return by_rank() };
    let body = answer.json().unwrap_or_default();
    let Some(rows) = body["data"].as_array().filter(|_| answer.status() == 200) else { return by_rank() };
    let row = |row: &Value| Some((row["sku"].as_str()?.to_owned(), row["share"].as_f64()?));
    rows.iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_of_what_came_between() {
        let inf = f64::INFINITY;
        let before = [(0.001, 100.0), (0.01, 100.0), (inf, 100.0)];
        let now = [(0.001, 100.0), (0.01, 190.0), (inf, 200.0)];
        assert_eq!(quantile(&before, &now, 0.5), Some(0.01));
        assert_eq!(quantile(&before, &now, 0.99), Some(0.01), "beyond the last bound");
        assert_eq!(quantile(&[], &now, 0.5), Some(0.001));
        assert_eq!(quantile(&now, &now, 0.5), None, "nothing came");
        assert_eq!(quantile(&[], &[], 0.5), None);
    }

    #[test]
    fn a_glance_is_the_difference_of_two_looks() {
        let at = Instant::now();
        let look =
            |text: &str, after| Look { metrics: Metrics::read(text.to_owned()), at: at + Duration::from_secs(after) };
        let accepted = "stampede_checkout_requests_total{outcome=\"accepted\"}";
        let before = look(&format!("{accepted} 100\nstampede_ready{{check=\"log\"}} 1\n"), 0);
        let now = format!(
            "{accepted} 300\nstampede_ready{{check=\"log\"}} 1\nstampede_ready{{check=\"lanes\"}} 0\n\
             stampede_units{{state=\"available\"}} 1234\nstampede_journal_frames_total{{backend=\"embedded\"}} 10\n\
             stampede_journal_records_total{{backend=\"embedded\"}} 500\nstampede_oversold_units_total 0\n"
        );
        let glance = Glance::between(&before, &look(&now, 2), vec![("hoodie".to_owned(), 0.5)]);
        assert_eq!((glance.orders, glance.log.records_per_flush, glance.ready), (100.0, 50.0, false));
        let text = glance.text();
        assert!(text.starts_with("NOT READY   oversold 0"), "{text}");
        assert!(
            text.contains("available 1,234") && text.contains("orders   100/s") && text.contains("50.0 %  hoodie"),
            "{text}"
        );
        assert_eq!(glance.p99_ms, None);
    }
}
