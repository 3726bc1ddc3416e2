//! Archive, reuse, cursors and checkpoints: history stays for as long as somebody may need it.

use super::*;
use crate::disk::{Access, Disk as _};
use crate::journal::archive;

/// Writes frames and tends until `rolls` segments were begun in this opening.
fn roll(rig: &mut Rig, rolls: u64) {
    while rig.log.health().rolls < rolls {
        rig.frame(1);
        rig.tend().unwrap();
    }
}

fn archived(rig: &Rig) -> Vec<u64> {
    archive::numbers(&rig.log.disk, &rig.log.dir).unwrap()
}

#[test]
fn s06_no_segment_is_reused_that_a_cursor_has_not_passed() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    rig.log.keep("feed", Position(0));
    let mut broker = rig.log.read_from(Position(1)).unwrap();
    roll(&mut rig, 6);
    rig.checkpoint().unwrap();
    rig.tend().unwrap();
    assert_eq!(rig.log.health().live, 6, "the broker is down, and nothing is reused");
    assert_eq!(archived(&rig), [1, 2, 3, 4, 5]);
    assert_eq!(broker.next().unwrap().unwrap().first, Position(1));

    // The cursor came through: the reader, still in the first segment, holds it.
    rig.log.keep("feed", rig.log.head().position);
    rig.tend().unwrap();
    assert_eq!(rig.log.health().live, 6);
    drop(broker);
    rig.tend().unwrap();
    assert_eq!(rig.log.health().live, 1);
    assert_eq!(rig.read_back(1).unwrap().len() as u64, rig.log.head().position.0, "archive and live log together");
}

#[test]
fn s06_nor_one_that_no_checkpoint_covers() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    roll(&mut rig, 3);
    rig.checkpoint().unwrap();
    roll(&mut rig, 5);
    assert_eq!(rig.log.health().live, 3, "segments 3 to 5");
}

#[test]
fn s06_a_cursor_of_the_last_checkpoint_counts_before_its_owner_is_back() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    rig.log.keep("feed", Position(2));
    roll(&mut rig, 3);
    rig.checkpoint().unwrap();
    disk.kill();
    let mut rig = Rig::open(&disk, small()).unwrap();
    assert_eq!(rig.checkpoint.as_ref().unwrap().cursors["feed"], Position(2));
    rig.tend().unwrap();
    assert_eq!(rig.log.health().live, 3);
    rig.log.forget("feed");
    rig.tend().unwrap();
    assert_eq!(rig.log.health().live, 1);
}

#[test]
fn s06_a_segment_whose_archive_cannot_be_read_back_is_not_reused() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    while rig.log.health().rolls < 2 {
        rig.frame(1);
    }
    rig.checkpoint().unwrap();
    // The disk says that it has written the archive, and has not written what it was told to.
    let draft = Path::new(DIR).join("archive/000000000001.seg.tmp");
    disk.garble(Some(&draft));
    assert!(rig.tend().is_err());
    assert!(rig.tend().is_err(), "tried again");
    assert_eq!((rig.log.health().live, rig.log.health().archived), (2, 0));
    assert_eq!(
        rig.read_back(1).unwrap().len() as u64,
        rig.log.head().position.0,
        "from the segment that is still there"
    );
    disk.garble(None);
    rig.tend().unwrap();
    assert_eq!((rig.log.health().live, rig.log.health().archived), (1, 1));
    assert_eq!(rig.read_back(1).unwrap().len() as u64, rig.log.head().position.0, "from the archive");
}

/// A record whose bytes hardly compress.
fn incompressible(number: u64) -> Record {
    let entry = |i: u64| {
        let id = blake3::hash(&(number * 100 + i).to_le_bytes()).to_hex();
        let entity = EntityId::Sku(SkuId::new(id.as_str()).unwrap());
        Entry { entity, version: number * 1_000 + i, event: Event::Sku(sku::Event::Paused) }
    };
    Record { at: Timestamp(number as i64), entries: (0..100).map(entry).collect(), trace: None }
}

