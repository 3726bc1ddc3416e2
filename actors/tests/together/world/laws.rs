//! What must hold, at every step and once all is quiet.

use super::*;

impl World {
    /// At every step.
    pub fn check(&self) {
        for (id, sku) in &self.skus {
            let stock = sku.availability();
            assert_eq!(i64::from(stock.on_hand), sku.totals().on_hand(), "units of {id} came or went by themselves");
            assert!(stock.held + stock.allocated <= stock.on_hand, "{id} is oversold");
        }
        for (id, order) in &self.orders {
            let state = order.state().unwrap();
            assert!(state.is_terminal() || order.deadline().is_some(), "{id} waits in {state:?} without a deadline");
            let captured = order.captured().unwrap().minor - order.refunded().unwrap().minor;
            assert!(self.provider.net(*id) >= 0 && captured >= 0, "{id} gave back more than it took");
        }
        for (id, cart) in &self.carts {
            if let Some(order) = cart.order() {
                assert!(self.orders.contains_key(&order), "{id} became an order that does not exist");
            }
        }
    }

    /// No more faults: messages arrive, timers fire, the warehouse sends off what it has.
    pub fn come_to_rest(&mut self) {
        for _ in 0..10_000 {
            if let Some(message) = self.messages.pop() {
                self.message(message, Fate::Arrives);
                continue;
            }
            for id in self.warehouse.orders() {
                self.warehouse.send_off(id, Units::MAX);
                // A person sees to what the warehouse will not do.
                let undone = self.orders[&id].state() == Some(State::Captured);
                if undone && self.warehouse.refuses(id) {
                    let cancel = order::Command::Cancel { cancel: OpId(999), fingerprint: 1, reason: "no".to_owned() };
                    let _ = self.order(id, &cancel);
                }
            }
            self.report_parcels();
            let deadlines = self.orders.values().filter_map(Order::deadline);
            let next = deadlines.chain(self.skus.values().filter_map(Sku::deadline)).min();
            match next {
                Some(next) => {
                    self.now = self.now.max(next);
                    self.timers();
                }
                None if self.messages.is_empty() && self.provider.admits.is_empty() => return,
                None => self.timers(),
            }
        }
        let waiting: Vec<_> = self
            .orders
            .iter()
            .filter(|(_, order)| order.deadline().is_some())
            .map(|(id, o)| (id, o.state(), o.open_steps()))
            .collect();
        panic!("it never comes to rest: {waiting:?}, {:?}", self.messages);
    }

    /// Once all is quiet.
    pub fn check_at_rest(&self) {
        assert!(self.underway.is_empty(), "an order is neither placed nor refused");
        assert!(self.warehouse.parcels.iter().all(|parcel| parcel.reported), "units left and no order knows");
        let mut left: BTreeMap<&SkuId, Units> = BTreeMap::new();
        for (id, order) in &self.orders {
            let state = order.state().unwrap();
            assert!(state.is_terminal(), "{id} rests in {state:?}");
            assert_eq!(order.open_steps(), [], "{id} in {state:?}");
            let lines = &order.placement().unwrap().lines;
            let mut kept = 0;
            for (line, tally) in lines.iter().zip(order.tallies()) {
                *left.entry(&line.sku).or_default() += tally.shipped;
                kept += i64::from(tally.to_refund()) * line.unit_price.minor;
                if state == State::Fulfilled {
                    assert_eq!(tally.to_ship(), 0);
                } else {
                    assert_eq!(tally.shipped, 0, "{id}: units left without money");
                }
            }
            let net = self.provider.net(*id);
            assert_eq!(
                net,
                order.captured().unwrap().minor - order.refunded().unwrap().minor,
                "{id}: the books differ"
            );
            assert_eq!(net, if state == State::Fulfilled { kept } else { 0 }, "{id} in {state:?}: money and units");
            assert!(order.refunds().iter().all(|r| matches!(r.state, RefundState::Done | RefundState::Lapsed)));
        }
        for ((id, attempt), (state, _)) in &self.provider.attempts {
            assert_ne!(*state, Attempt::Reserved, "attempt {attempt} of {id}: money stays reserved");
        }
        for (id, sku) in &self.skus {
            let stock = sku.availability();
            assert_eq!((stock.held, stock.allocated, sku.claims()), (0, 0, 0), "units of {id} are left behind");
            let shipped = left.get(id).copied().unwrap_or_default();
            assert_eq!(sku.totals().shipped, u64::from(shipped), "{id}: stock and orders differ");
        }
    }
}
