//! The actor of the shop as a whole: notes what operators do, and has all SKUs know whether it sells.

use crate::shell::entity::{Shell, misrouted};
use crate::shell::message::{Envelope, Question, View};
use crate::shell::post::Deliver;
use crate::shop::Shop;
use actix::{Actor, Context, Handler};

/// The actor of the shop.
pub(crate) struct ShopActor {
    shell: Shell<Shop>,
}

impl ShopActor {
    pub fn new(shell: Shell<Shop>) -> ShopActor {
        shell.state.fabric.set_paused(shell.aggregate.paused_at().is_some());
        ShopActor { shell }
    }
}

impl Actor for ShopActor {
    type Context = Context<Self>;
}

impl Handler<Deliver> for ShopActor {
    type Result = ();

    fn handle(&mut self, message: Deliver, _: &mut Self::Context) {
        let Some(Envelope { question, reply, rests_on, .. }) = self.shell.take(message) else { return };
        let shell = &mut self.shell;
        match question {
            Question::Shop(command) => {
                let executed = shell.execute(&command, Vec::new(), rests_on);
                if executed.is_ok() {
                    // Before it is committed: if it never is, this process ends.
                    shell.state.fabric.set_paused(shell.aggregate.paused_at().is_some());
                }
                shell.answer(reply, executed, |shop| View::Shop(Box::new(shop.clone())));
            }
            Question::ReadShop => {
                let view = View::Shop(Box::new(shell.aggregate.clone()));
                shell.show(reply, Ok(view));
            }
            other => misrouted(&shell.entity, &other, reply),
        }
        shell.after();
    }
}
