//! Cursor, acknowledgement, bounds and resumption of the feed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;
use crate::journal::Hash;
use stampede_actors::ids::{OpId, OrderId};
use stampede_actors::order::{Answer, Event as Happened, Step};
use stampede_actors::record::{Entry, Record};

const NARROW: Config = Config { waiting: 4, payment: 2, fulfilment: 2, stock: 2 };

/// A log of frames, one record each; `None` is a record that opens nothing.
fn log(steps: &[Option<Step>]) -> Vec<Committed> {
    let frame = |(step, n): (&Option<Step>, u64)| Committed {
        seq: n,
        hash: Hash::default(),
        at: Timestamp(n as i64),
        first: Position(n),
        records: vec![record(n, *step)],
    };
    steps.iter().zip(1..).map(frame).collect()
}

fn record(n: u64, step: Option<Step>) -> Record {
    let at = Timestamp(n as i64);
    let event = match step {
        Some(step) => Happened::Opened { step, at, ask_at: at, due: None },
        None => Happened::Answered { step: Step::Fulfil, answer: Answer::Done { reference: None }, at },
    };
    let order = OrderId(u128::from(n));
    Record {
        at,
        entries: vec![Entry { entity: EntityId::Order(order), version: 1, event: Event::Order(event) }],
        trace: None,
    }
}

const PAY: Option<Step> = Some(Step::Authorize { attempt: 1 });
const STOCK: Option<Step> = Some(Step::Allocate);

fn feed_of(config: &Config, frames: &[Committed]) -> Feed {
    let mut feed = Feed::resume(config, Position(0), Position(0));
    frames.iter().for_each(|frame| feed.ingest(frame));
    feed
}

fn drain(feed: &mut Feed, queue: Queue) -> Vec<Message> {
    std::iter::from_fn(|| feed.next(queue)).collect()
}

#[test]
fn messages_come_in_the_order_of_the_log_and_name_their_place() {
    let mut feed = feed_of(&Config::default(), &log(&[PAY, None, STOCK, PAY]));
    let payments = drain(&mut feed, Queue::Payment);
    assert_eq!(payments.iter().map(|m| m.position.0).collect::<Vec<_>>(), [1, 4]);
    assert_eq!(payments[1].id.to_string(), "0/4/0");
    assert_eq!(payments[1].order, OrderId(4));
    assert!(!payments[1].inherited);
    assert_eq!(drain(&mut feed, Queue::Stock).len(), 1);
}

#[test]
fn the_index_counts_all_events_of_a_frame() {
    let mut frame = log(&[PAY]).remove(0);
    frame.records = vec![record(1, None), record(2, PAY), record(3, PAY)];
    let mut feed = feed_of(&Config::default(), &[frame]);
    let ids: Vec<_> = drain(&mut feed, Queue::Payment).iter().map(|m| (m.id.index, m.position.0)).collect();
    assert_eq!(ids, [(1, 2), (2, 3)]);
}

#[test]
fn the_cursor_stops_before_the_oldest_unfinished_message_whatever_the_order_of_acknowledgement() {
    let mut feed = feed_of(&Config::default(), &log(&[None, PAY, STOCK, None, PAY, None]));
    assert_eq!(feed.cursor(), Position(1));
    let payments = drain(&mut feed, Queue::Payment);
    let stock = drain(&mut feed, Queue::Stock);
    assert!(feed.acknowledge(Queue::Payment, payments[1].id));
    assert_eq!(feed.cursor(), Position(1));
    assert!(feed.acknowledge(Queue::Payment, payments[0].id));
    assert_eq!(feed.cursor(), Position(2), "the stock step at 3 is unfinished");
    assert!(feed.acknowledge(Queue::Stock, stock[0].id));
    assert_eq!(feed.cursor(), Position(6), "records without messages are passed");
    assert_eq!(feed.lag(), 0);
    assert!(!feed.acknowledge(Queue::Stock, stock[0].id), "twice is once");
}

#[test]
fn work_in_progress_is_bounded_and_each_queue_by_itself() {
    let mut feed = feed_of(&NARROW, &log(&[PAY, PAY, PAY, STOCK]));
    let first = drain(&mut feed, Queue::Payment);
    assert_eq!(first.len(), 2);
    assert_eq!(drain(&mut feed, Queue::Stock).len(), 1, "a slow provider does not hold up the stock");
    feed.acknowledge(Queue::Payment, first[0].id);
    assert_eq!(drain(&mut feed, Queue::Payment).len(), 1);
}

