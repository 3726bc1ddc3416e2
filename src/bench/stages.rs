//! Where the CPU time of an order goes: that of each of the server's threads over a round, until it rests.

use crate::bench::figure::{Sample, Spec};
use crate::bench::load;
use crate::bench::orders::{Goal, Order, SKUS, stock};
use crate::bench::process::{self, Threads};
use crate::bench::rig::HELD_BACK;
use crate::bench::{Game, Measured};

/// How the names of the threads of each stage begin, in the order of the figures; the last figure is of all others. The
/// kernel keeps fifteen characters of a name.
const STAGES: [&str; 6] = ["actix", "log-writer", "log-upkeep", "projection", "workflows", "fjall"];

/// Microseconds of CPU per order and stage.
///
/// # Errors
/// When the server does not start, or answers what it should not.
pub async fn per_order(game: &Game<'_>, specs: &'static [Spec]) -> anyhow::Result<Measured> {
    let rig = game.rig(HELD_BACK, &stock(SKUS)).await?;
    let mut open = rig.connect(game.connections()).await?;
    let order = Order::new(Goal::Uniform(SKUS));
    load::round(&mut open, &order, game.duration() / 4).await?;
    rig.rest().await?;
    game.rounds(specs, async || {
        let before = rig.threads()?;
        let round = load::round(&mut open, &order, game.duration()).await?;
        rig.rest().await?;
        let used = by_stage(&process::between(&before, &rig.threads()?));
        let sample = |seconds: f64| Sample::new(seconds * 1e6 / round.answers.max(1) as f64);
        Ok(used.map(|seconds| sample(seconds).with("order_per_s", round.rate())).to_vec().into())
    })
    .await
}

/// Seconds by stage.
fn by_stage(used: &Threads) -> [f64; STAGES.len() + 1] {
    let mut stages = [0.0; STAGES.len() + 1];
    for (name, cpu) in used {
        let stage = STAGES.iter().position(|stage| name.starts_with(stage)).unwrap_or(STAGES.len());
        stages[stage] += cpu.as_secs_f64();
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_thread_counts_once() {
        let threads =
            [("actix-server wo", 5), ("actix-rt|system", 1), ("log-writer", 2), ("fjall:worker", 4), ("main", 3)];
        let threads = threads.map(|(name, seconds)| (name.to_owned(), Duration::from_secs(seconds)));
        assert_eq!(by_stage(&threads.into()), [6.0, 2.0, 0.0, 0.0, 0.0, 4.0, 3.0]);
    }
}
