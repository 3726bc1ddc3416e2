//! One visit of one buyer, from the intent to what came of it.

use crate::client::{Answer, Failure};
use crate::demo::stats::Kind;
use crate::load::buyer::{Intent, Purchase, Via, Way};
use crate::load::compared::Visit;
use crate::load::sale::{Came, Sale, count};
use crate::load::tally::Invariant;
use serde::Deserialize;
use stampede_actors::ids::{CartId, HoldId};
use std::time::Duration;
use tokio::time::Instant;

/// Longest wait for one answer; longer than the server's own limit.
pub const PATIENCE: Duration = Duration::from_secs(12);

/// How a visit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With an order.
    Bought,
    /// Refused, with this code.
    Refused(String),
    /// Without a usable answer.
    Failed(String),
}

impl Sale {
    /// Carries out one visit. Latencies count from `meant_at`, the moment it was meant to begin, to the answer that
    /// decides it: a queue of ours, or a slow step before it, is in them.
    pub async fn visit(&self, intent: Intent, meant_at: Instant) -> End {
        match self.prepare(&intent, meant_at).await {
            Ok(via) => {
                let Intent { buyer, visit, sku, .. } = intent;
                self.press(Purchase { buyer, visit, sku, via }, intent.other_body, meant_at).await
            }
            Err(end) => {
                self.open.borrow_mut().refused.push(intent.buyer);
                end
            }
        }
    }

