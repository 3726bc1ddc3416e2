//! Bytes of records, until the domain's own codec has them: knows pauses and resumes only.

use stampede_actors::ids::EntityId;
use stampede_actors::record::{Entry, Event, Record};
use stampede_actors::sku;
use stampede_actors::time::Timestamp;

pub fn encode_record(record: &Record, into: &mut Vec<u8>) {
    into.extend(record.at.0.to_le_bytes());
    for entry in &record.entries {
        let key = entry.entity.key();
        into.push(u8::from(entry.event == Event::Sku(sku::Event::Paused)));
        into.extend(entry.version.to_le_bytes());
        into.push(key.len() as u8);
        into.extend(key);
    }
}

pub fn decode_record(bytes: &[u8]) -> Result<Record, &'static str> {
    let (at, mut rest) = bytes.split_first_chunk::<8>().ok_or("short")?;
    let mut entries = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<10>() {
        let len = head[9] as usize;
        let entity = EntityId::from_key(tail.get(..len).ok_or("short")?).ok_or("no key")?;
        let version = u64::from_le_bytes(head[1..9].try_into().map_err(|_| "short")?);
        let event = Event::Sku(if head[0] == 1 { sku::Event::Paused } else { sku::Event::Resumed });
        entries.push(Entry { entity, version, event });
        rest = &tail[len..];
    }
    Ok(Record { at: Timestamp(i64::from_le_bytes(*at)), entries })
}
