//! An order under random commands, answers and ticks: what must hold after every event, and once all is quiet.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Something that happens to the order; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Act {
    /// A worker answers one of the open steps.
    Answer {
        which: usize,
        answer: Outcome,
    },
    /// A worker answers a step that may have been answered long ago, or was never open.
    Late {
        which: usize,
        answer: Outcome,
    },
    Pay(u8),
    Cancel(u8),
    Refund {
        id: u8,
        lines: Vec<(u32, Units)>,
        restock: bool,
    },
    Ship {
        id: u8,
        hamburg: bool,
        lines: Vec<(u32, Units)>,
    },
    Return {
        id: u8,
        lines: Vec<(u32, Units)>,
    },
    /// A person takes care of one reason, or of all.
    Acknowledge {
        id: u8,
        reason: Option<Attention>,
    },
    /// Time passes; a timer may come too early.
    Wait {
        seconds: i64,
        tick: bool,
    },
    /// A command that was accepted before comes again.
    Again(usize),
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Done,
    Refused,
    Unknown,
}

impl Outcome {
    fn answer(self) -> Answer {
        match self {
            Outcome::Done => done(),
            Outcome::Refused => no(),
            Outcome::Unknown => Answer::Unknown,
        }
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![6 => Just(Outcome::Done), 2 => Just(Outcome::Refused), 1 => Just(Outcome::Unknown)]
}

fn some_lines() -> impl Strategy<Value = Vec<(u32, Units)>> {
    prop_oneof![
        1 => Just(vec![]),
        6 => proptest::collection::vec((0..3u32, 0..4u32), 1..3),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        10 => (any::<usize>(), outcome()).prop_map(|(which, answer)| Act::Answer { which, answer }),
        2 => (any::<usize>(), outcome()).prop_map(|(which, answer)| Act::Late { which, answer }),
        1 => (0..4u8).prop_map(Act::Pay),
        1 => (0..4u8).prop_map(Act::Cancel),
        3 => (0..6u8, some_lines(), any::<bool>()).prop_map(|(id, lines, restock)| Act::Refund { id, lines, restock }),
        3 => (0..6u8, any::<bool>(), some_lines()).prop_map(|(id, hamburg, lines)| Act::Ship { id, hamburg, lines }),
        2 => (0..6u8, some_lines()).prop_map(|(id, lines)| Act::Return { id, lines }),
        2 => (0..900i64, any::<bool>()).prop_map(|(seconds, tick)| Act::Wait { seconds, tick }),
        2 => (0..6u8, proptest::option::of(proptest::sample::select(&Attention::ALL[..])))
            .prop_map(|(id, reason)| Act::Acknowledge { id, reason }),
        2 => any::<usize>().prop_map(Act::Again),
    ]
}

#[derive(Default)]
struct World {
    order: Order,
    now: Timestamp,
    log: Vec<Event>,
    accepted: Vec<Command>,
    /// Every step that an event has asked the workers for.
    asked_for: BTreeSet<Step>,
    /// Do workers stick to what they said?
    honest: bool,
}

impl World {
    fn new(honest: bool) -> World {
        let mut world = World { now: T0, honest, ..World::default() };
        world.command(Command::Place(placement()));
        world
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Answer { which, answer } => {
                let open = self.order.open_steps();
                if !open.is_empty() {
                    let step = open[which % open.len()].step;
                    self.command(report(step, answer.answer()));
                }
            }
            Act::Late { which, answer } => {
                if !self.honest {
                    let steps: Vec<Step> = self.asked_for.iter().copied().collect();
                    let never = Step::Authorize { attempt: (which % 40) as u32 };
                    let step = steps.get(which % (steps.len() + 1)).copied().unwrap_or(never);
                    self.command(report(step, answer.answer()));
                }
            }
            Act::Pay(id) => self.command(pay(100 + u128::from(id))),
            Act::Cancel(id) => self.command(Command::Cancel {
                cancel: OpId(200 + u128::from(id)),
                fingerprint: 1,
                reason: "changed_mind".to_owned(),
            }),
            Act::Refund { id, lines, restock } => self.command(Command::Refund {
                refund: OpId(300 + u128::from(id)),
                fingerprint: fingerprint(&lines),
                lines: units(&lines),
                restock,
            }),
            Act::Ship { id, hamburg, lines } => self.command(Command::Ship {
                shipment: OpId(400 + u128::from(id)),
                fingerprint: fingerprint(&lines),
                location: location(if hamburg { "hamburg" } else { "berlin" }),
                lines: units(&lines),
                tracking: None,
            }),
            Act::Return { id, lines } => self.command(Command::Return {
                return_id: OpId(500 + u128::from(id)),
                fingerprint: fingerprint(&lines),
                location: location("berlin"),
                lines: units(&lines),
                restock: true,
            }),
            Act::Acknowledge { id, reason } => self.command(acknowledge(600 + u128::from(id), reason)),
            Act::Wait { seconds, tick } => {
                self.now = self.now.plus(Span::seconds(seconds));
                if tick {
                    self.command(Command::Tick);
                }
            }
            Act::Again(which) => {
                if !self.accepted.is_empty() {
                    let command = self.accepted[which % self.accepted.len()].clone();
                    let again = self.order.decide(&command, Moment::at(self.now), &terms());
                    assert_eq!(again, Ok(None), "a repeat of {command:?} changes nothing");
                }
            }
        }
    }

