//! The actor of one cart. During a checkout the cart changes nothing: its own event goes into the order's record, and
//! what arrives meanwhile waits until the order says how it ended.

use crate::cart::{self, Cart};
use crate::ids::{EntityId, OrderId};
use crate::journal::Class;
use crate::order::placing::{PlaceRequest, Wanted};
use crate::record::Position;
use crate::shell::entity::{Shell, misrouted};
use crate::shell::lane;
use crate::shell::message::{CartHalf, CartPromise, CheckOut, Envelope, Failure, Question, ReplyTo, View};
use crate::shell::post::{Deliver, Requeue};
use actix::{Actor, Context, Handler};

/// Most commands that wait for the end of a checkout.
const MAX_PARKED: usize = 64;

/// A checkout on its way.
struct Leaving {
    order: OrderId,
    /// The cart after `CheckedOut`: applied on a copy first, so that nothing that cannot be applied is logged.
    after: Box<Cart>,
    parked: Vec<Envelope>,
}

/// The actor of one cart.
pub(crate) struct CartActor {
    shell: Shell<Cart>,
    leaving: Option<Leaving>,
}

impl CartActor {
    pub fn new(shell: Shell<Cart>) -> CartActor {
        CartActor { shell, leaving: None }
    }

    fn check_out(&mut self, check_out: CheckOut, reply: ReplyTo) {
        let shell = &mut self.shell;
        let at = shell.state.fabric.clock.moment();
        let command = cart::Command::CheckOut { order: check_out.order };
        let room = shell.state.fabric.journal.room(Class::Intake);
        let decided = shell.guarded(|shell| {
            let events = Cart::decide(&shell.aggregate, &command, at)?;
            let mut after = Box::new(shell.aggregate.clone());
            events.iter().flatten().for_each(|event| after.apply(event));
            Ok::<_, cart::Refusal>((events, after))
        });
        match decided {
            // Checked out before: its order answers.
            Ok(Ok((None, _))) | Ok(Err(cart::Refusal::CheckedOut { .. })) => {
                let order = shell.aggregate.order().unwrap_or(check_out.order);
                let rests_on = shell.cell.last.get();
                lane::send(Envelope::new(EntityId::Order(order), Question::ReplayOrder, reply, rests_on));
            }
            Ok(Ok((Some(mut events), after))) => {
                let (Some(event), true, Ok(())) = (events.pop(), events.is_empty(), room) else {
                    return reply.fail(room.err().map_or(Failure::Crashed, Failure::NoRoom));
                };
                let EntityId::Cart(cart) = shell.entity else { return reply.fail(Failure::Crashed) };
                let promise = CartPromise::new(cart, check_out.order);
                let half = CartHalf { version: shell.version + 1, event, promise };
                let request = place_request(&shell.aggregate, cart, &check_out);
                shell.cell.outstanding.set(shell.cell.outstanding.get() + 1);
                self.leaving = Some(Leaving { order: check_out.order, after, parked: Vec::new() });
                let (to, rests_on) = (EntityId::Order(check_out.order), shell.cell.last.get());
                lane::send(Envelope::new(to, Question::PlaceCart(Box::new(request), half), reply, rests_on));
            }
            Ok(Err(refusal)) => reply.fail(refusal.into()),
            Err(failure) => reply.fail(failure),
        }
    }

    fn check_out_ended(&mut self, order: OrderId, placed: Option<Position>) {
        let Some(leaving) = self.leaving.take_if(|leaving| leaving.order == order) else { return };
        let shell = &mut self.shell;
        shell.cell.outstanding.set(shell.cell.outstanding.get().saturating_sub(1));
        if let Some(position) = placed {
            shell.aggregate = *leaving.after;
            shell.version += 1;
            shell.cell.last.set(position);
        }
        for envelope in leaving.parked {
            shell.state.tell(Requeue(envelope));
        }
    }
}

fn place_request(cart: &Cart, id: crate::ids::CartId, check_out: &CheckOut) -> PlaceRequest {
    let wanted = cart.lines().iter().map(|line| Wanted {
        sku: line.sku.clone(),
        units: line.units,
        expected_price: None,
        cart_price: Some(line.unit_price),
        hold: None,
    });
    PlaceRequest {
        cart: Some(id),
        buyer: cart.buyer().cloned(),
        delivery: check_out.delivery.clone(),
        token: check_out.token.clone(),
        fingerprint: check_out.fingerprint,
        currency: None,
        wanted: wanted.collect(),
        trace: check_out.trace.clone(),
    }
}

impl Actor for CartActor {
    type Context = Context<CartActor>;
}

impl Handler<Deliver> for CartActor {
    type Result = ();

    fn handle(&mut self, message: Deliver, _: &mut Self::Context) {
        let Some(envelope) = self.shell.take(message) else { return };
        if let Some(leaving) = &mut self.leaving
            && !matches!(envelope.question, Question::CheckOutEnded { .. } | Question::ReadCart)
        {
            if leaving.parked.len() < MAX_PARKED {
                leaving.parked.push(envelope);
            } else {
                envelope.reply.fail(Failure::Overloaded);
            }
            return;
        }
        let Envelope { question, reply, rests_on, .. } = envelope;
        let shell = &mut self.shell;
        match question {
            Question::Cart(command) => {
                let executed = shell.execute(&command, Vec::new(), rests_on);
                shell.answer(reply, executed, |cart| View::Cart(Box::new(cart.clone())));
            }
            Question::ReadCart => {
                let view = match shell.version {
                    0 => Err(cart::Refusal::UnknownCart.into()),
                    _ => Ok(View::Cart(Box::new(shell.aggregate.clone()))),
                };
                shell.show(reply, view);
            }
            Question::CheckOut(check_out) => self.check_out(*check_out, reply),
            Question::CheckOutEnded { order, placed } => self.check_out_ended(order, placed),
            other => misrouted(&shell.entity, &other, reply),
        }
        self.shell.after();
    }
}