#[test]
fn a_full_queue_falls_behind_alone_and_catches_up_from_the_log() {
    let steps: Vec<_> = (0..20).map(|n| if n % 2 == 0 { PAY } else { STOCK }).collect();
    let frames = log(&steps);
    let mut feed = Feed::resume(&NARROW, Position(0), Position(0));
    let mut done = Vec::new();
    let work = |feed: &mut Feed, queue, done: &mut Vec<u64>| {
        while let Some(message) = feed.next(queue) {
            feed.acknowledge(queue, message.id);
            done.push(message.position.0);
        }
    };
    for frame in &frames {
        feed.ingest(frame);
        work(&mut feed, Queue::Stock, &mut done);
    }
    assert_eq!(done, (1..=10).map(|n| 2 * n).collect::<Vec<_>>(), "the stock queue has kept up");
    assert_eq!(feed.waiting(Queue::Payment), 4, "the payment queue took what it has room for");
    assert_eq!(feed.wanted(), None, "and asks for more only when there is room");
    assert_eq!(feed.cursor(), Position(0));

    done.clear();
    for _ in 0..10 {
        work(&mut feed, Queue::Payment, &mut done);
        if let Some(from) = feed.wanted() {
            frames.iter().filter(|frame| frame.last() >= from).for_each(|frame| feed.ingest(frame));
        }
    }
    assert_eq!(done, (0..10).map(|n| 2 * n + 1).collect::<Vec<_>>(), "each once, in order");
    assert_eq!(feed.cursor(), Position(20));
}

#[test]
fn frames_that_were_missed_are_read_from_the_log() {
    let frames = log(&[PAY, PAY, PAY]);
    let mut feed = feed_of(&Config::default(), &frames[..1]);
    feed.ingest(&frames[2]);
    assert_eq!(feed.wanted(), Some(Position(2)), "a gap is never stepped over");
    feed.ingest(&frames[1]);
    feed.ingest(&frames[2]);
    assert_eq!(drain(&mut feed, Queue::Payment).len(), 3);
    assert_eq!(feed.wanted(), None);
    feed.saw(Position(9));
    assert_eq!(feed.wanted(), Some(Position(4)));
}

#[test]
fn a_start_reads_again_from_the_cursor_even_within_a_frame() {
    let mut frame = log(&[PAY]).remove(0);
    frame.records = (1..=4).map(|n| record(n, PAY)).collect();
    let mut feed = Feed::resume(&Config::default(), Position(2), Position(4));
    assert_eq!(feed.wanted(), Some(Position(3)));
    feed.ingest(&frame);
    let again = drain(&mut feed, Queue::Payment);
    assert_eq!(again.iter().map(|m| (m.position.0, m.id.index)).collect::<Vec<_>>(), [(3, 2), (4, 3)]);
    assert!(again.iter().all(|message| message.inherited), "an earlier process may have begun with them");
}

#[test]
fn s18_a_start_has_caught_up_when_everything_that_waited_is_finished() {
    let frames = log(&[PAY, STOCK, None, PAY]);
    let mut feed = Feed::resume(&Config::default(), Position(0), Position(3));
    assert!(!feed.caught_up());
    frames.iter().for_each(|frame| feed.ingest(frame));
    let payments = drain(&mut feed, Queue::Payment);
    feed.acknowledge(Queue::Payment, payments[0].id);
    assert!(!feed.caught_up(), "the stock step is still waiting");
    let stock = drain(&mut feed, Queue::Stock);
    feed.acknowledge(Queue::Stock, stock[0].id);
    assert!(feed.caught_up(), "what came after the start does not matter");
    assert!(Feed::resume(&Config::default(), Position(0), Position(0)).caught_up(), "nothing waits in an empty log");
}

