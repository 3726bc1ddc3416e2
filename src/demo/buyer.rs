//! One visit of one buyer: from what was decided to what came of it.

use crate::client::Request;
use crate::demo::crowd::{Decision, Habit, Purse, Visit, Want, Way};
use crate::demo::ledger::Acknowledged;
use crate::demo::shop::{Reply, Shop};
use serde_json::json;
use stampede_actors::ids::HoldId;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How a visit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With an order.
    Bought,
    /// With a refusal: this SKU is still wanted.
    Refused {
        /// Which.
        sku: usize,
    },
    /// With a hold that nobody will use.
    Abandoned,
    /// Without a definite answer.
    NoAnswer,
}

/// Carries out one visit. `meant_at` is when it was meant to begin.
pub async fn visit(shop: &Shop, visit: Visit, decision: &Decision, meant_at: Instant) -> Outcome {
    let buyer = Buyer { shop, visit, decision };
    let bought = match decision.way {
        Way::Express => buyer.express(None, meant_at).await,
        Way::Cart => buyer.cart(meant_at).await,
        Way::HoldFirst => buyer.hold_first(meant_at).await,
        Way::Abandon => match buyer.hold(meant_at).await {
            Err(outcome) => Err(outcome),
            Ok(_) => return Outcome::Abandoned,
        },
    };
    match bought {
        Err(outcome) => outcome,
        Ok(order) => {
            if decision.purse == Purse::DeclinedPaysAgain {
                buyer.pay_again(&order).await;
            }
            Outcome::Bought
        }
    }
}

struct Buyer<'a> {
    shop: &'a Shop,
    visit: Visit,
    decision: &'a Decision,
}

