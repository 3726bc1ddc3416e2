//! What a seed makes of itself before anything runs: a shop, and a row of lives of one server, each with what its clients
//! ask, what goes wrong, and how it ends. A plan is what is run again, and what is made smaller when a run fails.

use crate::random::Random;
use std::fmt;

/// Everything that is decided beforehand.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Of all chances.
    pub seed: u64,
    /// What kind of shop and server.
    pub shop: Shop,
    /// One process after the other, on the same disk.
    pub lives: Vec<Life>,
}

/// What is for sale, and how the server is set up.
#[derive(Debug, Clone)]
pub struct Shop {
    /// How many SKUs.
    pub skus: u64,
    /// How many buyers.
    pub buyers: u64,
    /// Most bytes of a frame.
    pub frame_bytes: u64,
    /// Most records in front of the log.
    pub queue_records: usize,
    /// History is deleted when it is this old, in seconds.
    pub archive_max_age: Option<u64>,
    /// Bytes that the log leaves to others; 0: none are looked after.
    pub keep_free: u64,
    /// The provider knows a key for so many seconds.
    pub key_lifetime: u64,
    /// Entities stay in memory for so many milliseconds.
    pub passivate_after: u64,
}

/// One process.
#[derive(Debug, Clone)]
pub struct Life {
    /// Its number: chances of a life depend on it, whatever came before.
    pub number: u64,
    /// What clients ask, and when, in microseconds of this life.
    pub asks: Vec<(u64, What)>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// It ends after so many microseconds, if nothing ends it before.
    pub lasts: u64,
    /// How it ends then.
    pub end: End,
    /// Nobody is there for so many microseconds afterwards.
    pub down: u64,
    /// Of a thousand calls to provider and warehouse, so many go wrong.
    pub trouble: u64,
    /// Of a thousand turns of the writer, so many wait for a slow disk.
    pub slow: u64,
}

/// What a client asks. The numbers name keys and ids: the same number is the same request, however often it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// Units come in.
    Receive(u64),
    /// Stock is corrected.
    Adjust(u64),
    /// A SKU gets another price.
    Reprice(u64),
    /// A SKU is not sold for a while, or is again.
    Pause(u64),
    /// Units are claimed.
    Hold(u64),
    /// A claim is given back.
    Release(u64),
    /// An order at once.
    Place(u64),
    /// An order by way of a cart.
    CheckOut(u64),
    /// Another payment for an order.
    Pay(u64),
    /// An order is cancelled.
    Cancel(u64),
    /// Money is given back.
    Refund(u64),
    /// Units came back.
    Return(u64),
    /// Somebody looks at a SKU.
    ReadSku(u64),
    /// Somebody looks at an order.
    ReadOrder(u64),
}

/// Something that goes wrong in a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The power goes at the so many-th step of the disk from the start of the life, which may be while it starts.
    PowerCut(u64),
    /// That step fails.
    Broken(u64),
    /// That step finds no room.
    Full(u64),
    /// The disk has only so many bytes left, from this time until that.
    NoRoom { bytes: u64, from: u64, to: u64 },
    /// The store fails at the so many-th write.
    StoreBreaks(u64),
    /// The store is gone before the life begins.
    StoreIsGone,
    /// The wall clock is set by so many seconds before the life begins.
    ClockStep(i64),
    /// After the life a bit is flipped in a copy of the disk, which must be noticed there.
    Rot,
}

/// How a life ends when its time is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The process dies, the machine does not.
    Kill,
    /// The power goes.
    PowerCut,
    /// It is stopped, and closes its log.
    Stop,
}

/// Orders, holds and the like that one seed has, each.
const NAMES: u64 = 24;

impl Plan {
    /// What `seed` makes of itself.
    pub fn new(seed: u64, lives: u64) -> Plan {
        let mut random = Random::new(seed, "plan");
        let shop = Shop {
            skus: random.within(1, 4),
            buyers: random.within(2, 6),
            frame_bytes: *random.pick(&[1_024, 2_048, 4_096]),
            queue_records: *random.pick(&[16, 256, 65_536]),
            archive_max_age: random.chance(250).then_some(5),
            keep_free: *random.pick(&[0, 0, 64 << 10]),
            key_lifetime: *random.pick(&[60, 86_400]),
            passivate_after: *random.pick(&[60, 500, 60_000]),
        };
        let stormy = random.chance(700);
        let lives = (0..lives).map(|number| Life::new(&mut random, number, stormy, shop.key_lifetime)).collect();
        Plan { seed, shop, lives }
    }
}

