//! The address of one entity's actor, whatever its kind. Only its directory holds it; dropping it ends the actor.

use crate::cart::Cart;
use crate::ids::EntityId;
use crate::order::Order;
use crate::shell::cart::CartActor;
use crate::shell::entity::Shell;
use crate::shell::message::Envelope;
use crate::shell::order::OrderActor;
use crate::shell::post::{Deliver, ShardState, Shared};
use crate::shell::shop::ShopActor;
use crate::shell::sku::SkuActor;
use crate::shop::Shop;
use crate::sku::Sku;
use actix::{Actor, Addr};
use std::rc::Rc;

/// The address of one entity's actor.
pub(crate) enum Address {
    Sku(Addr<SkuActor>),
    Cart(Addr<CartActor>),
    Order(Addr<OrderActor>),
    Shop(Addr<ShopActor>),
}

impl Address {
    pub fn sku(e: &EntityId, sku: Sku, v: u64, s: Rc<ShardState>, cell: &Rc<Shared>) -> Address {
        Address::Sku(SkuActor::new(Shell::new(e.clone(), sku, v, s, Rc::clone(cell))).start())
    }

    pub fn cart(e: &EntityId, cart: Cart, v: u64, s: Rc<ShardState>, cell: &Rc<Shared>) -> Address {
        Address::Cart(CartActor::new(Shell::new(e.clone(), cart, v, s, Rc::clone(cell))).start())
    }

    pub fn order(e: &EntityId, order: Order, v: u64, s: Rc<ShardState>, cell: &Rc<Shared>) -> Address {
        Address::Order(OrderActor::new(Shell::new(e.clone(), order, v, s, Rc::clone(cell))).start())
    }

    pub fn shop(e: &EntityId, shop: Shop, v: u64, s: Rc<ShardState>, cell: &Rc<Shared>) -> Address {
        Address::Shop(ShopActor::new(Shell::new(e.clone(), shop, v, s, Rc::clone(cell))).start())
    }

    pub fn connected(&self) -> bool {
        match self {
            Address::Sku(address) => address.connected(),
            Address::Cart(address) => address.connected(),
            Address::Order(address) => address.connected(),
            Address::Shop(address) => address.connected(),
        }
    }

    pub fn deliver(&self, cell: &Shared, envelope: Envelope) {
        cell.outstanding.set(cell.outstanding.get() + 1);
        match self {
            Address::Sku(address) => address.do_send(Deliver(envelope)),
            Address::Cart(address) => address.do_send(Deliver(envelope)),
            Address::Order(address) => address.do_send(Deliver(envelope)),
            Address::Shop(address) => address.do_send(Deliver(envelope)),
        }
    }
}