#[test]
fn an_archive_of_many_pieces_is_read_back() {
    let disk = SimDisk::new(1);
    let config = Config { segment_bytes: 4 << 20, frame_bytes: 64 << 10, ..small() };
    let mut rig = Rig::open(&disk, config).unwrap();
    while rig.log.health().live < 2 {
        let next = rig.log.head().position.0 + 1;
        rig.queue.append(incompressible(next), Position(0));
        assert!(matches!(rig.flush(), Turn::Wait { .. }));
        rig.upkeep.step(Timestamp(0)).unwrap();
    }
    rig.checkpoint().unwrap();
    rig.tend().unwrap();
    assert_eq!((rig.log.health().live, rig.log.health().archived), (1, 1));
    let file = rig.log.disk.open(&Path::new(DIR).join("archive/000000000001.seg.zst"), Access::Direct).unwrap();
    assert!(file.len().unwrap() > 1 << 20, "several pieces of 256 KiB");
    assert_eq!(rig.read_back(1).unwrap().len() as u64, rig.log.head().position.0, "from the archive");
}

#[test]
fn s06_a_damaged_archive_of_an_earlier_process_is_made_again_before_its_segment_goes() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    while rig.log.health().rolls < 2 {
        rig.frame(1);
    }
    rig.tend().unwrap();
    assert_eq!((rig.log.health().live, rig.log.health().archived), (2, 1), "no checkpoint covers it yet");
    disk.kill();
    let path = Path::new(DIR).join("archive/000000000001.seg.zst");
    assert!(disk.damage(&path, 4_200, |bytes| bytes[0] ^= 1));
    let mut rig = Rig::open(&disk, small()).unwrap();
    rig.checkpoint().unwrap();
    rig.tend().unwrap();
    assert_eq!(rig.log.health().live, 1);
    assert_eq!(rig.read_back(1).unwrap().len() as u64, rig.log.head().position.0);
    // Nor is a damage that comes later read over.
    assert!(disk.damage(&path, 4_200, |bytes| bytes[0] ^= 1));
    assert!(matches!(rig.read_back(1), Err(Error::Corrupt(_) | Error::Io { .. })));
}

#[test]
fn segments_are_reused_and_the_disk_does_not_grow_with_them() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    for rolls in 2..40 {
        roll(&mut rig, rolls);
        rig.checkpoint().unwrap();
        rig.tend().unwrap();
    }
    let segments = disk.list(&Path::new(DIR).join("wal")).unwrap();
    assert!(segments.len() <= 5, "{segments:?}");
    assert_eq!(rig.read_back(1).unwrap().len() as u64, rig.log.head().position.0);
    disk.kill();
    let rig = Rig::open(&disk, small()).unwrap();
    assert_eq!(rig.read_back(1).unwrap().len() as u64, rig.log.head().position.0);
}

#[test]
fn s04_an_archive_goes_only_when_old_and_covered_by_two_full_checkpoints() {
    let disk = SimDisk::new(1);
    let hour = Span::hours(1);
    let mut rig = Rig::open(&disk, Config { archive_max_age: Some(hour), ..small() }).unwrap();
    let full = |rig: &Rig| {
        let Head { seq, hash, position, at, .. } = rig.log.head();
        let checkpoint = Checkpoint { seq, position, hash, at, cursors: rig.log.cursors() };
        let mut entities = [Ok((b"key".to_vec(), seq.to_le_bytes().to_vec()))].into_iter();
        rig.log.checkpoint(&checkpoint, Some(&mut entities)).unwrap();
        checkpoint
    };
    roll(&mut rig, 4);
    rig.checkpoint().unwrap();
    rig.checkpoint().unwrap();
    full(&rig);
    rig.clock.advance(hour);
    rig.frame(1);
    rig.clock.advance(hour);
    rig.tend().unwrap();
    assert_eq!(archived(&rig), [1, 2, 3], "old, and only one full checkpoint covers them");

    let checkpoint = full(&rig);
    rig.log.keep("feed", Position(1));
    rig.tend().unwrap();
    assert_eq!(archived(&rig), [1, 2, 3], "a cursor still needs them");
    rig.log.forget("feed");
    rig.tend().unwrap();
    assert_eq!(archived(&rig), Vec::<u64>::new());
    let Err(Error::Gone { wanted: 1, first }) = rig.log.read_from(Position(1)) else { panic!("it is gone") };
    let left = rig.log.head().position.0 + 1 - first;
    assert!(first > 1 && left > 0, "what is left begins at {first}");
    assert_eq!(rig.read_back(first).unwrap().len() as u64, left);
    let entities: Vec<_> = rig.log.entities(&checkpoint).unwrap().unwrap().map(Result::unwrap).collect();
    assert_eq!(entities, [(b"key".to_vec(), checkpoint.seq.to_le_bytes().to_vec())]);
}

