//! Who wants what, by the seed, and the requests that follow from it. A request is made anew for each repeat and has
//! the same bytes, so a ledger of millions of orders need not keep them.

use crate::client::Request;
use crate::demo::crowd::Popularity;
use crate::load::scenario::{Scenario, Ways};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use stampede_actors::ids::{CartId, HoldId};

/// Fractions of its multiples are spread so evenly that already a handful of buyers go all the ways there are.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// How a buyer goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// One `POST /v1/orders`.
    Express,
    /// A cart, its line, the checkout.
    Cart,
    /// A hold, then the order that takes it over.
    Hold,
}

/// What a buyer has in mind: one unit of one SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    /// From 0.
    pub buyer: u32,
    /// 0 at the first visit.
    pub visit: u32,
    /// Index of the SKU.
    pub sku: u32,
    /// How.
    pub way: Way,
    /// Is it sent once more with another body?
    pub other_body: bool,
}

/// A purchase, ready to be sent: an intent and what was prepared for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purchase {
    /// Whose.
    pub buyer: u32,
    /// At which visit.
    pub visit: u32,
    /// Index of the SKU.
    pub sku: u32,
    /// On what it rests.
    pub via: Via,
}

/// What a purchase rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Nothing.
    Express,
    /// A filled cart.
    Cart(CartId),
    /// A granted hold.
    Hold(HoldId),
}

/// All buyers of a run.
#[derive(Debug)]
pub struct Buyers {
    seed: u64,
    offset: f64,
    popularity: Popularity,
    ways: Ways,
    other_body: f64,
}

impl Buyers {
    /// The buyers of a scenario.
    #[must_use]
    pub fn new(seed: u64, scenario: &Scenario) -> Buyers {
        Buyers {
            seed,
            offset: StdRng::seed_from_u64(seed).random(),
            popularity: Popularity::zipf(scenario.stock.skus as usize, scenario.stock.zipf, 0.0),
            ways: scenario.buyer,
            other_body: scenario.repeat.other_body,
        }
    }

    /// What a buyer has in mind at the first visit.
    #[must_use]
    pub fn first(&self, buyer: u32) -> Intent {
        let mut dice = StdRng::seed_from_u64(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(buyer));
        let sku = self.popularity.pick(&mut dice) as u32;
        Intent { buyer, visit: 0, sku, way: self.way(buyer), other_body: dice.random_bool(self.other_body) }
    }

    fn way(&self, buyer: u32) -> Way {
        let Ways { express, cart, hold } = self.ways;
        let roll = (self.offset + f64::from(buyer) * GOLDEN).fract() * (express + cart + hold);
        // Without weight there is no roll for it, not even through rounding.
        match roll {
            roll if roll < express => Way::Express,
            roll if roll < express + cart || hold == 0.0 => {
                if cart > 0.0 {
                    Way::Cart
                } else {
                    Way::Express
                }
            }
            _ => Way::Hold,
        }
    }
}

/// The names of a run and the requests made of them. Everything in them is plain, so nothing needs to be escaped.
#[derive(Debug, Clone)]
pub struct Words {
    run: String,
}

impl Words {
    /// The words of the run with this id: lower-case letters, digits and dashes.
    #[must_use]
    pub fn new(run: String) -> Words {
        Words { run }
    }

    /// The run's id.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The code of a SKU.
    #[must_use]
    pub fn sku(&self, index: u32) -> String {
        format!("{}-{index}", self.run)
    }

    /// The reference to a buyer.
    #[must_use]
    pub fn buyer(&self, buyer: u32) -> String {
        format!("{}-b{buyer}", self.run)
    }

    /// The buyer behind a reference; nothing when it is none of this run. `Err`: it looks like one, and is none.
    #[must_use]
    pub fn read_buyer(&self, reference: &str) -> Option<Result<u32, ()>> {
        let number = reference.strip_prefix(&self.run)?.strip_prefix("-b")?;
        Some(number.parse().map_err(|_| ()))
    }

