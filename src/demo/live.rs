//! What the terminal shows while the rush goes on: a few lines drawn again and again, or, when nobody sits before it,
//! one plain line a second. It goes to standard error; the verdict alone goes to standard output.

use crate::demo::ledger::End;
use crate::demo::rush::Rush;
use crate::demo::shop::Shop;
use crate::demo::stats::Felt;
use std::io::{IsTerminal, Write};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Most refusal codes in a line.
const CODES: usize = 4;

/// Shows the rush until it is aborted.
pub async fn show(shop: Rc<Shop>, rush: Rc<Rush>, buyers: u32) {
    let mut view = View { terminal: std::io::stderr().is_terminal(), drawn: 0, orders: 0 };
    let start = Instant::now();
    loop {
        sleep(Duration::from_secs(1)).await;
        let lines = view.lines(&shop, &rush, buyers, start.elapsed());
        view.draw(&lines);
    }
}

struct View {
    terminal: bool,
    /// Lines on the screen that are ours.
    drawn: usize,
    /// Orders a second ago.
    orders: usize,
}

impl View {
    fn lines(&mut self, shop: &Shop, rush: &Rush, buyers: u32, elapsed: Duration) -> Vec<String> {
        let ledger = shop.ledger.borrow();
        let stats = &mut *shop.stats.borrow_mut();
        let Felt { p50, p99, count: answers } = stats.take_second().all;
        let units: u32 = shop.shelves.iter().map(|shelf| shelf.units).sum();
        let ordered = ledger.units(None) + ledger.units(Some(End::Sold));
        let new_orders = ledger.orders().len() - std::mem::replace(&mut self.orders, ledger.orders().len());
        let mut refusals: Vec<_> = stats.refusals.iter().map(|(code, count)| (*count, code)).collect();
        refusals.sort_unstable_by(|a, b| b.cmp(a));
        let refusals: Vec<_> =
            refusals.iter().take(CODES).map(|(count, code)| format!("{code} {}", grouped(*count))).collect();
        let in_line: u32 = rush.in_line().iter().sum();
        let parts = [
            format!("{:>3} s", elapsed.as_secs()),
            format!("buyers {}/{}", grouped(rush.arrived().into()), grouped(buyers.into())),
            format!("stock left {}/{}", grouped(units.saturating_sub(ordered).into()), grouped(units.into())),
            format!("paid {}", grouped(ledger.units(Some(End::Sold)).into())),
            format!("orders {} ({new_orders}/s)", grouped(ledger.orders().len() as u64)),
            format!("answers {}/s", grouped(answers)),
            format!("p50 {p50:.1} ms  p99 {p99:.1} ms"),
            format!("in line {}", grouped(in_line.into())),
            format!("refused: {}", if refusals.is_empty() { "none".to_owned() } else { refusals.join(", ") }),
        ];
        if self.terminal {
            // Short enough for any window.
            parts.chunks(3).map(|row| row.join("   ")).collect()
        } else {
            vec![parts.join("  ")]
        }
    }

    fn draw(&mut self, lines: &[String]) {
        let mut out = String::new();
        for _ in 0..self.drawn {
            out.push_str("\x1b[1A\x1b[2K");
        }
        lines.iter().for_each(|line| {
            out.push_str(line);
            out.push('\n');
        });
        self.drawn = if self.terminal { lines.len() } else { 0 };
        note_raw(&out);
    }
}

/// Writes a line of progress.
pub fn note(line: &str) {
    note_raw(&format!("{line}\n"));
}

fn note_raw(text: &str) {
    // Nobody listening is no reason to stop.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// `1234567` as `1,234,567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let texts = [0, 999, 1_000, 12_345, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}
