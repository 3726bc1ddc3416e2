//! The server as a worker asks it: over its API, at whichever of its addresses the owner of the log is.

use crate::client::{Answer, Failure as NoAnswer, Pool, Request};
use crate::feed::Message;
use crate::http::order_view::LineUnitsBody;
use crate::http::work::{AnswerBody, AnswerWork, OpenWork, OpenedWork, ShippedWork, TakenIn};
use crate::traces::parent;
use crate::workflows::wire::OutsideStep;
use crate::workflows::{Elsewhere, End, Opened};
use futures_util::future::LocalBoxFuture;
use serde::Serialize;
use stampede_actors::ids::{EntityId, OrderId};
use stampede_actors::order::{self, Refusal, Step};
use stampede_actors::record::Version;
use stampede_actors::shell::{Done, Failure, Question, View};
use stampede_actors::trace::TraceLink;
use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long one request may take.
const WITHIN: Duration = Duration::from_secs(15);
/// How long a question is repeated while no server answers it; then its message goes back to its queue.
const PATIENCE: Duration = Duration::from_secs(60);
/// Connections per address.
const CONNECTIONS: usize = 64;
/// First pause before a question is asked again; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The processes of one shop: an owner and its stand-bys.
pub struct Server {
    pools: Vec<Pool>,
    /// The one that answered last.
    current: Cell<usize>,
    authorization: String,
    /// A refusal of the key has been told.
    told: Cell<bool>,
}

impl Server {
    /// The processes at these addresses, with an API key.
    #[must_use]
    pub fn new(addresses: &[SocketAddr], key: &str) -> Server {
        let pools = addresses.iter().map(|address| Pool::new(*address, CONNECTIONS)).collect();
        Server { pools, current: Cell::new(0), authorization: format!("Bearer {key}"), told: Cell::new(false) }
    }

    /// Sends a request until there is a definite answer. `None`: there was none for a long time.
    async fn definite(&self, path: &str, body: &impl Serialize, trace: Option<TraceLink>) -> Option<Answer> {
        let body = serde_json::to_string(body).ok()?;
        let parent = trace.map(parent::write);
        let traced = parent.as_deref().map(|parent| (parent::NAME, parent));
        let headers: Vec<_> = [("authorization", self.authorization.as_str())].into_iter().chain(traced).collect();
        let request = Request::new("PUT", path, &headers, Some(&body));
        let (since, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let at = self.current.get();
            let answer = self.pools.get(at)?.send(&request, WITHIN).await;
            let wait = match self.judge(at, answer) {
                Ok(answer) => return Some(answer),
                Err(wait) => wait.unwrap_or(pause),
            };
            if since.elapsed() + wait > PATIENCE {
                return None;
            }
            sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// An answer, or how long to wait for another.
    fn judge(&self, at: usize, answer: Result<Answer, NoAnswer>) -> Result<Answer, Option<Duration>> {
        match answer {
            Ok(answer) => match answer.status() {
                421 => {
                    self.turn_from(at);
                    Err(None)
                }
                401 | 403 => {
                    if !self.told.replace(true) {
                        tracing::error!(code = answer.code(), "the server refuses this worker's API key");
                    }
                    Err(Some(LONGEST_PAUSE))
                }
                429 | 500..=599 => Err(Some(answer.wait())),
                _ => {
                    self.told.set(false);
                    Ok(answer)
                }
            },
            Err(_) => {
                self.turn_from(at);
                Err(None)
            }
        }
    }

    /// The next address is asked from now on, unless somebody has turned to it already.
    fn turn_from(&self, at: usize) {
        if self.current.get() == at {
            if let Some(pool) = self.pools.get(at) {
                pool.forget_idle();
            }
            self.current.set((at + 1) % self.pools.len().max(1));
        }
    }

    async fn tell(&self, path: String, body: &impl Serialize, trace: Option<TraceLink>) -> Result<Done, Failure> {
        let answer = self.definite(&path, body, trace).await.ok_or(Failure::OutcomeUnknown)?;
        match answer.status() {
            200 => {
                let taken: TakenIn = serde_json::from_slice(&answer.body).map_err(|_| Failure::OutcomeUnknown)?;
                Ok(Done { version: Version::default(), replayed: taken.replayed, view: View::Nothing })
            }
            _ => Err(refusal(&answer.code())),
        }
    }
}

/// What the order said.
fn refusal(code: &str) -> Failure {
    match code {
        "unknown_order" => Refusal::UnknownOrder.into(),
        "being_called_off" => Refusal::BeingCalledOff.into(),
        "not_shippable" => Refusal::NotShippable.into(),
        "table_full" => Refusal::TableFull { what: "entries" }.into(),
        // Another version of the server, or a fault of ours: whoever asks again may ask a better one.
        _ => Failure::OutcomeUnknown,
    }
}

fn path(order: OrderId, rest: &str) -> String {
    format!("/v1/orders/{order}/work{rest}")
}

impl Elsewhere for Server {
    fn open(&self, message: Message) -> LocalBoxFuture<'_, Option<Opened>> {
        Box::pin(async move {
            let Some(step) = OutsideStep::of(message.step) else { return Some(Opened::Over(End::NotOpen)) };
            let body = OpenWork { step, repeated: message.inherited };
            let answer = self.definite(&path(message.order, ""), &body, message.trace).await?;
            if answer.status() == 404 {
                return Some(Opened::Over(End::NotOpen));
            }
            let opened: OpenedWork = serde_json::from_slice(&answer.body).ok()?;
            match opened.errand {
                None => Some(Opened::Over(End::NotOpen)),
                Some(errand) => errand.into_errand(message.order, message.step).map(Opened::Errand),
            }
        })
    }

    fn ask(
        &self,
        entity: EntityId,
        question: Question,
        trace: Option<TraceLink>,
    ) -> LocalBoxFuture<'_, Result<Done, Failure>> {
        Box::pin(async move {
            let (EntityId::Order(id), Question::Order(command)) = (entity, question) else {
                // The server's half has asked everybody else.
                return Err(Failure::NotLoaded);
            };
            match *command {
                order::Command::Report { step, answer } => match body(step, answer) {
                    Some(body) => self.tell(path(id, "/answer"), &body, trace).await,
                    None => Err(Failure::NotLoaded),
                },
                order::Command::Ship { shipment, location, lines, tracking, .. } => {
                    let lines = lines.iter().map(|of| LineUnitsBody { line: of.line, units: of.units }).collect();
                    let body = ShippedWork { location, lines, tracking };
                    self.tell(path(id, &format!("/shipments/{shipment}")), &body, trace).await
                }
                _ => Err(Failure::NotLoaded),
            }
        })
    }
}

/// `None`: nothing to report.
fn body(step: Step, answer: order::Answer) -> Option<AnswerWork> {
    let answer = match answer {
        order::Answer::Done { reference } => AnswerBody::Done { reference },
        order::Answer::Refused { code } => AnswerBody::Refused { code },
        order::Answer::Unknown => return None,
    };
    Some(AnswerWork { step: OutsideStep::of(step)?, answer })
}
