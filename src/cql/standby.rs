//! Waiting for one's turn: who owns the log, does it live, and when to take over. For liveness alone: whoever is wrong here
//! costs a take-over and never an order.

use super::{Cluster, Error, OwnerRow, Peer};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Beats that must have been looked for in vain, so that a stand-by that slept does not count its own sleep.
const LOOKS: u32 = 3;

/// Watches one owner.
#[derive(Debug)]
pub struct Watch {
    node: String,
    after: Duration,
    seen: Option<Seen>,
}

#[derive(Debug)]
struct Seen {
    epoch: u64,
    beat: Option<u64>,
    since: Instant,
    looks: u32,
}

/// Why to take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nobody has owned it yet, or the owner gave it up.
    Free,
    /// The owner was a process of this very data directory, which is locked by us now.
    Ours,
    /// The owner has shown no life.
    Silent,
}

impl Why {
    /// In words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Why::Free => "nobody owns it",
            Why::Ours => "its owner was a process of this data directory, which has ended",
            Why::Silent => "its owner shows no life",
        }
    }
}

impl Watch {
    /// Watches for the process of the data directory called `node`.
    #[must_use]
    pub fn new(node: String, after: Duration) -> Watch {
        Watch { node, after, seen: None }
    }

    /// Takes in what was seen at `now`, by the local clock; beats are compared with each other and with nothing else.
    pub fn look(&mut self, owner: &OwnerRow, peers: &[Peer], now: Instant) -> Option<Why> {
        if owner.epoch == 0 || owner.yielded {
            return Some(Why::Free);
        }
        if owner.node == self.node {
            return Some(Why::Ours);
        }
        let beat = peers.iter().find(|peer| peer.node == owner.node).map(|peer| peer.beat);
        match &mut self.seen {
            Some(seen) if (seen.epoch, seen.beat) == (owner.epoch, beat) => {
                seen.looks += 1;
                let silent = seen.looks >= LOOKS && now.duration_since(seen.since) >= self.after;
                silent.then_some(Why::Silent)
            }
            seen => {
                *seen = Some(Seen { epoch: owner.epoch, beat, since: now, looks: 0 });
                None
            }
        }
    }
}

/// What a look at the database showed. Blocks.
///
/// # Errors
/// [`Error`].
pub fn look(cluster: &Arc<Cluster>) -> Result<(OwnerRow, Vec<Peer>), Error> {
    Ok((cluster.owner()?, cluster.peers()?))
}

/// The name of a data directory: random, made once.
///
/// # Errors
/// When it cannot be read or written.
pub fn node_name(dir: &Path) -> Result<String, Error> {
    let path = dir.join("node");
    let io = |source| Error::Io { what: "cannot read or write the file \"node\" in the data directory", source };
    match std::fs::read_to_string(&path) {
        Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let name = format!("{:032x}", rand::random::<u128>());
    let draft = dir.join("node.new");
    std::fs::write(&draft, &name).and_then(|()| std::fs::rename(&draft, &path)).map_err(io)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(epoch: u64) -> OwnerRow {
        OwnerRow { epoch, node: "other".to_owned(), ..OwnerRow::default() }
    }

    fn beat(beat: u64) -> Vec<Peer> {
        vec![Peer { node: "other".to_owned(), beat, address: String::new() }]
    }

    #[test]
    fn an_owner_that_beats_is_left_alone_and_a_silent_one_is_not() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut watch = Watch::new("me".to_owned(), Duration::from_secs(5));
        for second in 0..20 {
            assert_eq!(watch.look(&owner(1), &beat(second), at(second)), None);
        }
        for second in 20..24 {
            assert_eq!(watch.look(&owner(1), &beat(19), at(second)), None, "at {second}");
        }
        assert_eq!(watch.look(&owner(1), &beat(19), at(24)), Some(Why::Silent));
        assert_eq!(watch.look(&owner(2), &beat(19), at(25)), None, "another owner");
        assert_eq!(watch.look(&owner(2), &[], at(40)), None, "its beat is gone: another sight");
        assert_eq!(watch.look(&owner(2), &[], at(42)), None);
        assert_eq!(watch.look(&owner(2), &[], at(43)), None);
        assert_eq!(watch.look(&owner(2), &[], at(45)), Some(Why::Silent));
    }

    #[test]
    fn a_watcher_that_slept_looks_again_before_it_judges() {
        let start = Instant::now();
        let mut watch = Watch::new("me".to_owned(), Duration::from_secs(5));
        assert_eq!(watch.look(&owner(1), &beat(1), start), None);
        let woken = start + Duration::from_secs(600);
        assert_eq!(watch.look(&owner(1), &beat(1), woken), None);
        assert_eq!(watch.look(&owner(1), &beat(1), woken), None);
        assert_eq!(watch.look(&owner(1), &beat(1), woken), Some(Why::Silent));
    }

    #[test]
    fn what_is_free_or_was_ours_is_taken_at_once() {
        let mut watch = Watch::new("me".to_owned(), Duration::from_secs(5));
        let now = Instant::now();
        assert_eq!(watch.look(&OwnerRow::default(), &[], now), Some(Why::Free));
        assert_eq!(watch.look(&OwnerRow { yielded: true, ..owner(3) }, &beat(1), now), Some(Why::Free));
        assert_eq!(watch.look(&OwnerRow { node: "me".to_owned(), ..owner(3) }, &[], now), Some(Why::Ours));
    }
}
