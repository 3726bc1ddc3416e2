//! A step of our own SKUs: commands to all SKUs of the order, in the order of the SKUs.

use super::Terms;
use super::batch::{Batch, Batched};
use super::job::{End, Progress, Reply, Turn};
use stampede_actors::ids::{HoldId, OrderId, SkuId};
use stampede_actors::order::{Answer, Line, LinePart, LineUnits, Order, Placement, Refund, Step};
use stampede_actors::shell::{Done, Failure};
use stampede_actors::sku::{Command, Part, Refusal, Units};
use std::collections::BTreeMap;

type Commands = Vec<(SkuId, Command)>;

/// A step of our own SKUs on its way.
#[derive(Debug)]
pub(super) struct Stock {
    giving_back: bool,
    batch: Batch,
}

impl Stock {
    pub fn begin(id: OrderId, order: &Order, step: Step) -> (Stock, Progress) {
        let commands = order.placement().and_then(|placement| commands(id, order, placement, step));
        let mut stock =
            Stock { giving_back: step == Step::GiveBack, batch: Batch::of_skus(commands.unwrap_or_default()) };
        let progress = stock.ask();
        (stock, progress)
    }

    pub fn resume(&mut self, replies: Vec<Reply>, terms: &Terms) -> Progress {
        match self.batch.resume(replies, terms) {
            Batched::Again(turn) => Progress::Turn(turn),
            Batched::GivenUp => Progress::Turn(Turn::Over(End::LeftToOrder)),
            Batched::Settled(results) => match self.judge(&results) {
                Ok(further) => {
                    self.batch = Batch::of_skus(further);
                    self.ask()
                }
                Err(code) => Progress::Report(Answer::Refused { code }),
            },
        }
    }

    fn ask(&mut self) -> Progress {
        if self.batch.is_empty() {
            return Progress::Report(Answer::Done { reference: None });
        }
        Progress::Turn(self.batch.ask())
    }

    /// What is left to do, or the first refusal that matters. A hold that turns out to be firm is cancelled.
    fn judge(&self, results: &[Result<Done, Failure>]) -> Result<Commands, String> {
        let mut further = Vec::new();
        for ((sku, command), result) in self.batch.commands().zip(results) {
            match (command, result) {
                (_, Ok(_)) => {}
                (Command::Release { hold, .. }, Err(Failure::Sku(Refusal::HoldAllocated))) if self.giving_back => {
                    further.push((sku.clone(), Command::CancelAllocation { hold: *hold }));
                }
                // Nothing left to give back is what was asked for.
                (_, Err(Failure::Sku(Refusal::HoldEnded))) if self.giving_back => {}
                (_, Err(Failure::Sku(refusal))) => return Err(refusal.code().to_owned()),
                (_, Err(_)) => return Err("misrouted".to_owned()),
            }
        }
        Ok(further)
    }
}

/// What to ask the SKUs. `None`: the order has no such refund, shipment or return.
fn commands(id: OrderId, order: &Order, placement: &Placement, step: Step) -> Option<Commands> {
    let of_lines = |command: &dyn Fn(&Line) -> Command| -> Commands {
        placement.lines.iter().map(|line| (line.sku.clone(), command(line))).collect()
    };
    Some(match step {
        Step::Allocate => of_lines(&|line| Command::Allocate { hold: line.hold, order: id, parts: line.parts.clone() }),
        Step::GiveBack => of_lines(&|line| Command::Release { hold: line.hold, order: Some(id) }),
        Step::GiveBackUnits { refund } => taken_out(placement, order.refund(refund)?),
        Step::ShipStock { shipment } => {
            let shipment = order.shipment(shipment)?;
            let parts = |units| vec![Part { location: shipment.location.clone(), units }];
            per_line(placement, &shipment.lines, |hold, units| Command::Ship {
                hold,
                shipment: shipment.id,
                parts: parts(units),
            })
        }
        Step::ReturnStock { return_id } => {
            let back = order.return_of(return_id)?;
            per_line(placement, &back.lines, |hold, units| Command::Return {
                hold,
                buyer: placement.buyer.clone(),
                return_id,
                location: back.location.clone(),
                units,
                restock: back.restock,
            })
        }
        Step::Authorize { .. }
        | Step::Capture { .. }
        | Step::Void { .. }
        | Step::Refund { .. }
        | Step::Fulfil
        | Step::CallOff { .. } => return None,
    })
}

/// Units that were refunded before they left.
fn taken_out(placement: &Placement, refund: &Refund) -> Commands {
    let (reduction, restock) = (refund.id, refund.restock);
    let reduce = |(line, parts): (&Line, _)| {
        (line.sku.clone(), Command::ReduceAllocation { hold: line.hold, reduction, parts, restock })
    };
    by_line(placement, &refund.withheld).into_iter().map(reduce).collect()
}

/// Parts together by line: a SKU takes all units of a hold at once.
fn by_line<'a>(placement: &'a Placement, parts: &[LinePart]) -> Vec<(&'a Line, Vec<Part>)> {
    let mut by_line: BTreeMap<u32, Vec<Part>> = BTreeMap::new();
    for part in parts {
        let of_line = by_line.entry(part.line).or_default();
        of_line.push(Part { location: part.location.clone(), units: part.units });
    }
    let known = by_line.into_iter().filter_map(|(line, parts)| Some((placement.lines.get(line as usize)?, parts)));
    known.collect()
}

fn per_line(placement: &Placement, lines: &[LineUnits], command: impl Fn(HoldId, Units) -> Command) -> Commands {
    let known = lines.iter().filter_map(|of| Some((placement.lines.get(of.line as usize)?, of.units)));
    known.map(|(line, units)| (line.sku.clone(), command(line.hold, units))).collect()
}
