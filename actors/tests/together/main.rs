//! Several SKUs, carts and orders together, with a toy provider, warehouse and stock worker between them: messages
//! overtake each other, are lost and repeated, answers come late or never, the process dies. Units and money are
//! conserved at every step; once the faults stop, they match and nothing is left behind.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod outside;
mod world;

use proptest::prelude::*;
use world::World;

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Arrives,
    /// It arrives, and will arrive again.
    Twice,
    /// It is lost.
    Lost,
    /// It arrives, and whoever gets it does only part of the work, or its answer is lost.
    HalfDone,
    /// It arrives, and the provider or warehouse says no.
    Refused,
}

/// Something that happens; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
pub enum Act {
    /// A buyer orders, by a cart or at once, perhaps with a hold of their own. The same order may come again.
    Buy { order: u8, lines: Vec<(u8, u32)>, cart: bool, own_hold: bool },
    /// One of the messages under way.
    Message { which: usize, fate: Fate },
    /// Time passes, and timers fire.
    Wait { seconds: i64 },
    /// The buyer of one of the orders tries another payment.
    Pay { which: usize, payment: u8 },
    /// The buyer or seller cancels.
    Cancel { which: usize, cancel: u8 },
    /// The seller gives money back.
    Refund { which: usize, refund: u8, lines: Vec<(u32, u32)>, restock: bool },
    /// The warehouse sends off some of what it was asked for.
    SendOff { which: usize, most: u32 },
    /// Units that have left come back.
    Return { which: usize, id: u8, most: u32, restock: bool },
    /// A SKU has another price from now on.
    Reprice { sku: u8, minor: i64 },
    /// More units come in.
    Receive { sku: u8, units: u32 },
    /// The process dies and starts again: what is not in the log is gone.
    Crash,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Arrives),
        2 => Just(Fate::Twice),
        1 => Just(Fate::Lost),
        2 => Just(Fate::HalfDone),
        1 => Just(Fate::Refused),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let lines = proptest::collection::vec((0..2u32, 1..3u32), 0..3);
    let wanted = proptest::collection::vec((0..3u8, 1..4u32), 1..4);
    prop_oneof![
        6 => (0..6u8, wanted, any::<bool>(), proptest::bool::weighted(0.2))
            .prop_map(|(order, lines, cart, own_hold)| Act::Buy { order, lines, cart, own_hold }),
        60 => (any::<usize>(), fate()).prop_map(|(which, fate)| Act::Message { which, fate }),
        4 => (0..40i64).prop_map(|seconds| Act::Wait { seconds }),
        3 => (any::<usize>(), 0..4u8).prop_map(|(which, payment)| Act::Pay { which, payment }),
        2 => (any::<usize>(), 0..3u8).prop_map(|(which, cancel)| Act::Cancel { which, cancel }),
        3 => (any::<usize>(), 0..5u8, lines, any::<bool>())
            .prop_map(|(which, refund, lines, restock)| Act::Refund { which, refund, lines, restock }),
        4 => (any::<usize>(), 1..5u32).prop_map(|(which, most)| Act::SendOff { which, most }),
        4 => (any::<usize>(), 0..5u8, 1..3u32, any::<bool>())
            .prop_map(|(which, id, most, restock)| Act::Return { which, id, most, restock }),
        1 => (0..3u8, 1..500i64).prop_map(|(sku, minor)| Act::Reprice { sku, minor }),
        1 => (0..3u8, 1..4u32).prop_map(|(sku, units)| Act::Receive { sku, units }),
        1 => Just(Act::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn units_and_money_are_conserved_and_match_once_all_is_quiet(acts in proptest::collection::vec(act(), 1..250)) {
        let mut world = World::new();
        for act in acts {
            world.act(act);
            world.check();
        }
        world.come_to_rest();
        world.check();
        world.check_at_rest();
    }
}
