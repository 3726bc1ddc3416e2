//! The threads of one server, all of them on this one: each is a set of tasks of its own, and which goes next is drawn.

use crate::random::Random;
use stampede::feed::projection::worker::Loading;
use stampede_actors::shell::Lane;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::task::LocalSet;

/// A thread that hosts a lane, or none.
struct Thread {
    set: LocalSet,
    lane: Option<Rc<Lane>>,
}

/// See the module. Dropping it is the death of the process: nobody finishes anything.
pub struct Process {
    threads: Vec<Thread>,
    random: Random,
    loading: Arc<Loading>,
}

impl Process {
    /// Without a thread so far.
    pub fn new(random: Random, loading: Arc<Loading>) -> Process {
        Process { threads: Vec::new(), random, loading }
    }

    /// Starts a thread; `begin` runs on it first, and makes it a lane if it wants to.
    pub fn thread(&mut self, begin: impl FnOnce()) {
        let set = LocalSet::new();
        {
            let _on_it = set.enter();
            begin();
        }
        let lane = Lane::swap(None);
        self.threads.push(Thread { set, lane });
    }

    /// Lets every thread do what it can do now, in an order that is drawn.
    pub fn poll(&mut self, context: &mut Context<'_>) {
        let (first, count) = (self.random.below(self.threads.len() as u64) as usize, self.threads.len());
        for turn in 0..count {
            let thread = &mut self.threads[(first + turn) % count];
            Lane::swap(thread.lane.take());
            // It never ends: its tasks are loops.
            let _: Poll<()> = Future::poll(Pin::new(&mut thread.set), context);
            thread.lane = Lane::swap(None);
        }
        // The loaders, who take their time.
        if self.random.chance(300) {
            context.waker().wake_by_ref();
        } else if self.loading.step() {
            while self.loading.step() {}
            context.waker().wake_by_ref();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        Lane::swap(None);
        for thread in self.threads.drain(..) {
            drop(thread.set);
            drop(thread.lane);
        }
        self.loading.abandon();
    }
}