impl Life {
    fn new(random: &mut Random, number: u64, stormy: bool, key_lifetime: u64) -> Life {
        let lasts = 500 + random.skewed(4_000_000);
        // Some come one by one, some in crowds, and some people click twice.
        let crowds: Vec<u64> = (0..random.within(1, 4)).map(|_| random.below(lasts)).collect();
        let mut asks = Vec::new();
        for _ in 0..random.skewed(60) {
            let at = if random.chance(600) { *random.pick(&crowds) } else { random.below(lasts) };
            let what = What::any(random);
            asks.push((at, what));
            if random.chance(150) {
                asks.push((at + random.skewed(2_000), what));
            }
        }
        if number == 0 {
            // Something to sell, before anything else.
            asks.extend((0..NAMES / 4).map(|n| (n, What::Receive(n))));
        }
        asks.sort_unstable();
        let end = *random.pick(&[End::Kill, End::Kill, End::PowerCut, End::PowerCut, End::PowerCut, End::Stop]);
        Life {
            number,
            asks,
            faults: Fault::some(random, lasts, key_lifetime),
            lasts,
            end,
            down: if random.chance(100) { random.below(20_000_000) } else { random.skewed(200_000) },
            trouble: if stormy { *random.pick(&[0, 50, 200, 500]) } else { 0 },
            slow: *random.pick(&[0, 100, 500]),
        }
    }

    /// The store breaks at this write, if it does.
    pub fn store_breaks(&self) -> Option<u64> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::StoreBreaks(writes) => Some(*writes),
            _ => None,
        })
    }

    /// A life in which nothing goes wrong any more: everything that waits must come to its end.
    pub fn calm(number: u64, lasts: u64) -> Life {
        let (asks, faults) = (Vec::new(), Vec::new());
        Life { number, asks, faults, lasts, end: End::Kill, down: 0, trouble: 0, slow: 0 }
    }
}

impl What {
    fn any(random: &mut Random) -> What {
        let kind = random.below(100);
        let name = random.below(NAMES);
        match kind {
            0..4 => What::Receive(name),
            4..6 => What::Adjust(name),
            6..8 => What::Reprice(name),
            8..10 => What::Pause(name),
            10..22 => What::Hold(name),
            22..28 => What::Release(name),
            28..52 => What::Place(name),
            52..62 => What::CheckOut(name),
            62..68 => What::Pay(name),
            68..74 => What::Cancel(name),
            74..80 => What::Refund(name),
            80..84 => What::Return(name),
            84..92 => What::ReadSku(name),
            _ => What::ReadOrder(name),
        }
    }
}

impl Fault {
    fn some(random: &mut Random, lasts: u64, key_lifetime: u64) -> Vec<Fault> {
        let mut faults = Vec::new();
        // Steps of a start: some 30.
        let step = |random: &mut Random| 1 + if random.chance(300) { random.below(40) } else { random.skewed(2_000) };
        if random.chance(400) {
            faults.push(Fault::PowerCut(step(random)));
        } else if random.chance(120) {
            faults.push(Fault::Broken(step(random)));
        } else if random.chance(80) {
            faults.push(Fault::Full(step(random)));
        }
        if random.chance(60) {
            let from = random.below(lasts);
            let to = from + random.below(lasts);
            faults.push(Fault::NoRoom { bytes: random.skewed(150_000), from, to });
        }
        if random.chance(30) {
            faults.push(Fault::StoreBreaks(1 + random.below(20)));
        }
        if random.chance(40) {
            faults.push(Fault::StoreIsGone);
        }
        if random.chance(40) {
            // A step forward, or back from one backwards, of as much as a key lives makes the server believe that a call
            // is too old to arrive.
            let far = (key_lifetime / 24).min(3_600) as i64;
            faults.push(Fault::ClockStep(*random.pick(&[-far, -1, 1, far])));
        }
        if random.chance(100) {
            faults.push(Fault::Rot);
        }
        faults
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {:?}", self.seed, self.shop)?;
        for life in &self.lives {
            let Life { number, asks, faults, lasts, end, down, trouble, slow } = life;
            writeln!(f, "life {number}: {lasts} us, then {end:?}, down {down} us, trouble {trouble}, slow {slow}")?;
            faults.iter().try_for_each(|fault| writeln!(f, "    fault {fault:?}"))?;
            asks.iter().try_for_each(|(at, what)| writeln!(f, "    at {at} us: {what:?}"))?;
        }
        Ok(())
    }
}
