//! The clients of one life. Each asks for one thing, again and again with the same key while it gets no definite answer, and
//! writes down what it was told.

use crate::books::Books;
use crate::names::Names;
use crate::plan::What;
use crate::random::Random;
use crate::request::{Request, requests};
use parking_lot::Mutex;
use stampede_actors::shell::{Fabric, Failure, lane};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// A client waits this long for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often it asks in one life.
const TRIES: u32 = 4;

/// What all clients of a life share.
pub struct Clients {
    pub books: Arc<Mutex<Books>>,
    pub fabric: Arc<Fabric>,
    pub names: Rc<Names>,
}

/// Asks in the next life again, unless it was answered in this one.
struct Open<'a> {
    books: &'a Mutex<Books>,
    what: What,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.books.lock().unanswered.push(self.what);
    }
}

impl Clients {
    /// Asks for one thing.
    pub async fn ask(&self, what: What, mut random: Random) {
        let open = Open { books: &self.books, what };
        for request in requests(&self.names, what) {
            if !self.send(what, &request, &mut random).await {
                return;
            }
        }
        // Answered: nothing is left to be asked.
        std::mem::forget(open);
    }

    /// Sends one request until there is a definite answer to it. `false`: there was none.
    async fn send(&self, what: What, request: &Request, random: &mut Random) -> bool {
        for _ in 0..TRIES {
            let permit = self.fabric.permit(request.entity.slot());
            if permit.is_some() || !request.purchase {
                let deed = request.promise.deed();
                let invoked = {
                    let mut books = self.books.lock();
                    books.counts.operations += 1;
                    books.history.invoked(deed)
                };
                let answer = lane::ask_keyed(request.entity.clone(), (request.question)(), PATIENCE).await;
                let mut books = self.books.lock();
                match answer {
                    Ok(done) => {
                        let (version, again) = (done.version, done.replayed);
                        books.trace.line(format_args!("{what:?} at {}: done, {version} {again}", request.entity));
                        books.history.acknowledged(deed, invoked, &request.entity, &done);
                        books.acknowledged(request, &done);
                        return true;
                    }
                    Err(failure) => {
                        books.trace.line(format_args!("{what:?} at {}: {failure:?}", request.entity));
                        match failure {
                            Failure::Sku(_)
                            | Failure::Cart(_)
                            | Failure::Order(_)
                            | Failure::Shop(_)
                            | Failure::NotPlaced(_) => {
                                books.counts.refused += 1;
                                return true;
                            }
                            Failure::Crashed | Failure::Quarantined => {
                                books.violated(format!("{} has crashed on {what:?}", request.entity));
                                return true;
                            }
                            Failure::InFlight
                            | Failure::NoRoom(_)
                            | Failure::Overloaded
                            | Failure::NotLoaded
                            | Failure::OutcomeUnknown => {}
                        }
                    }
                }
            }
            drop(permit);
            sleep(Duration::from_micros(random.skewed(300_000))).await;
        }
        false
    }
}
