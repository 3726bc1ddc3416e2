//! The holds that an order gives back because it was not placed. A release that found no room in the log, or no SKU to
//! take it, is sent again, a bounded number of times: until then the units are not for sale, and nobody else ends the
//! hold before its deadline.

use crate::ids::{EntityId, HoldId, OrderId, SkuId};
use crate::journal::NoRoom;
use crate::order::placing::HoldRequest;
use crate::record::Position;
use crate::shell::lane;
use crate::shell::message::{Address, Envelope, Failure, Question, ReplyTo};
use crate::shell::post::ShardState;
use crate::sku;
use std::rc::Rc;
use std::time::Duration;

/// How often a release is sent. Then the hold's deadline ends it.
const TRIES: u32 = 10;

/// The first pause before a release is sent again; each later one is twice as long. 26 s in all.
const PAUSE: Duration = Duration::from_millis(50);

/// Most releases per shard whose answer is waited for. One beyond is sent once.
const MAX_OPEN: usize = 16_384;

/// The releases of one order that are not answered yet.
#[derive(Default)]
pub(crate) struct Releases {
    /// Not there for the many that never give a hold back.
    open: Option<Box<Open>>,
}

#[derive(Default)]
struct Open(Vec<Release>);

struct Release {
    /// Tells its answer from those to others, of earlier incarnations as well.
    ticket: u32,
    sku: SkuId,
    hold: HoldId,
    sent: u32,
    /// Failed; to be sent again after a pause.
    pausing: bool,
    _counted: Counted,
}

/// One of the shard's open releases, for as long as it lives.
struct Counted(Rc<ShardState>);

impl Counted {
    fn one(state: &Rc<ShardState>) -> Option<Counted> {
        let open = state.releasing.get();
        (open < MAX_OPEN).then(|| {
            state.releasing.set(open + 1);
            Counted(Rc::clone(state))
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.releasing.set(self.0.releasing.get() - 1);
    }
}

/// What an answer to a release means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// Nobody waits for it.
    Stale,
    /// Done, or given up.
    Ended,
    /// It is to be sent again after this long.
    Again(Duration),
}

impl Releases {
    /// Gives a hold back. Says whether an answer is waited for.
    pub fn begin(&mut self, order: OrderId, ticket: u32, sku: SkuId, hold: HoldId, state: &Rc<ShardState>) -> bool {
        let Some(counted) = Counted::one(state) else {
            send(order, sku, hold, Address::Nobody);
            return false;
        };
        send(order, sku.clone(), hold, Address::Releasing { order, ticket });
        self.open.get_or_insert_default().0.push(Release {
            ticket,
            sku,
            hold,
            sent: 1,
            pausing: false,
            _counted: counted,
        });
        true
    }

    /// Takes an answer in.
    pub fn answered(&mut self, order: OrderId, ticket: u32, failure: Option<Failure>) -> Answered {
        let Some(Open(open)) = self.open.as_deref_mut() else { return Answered::Stale };
        let Some(index) = open.iter().position(|release| release.ticket == ticket) else {
            return Answered::Stale;
        };
        let release = &mut open[index];
        match failure {
            // Given back, or not there to be given back.
            None | Some(Failure::Sku(_)) => {}
            Some(failure) if release.sent < TRIES && failure != Failure::NoRoom(NoRoom::Stopped) => {
                release.pausing = true;
                return Answered::Again(PAUSE * 2_u32.pow(release.sent - 1));
            }
            Some(failure) => {
                tracing::warn!(%order, sku = %release.sku, %failure, "a hold is not given back before its deadline");
            }
        }
        open.swap_remove(index);
        Answered::Ended
    }

    /// The pause is over.
    pub fn again(&mut self, order: OrderId, ticket: u32) {
        let open = self.open.iter_mut().flat_map(|open| &mut open.0);
        if let Some(release) = open.into_iter().find(|release| release.ticket == ticket && release.pausing) {
            release.pausing = false;
            release.sent += 1;
            send(order, release.sku.clone(), release.hold, Address::Releasing { order, ticket });
        }
    }

    /// The order asks for these holds anew: no release may come after that. One that pauses is sent now, and its SKU
    /// takes both in this order. Says how many releases have ended.
    pub fn overtaken(&mut self, order: OrderId, requests: &[HoldRequest]) -> usize {
        let Some(Open(open)) = self.open.as_deref_mut() else { return 0 };
        let before = open.len();
        open.retain_mut(|release| {
            let wanted = requests.iter().any(|request| request.hold == release.hold && request.sku == release.sku);
            if wanted && release.pausing {
                send(order, release.sku.clone(), release.hold, Address::Nobody);
            }
            !wanted
        });
        before - open.len()
    }
}

fn send(order: OrderId, sku: SkuId, hold: HoldId, answer_to: Address) {
    let release = Question::Sku(sku::Command::Release { hold, order: Some(order) });
    lane::send(Envelope::new(EntityId::Sku(sku), release, ReplyTo::new(answer_to), Position(0)));
}
