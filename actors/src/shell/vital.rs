//! What a lane cannot do without says so when it ends: a panic in a directory or in a pump would else leave a dead shard
//! that nobody notices, since the runtime catches it and goes on with the thread's other tasks.

use crate::shell::fabric::{Fabric, LaneId};
use std::sync::Arc;

/// Held by a directory, a pump, a ticker.
pub(crate) struct Vital {
    fabric: Arc<Fabric>,
    lane: LaneId,
    what: String,
    /// Without it a shard is dead, however it ended. A lane that only asks may end as it likes, but not in a panic.
    hosts: bool,
}

impl Vital {
    pub fn new(fabric: &Arc<Fabric>, lane: LaneId, what: impl Into<String>) -> Vital {
        let hosts = fabric.hosts(lane);
        Vital { fabric: Arc::clone(fabric), lane, what: what.into(), hosts }
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        if panicked || self.hosts {
            let how = if panicked { "has panicked" } else { "has ended" };
            self.fabric.died(format!("{} of lane {} {how}", self.what, self.lane.0));
        }
    }
}
