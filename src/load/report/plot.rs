//! Lines over time as a drawing of the page itself (SVG). Colours come from the style sheet, so it is read in light and
//! in dark.

use quick_xml::escape::escape;
use std::fmt::Write;

/// Size of the drawing and room for its numbers, in units of the drawing.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;
/// Points up to which each is marked.
const MARKED: usize = 40;

/// One drawing.
pub struct Plot {
    /// What it shows.
    pub title: &'static str,
    /// Of its vertical axis.
    pub unit: &'static str,
    /// At least one.
    pub lines: Vec<Line>,
}

/// One line of it.
pub struct Line {
    /// In the legend.
    pub name: &'static str,
    /// Its colour and kind: a class of the style sheet.
    pub class: &'static str,
    /// Seconds and values; where there is none, the line is broken.
    pub points: Vec<(f64, Option<f64>)>,
}

impl Plot {
    /// The drawing with title and legend.
    pub fn html(&self) -> String {
        let mut html = format!(
            "<figure>\n<figcaption><strong>{}</strong> <span>({})</span></figcaption>\n",
            escape(self.title),
            escape(self.unit)
        );
        html.push_str(&self.svg());
        html.push_str("<p class=\"legend\">");
        for line in &self.lines {
            let _ = write!(html, "<span class=\"{}\"><i></i>{}</span> ", line.class, escape(line.name));
        }
        html.push_str("</p>\n</figure>\n");
        html
    }

    fn svg(&self) -> String {
        let values = || self.lines.iter().flat_map(|line| line.points.iter());
        let seconds = values().map(|(at, _)| *at).fold(0.0, f64::max).max(1.0);
        let (step, top) = steps(values().filter_map(|(_, value)| *value).fold(0.0, f64::max));
        let x = |at: f64| LEFT + at / seconds * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
        let mut svg =
            format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n", escape(self.title));
        let mut value = 0.0;
        while value <= top + step / 2.0 {
            let (right, at) = (WIDTH - RIGHT, y(value));
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/><text x=\"{}\" y=\"{:.1}\" class=\"end\">{}</text>",
                LEFT - 8.0,
                at + 4.0,
                number(value)
            );
            value += step;
        }
        let (every, _) = steps(seconds);
        let mut at = 0.0;
        while at <= seconds {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" class=\"middle\">{} s</text>",
                x(at),
                HEIGHT - 8.0,
                number(at)
            );
            at += every;
        }
        for line in &self.lines {
            svg.push_str(&line.path(x, y));
        }
        svg.push_str("</svg>\n");
        svg
    }
}

impl Line {
    fn path(&self, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
        let mut path = String::new();
        let mut marks = String::new();
        let mut drawing = false;
        for (at, value) in &self.points {
            let Some(value) = value else {
                drawing = false;
                continue;
            };
            let (x, y) = (x(*at), y(*value));
            let _ = write!(path, "{}{x:.1} {y:.1}", if drawing { "L" } else { "M" });
            drawing = true;
            if self.points.len() <= MARKED {
                let _ = write!(
                    marks,
                    "<circle class=\"{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"><title>{} at {at:.0} s: {value:.1}</title></circle>",
                    self.class,
                    escape(self.name)
                );
            }
        }
        if path.is_empty() {
            String::new()
        } else {
            format!("<path class=\"line {}\" d=\"{path}\"/>{marks}\n", self.class)
        }
    }
}

/// A round step of some four to ten up to a round number that is not less than `most`.
fn steps(most: f64) -> (f64, f64) {
    let most = if most > 0.0 && most.is_finite() { most } else { 1.0 };
    let power = 10f64.powf((most / 5.0).log10().floor());
    let rough = most / 5.0 / power;
    let step = power
        * if rough <= 1.0 {
            1.0
        } else if rough <= 2.0 {
            2.0
        } else if rough <= 5.0 {
            5.0
        } else {
            10.0
        };
    (step, (most / step).ceil() * step)
}

fn number(value: f64) -> String {
    match value {
        _ if value >= 1_000_000.0 => format!("{} M", value / 1_000_000.0),
        _ if value >= 10_000.0 => format!("{} k", value / 1_000.0),
        _ if value.fract().abs() < 1e-9 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_steps() {
        let then = [
            (0.0, (0.2, 1.0)),
            (1.0, (0.2, 1.0)),
            (7.0, (2.0, 8.0)),
            (100.0, (20.0, 100.0)),
            (101.0, (50.0, 150.0)),
            (480.0, (100.0, 500.0)),
        ];
        for (most, (step, top)) in then {
            let (seen_step, seen_top) = steps(most);
            assert!((seen_step - step).abs() < 1e-9 && (seen_top - top).abs() < 1e-9, "{most}: {seen_step} {seen_top}");
        }
        assert_eq!(steps(f64::NAN), steps(1.0));
    }

    #[test]
    fn a_line_is_broken_where_there_is_no_value() {
        let line = Line {
            name: "n",
            class: "a",
            points: vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(2.0)), (3.0, Some(1.0))],
        };
        let path = line.path(|at| at, |value| value);
        assert!(path.contains("d=\"M0.0 1.0M2.0 2.0L3.0 1.0\""), "{path}");
        let nothing = Line { points: vec![(0.0, None)], ..line };
        assert_eq!(nothing.path(|at| at, |value| value), "");
    }

    #[test]
    fn large_numbers_are_short() {
        assert_eq!([0.0, 0.5, 12.0, 20_000.0, 1_500_000.0].map(number), ["0", "0.50", "12", "20 k", "1.5 M"]);
    }
}
