//! The provider and the warehouse. They live outside the server: its crashes are nothing to them. Each does what it does by
//! accounts of its own ([`Desk`], [`Depot`]); here is what becomes of the calls on their way: lost, late, twice, unheard.

use crate::random::Random;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use stampede::clock::{Clock, Resumed};
use stampede::workflows::simulated::{Books, Depot, Desk, ProviderConfig, Received};
use stampede::workflows::{Call, CallOff, Callback, Dispatched, Found, PaymentProvider, Request, Warehouse};
use stampede_actors::ids::{LocationId, OpId, OrderId, Reference};
use stampede_actors::order::Answer;
use stampede_actors::time::{Span, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// The server gives up on a call after this.
pub const TIMEOUT: Duration = Duration::from_millis(500);

/// When everything begins.
pub const BEGINNING: Timestamp = Timestamp(1_750_000_000_000_000);

/// Time as it is, whatever the server's wall clock says.
#[derive(Debug, Clone, Copy)]
pub struct TrueTime(Instant);

impl TrueTime {
    /// Begins now.
    pub fn begin() -> TrueTime {
        TrueTime(Instant::now())
    }

    /// Microseconds since the beginning.
    pub fn elapsed(self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Clock for TrueTime {
    fn now(&self) -> Timestamp {
        BEGINNING.plus(Span(self.elapsed() as i64))
    }

    fn resume(&self, _: Timestamp) -> Resumed {
        Resumed::default()
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Arrives,
    /// It never arrives.
    Lost,
    /// It arrives, and its answer never does.
    Unheard,
    /// It arrives so much later, when nobody waits any more.
    Late(Duration),
    /// It arrives, and so much later once more.
    Twice(Duration),
    /// Somebody between says that he cannot say.
    CannotSay,
}

/// Chances of the way to an outside party.
struct Way {
    random: Mutex<Random>,
    per_mille: AtomicU64,
}

impl Way {
    fn fate(&self) -> Fate {
        let random = &mut *self.random.lock();
        if !random.chance(self.per_mille.load(Ordering::Relaxed)) {
            return Fate::Arrives;
        }
        // Beyond the time-out, sometimes beyond the hold's deadline, never beyond the life of a key.
        let late = Duration::from_micros(500_000 + random.skewed(20_000_000));
        match random.below(6) {
            0 | 1 => Fate::Lost,
            2 => Fate::Unheard,
            3 => Fate::Late(late),
            4 => Fate::Twice(late),
            _ => Fate::CannotSay,
        }
    }

    fn latency(&self) -> Duration {
        Duration::from_micros(200 + self.random.lock().skewed(100_000))
    }
}

/// See the module. Clones are the same provider.
#[derive(Clone)]
pub struct Provider(Arc<ProviderInner>);

struct ProviderInner {
    desk: Mutex<Desk>,
    time: TrueTime,
    way: Way,
    witness: Arc<Mutex<crate::books::Books>>,
    key_lifetime: Span,
    callbacks: Mutex<Option<mpsc::Sender<Callback>>>,
}

impl Provider {
    /// With empty books.
    pub fn new(
        seed: u64,
        time: TrueTime,
        key_lifetime: Duration,
        witness: Arc<Mutex<crate::books::Books>>,
    ) -> Provider {
        let span = |duration: Duration| Span(duration.as_micros() as i64);
        let config = ProviderConfig {
            seed,
            latency: (Span(200), Span(20_000)),
            timeout: span(TIMEOUT),
            slow_answer: Span::seconds(3),
            key_lifetime: span(key_lifetime),
            ..ProviderConfig::default()
        };
        let key_lifetime = span(key_lifetime);
        let way = Way { random: Mutex::new(Random::new(seed, "provider")), per_mille: AtomicU64::new(0) };
        let desk = Mutex::new(Desk::new(config, Books::default()));
        Provider(Arc::new(ProviderInner { desk, time, way, witness, key_lifetime, callbacks: Mutex::default() }))
    }

    /// From now on so many of a thousand calls go wrong.
    pub fn trouble(&self, per_mille: u64) {
        self.0.way.per_mille.store(per_mille, Ordering::Relaxed);
    }

    /// Looks into the books.
    pub fn books<T>(&self, look: impl FnOnce(&Books) -> T) -> T {
        look(self.0.desk.lock().books())
    }
}

impl ProviderInner {
    /// The call has arrived: it is dealt with, and what is to be said unasked will be. Answers what is said at once.
    fn receive(self: &Arc<Self>, call: &Call) -> Option<(Duration, Answer)> {
        let Received { answer, callbacks, late } = self.desk.lock().receive(call, self.time.now());
        self.witness.lock().trace.line(format_args!("provider: {} {answer:?} {late:?}", call.reference));
        for (after, answer) in callbacks {
            self.say(call, duration(after), answer);
        }
        if let Some(after) = late {
            let (inner, call) = (Arc::clone(self), call.clone());
            tokio::spawn(async move {
                sleep(duration(after)).await;
                let answer = inner.desk.lock().perform_late(&call, inner.time.now());
                inner.say(&call, Duration::ZERO, answer);
            });
        }
        answer.map(|(after, answer)| (duration(after), answer))
    }

    fn say(self: &Arc<Self>, call: &Call, after: Duration, answer: Answer) {
        let (inner, callback) = (Arc::clone(self), Callback { order: call.order, step: call.step, answer });
        tokio::spawn(async move {
            sleep(after).await;
            let to = inner.callbacks.lock().clone();
            // Nobody there, or too much to do: they ask by themselves.
            drop(to.map(|to| to.try_send(callback)));
        });
    }

    fn receive_later(self: &Arc<Self>, call: &Call, after: Duration) {
        let (inner, call) = (Arc::clone(self), call.clone());
        tokio::spawn(async move {
            sleep(after).await;
            if let Some((after, answer)) = inner.receive(&call)
                && answer != Answer::Unknown
            {
                inner.say(&call, after, answer);
            }
        });
    }
}

impl PaymentProvider for Provider {
    fn call(&self, call: Call) -> BoxFuture<'static, Answer> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let fate = match inner.way.fate() {
                // Nobody could deal with a provider that forgets at once what the way to it repeats.
                Fate::Late(_) | Fate::Twice(_) if call.token.as_str() == "tok_forgets_key" => Fate::Unheard,
                fate => fate,
            };
            inner.witness.lock().trace.line(format_args!("call {} {fate:?}", call.reference));
            sleep(inner.way.latency()).await;
            let heard = match fate {
                Fate::Arrives => inner.receive(&call),
                Fate::Twice(after) => {
                    inner.receive_later(&call, after);
                    inner.receive(&call)
                }
                Fate::Unheard => {
                    inner.receive(&call);
                    None
                }
                Fate::Late(after) => {
                    inner.receive_later(&call, after);
                    None
                }
                Fate::Lost => None,
                Fate::CannotSay => Some((Duration::ZERO, Answer::Unknown)),
            };
            match heard {
                Some((after, answer)) => {
                    sleep(after).await;
                    answer
                }
                None => std::future::pending().await,
            }
        })
    }

    fn lookup(&self, reference: Reference) -> BoxFuture<'static, Found> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let fate = inner.way.fate();
            inner.witness.lock().trace.line(format_args!("look-up {reference} {fate:?}"));
            sleep(inner.way.latency()).await;
            match fate {
                Fate::Lost | Fate::Unheard | Fate::Late(_) => std::future::pending().await,
                Fate::CannotSay => Found::Unknown,
                Fate::Arrives | Fate::Twice(_) => {
                    let (after, found) = inner.desk.lock().look_up(&reference);
                    sleep(duration(after)).await;
                    found
                }
            }
        })
    }

    fn key_lifetime(&self) -> Span {
        self.0.key_lifetime
    }

    fn listen(&self, callbacks: mpsc::Sender<Callback>) {
        *self.0.callbacks.lock() = Some(callbacks);
    }
}

