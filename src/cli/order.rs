//! `stampede order ID`: one order of a running server, with all that happened to it.

use crate::cli::{Exit, Outcome, Stop, out};
use crate::client::{Pool, Request};
use crate::import::remote;
use anyhow::{Context, anyhow};
use serde_json::Value;
use stampede_actors::ids::OrderId;
use stampede_actors::money::{Money, currency};
use std::fmt::Write;
use std::time::{Duration, SystemTime};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// `stampede order`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The order, like `ord_…`.
    order: String,
    /// A running server's API.
    #[arg(long, value_name = "URL", env = "STAMPEDE_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// As the API gives it.
    #[arg(long)]
    json: bool,
}

/// Asks, and prints.
///
/// # Errors
/// No order of that name, or nobody who answers.
pub fn run(args: &Args) -> Outcome {
    let usage = |error: String| Stop::new(Exit::Usage, anyhow!(error));
    let order: OrderId = args.order.parse().map_err(|_| usage(format!("{:?} is no order's name", args.order)))?;
    let address = remote::address(&args.server).map_err(usage)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = async { Pool::new(address, 1).send(&Request::get(&format!("/v1/orders/{order}")), PATIENCE).await };
    let answer =
        runtime.block_on(asked).map_err(|error| Stop::new(Exit::NotReady, anyhow!("{}: {error}", args.server)))?;
    let body = answer.json().with_context(|| format!("{} answered what is no JSON", args.server))?;
    if answer.status() != 200 {
        let why = body["detail"].as_str().or(body["title"].as_str()).unwrap_or("refused").to_owned();
        return Err(anyhow!("{} {}: {why}", answer.status(), answer.code()).into());
    }
    if args.json {
        out::json(&body)?;
    } else {
        out::line(told(&body).trim_end());
    }
    Ok(Exit::Ok)
}

/// The order in lines: what it is, then each step with its distance from the order's beginning.
fn told(order: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{}  {}  of {}: {}, {} captured, {} refunded",
        word(&order["order"]),
        word(&order["state"]),
        word(&order["buyer"]),
        money(&order["total"]),
        money(&order["captured"]),
        money(&order["refunded"])
    );
    for line in list(&order["lines"]) {
        let _ = writeln!(text, "  {} x {} of {}", line["units"], word(&line["sku"]), word(&line["seller"]));
    }
    if let Some(why) = order["attention"].as_str() {
        let _ = writeln!(text, "  needs a person: {why}");
    }
    for open in list(&order["open_steps"]) {
        let _ = writeln!(text, "  open: {open}");
    }
    let begun = time(&order["placed_at"]);
    for happening in list(&order["timeline"]) {
        let after = begun.zip(time(&happening["at"])).and_then(|(begun, at)| at.duration_since(begun).ok());
        let after = after.map_or_else(|| "?".to_owned(), |after| format!("+{:.3} s", after.as_secs_f64()));
        let times = happening["times"].as_u64().filter(|times| *times > 1).map(|times| format!(" x {times}"));
        let _ = writeln!(
            text,
            "{}  {after:>12}  {}{}  {}",
            word(&happening["at"]),
            word(&happening["what"]),
            times.unwrap_or_default(),
            word(&happening["detail"])
        );
    }
    text
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// An amount as the API writes it, as people do.
fn money(amount: &Value) -> String {
    let currency = amount["currency"].as_str().and_then(|code| currency(code).ok());
    match (amount["amount"].as_i64(), currency) {
        (Some(minor), Some(currency)) => Money { minor, currency }.to_string(),
        _ => amount.to_string(),
    }
}

fn time(value: &Value) -> Option<SystemTime> {
    humantime::parse_rfc3339(value.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_order_is_told_with_the_time_that_each_step_took() {
        let amount = |amount: u32| json!({ "amount": amount, "currency": "EUR" });
        let order = json!({
            "order": "ord_1", "state": "fulfilled", "buyer": "buyer-1", "total": amount(3998), "captured": amount(3998),
            "refunded": amount(0), "lines": [{ "sku": "hoodie", "seller": "acme", "units": 2 }], "attention": "unanswered",
            "placed_at": "2026-11-27T09:00:00.000Z", "timeline": [
                { "at": "2026-11-27T09:00:00.000Z", "what": "placed", "times": 1 },
                { "at": "2026-11-27T09:00:01.250Z", "what": "authorize_asked", "detail": "1", "times": 3 },
            ],
        });
        let lines: Vec<String> = told(&order).lines().map(|line| line.trim_end().to_owned()).collect();
        assert_eq!(
            lines,
            [
                "ord_1  fulfilled  of buyer-1: 39.98 EUR, 39.98 EUR captured, 0.00 EUR refunded",
                "  2 x hoodie of acme",
                "  needs a person: unanswered",
                "2026-11-27T09:00:00.000Z      +0.000 s  placed",
                "2026-11-27T09:00:01.250Z      +1.250 s  authorize_asked x 3  1",
            ]
        );
    }
}