#[test]
fn s06_an_archive_stays_while_a_checkpoint_file_has_a_cursor_before_its_end() {
    let disk = SimDisk::new(1);
    let hour = Span::hours(1);
    let config = || Config { archive_max_age: Some(hour), ..small() };
    let mut rig = Rig::open(&disk, config()).unwrap();
    let write = |rig: &Rig, cursor: u64, full: bool| {
        let Head { seq, hash, position, at, .. } = rig.log.head();
        let cursors = [("feed".to_owned(), Position(cursor))].into();
        let mut entities = [Ok((b"key".to_vec(), b"state".to_vec()))].into_iter();
        let entities: Option<crate::journal::checkpoint::Entities<'_>> = if full { Some(&mut entities) } else { None };
        rig.log.checkpoint(&Checkpoint { seq, position, hash, at, cursors }, entities).unwrap();
        rig.log.keep("feed", Position(cursor));
    };
    roll(&mut rig, 4);
    write(&rig, 1, true);
    rig.frame(1);
    write(&rig, 2, true);
    let head = rig.log.head().position;
    // The cursor goes on while no frame comes: the full file of this frame stays, and has the cursor where it was.
    write(&rig, head.0, false);
    rig.clock.advance(hour);
    rig.clock.advance(hour);
    rig.tend().unwrap();
    assert_eq!(archived(&rig), [1, 2, 3], "a start would begin with a cursor at the first records");
    disk.kill();
    let mut rig = Rig::open(&disk, config()).unwrap();
    let begins = rig.log.cursors()["feed"];
    assert_eq!(begins, Position(2));
    assert_eq!(rig.read_back(begins.0 + 1).unwrap().len() as u64, head.0 - begins.0);

    // Both full files have the cursor further on: what it has passed in both goes.
    for _ in 0..2 {
        rig.frame(1);
        let head = rig.log.head().position;
        write(&rig, head.0, true);
    }
    rig.clock.advance(hour);
    rig.clock.advance(hour);
    rig.tend().unwrap();
    assert_eq!(archived(&rig), Vec::<u64>::new());
}

#[test]
fn s04_a_full_checkpoint_stays_when_a_plain_one_is_of_the_same_frame() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    rig.frame(1);
    let Head { seq, hash, position, at, .. } = rig.log.head();
    let checkpoint = Checkpoint { seq, position, hash, at, cursors: rig.log.cursors() };
    let mut entities = [Ok((b"key".to_vec(), b"state".to_vec()))].into_iter();
    rig.log.checkpoint(&checkpoint, Some(&mut entities)).unwrap();
    // Nothing has happened since.
    rig.checkpoint().unwrap();
    assert!(rig.log.entities(&checkpoint).unwrap().is_some());
    disk.kill();
    let rig = Rig::open(&disk, small()).unwrap();
    assert!(rig.log.newest_entities().unwrap().is_some());
}

#[test]
fn a_damaged_checkpoint_file_falls_back_to_the_one_before() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    for _ in 0..3 {
        rig.frame(2);
        rig.checkpoint().unwrap();
    }
    let files = || disk.list(&Path::new(DIR).join("checkpoint")).unwrap();
    assert_eq!(files().len(), 2, "the last two are kept");
    disk.kill();
    let newest = Path::new(DIR).join("checkpoint").join(files().pop().unwrap());
    disk.damage(&newest, 50, |bytes| bytes[0] ^= 1);
    let shared: SharedDisk = Arc::new(disk.clone());
    let opened = Wal::open(&shared, Path::new(DIR), small(), &ManualClock::new(Timestamp(0))).unwrap();
    assert_eq!(opened.damaged_checkpoints, [newest]);
    assert_eq!(opened.checkpoint.unwrap().position, Position(4));
}