/// See the module. Clones are the same warehouse.
#[derive(Clone)]
pub struct Depository(Arc<DepositoryInner>);

struct DepositoryInner {
    depot: Mutex<Depot>,
    way: Way,
    shipments: Mutex<Option<mpsc::Sender<Dispatched>>>,
}

impl Depository {
    /// An empty one.
    pub fn new(seed: u64) -> Depository {
        let way = Way { random: Mutex::new(Random::new(seed, "warehouse")), per_mille: AtomicU64::new(0) };
        let depot = Mutex::new(Depot::default());
        Depository(Arc::new(DepositoryInner { depot, way, shipments: Mutex::default() }))
    }

    /// From now on so many of a thousand calls go wrong.
    pub fn trouble(&self, per_mille: u64) {
        self.0.way.per_mille.store(per_mille, Ordering::Relaxed);
    }

    /// How much it still has to ship, or to have confirmed.
    pub fn outstanding(&self) -> (usize, usize) {
        let depot = self.0.depot.lock();
        (depot.to_ship().count(), depot.unconfirmed().count())
    }

    /// One call on its way, and its answer on its way back.
    fn call(&self, deal: impl Fn(&Arc<DepositoryInner>) -> Answer + Send + 'static) -> BoxFuture<'static, Answer> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let fate = inner.way.fate();
            sleep(inner.way.latency()).await;
            let answer = match fate {
                Fate::Arrives => deal(&inner),
                Fate::CannotSay => Answer::Unknown,
                Fate::Lost => return std::future::pending().await,
                Fate::Unheard => {
                    deal(&inner);
                    return std::future::pending().await;
                }
                Fate::Late(after) => {
                    tokio::spawn(async move {
                        sleep(after).await;
                        deal(&inner);
                    });
                    return std::future::pending().await;
                }
                Fate::Twice(after) => {
                    let answer = deal(&inner);
                    let again = Arc::clone(&inner);
                    tokio::spawn(async move {
                        sleep(after).await;
                        deal(&again);
                    });
                    answer
                }
            };
            sleep(inner.way.latency()).await;
            answer
        })
    }
}