#[test]
fn a_start_does_not_do_again_what_the_log_itself_answers() {
    let answered = |n: u64, order: u128, step| {
        let (at, answer) = (Timestamp(n as i64), Answer::Done { reference: None });
        let event = Event::Order(Happened::Answered { step, answer, at });
        let entries = vec![Entry { entity: EntityId::Order(OrderId(order)), version: 2, event }];
        Record { at, entries, trace: None }
    };
    let asked = |n: u64, order: u128| {
        let (at, step) = (Timestamp(n as i64), Step::Authorize { attempt: 1 });
        let event = Event::Order(Happened::Asked { step, tries: 2, at, ask_at: at });
        Record { at, entries: vec![Entry { entity: EntityId::Order(OrderId(order)), version: 2, event }], trace: None }
    };
    let mut frame = log(&[PAY]).remove(0);
    let pay = Step::Authorize { attempt: 1 };
    frame.records = vec![record(1, PAY), record(2, PAY), record(3, PAY), answered(4, 1, pay), asked(5, 2)];
    let mut feed = Feed::resume(&Config::default(), Position(0), Position(5));
    assert_eq!(feed.next(Queue::Payment), None, "the past is read first");
    feed.ingest(&frame);
    let left: Vec<_> = drain(&mut feed, Queue::Payment).iter().map(|m| (m.order.0, m.position.0)).collect();
    assert_eq!(left, [(3, 3), (2, 5)], "order 1 has its answer, order 2 was asked again");
    assert_eq!(feed.cursor(), Position(2));
}

#[test]
fn a_past_that_does_not_fit_is_worked_on_while_it_is_read() {
    let frames = log(&[PAY; 50]);
    let mut feed = Feed::resume(&NARROW, Position(0), Position(50));
    let mut done = Vec::new();
    while let Some(from) = feed.wanted() {
        feed.ingest(&frames[from.0 as usize - 1]);
        while let Some(message) = feed.next(Queue::Payment) {
            done.push(message.position.0);
            feed.acknowledge(Queue::Payment, message.id);
        }
    }
    assert_eq!(done, (1..=50).collect::<Vec<_>>());
    assert!(feed.caught_up());
}

#[test]
fn s06_a_cursor_beyond_the_log_skips_nothing() {
    let mut feed = Feed::resume(&Config::default(), Position(99), Position(0));
    log(&[PAY]).iter().for_each(|frame| feed.ingest(frame));
    assert_eq!(drain(&mut feed, Queue::Payment).len(), 1);
}

#[test]
fn s06_whatever_happens_every_message_is_finished_before_the_cursor_passes_it() {
    let mut random = 7u64;
    let mut below = move |n: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % n
    };
    let refund = Some(Step::CallOff { refund: OpId(1) });
    let steps: Vec<_> = (0..400).map(|_| [PAY, STOCK, refund, None][below(4) as usize]).collect();
    let frames = log(&steps);
    let expected: Vec<u64> = (1..).zip(&steps).filter(|(_, step)| step.is_some()).map(|(n, _)| n).collect();
    let (mut cursor, mut finished) = (Position(0), std::collections::BTreeSet::new());
    // Several processes in turn, each from the durable cursor of the one before.
    for life in 0..40 {
        let head = Position(if life == 0 { 0 } else { 400 });
        let mut feed = Feed::resume(&NARROW, cursor, head);
        let mut in_progress = Vec::new();
        for _ in 0..60 {
            if life == 0 {
                frames.iter().for_each(|frame| feed.ingest(frame));
            }
            if let Some(from) = feed.wanted() {
                frames.iter().skip(from.0 as usize - 1).take(5).for_each(|frame| feed.ingest(frame));
            }
            for queue in Queue::ALL {
                in_progress.extend(drain(&mut feed, queue).into_iter().map(|message| (queue, message)));
            }
            if !in_progress.is_empty() && below(3) > 0 {
                let (queue, message) = in_progress.swap_remove(below(in_progress.len() as u64) as usize);
                finished.insert(message.position.0);
                assert!(feed.acknowledge(queue, message.id));
            }
            let passed = expected.iter().take_while(|position| **position <= feed.cursor().0);
            assert!(passed.clone().all(|position| finished.contains(position)), "passed over unfinished work");
            assert!(feed.cursor() >= cursor, "a cursor never goes back");
            cursor = feed.cursor();
        }
    }
    assert_eq!(cursor, Position(400), "all of it gets finished");
}
