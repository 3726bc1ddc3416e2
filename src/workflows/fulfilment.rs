//! A step of the warehouse.

use super::job::{Ask, Progress, Reply, Turn};
use super::warehouse::{CallOff, Request, RequestLine};
use stampede_actors::ids::{LocationId, OrderId};
use stampede_actors::order::{Answer, Order, Step};
use std::collections::BTreeMap;

/// A step of the warehouse on its way.
#[derive(Debug)]
pub(super) struct Fulfilment;

impl Fulfilment {
    /// `None`: the order has no such refund, or the step is none of the warehouse's.
    pub fn begin(id: OrderId, order: &Order, step: Step) -> Option<(Fulfilment, Progress)> {
        let asks = match step {
            Step::Fulfil => requests(id, order)?.into_iter().map(Ask::Request).collect(),
            Step::CallOff { refund } => {
                let parts = order.refund(refund)?.withheld.clone();
                vec![Ask::CallOff(CallOff { order: id, refund, parts })]
            }
            _ => return None,
        };
        Some((Fulfilment, Progress::Turn(Turn::Ask(asks))))
    }

    pub fn resume(&mut self, replies: Vec<Reply>) -> Progress {
        let answers = replies.into_iter().map(|reply| match reply {
            Reply::Answer(answer) => answer,
            Reply::Entity(_) | Reply::Found(_) => Answer::Unknown,
        });
        Progress::Report(answers.reduce(together).unwrap_or(Answer::Unknown))
    }
}

/// One answer for all locations: nothing is definite before everything is.
fn together(a: Answer, b: Answer) -> Answer {
    match (a, b) {
        (Answer::Unknown, _) | (_, Answer::Unknown) => Answer::Unknown,
        (refused @ Answer::Refused { .. }, _) | (_, refused @ Answer::Refused { .. }) => refused,
        (done @ Answer::Done { .. }, Answer::Done { .. }) => done,
    }
}

/// One request per location, for all units of the order: the warehouse itself leaves out what was called off, so that a
/// repeated request is equal to the first.
fn requests(id: OrderId, order: &Order) -> Option<Vec<Request>> {
    let placement = order.placement()?;
    let mut by_location: BTreeMap<&LocationId, Vec<RequestLine>> = BTreeMap::new();
    for (line, index) in placement.lines.iter().zip(0..) {
        for part in &line.parts {
            let wanted = RequestLine { line: index, sku: line.sku.clone(), units: part.units };
            by_location.entry(&part.location).or_default().push(wanted);
        }
    }
    let request = |(location, lines): (&LocationId, _)| Request {
        order: id,
        location: location.clone(),
        lines,
        delivery: placement.delivery.clone(),
    };
    Some(by_location.into_iter().map(request).collect())
}