    fn command(&mut self, command: Command) {
        let before = self.order.clone();
        match self.order.decide(&command, Moment::at(self.now), &terms()) {
            Err(_) | Ok(None) => assert_eq!(self.order, before),
            Ok(Some(events)) => {
                assert!(!events.is_empty(), "{command:?} says that it changes something");
                for event in events {
                    self.order.apply(&event);
                    self.asked_for.extend(opens(&event));
                    assert_eq!(codec::decode_event(&codec::encode_event(&event)).unwrap(), event);
                    self.log.push(event);
                }
                // Late answers that contradict earlier ones are no repeats.
                if !matches!(command, Command::Tick) && (self.honest || !matches!(command, Command::Report { .. })) {
                    self.accepted.push(command);
                }
            }
        }
        self.check();
    }

    fn check(&self) {
        let order = &self.order;
        let state = order.state().unwrap();
        assert!(order.refunded_minor() <= order.captured_minor(), "more money back than was taken");
        assert!(order.requested_minor() <= order.captured_minor(), "more money promised than was taken");
        for open in order.open_steps() {
            assert!(self.asked_for.contains(&open.step), "S19: {:?} is open, but nobody was asked for it", open.step);
            assert!(order.deadline().is_some_and(|deadline| deadline <= open.ask_at), "an open step without a timer");
        }
        assert!(state.is_terminal() || order.deadline().is_some(), "{state:?} waits without a deadline");
        for tally in order.tallies() {
            assert!(tally.shipped + tally.withheld <= tally.ordered, "{tally:?}");
            assert!(tally.returned <= tally.shipped, "{tally:?}");
        }
        assert_eq!(codec::decode_state(&codec::encode_state(order)).unwrap(), *order, "a snapshot is the state");
        if self.honest {
            self.check_honest(state);
        }
    }

    fn check_honest(&self, state: State) {
        let order = &self.order;
        let total = order.total().unwrap().minor;
        assert!([0, total].contains(&order.captured_minor()), "taken once at most");
        let was_done = |step| {
            let done = |event: &&Event| matches!(event, Event::Answered { step: of, answer: Answer::Done { .. }, .. } if *of == step);
            self.log.iter().filter(done).count()
        };
        for attempt in order.attempts() {
            let (captured, voided) =
                (was_done(Step::Capture { attempt: attempt.number }), was_done(Step::Void { attempt: attempt.number }));
            assert!(captured + voided <= 1, "an authorisation is either taken or given up");
        }
        if order.paid {
            let kept: i64 = (order.tallies().iter().zip(&order.placement().unwrap().lines))
                .map(|(tally, line)| i64::from(tally.to_refund()) * line.unit_price.minor)
                .sum();
            assert_eq!(order.captured_minor() - order.requested_minor(), kept, "money and units match");
        }
        let taken_back = order.refunds().iter().all(|refund| refund.state != RefundState::Refused);
        if matches!(state, State::Cancelled | State::Expired) && taken_back {
            assert_eq!(order.captured_minor(), order.refunded_minor(), "{state:?} keeps no money");
        }
    }

    /// Workers answer everything, and time goes on: does it come to rest?
    fn settle(&mut self) {
        for _ in 0..200 {
            match self.order.open_steps().first() {
                Some(open) => self.command(report(open.step, done())),
                None if self.order.waits_for_payment() => {
                    self.now = self.now.max(self.order.deadline().unwrap());
                    self.command(Command::Tick);
                }
                None => break,
            }
        }
        assert_eq!(self.order.open_steps(), [], "it never comes to rest");
        let state = self.order.state().unwrap();
        assert!(
            state.is_terminal() || matches!(state, State::Captured | State::FulfilmentRequested | State::PartlyShipped),
            "{state:?} is no place to rest"
        );
        let reserved = |attempt: &&Attempt| {
            matches!(attempt.state, AttemptState::Open | AttemptState::Authorised | AttemptState::Stray)
        };
        assert_eq!(self.order.attempts().iter().find(reserved), None, "money stays reserved");
        assert!(self.order.refunds().iter().all(|refund| refund.state != RefundState::Waiting), "a refund waits");
        assert!(self.order.returns().iter().all(|back| back.opened), "a return waits");
    }

    fn replays(&self) {
        let mut replayed = Order::default();
        self.log.iter().for_each(|event| replayed.apply(event));
        assert_eq!(replayed, self.order, "the log rebuilds just this state");
    }
}

fn fingerprint(lines: &[(u32, Units)]) -> u64 {
    lines.iter().fold(1, |print, (line, units)| print * 31 + u64::from(line * 10 + units))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn with_honest_workers_money_and_units_match(acts in proptest::collection::vec(act(), 1..80)) {
        let mut world = World::new(true);
        acts.into_iter().for_each(|act| world.act(act));
        world.settle();
        world.replays();
    }

    #[test]
    fn whatever_workers_say_no_money_is_lost_and_nothing_waits_for_ever(
        acts in proptest::collection::vec(act(), 1..80)
    ) {
        let mut world = World::new(false);
        acts.into_iter().for_each(|act| world.act(act));
        world.settle();
        world.replays();
    }
}