impl DepositoryInner {
    fn ship_later(self: &Arc<Self>, order: OrderId, location: LocationId) {
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            sleep(inner.way.latency() * 3).await;
            let shipped = inner.depot.lock().ship(order, &location).unwrap();
            if let Some(dispatched) = shipped {
                inner.report(&dispatched);
                // Said twice, now and then.
                if inner.way.fate() != Fate::Arrives {
                    sleep(inner.way.latency() * 10).await;
                    inner.report(&dispatched);
                }
            }
        });
    }

    fn report(&self, dispatched: &Dispatched) {
        let to = self.shipments.lock().clone();
        // Nobody there: reported again to whoever listens next.
        if let Some(to) = to {
            let _ = to.try_send(dispatched.clone());
        }
    }
}

impl Warehouse for Depository {
    fn request(&self, request: Request) -> BoxFuture<'static, Answer> {
        self.call(move |inner| {
            let is_new = inner.depot.lock().request(&request).unwrap();
            if is_new {
                inner.ship_later(request.order, request.location.clone());
            }
            Answer::Done { reference: None }
        })
    }

    fn call_off(&self, call_off: CallOff) -> BoxFuture<'static, Answer> {
        self.call(move |inner| inner.depot.lock().call_off(&call_off).unwrap())
    }

    fn listen(&self, shipments: mpsc::Sender<Dispatched>) {
        *self.0.shipments.lock() = Some(shipments);
        let unconfirmed: Vec<_> = self.0.depot.lock().unconfirmed().map(Result::unwrap).collect();
        unconfirmed.iter().for_each(|dispatched| self.0.report(dispatched));
    }

    fn confirmed(&self, shipment: OpId) {
        self.0.depot.lock().confirm(shipment).unwrap();
    }
}

fn duration(span: Span) -> Duration {
    Duration::from_micros(span.0.max(0).unsigned_abs())
}