    /// The purchase itself; with `other_body` another one under the same key.
    #[must_use]
    pub fn purchase(&self, purchase: &Purchase, other_body: bool) -> Request {
        let Purchase { buyer, visit, sku, via } = *purchase;
        let key = self.key(buyer, visit, "");
        let delivery = if other_body { r#""delivery":"elsewhere","# } else { "" };
        match via {
            Via::Cart(cart) => {
                let body = format!(r#"{{{delivery}"payment_token":"tok_ok"}}"#);
                Request::post(&format!("/v1/carts/{cart}/checkout"), &key, &body)
            }
            Via::Express | Via::Hold(_) => {
                let hold = if let Via::Hold(hold) = via { format!(r#","hold":"{hold}""#) } else { String::new() };
                let run = &self.run;
                let body = format!(
                    r#"{{"buyer":"{run}-b{buyer}",{delivery}"payment_token":"tok_ok","lines":[{{"sku":"{run}-{sku}","units":1{hold}}}]}}"#
                );
                Request::post("/v1/orders", &key, &body)
            }
        }
    }

    /// Opens the cart of an intent.
    #[must_use]
    pub fn open_cart(&self, intent: &Intent) -> Request {
        let body = format!(r#"{{"buyer":"{}"}}"#, self.buyer(intent.buyer));
        Request::post("/v1/carts", &self.key(intent.buyer, intent.visit, "-cart"), &body)
    }

    /// Puts the line into it.
    #[must_use]
    pub fn put_line(&self, intent: &Intent, cart: CartId) -> Request {
        Request::put(&format!("/v1/carts/{cart}/lines/{}", self.sku(intent.sku)), r#"{"units":1}"#)
    }

    /// Holds the unit of an intent.
    #[must_use]
    pub fn put_hold(&self, intent: &Intent, hold: HoldId) -> Request {
        let body = format!(r#"{{"units":1,"buyer":"{}"}}"#, self.buyer(intent.buyer));
        Request::put(&self.hold(intent.sku, hold), &body)
    }

    /// Gives it back.
    #[must_use]
    pub fn delete_hold(&self, sku: u32, hold: HoldId) -> Request {
        Request::new("DELETE", &self.hold(sku, hold), &[], None)
    }

    fn hold(&self, sku: u32, hold: HoldId) -> String {
        format!("/v1/skus/{}/holds/{hold}", self.sku(sku))
    }

    fn key(&self, buyer: u32, visit: u32, purpose: &str) -> String {
        format!("\"{}-{buyer}-{visit}{purpose}\"", self.run)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a panic is how a test fails

    use super::*;
    use crate::load::scenario::{DEFAULT, Scenarios};
    use std::collections::BTreeMap;

    fn buyers(scenario: &str, seed: u64) -> Buyers {
        Buyers::new(seed, &Scenarios::parse(DEFAULT).unwrap().plan(scenario, "ci", 1.0).unwrap())
    }

    #[test]
    fn the_seed_decides() {
        let (one, same, other) = (buyers("hot-sku", 1), buyers("hot-sku", 1), buyers("hot-sku", 2));
        assert!((0..500).all(|buyer| one.first(buyer) == same.first(buyer)));
        assert!((0..500).any(|buyer| one.first(buyer) != other.first(buyer)));
    }

    #[test]
    fn five_buyers_go_all_three_ways_whatever_the_seed() {
        for seed in 0..200 {
            let buyers = buyers("smoke", seed);
            let ways: Vec<Way> = (0..5).map(|buyer| buyers.first(buyer).way).collect();
            assert!([Way::Express, Way::Cart, Way::Hold].iter().all(|way| ways.contains(way)), "{seed}: {ways:?}");
        }
    }

    #[test]
    fn ways_have_their_weights() {
        let buyers = buyers("flash-spike", 7);
        let count = |way| (0..10_000).filter(|buyer| buyers.first(*buyer).way == way).count();
        let counts = [count(Way::Express), count(Way::Cart), count(Way::Hold)];
        assert!(counts.iter().zip([7_000, 2_000, 1_000]).all(|(seen, then)| seen.abs_diff(then) < 20), "{counts:?}");
        assert!((0..1_000).all(|buyer| self::buyers("single-unit", 3).first(buyer).way == Way::Express));
    }

    #[test]
    fn popularity_follows_the_exponent() {
        let demand = |scenario: &str| {
            let buyers = buyers(scenario, 1);
            let mut demand = BTreeMap::<u32, u32>::new();
            (0..20_000).for_each(|buyer| *demand.entry(buyers.first(buyer).sku).or_default() += 1);
            demand
        };
        assert!(demand("hot-sku")[&0] > 3_000, "the hottest of ten thousand");
        assert!(demand("flash-spike").values().all(|wanted| (800..1_200).contains(wanted)), "all alike");
    }

    #[test]
    fn a_repeat_is_the_same_bytes_and_another_body_has_the_same_key() {
        let words = Words::new("load-1".into());
        for via in [Via::Express, Via::Cart(CartId(7)), Via::Hold(HoldId(9))] {
            let purchase = Purchase { buyer: 3, visit: 0, sku: 1, via };
            let (one, again, other) =
                (words.purchase(&purchase, false), words.purchase(&purchase, false), words.purchase(&purchase, true));
            assert_eq!(one, again);
            let text = |request: &Request| String::from_utf8_lossy(request.bytes()).into_owned();
            assert!(text(&one).contains("idempotency-key: \"load-1-3-0\"") && text(&other).contains("\"load-1-3-0\""));
            let body = |request: &Request| text(request).split_once("\r\n\r\n").unwrap().1.to_owned();
            let parsed: serde_json::Value = serde_json::from_str(&body(&other)).unwrap();
            assert_eq!(parsed["delivery"], "elsewhere");
            assert!(serde_json::from_str::<serde_json::Value>(&body(&one)).unwrap().get("delivery").is_none());
        }
    }

    #[test]
    fn a_buyer_is_known_by_the_run() {
        let words = Words::new("load-1".into());
        assert_eq!(words.read_buyer(&words.buyer(42)), Some(Ok(42)));
        assert_eq!((words.read_buyer("load-1-bx"), words.read_buyer("load-12-b1")), (Some(Err(())), None));
    }
}
