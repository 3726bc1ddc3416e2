//! The actor of one SKU.

use crate::ids::HoldId;
use crate::shell::entity::{Shell, misrouted};
use crate::shell::message::{Envelope, GrantedHold, Question, SkuView, View};
use crate::shell::post::Deliver;
use crate::sku::{self, Sku};
use crate::time::Timestamp;
use actix::{Actor, Context, Handler};

/// The actor of one SKU.
pub(crate) struct SkuActor(pub Shell<Sku>);

impl Actor for SkuActor {
    type Context = Context<Self>;
}

impl Handler<Deliver> for SkuActor {
    type Result = ();

    fn handle(&mut self, message: Deliver, _: &mut Self::Context) {
        let shell = &mut self.0;
        let Some(Envelope { question, reply, .. }) = shell.take(message) else { return };
        match question {
            Question::Sku(command) => {
                let executed = shell.execute(&command, Vec::new());
                let now = shell.state.fabric.clock.moment().now;
                shell.answer(reply, executed, |sku| match &command {
                    sku::Command::Hold { hold, .. } | sku::Command::Extend { hold, .. } => {
                        granted(sku, *hold).unwrap_or(View::Nothing)
                    }
                    sku::Command::Tick | sku::Command::Release { .. } | sku::Command::Allocate { .. } => View::Nothing,
                    _ => sku_view(sku, now),
                });
            }
            Question::ReadSku => {
                let now = shell.state.fabric.clock.moment().now;
                let view = match shell.aggregate.listing() {
                    Some(_) => Ok(sku_view(&shell.aggregate, now)),
                    None => Err(sku::Refusal::UnknownSku.into()),
                };
                shell.show(reply, view);
            }
            Question::ReadHold(hold) => {
                let view = granted(&shell.aggregate, hold).ok_or_else(|| sku::Refusal::HoldEnded.into());
                shell.show(reply, view);
            }
            other => misrouted(&shell.entity, &other, reply),
        }
        self.0.after();
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