#[test]
fn s04_a_checkpoint_is_durable_once_it_is_written() {
    for seed in 0..64 {
        let disk = SimDisk::new(seed);
        let mut rig = Rig::open(&disk, small()).unwrap();
        rig.frame(2);
        rig.checkpoint().unwrap();
        disk.power_cut();
        disk.restart();
        let checkpoint = Rig::open(&disk, small()).unwrap().checkpoint;
        assert_eq!(checkpoint.map(|checkpoint| checkpoint.position), Some(Position(2)), "seed {seed}");
    }
}

#[test]
fn a_full_checkpoint_holds_many_entities_and_every_damage_to_it_is_seen() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    rig.frame(1);
    let Head { seq, hash, position, at, .. } = rig.log.head();
    let checkpoint = Checkpoint { seq, position, hash, at, cursors: [("feed".to_owned(), Position(1))].into() };
    let all = || (0..5_000u32).map(|i| (i.to_be_bytes().to_vec(), vec![i as u8; 100]));
    rig.log.checkpoint(&checkpoint, Some(&mut all().map(Ok))).unwrap();
    assert!(rig.log.entities(&checkpoint).unwrap().unwrap().map(Result::unwrap).eq(all()));
    disk.kill();
    let contents = disk.contents();
    let path = contents.keys().find(|path| path.to_string_lossy().ends_with(".ckpt")).unwrap();
    for at in (0..contents[path].len()).step_by(9_973) {
        let disk = SimDisk::with_contents(1, &contents);
        disk.damage(path, at as u64, |bytes| bytes[0] ^= 4);
        assert_eq!(Rig::open(&disk, small()).unwrap().checkpoint, None, "byte {at}");
    }
    let rig = Rig::open(&SimDisk::with_contents(1, &contents), small()).unwrap();
    assert_eq!(rig.checkpoint, Some(checkpoint));
}

#[test]
fn a_store_that_cannot_be_read_makes_no_checkpoint() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    rig.frame(1);
    let Head { seq, hash, position, at, .. } = rig.log.head();
    let checkpoint = Checkpoint { seq, position, hash, at, ..Checkpoint::default() };
    let mut rows = [Ok((vec![1], vec![2])), Err(io::Error::other("the store is broken"))].into_iter();
    assert!(rig.log.checkpoint(&checkpoint, Some(&mut rows)).is_err());
    assert_eq!(disk.list(&Path::new(DIR).join("checkpoint")).unwrap(), Vec::<String>::new());
    assert!(matches!(rig.frame(1), Turn::Wait { .. }), "and the log goes on");
}

#[test]
fn a_checkpoint_beyond_the_head_is_refused_at_the_start() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    rig.frame(1);
    rig.frame(1);
    rig.checkpoint().unwrap();
    disk.kill();
    // The last frame is gone as a torn one would be; a checkpoint says that it was committed.
    disk.damage(&rig.segment(1), 2 * 4096, |bytes| bytes[..4096].fill(0));
    assert_eq!(corrupt(Rig::open(&disk, small())).what, "frames are missing that the checkpoint covers");
}

#[test]
fn a_log_is_inspected_without_changing_it() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    roll(&mut rig, 4);
    rig.checkpoint().unwrap();
    rig.tend().unwrap();
    rig.frame(2);
    let shared: SharedDisk = Arc::new(disk.clone());
    assert!(matches!(Log::inspect(&shared, Path::new(DIR)), Err(Error::Locked(_))), "while it runs");
    disk.kill();
    let before = disk.contents();
    let inspected = Log::inspect(&shared, Path::new(DIR)).unwrap();
    let mut reader = inspected.log.read_from(Position(1)).unwrap().with_roots();
    let mut records = 0;
    while let Some(frame) = reader.next().unwrap() {
        records += frame.records.len() as u64;
    }
    assert_eq!(records, rig.log.head().position.0);
    assert!(!inspected.was_clean);
    assert_eq!(disk.contents(), before);
    assert!(Log::inspect(&shared, Path::new("/elsewhere")).is_err());
}
