//! The content behind the numbers of a plan: always the same for the same seed, so that the same number is the same request.

use crate::plan::{Shop, What};
use crate::random::Random;
use stampede::engine::Ids;
use stampede_actors::ids::{BuyerRef, CartId, HoldId, LocationId, OpId, OrderId, Reference, SellerId, SkuId};
use stampede_actors::money::{Money, currency};
use stampede_actors::order::placing::{PlaceRequest, Wanted};
use stampede_actors::sku::{Listing, Units};
use stampede_actors::trace::TraceLink;

/// Names of one seed.
pub struct Names {
    seed: u64,
    skus: u64,
    buyers: u64,
    ids: Ids,
}

/// Tokens, by how often they are used.
const TOKENS: &[&str] = &[
    "tok_ok",
    "tok_ok",
    "tok_ok",
    "tok_ok",
    "tok_ok",
    "tok_ok",
    "tok_declined_funds",
    "tok_timeout_30s",
    "tok_timeout_lost",
    "tok_ok_after_2_retries",
    "tok_duplicate_callback",
    "tok_late_answer",
    "tok_forgets_key",
    "tok_capture_declined",
    "tok_capture_timeout",
];

/// A claim that a client names.
pub struct NamedHold {
    pub hold: HoldId,
    pub sku: SkuId,
    pub units: Units,
    pub buyer: BuyerRef,
}

impl Names {
    /// Of this seed.
    pub fn new(seed: u64, shop: &Shop) -> Names {
        Names { seed, skus: shop.skus, buyers: shop.buyers, ids: Ids::new(&[7; 32]) }
    }

    /// Chances of one request alone.
    pub fn chances(&self, what: What) -> Random {
        Random::new(self.seed, &format!("{what:?}"))
    }

    pub fn sku(&self, random: &mut Random) -> SkuId {
        sku(random.below(self.skus))
    }

    fn buyer(&self, random: &mut Random) -> BuyerRef {
        BuyerRef::new(&format!("buyer-{}", random.below(self.buyers))).unwrap()
    }

    /// What the marketplace says of a SKU, at this price.
    pub fn listing(&self, sku: &SkuId, minor: i64) -> Listing {
        let mut random = Random::new(self.seed, sku.as_str());
        let buyer_limit = random.chance(500).then(|| random.within(2, 6) as Units);
        Listing { seller: seller(), price: eur(minor), buyer_limit }
    }

    pub fn hold(&self, number: u64) -> NamedHold {
        let random = &mut self.chances(What::Hold(number));
        let hold = HoldId(u128::from(random.next()) << 64 | u128::from(random.next()));
        NamedHold { hold, sku: self.sku(random), units: random.within(1, 3) as Units, buyer: self.buyer(random) }
    }

    pub fn order_at_once(&self, number: u64) -> OrderId {
        self.ids.order("POST /v1/orders", &number.to_string())
    }

    pub fn cart(&self, number: u64) -> CartId {
        self.ids.cart("POST /v1/carts", &number.to_string())
    }

    pub fn order_of_cart(&self, number: u64) -> OrderId {
        self.ids.order_of_cart(self.cart(number))
    }

    pub fn op(&self, what: What) -> OpId {
        self.ids.op("any", &format!("{what:?}"))
    }

    /// The order that a later operation is about.
    pub fn target(&self, random: &mut Random) -> OrderId {
        let number = random.below(24);
        if random.chance(700) { self.order_at_once(number) } else { self.order_of_cart(number) }
    }

    pub fn token(&self, random: &mut Random) -> Reference {
        let token = random.pick::<&str>(TOKENS);
        Reference::new(token).unwrap()
    }

    pub fn placement(&self, number: u64) -> PlaceRequest {
        let random = &mut self.chances(What::Place(number));
        let token = self.token(random);
        let mut buyer = self.buyer(random);
        let mut wanted: Vec<_> = self.wanted(random);
        if random.chance(200) {
            // With a hold of the buyer's own.
            let own = self.hold(random.below(24));
            buyer = own.buyer;
            wanted.retain(|wanted| wanted.sku != own.sku);
            wanted.push(Wanted { hold: Some(own.hold), ..want(own.sku, own.units) });
        }
        PlaceRequest {
            cart: None,
            buyer: Some(buyer),
            delivery: Some(Reference::new(&"address-".repeat(random.within(1, 15) as usize)).unwrap()),
            token,
            fingerprint: number,
            currency: None,
            wanted,
            // Some are traced, which changes nothing but what they remember.
            trace: TraceLink::new(number.into(), number).filter(|_| number.is_multiple_of(3)).map(Box::new),
        }
    }

    pub fn cart_lines(&self, number: u64) -> (BuyerRef, Vec<stampede_actors::cart::Line>) {
        let random = &mut self.chances(What::CheckOut(number));
        let buyer = self.buyer(random);
        let line = |wanted: Wanted| {
            let unit_price = eur(500 + number as i64);
            stampede_actors::cart::Line { sku: wanted.sku, seller: seller(), units: wanted.units, unit_price }
        };
        (buyer, self.wanted(random).into_iter().map(line).collect())
    }

    fn wanted(&self, random: &mut Random) -> Vec<Wanted> {
        let mut wanted: Vec<Wanted> = Vec::new();
        for _ in 0..random.within(1, 3) {
            let sku = self.sku(random);
            if wanted.iter().all(|wanted| wanted.sku != sku) {
                wanted.push(want(sku, random.within(1, 3) as Units));
            }
        }
        wanted
    }
}

fn want(sku: SkuId, units: Units) -> Wanted {
    Wanted { sku, units, expected_price: None, cart_price: None, hold: None }
}

fn sku(number: u64) -> SkuId {
    SkuId::new(&format!("sku-{number}")).unwrap()
}

pub fn location(random: &mut Random) -> LocationId {
    let location = random.pick::<&str>(&["near", "near", "far"]);
    LocationId::new(location).unwrap()
}

pub fn seller() -> SellerId {
    SellerId::new("acme").unwrap()
}

pub fn eur(minor: i64) -> Money {
    Money { minor, currency: currency("EUR").unwrap() }
}
