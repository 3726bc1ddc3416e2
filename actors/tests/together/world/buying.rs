//! Buyers: carts, holds of their own, and orders on their way to their holds.

use super::*;

impl World {
    pub(super) fn buy(&mut self, id: OrderId, wanted: &[(u8, u32)], by_cart: bool, own_hold: bool) {
        if self.orders.contains_key(&id) || self.underway.contains_key(&id) {
            return;
        }
        let mut lines: Vec<Wanted> = Vec::new();
        let mut cart_id = None;
        if by_cart {
            let cart = CartId(id.0);
            cart_id = Some(cart);
            self.fill(cart, id, wanted);
            lines.extend(self.carts[&cart].lines().iter().map(|line| Wanted {
                sku: line.sku.clone(),
                units: line.units,
                expected_price: None,
                cart_price: Some(line.unit_price),
                hold: None,
            }));
        } else {
            for &(n, units) in wanted {
                lines.push(Wanted { sku: sku_id(n), units, expected_price: None, cart_price: None, hold: None });
            }
            if own_hold {
                let (hold, ttl) = (HoldId(7_000 + id.0), HOLD);
                let first = lines[0].clone();
                let (units, buyer) = (first.units, buyer(id));
                let command = sku::Command::Hold { hold, units, buyer, order: None, ttl, tentative: false };
                let _ = self.sku(&first.sku, &command);
                lines[0].hold = Some(hold);
            }
        }
        let request = PlaceRequest {
            cart: cart_id,
            buyer: Some(buyer(id)),
            delivery: None,
            token: Reference::new("tok_ok").unwrap(),
            fingerprint: 1,
            currency: None,
            wanted: lines,
            trace: None,
        };
        let Ok(mut placing) = Placing::new(id, request) else { return };
        let next = placing.start();
        self.rounds += 1;
        self.underway.insert(id, Underway { placing, round: self.rounds });
        self.go_on(id, next);
    }

    fn fill(&mut self, id: CartId, order: OrderId, wanted: &[(u8, u32)]) {
        let at = Moment::at(self.now);
        let cart = self.carts.entry(id).or_default();
        let mut commands = vec![cart::Command::Open { buyer: buyer(order), ttl: Span::hours(1) }];
        for &(n, units) in wanted {
            let listing = self.skus[&sku_id(n)].listing().unwrap();
            let (sku, seller, unit_price) = (sku_id(n), listing.seller.clone(), listing.price);
            commands.push(cart::Command::SetLine(cart::Line { sku, seller, units, unit_price }));
        }
        for command in commands {
            if let Ok(Some(events)) = cart.decide(&command, at) {
                events.iter().for_each(|event| cart.apply(event));
            }
        }
    }

    pub(super) fn go_on(&mut self, id: OrderId, next: Next<()>) {
        let round = self.underway[&id].round;
        match next {
            Next::Hold(requests) => {
                let ask = |request| Message::Hold { order: id, round, request };
                self.messages.extend(requests.into_iter().map(ask));
            }
            Next::Wait => {}
            Next::RetryAfter { release, .. } => {
                self.release(id, release);
                self.messages.push(Message::TryAgain { order: id, round });
            }
            Next::Refuse { release, .. } | Next::Fail { release, .. } => {
                self.release(id, release);
                self.underway.remove(&id);
            }
            Next::Place(placement) => self.place(id, placement),
        }
    }

    pub(super) fn release(&mut self, order: OrderId, holds: Vec<(SkuId, HoldId)>) {
        self.messages.extend(holds.into_iter().map(|(sku, hold)| Message::Release { order, sku, hold }));
    }

    /// The order and its cart's end are one record.
    pub(super) fn place(&mut self, id: OrderId, placement: order::Placement) {
        let underway = self.underway.remove(&id).unwrap();
        if let Some(cart) = placement.cart {
            let cart = self.carts.get_mut(&cart).unwrap();
            match cart.decide(&cart::Command::CheckOut { order: id }, Moment::at(self.now)) {
                Ok(Some(events)) => events.iter().for_each(|event| cart.apply(event)),
                other => {
                    assert!(!matches!(other, Ok(None)), "checked out before, but there is no such order");
                    return self.release(id, underway.placing.granted());
                }
            }
        }
        let changed = self.order(id, &order::Command::Place(placement));
        assert_eq!(changed, Ok(true), "granted holds are a valid order");
    }
}
