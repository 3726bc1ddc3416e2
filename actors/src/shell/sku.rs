//! The actor of one SKU.

use crate::ids::{EntityId, HoldId};
use crate::shell::entity::{Executed, Shell, misrouted};
use crate::shell::message::{Envelope, Failure, GrantedHold, Question, SkuView, View};
use crate::shell::post::Deliver;
use crate::sku::{self, Refusal, Sku};
use crate::time::Timestamp;
use actix::{Actor, Context, Handler};

/// The actor of one SKU.
pub(crate) struct SkuActor {
    shell: Shell<Sku>,
}

impl SkuActor {
    pub fn new(shell: Shell<Sku>) -> SkuActor {
        SkuActor { shell }
    }

    /// Tells all directories when it is sold out for good, and when it no longer is.
    fn publish(&mut self, executed: &Result<Executed, Failure>, now: Timestamp) {
        let SkuActor { shell } = self;
        let (EntityId::Sku(id), sold_out) = (&shell.entity, &shell.state.fabric.sold_out) else { return };
        match executed {
            Err(Failure::Sku(Refusal::SoldOut { contended: false, .. })) if shell.aggregate.held() == 0 => {
                sold_out.set(id, shell.aggregate.available(), now);
                shell.cell.flagged.set(true);
            }
            Ok(Executed { replayed: false, .. }) if shell.cell.flagged.get() => {
                sold_out.clear(id);
                shell.cell.flagged.set(false);
            }
            _ => {}
        }
    }
}

impl Actor for SkuActor {
    type Context = Context<Self>;
}

impl Handler<Deliver> for SkuActor {
    type Result = ();

    fn handle(&mut self, message: Deliver, _: &mut Self::Context) {
        let Some(Envelope { question, reply, rests_on, .. }) = self.shell.take(message) else { return };
        let now = self.shell.state.fabric.clock.moment().now;
        match question {
            Question::Sku(command) => {
                let executed = self.shell.execute(&command, Vec::new(), rests_on);
                self.publish(&executed, now);
                self.shell.answer(reply, executed, |sku| match &command {
                    sku::Command::Hold { hold, .. } | sku::Command::Extend { hold, .. } => {
                        granted(sku, *hold).unwrap_or(View::Nothing)
                    }
                    sku::Command::Tick | sku::Command::Release { .. } | sku::Command::Allocate { .. } => View::Nothing,
                    _ => sku_view(sku, now),
                });
            }
            Question::ReadSku => {
                let view = match self.shell.aggregate.listing() {
                    Some(_) => Ok(sku_view(&self.shell.aggregate, now)),
                    None => Err(sku::Refusal::UnknownSku.into()),
                };
                self.shell.show(reply, view);
            }
            Question::ReadHold(hold) => {
                let view = granted(&self.shell.aggregate, hold).ok_or_else(|| sku::Refusal::HoldEnded.into());
                self.shell.show(reply, view);
            }
            other => misrouted(&self.shell.entity, &other, reply),
        }
        self.shell.after();
    }
}

fn granted(sku: &Sku, hold: HoldId) -> Option<View> {
    let (view, listing) = (sku.hold(hold)?, sku.listing()?.clone());
    Some(View::Hold(Box::new(GrantedHold { hold, view, listing })))
}

fn sku_view(sku: &Sku, observed_at: Timestamp) -> View {
    match sku.listing() {
        Some(listing) => {
            View::Sku(Box::new(SkuView { listing: listing.clone(), availability: sku.availability(), observed_at }))
        }
        None => View::Nothing,
    }
}