    /// What comes before the purchase itself.
    async fn prepare(&self, intent: &Intent, meant_at: Instant) -> Result<Via, End> {
        match intent.way {
            Way::Express => Ok(Via::Express),
            Way::Cart => {
                #[derive(Deserialize)]
                struct Opened<'a> {
                    cart: &'a str,
                }
                let opened = self.ask(intent, self.words.open_cart(intent), meant_at).await?;
                let cart = serde_json::from_slice::<Opened>(&opened.body).ok();
                let cart = cart.and_then(|opened| opened.cart.parse::<CartId>().ok());
                let cart = cart.ok_or_else(|| End::Failed("a cart without an id".to_owned()))?;
                self.ask(intent, self.words.put_line(intent, cart), meant_at).await?;
                Ok(Via::Cart(cart))
            }
            Way::Hold => {
                // Drawn at random as the API asks for, and not from the seed: the next run must not meet it.
                let hold = HoldId(rand::random());
                let held = self.ask(intent, self.words.put_hold(intent, hold), meant_at).await;
                if matches!(held, Err(End::Failed(_))) {
                    self.open.borrow_mut().holds.push((intent.sku, hold));
                }
                held.map(|_| Via::Hold(hold))
            }
        }
    }

    /// A step before the purchase. A refusal decides the visit.
    async fn ask(&self, intent: &Intent, request: crate::client::Request, meant_at: Instant) -> Result<Answer, End> {
        let came = self.weigh(self.send(&request, PATIENCE).await);
        Err(match came {
            Came::Yes(answer) => return Ok(answer),
            Came::No(code) | Came::Busy(code) => {
                self.refused(intent, &code, meant_at.elapsed());
                End::Refused(code)
            }
            Came::Nothing(why) => End::Failed(format!("{}: {why}", request.line())),
        })
    }

    /// Sends the purchase, as often at once as the scenario says.
    async fn press(&self, purchase: Purchase, other_body: bool, meant_at: Instant) -> End {
        let request = self.words.purchase(&purchase, false);
        let send = || async { (self.send(&request, PATIENCE).await, meant_at.elapsed()) };
        let answers = match self.scenario.repeat.same {
            1 => vec![send().await],
            times => futures_util::future::join_all((0..times).map(|_| send())).await,
        };
        let (end, certain) = self.decide(purchase, answers);
        if end == End::Bought && other_body {
            self.press_otherwise(&purchase).await;
        }
        if !certain {
            self.open.borrow_mut().unclear.push(purchase);
        } else if end != End::Bought {
            self.leave(&purchase).await;
        }
        end
    }

    /// A buyer who has nothing goes, and leaves nothing held.
    pub async fn leave(&self, purchase: &Purchase) {
        self.open.borrow_mut().refused.push(purchase.buyer);
        if let Via::Hold(hold) = purchase.via {
            self.give_back(purchase.sku, hold).await;
        }
    }

    /// What the answers to one purchase mean together, and whether that is certain: one that was granted counts,
    /// whatever the others say.
    fn decide(&self, purchase: Purchase, answers: Vec<(Result<Answer, Failure>, Duration)>) -> (End, bool) {
        let times = answers.len();
        let (mut bought, mut firsts) = (false, 0);
        let (mut refused, mut busy, mut nothing) = (None, None, None);
        for (answer, latency) in answers {
            match self.weigh(answer) {
                Came::Yes(answer) => {
                    self.answered(Kind::Accepted, (&purchase).into(), latency);
                    firsts += u32::from(!answer.head.replayed);
                    bought |= self.acknowledge(purchase, &answer);
                }
                Came::No(code) => {
                    self.answered(Kind::Refused, (&purchase).into(), latency);
                    refused = Some(code);
                }
                Came::Busy(code) => {
                    self.answered(Kind::Refused, (&purchase).into(), latency);
                    busy = Some(code);
                }
                Came::Nothing(why) => nothing = Some(why),
            }
        }
        if times > 1 && firsts > 1 {
            self.must(Invariant::IdempotentReplay, false, || {
                format!("buyer {}: {firsts} of {times} answers to one key were said to be the first", purchase.buyer)
            });
        }
        if bought {
            return (End::Bought, true);
        }
        let certain = nothing.is_none() && !busy.as_deref().is_some_and(may_have_happened);
        let end = match (refused.or(busy), nothing) {
            (Some(code), _) => {
                self.open.borrow_mut().sold_out[purchase.sku as usize] += u32::from(code == "sold_out");
                self.stats.borrow_mut().refused(&code);
                End::Refused(code)
            }
            (None, why) => End::Failed(why.unwrap_or_else(|| "answered with something that is no order".to_owned())),
        };
        (end, certain)
    }

    /// The same key with another body: that must be refused, and change nothing.
    async fn press_otherwise(&self, purchase: &Purchase) {
        let request = self.words.purchase(purchase, true);
        let answer = self.send(&request, PATIENCE).await;
        let (right, what) = match &answer {
            Ok(answer) => {
                let (status, code) = (answer.status(), answer.code());
                ((status, code.as_str()) == (422, "idempotency_key_reused"), format!("{status} {code}"))
            }
            Err(failure) => (false, failure.to_string()),
        };
        let busy = answer.is_ok_and(|answer| matches!(answer.status(), 429 | 503));
        if !busy {
            self.must(Invariant::IdempotentReplay, right, || {
                format!("buyer {}: another body under the same key was answered {what}", purchase.buyer)
            });
        }
    }

    /// Gives a hold back; when that is not certain, it is tried again later.
    pub async fn give_back(&self, sku: u32, hold: HoldId) -> bool {
        let done = self.send(&self.words.delete_hold(sku, hold), PATIENCE).await;
        let done = done.is_ok_and(|answer| answer.status() == 204);
        match done {
            true => count(&self.counts.given_back),
            false => self.open.borrow_mut().holds.push((sku, hold)),
        }
        done
    }

    fn refused(&self, intent: &Intent, code: &str, latency: Duration) {
        let Intent { buyer, visit, sku, .. } = *intent;
        self.answered(Kind::Refused, Visit { buyer, visit, sku }, latency);
        self.stats.borrow_mut().refused(code);
        self.open.borrow_mut().sold_out[sku as usize] += u32::from(code == "sold_out");
    }
}

/// Is it unknown, after this code, whether a purchase happened?
fn may_have_happened(code: &str) -> bool {
    matches!(code, "outcome_unknown" | "idempotency_key_in_flight" | "")
}
