//! Into the directory of a stopped server: the engine runs in this process, without HTTP.

use super::run::{Patience, Target, Trouble};
use super::{Row, SkuRows, receipt_of};
use crate::engine::Ids;
use crate::http::idempotency::fingerprint;
use serde_json::json;
use stampede_actors::ids::{EntityId, SkuId};
use stampede_actors::shell::lane;
use stampede_actors::shell::message::{Done, Failure, Question};
use stampede_actors::sku::{Command, Listing, Refusal};
use std::time::Duration;

/// How long one command may take.
const WITHIN: Duration = Duration::from_secs(15);
/// How long a command is repeated while the log is behind.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running engine, asked from a thread that is a lane.
pub struct Here<'a> {
    ids: &'a Ids,
}

impl Here<'_> {
    /// Asks from the calling thread.
    #[must_use]
    pub fn new(ids: &Ids) -> Here<'_> {
        Here { ids }
    }

    /// Is this SKU listed?
    ///
    /// # Errors
    /// When the engine does not say.
    pub async fn knows(&self, sku: &SkuId) -> Result<bool, Failure> {
        match lane::ask(EntityId::Sku(sku.clone()), Question::ReadSku, WITHIN).await {
            Ok(_) => Ok(true),
            Err(Failure::Sku(Refusal::UnknownSku)) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Sends a command until there is a definite answer.
    async fn definite(&self, sku: &SkuId, command: Command) -> Result<Done, Trouble> {
        let mut patience = Patience::lasting(PATIENCE);
        loop {
            let failure = match lane::ask(EntityId::Sku(sku.clone()), Question::Sku(command.clone()), WITHIN).await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            match failure {
                Failure::NoRoom(_)
                | Failure::Overloaded
                | Failure::InFlight
                | Failure::NotLoaded
                | Failure::OutcomeUnknown => {
                    if !patience.wait(None).await {
                        return Err(Trouble::Unavailable(failure.to_string()));
                    }
                }
                Failure::Sku(_)
                | Failure::Cart(_)
                | Failure::Shop(_)
                | Failure::Order(_)
                | Failure::NotPlaced(_)
                | Failure::Crashed
                | Failure::Quarantined => return Err(Trouble::Refused(failure.to_string())),
            }
        }
    }
}

impl Target for Here<'_> {
    async fn list(&self, rows: &SkuRows) -> Result<(), Trouble> {
        let SkuRows { sku, seller, price, buyer_limit, rows } = rows;
        let listing = Listing { seller: seller.clone(), price: *price, buyer_limit: *buyer_limit };
        self.definite(sku, Command::List(listing)).await?;
        for Row { location, priority, safety_stock, .. } in rows {
            let (location, priority, safety_stock) = (location.clone(), *priority, *safety_stock);
            self.definite(sku, Command::SetLocation { location, priority, safety_stock }).await?;
        }
        Ok(())
    }

    async fn receive(&self, rows: &SkuRows, row: &Row, key: &str) -> Result<bool, Trouble> {
        let Row { location, units, .. } = row;
        let Some(receipt) = receipt_of(self.ids, key) else {
            return Err(Trouble::Refused(format!("{key} is no key of an import")));
        };
        let command = Command::Receive {
            receipt,
            // As the API would have it, so that either may repeat the other's receipt.
            fingerprint: fingerprint(&json!({ "location": location.as_str(), "units": units })),
            location: location.clone(),
            units: *units,
        };
        Ok(self.definite(&rows.sku, command).await?.replayed)
    }
}
