//! Several questions to our own entities, asked at once, and again where an entity could not take one.

use super::Terms;
use super::job::{Ask, Reply, Turn};
use stampede_actors::ids::{EntityId, OrderId, SkuId};
use stampede_actors::journal::NoRoom;
use stampede_actors::order::{self, Answer, Step};
use stampede_actors::shell::{Done, Failure, Question};
use stampede_actors::sku;
use stampede_actors::time::Span;

/// A question that can be asked again.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Want {
    ReadOrder,
    Report(Step, Answer),
    Sku(sku::Command),
}

impl Want {
    fn question(&self) -> Question {
        match self {
            Want::ReadOrder => Question::ReadOrder,
            Want::Report(step, answer) => {
                Question::Order(Box::new(order::Command::Report { step: *step, answer: answer.clone() }))
            }
            Want::Sku(command) => Question::Sku(command.clone()),
        }
    }
}

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Batched {
    /// Every question has a definite answer, in the order of the questions.
    Settled(Vec<Result<Done, Failure>>),
    /// Not yet.
    Again(Turn),
    /// Some entity cannot take it for now.
    GivenUp,
}

#[derive(Debug)]
pub(super) struct Batch {
    wants: Vec<(EntityId, Want)>,
    results: Vec<Option<Result<Done, Failure>>>,
    tries: u32,
    pausing: bool,
}

impl Batch {
    pub fn new(wants: Vec<(EntityId, Want)>) -> Batch {
        let results = wants.iter().map(|_| None).collect();
        Batch { wants, results, tries: 0, pausing: false }
    }

    pub fn of_order(order: OrderId, want: Want) -> Batch {
        Batch::new(vec![(EntityId::Order(order), want)])
    }

    /// In the order of the SKUs, whatever the order of the lines.
    pub fn of_skus(mut commands: Vec<(SkuId, sku::Command)>) -> Batch {
        commands.sort_by(|(a, _), (b, _)| a.cmp(b));
        Batch::new(commands.into_iter().map(|(sku, command)| (EntityId::Sku(sku), Want::Sku(command))).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.wants.is_empty()
    }

    /// The SKU commands, in the order of the results.
    pub fn commands(&self) -> impl Iterator<Item = (&SkuId, &sku::Command)> {
        self.wants.iter().filter_map(|want| match want {
            (EntityId::Sku(sku), Want::Sku(command)) => Some((sku, command)),
            _ => None,
        })
    }

    /// Asks whatever has no definite answer.
    pub fn ask(&mut self) -> Turn {
        self.tries += 1;
        self.pausing = false;
        let unsettled = self.wants.iter().zip(&self.results).filter(|(_, result)| result.is_none());
        Turn::Ask(unsettled.map(|((entity, want), _)| Ask::Entity(entity.clone(), want.question())).collect())
    }

    /// Takes the replies to the last [`Batch::ask`], or none after a pause.
    pub fn resume(&mut self, replies: Vec<Reply>, terms: &Terms) -> Batched {
        if self.pausing {
            return Batched::Again(self.ask());
        }
        let mut given_up = false;
        let unsettled = self.results.iter_mut().filter(|result| result.is_none());
        for (result, reply) in unsettled.zip(replies) {
            let Reply::Entity(reply) = reply else { continue };
            match reply.as_ref().map_err(patience) {
                Err(Patience::TryAgain) => {}
                Err(Patience::GiveUp) => given_up = true,
                Ok(_) | Err(Patience::Definite) => *result = Some(reply),
            }
        }
        if self.results.iter().all(Option::is_some) {
            return Batched::Settled(self.results.drain(..).flatten().collect());
        }
        if given_up || self.tries >= terms.tries {
            return Batched::GivenUp;
        }
        self.pausing = true;
        Batched::Again(Turn::Pause(Span(terms.pause.0 << (self.tries - 1).min(16))))
    }
}

/// What to do about a failure.
enum Patience {
    /// It is an answer.
    Definite,
    /// Worth asking again in a moment. Safe: every question here is repeatable.
    TryAgain,
    /// Will not get better soon.
    GiveUp,
}

fn patience(failure: &Failure) -> Patience {
    match failure {
        Failure::Sku(_) | Failure::Cart(_) | Failure::Order(_) | Failure::Shop(_) | Failure::NotPlaced(_) => {
            Patience::Definite
        }
        Failure::InFlight
        | Failure::NoRoom(NoRoom::Busy | NoRoom::DiskFull)
        | Failure::Overloaded
        | Failure::Crashed
        | Failure::NotLoaded
        | Failure::OutcomeUnknown => Patience::TryAgain,
        Failure::NoRoom(NoRoom::Stopped) | Failure::Quarantined => Patience::GiveUp,
    }
}