impl Buyer<'_> {
    /// One request for everything; the id of the order.
    async fn express(&self, hold: Option<HoldId>, meant_at: Instant) -> Result<String, Outcome> {
        let line = |want: &Want| {
            let sku = self.shop.shelves[want.sku].sku.as_str();
            match hold {
                Some(hold) => json!({ "sku": sku, "units": want.units, "hold": hold.to_string() }),
                None => json!({ "sku": sku, "units": want.units }),
            }
        };
        let body = json!({
            "buyer": self.visit.name(),
            "delivery": format!("address-{}", self.visit.buyer),
            "payment_token": self.decision.purse.token(),
            "lines": self.decision.wants.iter().map(line).collect::<Vec<_>>(),
        });
        self.press(Request::post("/v1/orders", &self.key("order"), &body.to_string()), meant_at).await
    }

    /// A cart, its lines, the checkout; the id of the order.
    async fn cart(&self, meant_at: Instant) -> Result<String, Outcome> {
        let body = json!({ "buyer": self.visit.name() }).to_string();
        let cart = self.ask(&Request::post("/v1/carts", &self.key("cart"), &body), meant_at).await?;
        let cart = text(&cart, "cart").ok_or(Outcome::NoAnswer)?;
        for want in &self.decision.wants {
            let path = format!("/v1/carts/{cart}/lines/{}", self.shop.shelves[want.sku].sku);
            let body = json!({ "units": want.units }).to_string();
            self.ask(&Request::put(&path, &body), Instant::now()).await?;
        }
        let body = json!({ "payment_token": self.decision.purse.token() }).to_string();
        let request = Request::post(&format!("/v1/carts/{cart}/checkout"), &self.key("checkout"), &body);
        self.press(request, Instant::now()).await
    }

    /// A hold, a moment of thought, an order that uses it.
    async fn hold_first(&self, meant_at: Instant) -> Result<String, Outcome> {
        let hold = self.hold(meant_at).await?;
        sleep(Duration::from_millis(100 + u64::from(self.visit.buyer % 400))).await;
        self.express(Some(hold), Instant::now()).await
    }

    async fn hold(&self, meant_at: Instant) -> Result<HoldId, Outcome> {
        let hold = HoldId(self.shop.crowd.bits(self.visit, "hold"));
        let want = self.decision.wants[0];
        let path = format!("/v1/skus/{}/holds/{hold}", self.shop.shelves[want.sku].sku);
        let body = json!({ "units": want.units, "buyer": self.visit.name() }).to_string();
        self.ask(&Request::put(&path, &body), meant_at).await?;
        Ok(hold)
    }

    /// Presses the button in the buyer's own way, and writes down every order that was acknowledged.
    async fn press(&self, request: Request, meant_at: Instant) -> Result<String, Outcome> {
        let request = Rc::new(request);
        let (first, second) = match self.decision.habit {
            Habit::Once => (self.shop.ask(&request, meant_at).await, None),
            Habit::Repeat => {
                let first = self.shop.ask(&request, meant_at).await;
                let again = matches!(first, Some(Reply::Accepted(_)));
                let second = if again { self.shop.ask(&request, Instant::now()).await } else { None };
                (first, second)
            }
            Habit::DoubleClick => {
                futures_util::join!(self.shop.ask(&request, meant_at), self.shop.ask(&request, meant_at))
            }
            Habit::HangUp => {
                // Whether it got through or not, the buyer cannot know.
                let _ = self.shop.pool.send_and_hang_up(&request, Duration::from_secs(1)).await;
                sleep(Duration::from_millis(20 + u64::from(self.visit.buyer % 200))).await;
                (self.shop.ask(&request, Instant::now()).await, None)
            }
        };
        // One of two clicks may be refused and the other granted, when units come back in between.
        let mut outcome = Err(Outcome::NoAnswer);
        for reply in [first, second].into_iter().flatten() {
            match reply {
                Reply::Accepted(answer) => outcome = self.acknowledged(&request, &answer).ok_or(Outcome::NoAnswer),
                Reply::Refused(_) if outcome.is_err() => outcome = Err(self.refused()),
                Reply::Refused(_) => {}
            }
        }
        outcome
    }

    fn acknowledged(&self, request: &Rc<Request>, answer: &crate::client::Answer) -> Option<String> {
        let Some(order) = text(answer, "order") else {
            let body = String::from_utf8_lossy(&answer.body);
            self.shop.stats.borrow_mut().unexpected(format!("an order without an id: {body}"));
            return None;
        };
        self.shop.ledger.borrow_mut().acknowledge(Acknowledged {
            order: order.clone(),
            visit: self.visit,
            wants: self.decision.wants.clone(),
            request: request.clone(),
            body: blake3::hash(&answer.body),
            wants_it: self.decision.purse.wants_it(),
            end: None,
        });
        Some(order)
    }

    /// Pays an order again as soon as the first attempt was declined, or it is too late.
    async fn pay_again(&self, order: &str) {
        let body = json!({ "payment_token": Purse::Pays.token() }).to_string();
        let request = Request::post(&format!("/v1/orders/{order}/payments"), &self.key("payment"), &body);
        let tries = 100;
        for _ in 0..tries {
            match self.shop.ask(&request, Instant::now()).await {
                Some(Reply::Refused(code)) if code == "payment_open" => sleep(Duration::from_millis(250)).await,
                Some(_) | None => return,
            }
        }
    }

    async fn ask(&self, request: &Request, meant_at: Instant) -> Result<crate::client::Answer, Outcome> {
        match self.shop.ask(request, meant_at).await {
            Some(Reply::Accepted(answer)) => Ok(answer),
            Some(Reply::Refused(_)) => Err(self.refused()),
            None => Err(Outcome::NoAnswer),
        }
    }

    fn refused(&self) -> Outcome {
        Outcome::Refused { sku: self.decision.wants[0].sku }
    }

    fn key(&self, purpose: &str) -> String {
        self.shop.crowd.key(self.visit, purpose)
    }
}

fn text(answer: &crate::client::Answer, field: &str) -> Option<String> {
    Some(answer.json()?.get(field)?.as_str()?.to_owned())
}
