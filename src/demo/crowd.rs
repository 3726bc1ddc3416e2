//! Who comes to the sale and what they have in mind. Everything follows from the seed, the buyer's number and the
//! visit, so a run can be repeated; only the timing is the world's.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Share of all buyers who want the one hot SKU, on top of its place in the Zipf distribution.
const HOT_SHARE: f64 = 0.25;

/// How a buyer goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// One `POST /v1/orders`.
    Express,
    /// A cart, its lines, the checkout.
    Cart,
    /// A hold first, then an order that names it.
    HoldFirst,
    /// A hold, and never seen again.
    Abandon,
}

/// How a buyer treats the button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// Presses it once.
    Once,
    /// Sends the same request again after the answer.
    Repeat,
    /// Presses it twice at once.
    DoubleClick,
    /// Loses the connection before the answer, and sends the same request again.
    HangUp,
}

/// What the payment provider will say to this buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purse {
    /// Yes.
    Pays,
    /// No; the buyer pays again with another means.
    DeclinedPaysAgain,
    /// No; the buyer walks away.
    DeclinedLeaves,
    /// Nothing in time.
    TimesOut,
    /// Yes, at the third time of asking.
    Stutters,
    /// Yes, twice.
    SaysItTwice,
}

impl Purse {
    /// The simulated provider's token for this outcome.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Purse::Pays => "tok_ok",
            Purse::DeclinedPaysAgain | Purse::DeclinedLeaves => "tok_declined_funds",
            Purse::TimesOut => "tok_timeout_30s",
            Purse::Stutters => "tok_ok_after_2_retries",
            Purse::SaysItTwice => "tok_duplicate_callback",
        }
    }

    /// Is the buyer one who would still want the goods if this order came to nothing?
    #[must_use]
    pub fn wants_it(self) -> bool {
        self != Purse::DeclinedLeaves
    }
}

/// Units of one SKU, by its index on the shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// Index of the SKU.
    pub sku: usize,
    /// At least one.
    pub units: u32,
}

/// What one buyer will do at one visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// How.
    pub way: Way,
    /// How the last request of it is sent.
    pub habit: Habit,
    /// How it is paid.
    pub purse: Purse,
    /// One or two different SKUs.
    pub wants: Vec<Want>,
}

/// One buyer at one visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Visit {
    /// From 0.
    pub buyer: u32,
    /// 0 at the first visit.
    pub number: u32,
}

impl Visit {
    /// The same buyer, coming back.
    #[must_use]
    pub fn next(self) -> Visit {
        Visit { number: self.number + 1, ..self }
    }

    /// The marketplace's reference to this buyer.
    #[must_use]
    pub fn name(self) -> String {
        format!("buyer-{}", self.buyer)
    }
}

/// How often each SKU is wanted.
#[derive(Debug, Clone)]
pub struct Popularity {
    /// Chance that a buyer wants a SKU with an index up to this one.
    up_to: Vec<f64>,
}

impl Popularity {
    /// Zipf's law with this exponent (0: all alike), and `hot_share` of all buyers for the first SKU on top of it.
    #[must_use]
    pub fn zipf(skus: usize, exponent: f64, hot_share: f64) -> Popularity {
        let weights = (1..=skus).map(|rank| (rank as f64).powf(-exponent));
        let total: f64 = weights.clone().sum();
        let mut sum = hot_share;
        let up_to = weights.map(|weight| {
            sum += weight / total * (1.0 - hot_share);
            sum
        });
        Popularity { up_to: up_to.collect() }
    }

    /// How many SKUs there are.
    #[must_use]
    pub fn skus(&self) -> usize {
        self.up_to.len()
    }

    /// The index of a SKU.
    pub fn pick(&self, dice: &mut impl Rng) -> usize {
        let roll = dice.random::<f64>();
        self.up_to.partition_point(|up_to| *up_to < roll).min(self.up_to.len().saturating_sub(1))
    }
}

/// All buyers of a sale.
#[derive(Debug, Clone)]
pub struct Crowd {
    seed: u64,
    popularity: Popularity,
    /// May two SKUs be in one order?
    pairs: bool,
}

impl Crowd {
    /// Buyers for `skus` SKUs: the first is very hot, the others follow Zipf's law. With `pairs` some want two SKUs.
    #[must_use]
    pub fn new(seed: u64, skus: usize, pairs: bool) -> Crowd {
        Crowd { seed, popularity: Popularity::zipf(skus, 1.0, HOT_SHARE), pairs }
    }

    /// What a buyer wants at the first visit.
    #[must_use]
    pub fn first(&self, visit: Visit) -> Decision {
        let dice = &mut self.dice(visit, "decision");
        let first = Want { sku: self.popularity.pick(dice), units: if dice.random_bool(0.15) { 2 } else { 1 } };
        let second = Want { sku: self.popularity.pick(dice), units: 1 };
        let both = dice.random_bool(0.12) && self.pairs && second.sku != first.sku;
        let wants = if both { vec![first, second] } else { vec![first] };
        Crowd::rest(dice, wants)
    }

    /// What a refused buyer tries at the next visit: the same SKU or any other.
    #[must_use]
    pub fn come_back(&self, visit: Visit, refused: usize) -> Decision {
        let dice = &mut self.dice(visit, "decision");
        let sku = if dice.random_bool(0.5) { refused } else { dice.random_range(0..self.popularity.skus()) };
        Crowd::rest(dice, vec![Want { sku, units: 1 }])
    }

