//! `report.html`: the run on one page that needs nothing else: no script, no font, no picture from anywhere.

mod plot;

use crate::demo::live::grouped;
use crate::load::samples::Sample;
use crate::load::summary::{Quantiles, Summary};
use plot::{Line, Plot};
use quick_xml::escape::escape;
use std::fmt::Write;

const STYLE: &str = include_str!("report/style.css");

/// The page.
#[must_use]
pub fn html(summary: &Summary, samples: &[Sample]) -> String {
    let word = summary.verdict.as_str();
    let title = format!("{} {} {word}", summary.scenario, summary.profile);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<p class=\"badge {}\">{word}</p>\n<h1>{}</h1>\n\
         <p class=\"about\">{}</p>\n</header>\n",
        escape(&title),
        word.to_ascii_lowercase(),
        escape(format!("{} · {}", summary.scenario, summary.profile)),
        escape(&summary.about)
    );
    list(&mut page, "reasons", &summary.reasons);
    list(&mut page, "notes", &summary.notes);
    tiles(&mut page, summary);
    page.push_str("<h2>Over time</h2>\n");
    plots(summary, samples).iter().for_each(|plot| page.push_str(&plot.html()));
    judged(&mut page, summary);
    numbers(&mut page, summary);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn list(page: &mut String, class: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let items: String = lines.iter().map(|line| format!("<li>{}</li>", escape(line))).collect();
    page.push_str(&format!("<ul class=\"{class}\">{items}</ul>\n"));
}

fn tiles(page: &mut String, summary: &Summary) {
    let sold = format!("{}/{}", grouped(summary.sold.unsigned_abs()), grouped(summary.units.unsigned_abs()));
    let refused = grouped(summary.refused.values().sum());
    let tiles = [
        ("units sold", sold),
        ("orders", grouped(summary.accepted + summary.accepted_later)),
        ("accepted p99", ms(summary.accepted_ms.p99)),
        ("refused", refused),
        ("refused p99", ms(summary.refused_ms.p99)),
        ("errors", grouped(summary.errors)),
        ("dropped", grouped(summary.dropped_arrivals)),
    ];
    page.push_str("<dl class=\"tiles\">\n");
    for (name, value) in tiles {
        page.push_str(&format!("<div><dt>{name}</dt><dd>{}</dd></div>\n", escape(&value)));
    }
    page.push_str("</dl>\n");
}

fn plots(summary: &Summary, samples: &[Sample]) -> [Plot; 3] {
    let line = |name, class, value: &dyn Fn(&Sample) -> Option<f64>| Line {
        name,
        class,
        points: samples.iter().map(|sample| (sample.at, value(sample))).collect(),
    };
    let mut left = line("units left", "a", &|sample| Some(sample.stock_left as f64));
    // Before the first sample everything was there.
    left.points.insert(0, (0.0, Some(summary.units as f64)));
    let rate = |count: u64, sample: &Sample| Some(count as f64 / sample.seconds.max(1e-3));
    [
        Plot {
            title: "Latency, from the moment a purchase was meant to be sent",
            unit: "ms",
            lines: vec![
                line("accepted p99", "a", &|sample| Some(sample.accepted_ms?.p99)),
                line("accepted p50", "a faint", &|sample| Some(sample.accepted_ms?.p50)),
                line("refused p99", "b", &|sample| Some(sample.refused_ms?.p99)),
                line("refused p50", "b faint", &|sample| Some(sample.refused_ms?.p50)),
            ],
        },
        Plot {
            title: "Throughput",
            unit: "arrivals per second",
            lines: vec![
                line("accepted", "a", &|sample| rate(sample.accepted, sample)),
                line("refused", "b", &|sample| rate(sample.refused, sample)),
                line("failed or dropped", "c", &|sample| rate(sample.failed + sample.dropped, sample)),
            ],
        },
        Plot { title: "Stock that nobody was acknowledged yet", unit: "units", lines: vec![left] },
    ]
}

fn judged(page: &mut String, summary: &Summary) {
    page.push_str("<h2>Thresholds</h2>\n<table>\n<tr><th>threshold</th><th>seen</th><th>verdict</th></tr>\n");
    for threshold in &summary.thresholds {
        row(page, &[threshold.name, &threshold.what], Some(threshold.kept));
    }
    page.push_str(
        "</table>\n<h2>Invariants</h2>\n<table>\n<tr><th>invariant</th><th>evaluated</th><th>violated</th>\
         <th>verdict</th></tr>\n",
    );
    for (invariant, seen) in &summary.invariants {
        let (evaluated, violated) = (grouped(seen.evaluated), grouped(seen.violated));
        row(page, &[invariant.word(), &evaluated, &violated], Some(seen.violated == 0));
    }
    page.push_str("</table>\n");
}

fn numbers(page: &mut String, summary: &Summary) {
    page.push_str(
        "<h2>Numbers</h2>\n<table>\n<tr><th>answers</th><th>p50</th><th>p99</th><th>p99.9</th><th>max</th></tr>\n",
    );
    for (name, Quantiles { p50, p99, p999, max }) in
        [("accepted", summary.accepted_ms), ("refused", summary.refused_ms)]
    {
        row(page, &[name, &ms(p50), &ms(p99), &ms(p999), &ms(max)], None);
    }
    page.push_str("</table>\n<table>\n");
    for (code, count) in &summary.refused {
        row(page, &[&format!("refused: {code}"), &grouped(*count)], None);
    }
    let server = format!("{}{}", summary.server, if summary.own_server { " (of its own)" } else { "" });
    let mut facts = vec![
        ("arrivals", grouped(summary.arrivals)),
        ("orders after the arrivals", grouped(summary.accepted_later)),
        ("length of the arrivals", format!("{:.1} s", summary.seconds)),
        ("latest arrival", format!("{} ms", summary.latest_arrival_ms)),
        ("generator's CPU, busiest five seconds", format!("{} % of one core", summary.generator_cpu_percent)),
        ("connections", summary.connections.to_string()),
        ("server", server),
        ("run", summary.run.clone()),
        ("seed", summary.seed.to_string()),
        ("rate factor", summary.rate_factor.to_string()),
        ("started", summary.started.clone()),
        ("ended", summary.ended.clone()),
    ];
    facts.extend(summary.knee_per_second.map(|knee| ("rate before the knee", format!("{} per second", grouped(knee)))));
    for (name, value) in &facts {
        row(page, &[name, value], None);
    }
    page.push_str("</table>\n");
}

fn row(page: &mut String, cells: &[&str], good: Option<bool>) {
    page.push_str("<tr>");
    for cell in cells {
        // Writing to a string cannot fail.
        let _ = write!(page, "<td>{}</td>", escape(*cell));
    }
    match good {
        Some(true) => page.push_str("<td class=\"good\">✓ holds</td>"),
        Some(false) => page.push_str("<td class=\"bad\">✗ does not hold</td>"),
        None => {}
    }
    page.push_str("</tr>\n");
}

fn ms(ms: Option<f64>) -> String {
    ms.map_or_else(|| "none".to_owned(), |ms| format!("{ms:.1} ms"))
}

#[cfg(test)]
mod tests;
