//! Spans of what was done without a span at hand: the actors' finished pieces, and commits of the log.

use super::span::{Finished, Kind, Value, since_1970};
use super::{Tracer, on};
use crate::journal::Committed;
use stampede_actors::ids::EntityId;
use stampede_actors::order;
use stampede_actors::record::{Event, Record};
use stampede_actors::shell::pieces::{Piece, Pieces, What};
use stampede_actors::time::Timestamp;
use stampede_actors::trace::TraceLink;
use std::num::NonZeroU64;
use std::time::{Duration, SystemTime};
use xxhash_rust::xxh3::xxh3_64;

/// Draws the actors' pieces.
#[derive(Debug)]
pub struct Drawn(pub &'static Tracer);

impl Pieces for Drawn {
    fn done(&self, piece: &Piece<'_>) {
        let Piece { link, order, what, outcome, began, ended } = *piece;
        // The holds are told before the whole: its id is known all the same.
        let reserve = named(link, b"reserve", &order.0.to_be_bytes());
        let (link, parent, name, sku) = match what {
            What::Reserve => (link.at(reserve), link.span(), "reserve", None),
            What::Hold(sku) => (link.at(named(link, b"hold", &rand::random::<[u8; 16]>())), reserve, "hold", Some(sku)),
        };
        let mut attributes = vec![("stampede.order", Value::Text(order.to_string()))];
        attributes.extend(sku.map(|sku| ("stampede.sku", Value::Text(sku.to_string()))));
        let took = ended.saturating_duration_since(began);
        self.0.past(Box::new(Finished {
            link,
            parent: Some(parent),
            name: name.into(),
            kind: Kind::Internal,
            began: since_1970(SystemTime::now()).saturating_sub(took),
            took,
            attributes,
            outcome: Some(outcome),
            failed: outcome == "failed",
        }));
    }
}

/// Draws the commits of traced records: from being decided to being on disk. `now`: engine time.
pub fn committed(frame: &Committed, now: Timestamp) {
    let Some(tracer) = on() else { return };
    for (position, record) in (frame.first.0..).zip(&frame.records) {
        if let Some(link) = record.trace {
            tracer.past(Box::new(commit(link, position, frame.seq, record, now)));
        }
    }
}

fn commit(link: TraceLink, position: u64, frame: u64, record: &Record, now: Timestamp) -> Finished {
    let waited = Duration::from_micros(u64::try_from(now.since(record.at).0).unwrap_or(0));
    let mut attributes = vec![
        ("stampede.log.position", Value::from(position)),
        ("stampede.log.frame", Value::from(frame)),
        ("stampede.log.events", Value::from(record.entries.len() as u64)),
    ];
    let of_order = record.entries.iter().find_map(|entry| match (&entry.entity, &entry.event) {
        (EntityId::Order(id), Event::Order(event)) => Some((id, order::opens(event))),
        _ => None,
    });
    if let Some((id, step)) = of_order {
        attributes.push(("stampede.order", Value::Text(id.to_string())));
        attributes.extend(step.map(|step| ("stampede.opens", Value::Word(step.word()))));
    }
    Finished {
        link: link.at(named(link, b"commit", &position.to_be_bytes())),
        parent: Some(link.span()),
        name: "commit".into(),
        kind: Kind::Internal,
        began: since_1970(SystemTime::now()).saturating_sub(waited),
        took: waited,
        attributes,
        outcome: None,
        failed: false,
    }
}

/// A span's id that whoever knows what it is about finds again.
fn named(link: TraceLink, what: &[u8], which: &[u8]) -> NonZeroU64 {
    let id = xxh3_64(&[&link.to_bytes(), what, which].concat());
    NonZeroU64::new(id).unwrap_or(NonZeroU64::MAX)
}
