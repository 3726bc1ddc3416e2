//! Messages that repeat themselves: some of each kind are let through in a while, then one line says how many were left
//! out.
//!
//! A kind is a place in the code, so there are as many as the program has, and no more is remembered of each than two
//! numbers. What other libraries say by way of the crate `log` counts together, level by level.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// How long a while is.
pub const WHILE: Duration = Duration::from_secs(10);

/// Where the count of what was left out is told: that is never left out itself.
const TARGET: &str = "stampede::logs";

/// Lets so many of each kind through.
#[derive(Debug)]
pub struct Repeats {
    most: u32,
    kinds: Arc<Kinds>,
}

#[derive(Debug, Default)]
struct Kinds(Mutex<HashMap<Identifier, Kind>>);

#[derive(Debug)]
struct Kind {
    of: &'static Metadata<'static>,
    passed: u32,
    left_out: u64,
}

impl Repeats {
    /// Begins, with a thread that tells the counts. `most` per while; 0: all.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(most: u32) -> std::io::Result<Repeats> {
        let repeats = Repeats { most, kinds: Arc::default() };
        if most > 0 {
            let kinds = Arc::downgrade(&repeats.kinds);
            std::thread::Builder::new().name("log-repeats".to_owned()).spawn(move || tell(&kinds))?;
        }
        Ok(repeats)
    }

    fn lets_through(&self, of: &'static Metadata<'static>) -> bool {
        if self.most == 0 || of.target() == TARGET {
            return true;
        }
        let mut kinds = self.kinds.0.lock();
        let kind = kinds.entry(of.callsite()).or_insert(Kind { of, passed: 0, left_out: 0 });
        let lets = kind.passed < self.most;
        if lets {
            kind.passed += 1;
        } else {
            kind.left_out += 1;
        }
        lets
    }
}

impl<S: Subscriber> Layer<S> for Repeats {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.lets_through(event.metadata())
    }
}

impl Kinds {
    /// A while is over: says what was left out in it, and begins anew.
    fn turn(&self) {
        // Let go before anything is said, which comes back here.
        let over = std::mem::take(&mut *self.0.lock());
        for Kind { of, left_out, .. } in over.into_values().filter(|kind| kind.left_out > 0) {
            let (module, line) = (of.module_path().unwrap_or(of.target()), of.line());
            // At the level of what it counts, but seen where the filter lets only some modules say as much.
            macro_rules! say {
                ($level:expr) => {
                    tracing::event!(target: TARGET, $level, left_out, module, line, "the same message came more often")
                };
            }
            match *of.level() {
                Level::ERROR => say!(Level::ERROR),
                Level::WARN => say!(Level::WARN),
                Level::INFO => say!(Level::INFO),
                Level::DEBUG | Level::TRACE => say!(Level::INFO),
            }
        }
    }
}

fn tell(kinds: &Weak<Kinds>) {
    loop {
        std::thread::sleep(WHILE);
        let Some(kinds) = kinds.upgrade() else { return };
        kinds.turn();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use std::io::Write;
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn take(&self) -> Vec<String> {
            let text = String::from_utf8(std::mem::take(&mut *self.0.lock())).unwrap();
            text.lines().map(str::to_owned).collect()
        }
    }

    /// What is written of `said` with so many of each kind let through; `end` ends a while.
    fn heard(most: u32, said: impl FnOnce(&dyn Fn())) -> Vec<String> {
        let lines = Lines::default();
        let writer = lines.clone();
        let repeats = Repeats { most, kinds: Arc::default() };
        let kinds = Arc::clone(&repeats.kinds);
        let words =
            tracing_subscriber::fmt::layer().without_time().with_ansi(false).with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(repeats).with(words);
        tracing::subscriber::with_default(subscriber, || said(&|| kinds.turn()));
        lines.take()
    }

    #[test]
    fn a_kind_is_let_through_so_often_and_the_rest_is_counted() {
        let heard = heard(2, |end| {
            for n in 0..7 {
                tracing::warn!(n, "often");
            }
            tracing::info!("once");
            end();
            tracing::warn!("later");
            end();
        });
        let count = |word: &str| heard.iter().filter(|line| line.contains(word)).count();
        assert_eq!((count("often"), count("once"), count("later")), (2 + 1, 1, 1), "{heard:#?}");
        let told = heard.iter().find(|line| line.contains("more often")).unwrap();
        assert!(told.contains("WARN") && told.contains("left_out=5") && told.contains("logs::repeats"), "{told}");
        assert_eq!(heard.len(), 5);
    }

    #[test]
    fn a_new_while_begins_anew() {
        let say = || tracing::error!("again");
        let heard = heard(1, |end| {
            for _ in 0..3 {
                say();
                say();
                end();
            }
        });
        let (again, told) = heard.iter().partition::<Vec<_>, _>(|line| line.contains("again"));
        assert_eq!((again.len(), told.len()), (3, 3), "{heard:#?}");
        assert!(told.iter().all(|line| line.contains("left_out=1")));
    }

    #[test]
    fn without_a_bound_all_is_said() {
        let heard = heard(0, |end| {
            (0..50).for_each(|_| tracing::info!("x"));
            end();
        });
        assert_eq!(heard.len(), 50);
    }
}
