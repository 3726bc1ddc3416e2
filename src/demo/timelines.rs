//! Can each order be followed from click to shipment? What must be in a timeline, by where its order stands.

use stampede_actors::order::{Happening, Order, State};

/// What is missing in an order's timeline, if anything is.
#[must_use]
pub fn gap(order: &Order) -> Option<String> {
    let timeline = order.timeline();
    let has = |word: &str| timeline.iter().any(|happening| happening.word == word);
    if timeline.first().is_none_or(|first| first.word != "placed") {
        return Some("it does not begin with being placed".to_owned());
    }
    if has("omitted") {
        return Some("its middle is left out".to_owned());
    }
    if let Some(pair) = timeline.windows(2).find(|pair| pair[1].at < pair[0].at) {
        return Some(format!("{} comes before {}", pair[1].word, pair[0].word));
    }
    let missing = |words: &[&str]| words.iter().find(|word| !has(word)).map(|word| format!("{word} is missing"));
    let paid: &[&str] = match order.captured() {
        Some(captured) if captured.minor > 0 => &["authorize_done", "allocate_done", "capture_done"],
        _ => &[],
    };
    let ended: &[&str] = match order.state() {
        // The warehouse may ship before it has said that it will, and the books may be closed before the SKU knows: these
        // steps are still open then.
        Some(State::Fulfilled) => &["shipped"],
        Some(State::Cancelled) => &["cancelled"],
        Some(State::Expired) => &["expired"],
        _ => &[],
    };
    missing(paid).or_else(|| missing(ended)).or_else(|| unanswered(order, timeline))
}

/// A step that was opened, is not open any more, and of which nothing says how it ended.
fn unanswered(order: &Order, timeline: &[Happening]) -> Option<String> {
    for (place, opened) in timeline.iter().enumerate() {
        let Some(step) = opened.word.strip_suffix("_opened") else { continue };
        let ends = |later: &Happening| {
            let how = later.word.strip_prefix(step);
            // A refusal names its reason, not the attempt.
            how == Some("_refused") || (how == Some("_done") && later.detail == opened.detail)
        };
        let open = order.open_steps().iter().any(|open| open.step.word() == step);
        if !open && !timeline[place..].iter().any(ends) {
            return Some(format!("nothing says how {step} {} ended", opened.detail));
        }
    }
    None
}