    /// What somebody does who waited in line for `sku` and is called: take one unit and pay.
    #[must_use]
    pub fn called(&self, visit: Visit, sku: usize) -> Decision {
        let dice = &mut self.dice(visit, "decision");
        let wants = vec![Want { sku, units: 1 }];
        let rest = Crowd::rest(dice, wants);
        let way = if rest.way == Way::Abandon { Way::Express } else { rest.way };
        let purse = if rest.purse == Purse::DeclinedLeaves { Purse::Pays } else { rest.purse };
        Decision { way, purse, ..rest }
    }

    /// How long a buyer who was refused at `visit` stays away, in milliseconds; nothing: the patience is used up, and
    /// the buyer waits in line to be called.
    #[must_use]
    pub fn pause_ms(&self, visit: Visit) -> Option<u64> {
        let dice = &mut self.dice(visit, "patience");
        let comes_back = visit.number < 3 && dice.random_bool(0.25);
        comes_back.then(|| dice.random_range(200..2_000))
    }

    /// The idempotency key for one purpose of one visit, as it goes into the header: a quoted UUID.
    #[must_use]
    pub fn key(&self, visit: Visit, purpose: &str) -> String {
        let bits = self.bits(visit, purpose);
        format!(
            "\"{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}\"",
            bits as u32,
            bits >> 32 & 0xffff,
            bits >> 48 & 0xfff,
            bits >> 60 & 0xfff,
            bits >> 72 & 0xffff_ffff_ffff
        )
    }

    /// 128 bits that belong to one purpose of one visit.
    #[must_use]
    pub fn bits(&self, visit: Visit, purpose: &str) -> u128 {
        let hash = self.hash(visit, purpose);
        hash[..16].iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte))
    }

    fn rest(dice: &mut StdRng, wants: Vec<Want>) -> Decision {
        let way = match dice.random_range(0..100) {
            0..50 => Way::Express,
            50..85 => Way::Cart,
            85..95 => Way::HoldFirst,
            _ => Way::Abandon,
        };
        let habit = match dice.random_range(0..100) {
            0..80 => Habit::Once,
            80..88 => Habit::Repeat,
            88..96 => Habit::DoubleClick,
            _ => Habit::HangUp,
        };
        let purse = match dice.random_range(0..100) {
            0..84 => Purse::Pays,
            84..89 => Purse::DeclinedPaysAgain,
            89..93 => Purse::DeclinedLeaves,
            93..95 => Purse::TimesOut,
            95..98 => Purse::Stutters,
            _ => Purse::SaysItTwice,
        };
        // A hold is for one SKU: who holds first takes one line.
        let keep = if matches!(way, Way::HoldFirst | Way::Abandon) { 1 } else { wants.len() };
        Decision { way, habit, purse, wants: wants.into_iter().take(keep).collect() }
    }

    fn dice(&self, visit: Visit, purpose: &str) -> StdRng {
        StdRng::from_seed(self.hash(visit, purpose))
    }

    fn hash(&self, visit: Visit, purpose: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(&visit.buyer.to_le_bytes());
        hasher.update(&visit.number.to_le_bytes());
        hasher.update(purpose.as_bytes());
        *hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Visit = Visit { buyer: 7, number: 0 };

    #[test]
    fn the_same_seed_decides_the_same() {
        let (one, other) = (Crowd::new(42, 200, true), Crowd::new(42, 200, true));
        for buyer in 0..200 {
            let visit = Visit { buyer, number: 0 };
            assert_eq!(one.first(visit), other.first(visit));
            assert_eq!(one.key(visit, "order"), other.key(visit, "order"));
        }
        assert_ne!(one.key(FIRST, "order"), one.key(FIRST.next(), "order"), "a fresh decision has a fresh key");
        assert_ne!(one.key(FIRST, "order"), Crowd::new(43, 200, true).key(FIRST, "order"));
    }

    #[test]
    fn one_sku_is_very_hot_and_none_is_unwanted() {
        let crowd = Crowd::new(1, 200, true);
        let mut demand = vec![0; 200];
        for buyer in 0..100_000 {
            for want in crowd.first(Visit { buyer, number: 0 }).wants {
                demand[want.sku] += want.units;
            }
        }
        assert!(demand[0] > 30_000, "{}", demand[0]);
        assert!(demand.iter().all(|units| *units > 10), "{:?}", demand.iter().min());
    }

    #[test]
    fn a_key_is_a_quoted_uuid() {
        let key = Crowd::new(1, 1, true).key(FIRST, "order");
        assert_eq!(key.len(), 38);
        let dashes: Vec<_> = key.match_indices('-').map(|(at, _)| at).collect();
        assert_eq!(dashes, [9, 14, 19, 24]);
    }

    #[test]
    fn nobody_in_line_walks_away() {
        let crowd = Crowd::new(5, 3, true);
        for buyer in 0..1_000 {
            let decision = crowd.called(Visit { buyer, number: 9 }, 2);
            assert_eq!(decision.wants, [Want { sku: 2, units: 1 }]);
            assert!(decision.way != Way::Abandon && decision.purse.wants_it());
        }
    }
}
