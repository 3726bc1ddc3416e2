//! After a start: everything that was published is there, with the same bytes, and nothing that clients were told is lost.
//! And on a copy of the disk, what a flipped bit does: it is noticed, or changes nothing.

use crate::life::LOG;
use crate::plan::Life;
use crate::world::{DIR, World};
use stampede::clock::ManualClock;
use stampede::config::Config;
use stampede::disk::{SharedDisk, SimDisk};
use stampede::engine::stepped::Stepped;
use stampede::journal::{self, Committed, Hash, Log, Reader, Wal};
use stampede_actors::record::Position;
use std::path::Path;
use std::sync::Arc;

/// Every so many starts the log is read from its beginning.
const WHOLE_EVERY: u64 = 8;

/// Compares a server that has just started with all that is known.
pub fn check(world: &World, stepped: &Stepped) {
    let books = &mut world.books.lock();
    let head = stepped.log.head();
    books.trace.line(format_args!("started at frame {}, cut {:?}", head.seq, stepped.recovered.cut.is_some()));
    books.counts.cuts += u64::from(stepped.recovered.cut.is_some());
    books.counts.rebuilt += u64::from(stepped.recovered.rebuilt.is_some());
    let published = books.frames.len() as u64;
    if head.seq < published {
        return books.violated(format!("{published} frames were published, {} are there", head.seq));
    }
    let whole = books.counts.recoveries.is_multiple_of(WHOLE_EVERY);
    let from = if whole { 1 } else { books.head.0.max(1) };
    let may_be_gone = world.config.log.archive_max_age.is_some();
    let read = match read(&stepped.log, from) {
        Ok(read) => read,
        // History that was deleted, as it may be.
        Err(journal::Error::Gone { first, .. }) if may_be_gone && first <= books.head.0 + 1 => {
            match read(&stepped.log, first) {
                Ok(read) => read,
                Err(error) => return books.violated(format!("the log cannot be read: {error}")),
            }
        }
        Err(error) => return books.violated(format!("the log cannot be read: {error}")),
    };
    for frame in &read {
        match books.frames.get(frame.seq as usize - 1) {
            Some(hash) if *hash != frame.hash => {
                return books.violated(format!("frame {} is another one than was published", frame.seq));
            }
            Some(_) => {}
            // It was durable, and nobody had heard of it.
            None => books.published(frame),
        }
    }
    if books.frames.len() as u64 != head.seq {
        let what = format!("{} frames are there, the log says {}", books.frames.len(), head.seq);
        return books.violated(what);
    }
    books.compare(stepped.tender.reader());
}

fn read(log: &Arc<Log>, from: u64) -> Result<Vec<Committed>, journal::Error> {
    all(log.read_from(Position(from))?.with_roots())
}

fn all(mut reader: Reader) -> Result<Vec<Committed>, journal::Error> {
    let mut frames = Vec::new();
    while let Some(frame) = reader.next()? {
        frames.push(frame);
    }
    Ok(frames)
}

/// Flips a bit in a copy of the disk and opens that.
pub fn rot(world: &mut World, life: &Life) {
    let contents = world.disk.contents();
    let (number, published) = (life.number, world.books.lock().frames.clone());
    let random = world.chances();
    let files: Vec<_> = contents.iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
    if files.is_empty() {
        return;
    }
    let (path, bytes) = *random.pick(&files);
    // Most of a file may be zeros that nobody has written yet: what was written is likelier.
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap_or_default() as u64 + 1;
    let most = if random.chance(900) { written } else { bytes.len() as u64 };
    let at = random.below(most);
    let bit = random.below(8);
    let disk = SimDisk::with_contents(number, &contents);
    disk.damage(path, at, |bytes| bytes[0] ^= 1 << bit);
    let found = look_at(&disk, &published, &world.config);
    let books = &mut world.books.lock();
    books.trace.line(format_args!("bit {bit} of byte {at} of {} flipped: {found:?}", path.display()));
    books.counts.rotten[0] += 1;
    match found {
        Found::Noticed => books.counts.rotten[1] += 1,
        Found::Nothing => books.counts.rotten[2] += 1,
        Found::Cut => books.counts.rotten[3] += 1,
        Found::Silent(what) => {
            books.violated(format!("bit {bit} of byte {at} of {}, flipped, went unnoticed: {what}", path.display()));
        }
    }
}

/// What came of the damage.
#[derive(Debug)]
enum Found {
    Noticed,
    Nothing,
    /// The last frame before the crash, told as such (S3).
    Cut,
    Silent(String),
}

fn look_at(disk: &SimDisk, published: &[Hash], config: &Config) -> Found {
    let shared: SharedDisk = Arc::new(disk.clone());
    let clock = ManualClock::new(crate::outside::BEGINNING);
    let config = journal::Config {
        segment_bytes: config.log.segment_bytes.0,
        frame_bytes: config.log.frame_bytes.as_usize(),
        log_id: Some(LOG),
        ..journal::Config::default()
    };
    let opened = match Wal::open(&shared, Path::new(DIR), config, &clock) {
        Ok(opened) => opened,
        Err(_) => return Found::Noticed,
    };
    let first = match opened.log.read_from(Position(1)) {
        Ok(reader) => reader,
        // History that was deleted, as it may be.
        Err(journal::Error::Gone { first, .. }) => match opened.log.read_from(Position(first)) {
            Ok(reader) => reader,
            Err(_) => return Found::Noticed,
        },
        Err(_) => return Found::Noticed,
    };
    let Ok(frames) = all(first.with_roots()) else { return Found::Noticed };
    let mut last = 0;
    for frame in &frames {
        last = frame.seq;
        if published.get(frame.seq as usize - 1).is_some_and(|hash| *hash != frame.hash) {
            return Found::Silent(format!("frame {} is another one", frame.seq));
        }
    }
    let last = last.max(opened.head.seq);
    match published.len() as u64 {
        published if last >= published => Found::Nothing,
        published if last + 1 == published && opened.cut.is_some() => Found::Cut,
        published => Found::Silent(format!("{published} frames were published, {last} are there")),
    }
}
