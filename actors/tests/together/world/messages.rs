//! What arrives, and what the workers make of it.

use super::*;

impl World {
    pub(super) fn message(&mut self, message: Message, fate: Fate) {
        if fate == Fate::Twice {
            self.messages.push(message.clone());
        }
        match message {
            Message::Hold { order, round, request } => self.ask_to_hold(order, round, request, fate),
            Message::Held { order, round, hold, answer } => {
                let answer = if fate == Fate::Lost { HoldAnswer::Failed(()) } else { answer };
                let Some(underway) = self.underway.get_mut(&order).filter(|u| u.round == round) else { return };
                let next = underway.placing.answered(hold, answer);
                self.go_on(order, next);
            }
            Message::Release { order, sku, hold } => {
                if fate != Fate::Lost {
                    let _ = self.sku(&sku, &sku::Command::Release { hold, order: Some(order) });
                }
            }
            Message::TryAgain { order, round } => {
                let Some(underway) = self.underway.get_mut(&order).filter(|u| u.round == round) else { return };
                self.rounds += 1;
                underway.round = self.rounds;
                let next = underway.placing.start();
                self.go_on(order, next);
            }
            Message::Step { order, step } => {
                if fate != Fate::Lost {
                    self.work(order, step, fate);
                }
            }
            Message::Report { order, step, answer } => {
                if fate != Fate::Lost {
                    let _ = self.order(order, &order::Command::Report { step, answer });
                }
            }
        }
    }

    fn ask_to_hold(&mut self, order: OrderId, round: u32, request: HoldRequest, fate: Fate) {
        // A hold that arrives after its round is over would be given back: lanes keep messages in order.
        let current = self.underway.get(&order).is_some_and(|underway| underway.round == round);
        let HoldRequest { sku, hold, units, buyer, tentative } = request;
        if !current {
            return;
        }
        let answer = if fate == Fate::Lost {
            HoldAnswer::Failed(())
        } else {
            let command = sku::Command::Hold { hold, units, buyer, order: Some(order), ttl: HOLD, tentative };
            match self.sku(&sku, &command) {
                Ok(_) => {
                    let (view, listing) = (self.skus[&sku].hold(hold).unwrap(), self.skus[&sku].listing().unwrap());
                    HoldAnswer::Granted {
                        parts: view.parts,
                        expires_at: view.expires_at,
                        unit_price: listing.price,
                        seller: listing.seller.clone(),
                    }
                }
                Err(refusal) => HoldAnswer::Refused(refusal),
            }
        };
        self.messages.push(Message::Held { order, round, hold, answer });
    }

    /// A worker takes a step. It asks the order first (S20).
    fn work(&mut self, id: OrderId, step: Step, fate: Fate) {
        let order = &self.orders[&id];
        if !order.is_open(step) {
            return;
        }
        let answer = match step {
            Step::Authorize { .. } => {
                let lines = order.placement().unwrap().lines.clone();
                let until = self.now.plus(HOLD);
                for line in lines {
                    let _ = self.sku(&line.sku, &sku::Command::Extend { hold: line.hold, until });
                }
                self.provider.call(id, &self.orders[&id], step, fate)
            }
            Step::Capture { .. } | Step::Void { .. } | Step::Refund { .. } => self.provider.call(id, order, step, fate),
            Step::Fulfil | Step::CallOff { .. } => self.warehouse.call(id, order, step, fate),
            Step::Allocate
            | Step::GiveBack
            | Step::GiveBackUnits { .. }
            | Step::ShipStock { .. }
            | Step::ReturnStock { .. } => match self.stock(id, step, fate) {
                Some(answer) => answer,
                None => return,
            },
        };
        let answer = if fate == Fate::HalfDone { Answer::Unknown } else { answer };
        self.messages.push(Message::Report { order: id, step, answer });
    }

    /// Our own SKUs; `None`: died in the middle.
    fn stock(&mut self, id: OrderId, step: Step, fate: Fate) -> Option<Answer> {
        let commands = commands(id, &self.orders[&id], step);
        let survives = if fate == Fate::HalfDone { commands.len() / 2 } else { usize::MAX };
        for (n, (sku, command)) in commands.into_iter().enumerate() {
            if n >= survives {
                return None;
            }
            match self.sku(&sku, &command) {
                Ok(_) => {}
                Err(sku::Refusal::HoldAllocated) if step == Step::GiveBack => {
                    let sku::Command::Release { hold, .. } = command else { unreachable!() };
                    let cancelled = self.sku(&sku, &sku::Command::CancelAllocation { hold });
                    assert!(cancelled.is_ok(), "{cancelled:?}");
                }
                Err(refusal) => {
                    assert_eq!(step, Step::Allocate, "{refusal:?} to {command:?}");
                    return Some(refused(refusal.code()));
                }
            }
        }
        Some(done())
    }
}

fn commands(id: OrderId, order: &Order, step: Step) -> Vec<(SkuId, sku::Command)> {
    let placement = order.placement().unwrap();
    let line = |index: u32| &placement.lines[index as usize];
    let each = |command: &dyn Fn(&Line) -> sku::Command| {
        placement.lines.iter().map(|line| (line.sku.clone(), command(line))).collect()
    };
    match step {
        Step::Allocate => {
            each(&|line| sku::Command::Allocate { hold: line.hold, order: id, parts: line.parts.clone() })
        }
        Step::GiveBack => each(&|line| sku::Command::Release { hold: line.hold, order: Some(id) }),
        Step::GiveBackUnits { refund } => {
            let mut by_line: BTreeMap<u32, Vec<Part>> = BTreeMap::new();
            for LinePart { line, location, units } in order.units_to_give_back(refund).iter().cloned() {
                by_line.entry(line).or_default().push(Part { location, units });
            }
            let restock = order.refund(refund).unwrap().restock;
            let reduce = |(index, parts): (u32, Vec<Part>)| {
                let hold = line(index).hold;
                (line(index).sku.clone(), sku::Command::ReduceAllocation { hold, reduction: refund, parts, restock })
            };
            by_line.into_iter().map(reduce).collect()
        }
        Step::ShipStock { shipment } => {
            let shipment = order.shipment(shipment).unwrap();
            let ship = |of: &LineUnits| {
                let (hold, location) = (line(of.line).hold, shipment.location.clone());
                let parts = vec![Part { location, units: of.units }];
                (line(of.line).sku.clone(), sku::Command::Ship { hold, shipment: shipment.id, parts })
            };
            shipment.lines.iter().map(ship).collect()
        }
        Step::ReturnStock { return_id } => {
            let back = order.return_of(return_id).unwrap();
            let take = |of: &LineUnits| {
                let (hold, buyer, location) = (line(of.line).hold, placement.buyer.clone(), back.location.clone());
                let (units, restock) = (of.units, back.restock);
                (line(of.line).sku.clone(), sku::Command::Return { hold, buyer, return_id, location, units, restock })
            };
            back.lines.iter().map(take).collect()
        }
        other => panic!("{other:?} is no work of the SKUs"),
    }
}
