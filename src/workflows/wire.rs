//! Steps of outside parties as they travel between processes, in JSON: over the broker, and between server and worker.

use serde::{Deserialize, Serialize};
use stampede_actors::ids::OpId;
use stampede_actors::order::Step;

/// A step that an outside party has to do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = Step)]
pub enum OutsideStep {
    /// Provider: reserve the total.
    Authorize {
        /// Which attempt to pay.
        attempt: u32,
    },
    /// Provider: take the authorised total.
    Capture {
        /// Which attempt to pay.
        attempt: u32,
    },
    /// Provider: give the authorisation up.
    Void {
        /// Which attempt to pay.
        attempt: u32,
    },
    /// Provider: give money back.
    Refund {
        /// Which refund.
        #[schema(value_type = String, example = "op_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
        refund: OpId,
    },
    /// Warehouse: please ship.
    Fulfil,
    /// Warehouse: please do not ship the units of this refund.
    CallOff {
        /// Which refund.
        #[schema(value_type = String, example = "op_7zzzzzzzzzzzzzzzzzzzzzzzzz")]
        refund: OpId,
    },
}

impl OutsideStep {
    /// `None`: a step of our own SKUs, which never leaves the server.
    #[must_use]
    pub fn of(step: Step) -> Option<OutsideStep> {
        Some(match step {
            Step::Authorize { attempt } => OutsideStep::Authorize { attempt },
            Step::Capture { attempt } => OutsideStep::Capture { attempt },
            Step::Void { attempt } => OutsideStep::Void { attempt },
            Step::Refund { refund } => OutsideStep::Refund { refund },
            Step::Fulfil => OutsideStep::Fulfil,
            Step::CallOff { refund } => OutsideStep::CallOff { refund },
            Step::Allocate
            | Step::GiveBack
            | Step::GiveBackUnits { .. }
            | Step::ShipStock { .. }
            | Step::ReturnStock { .. } => return None,
        })
    }
}

impl From<OutsideStep> for Step {
    fn from(step: OutsideStep) -> Step {
        match step {
            OutsideStep::Authorize { attempt } => Step::Authorize { attempt },
            OutsideStep::Capture { attempt } => Step::Capture { attempt },
            OutsideStep::Void { attempt } => Step::Void { attempt },
            OutsideStep::Refund { refund } => Step::Refund { refund },
            OutsideStep::Fulfil => Step::Fulfil,
            OutsideStep::CallOff { refund } => Step::CallOff { refund },
        }
    }
}
