//! Faults of the chain, of frames and of files.

use super::*;
use stampede_actors::codec::decode_record;
use stampede_actors::time::Timestamp;

/// Index of the frame that is altered.
const FRAME: usize = 4;

/// Alters a segment. What is found names the frame so many after the altered one, and says this.
#[track_caller]
fn found_as(alter: impl Fn(&mut Segment), frames_later: usize, what: &str) {
    let (dir, path) = open_log(&busy_shop(60));
    let mut segment = Segment::read(&path);
    assert!(segment.frames.len() > FRAME + 4, "frames follow");
    alter(&mut segment);
    segment.write();
    let found = corrupt(dir.path());
    let frame = FRAME + frames_later;
    assert_eq!((found.file, found.offset), (path, segment.frames[frame] as u64), "{}", found.what);
    assert!(found.seq == frame as u64 + 1 && found.what.contains(what), "frame {}: {}", found.seq, found.what);
}

#[test]
fn a_bit_that_flipped_in_a_record() {
    found_as(|segment| segment.bytes[segment.frames[FRAME] + 200] ^= 1, 0, "");
}

#[test]
fn a_bit_that_flipped_in_a_header() {
    found_as(|segment| segment.bytes[segment.frames[FRAME] + 50] ^= 1, 0, "");
}

#[test]
fn a_frame_that_was_wiped() {
    let wipe = |segment: &mut Segment| {
        let (from, to) = (segment.frames[FRAME], segment.frames[FRAME + 1]);
        segment.bytes[from..to].fill(0);
    };
    found_as(wipe, 0, "a frame is damaged or missing, and a later one is there");
}

#[test]
fn two_frames_that_were_swapped() {
    let swap = |segment: &mut Segment| {
        let (a, b) = (segment.frames[FRAME], segment.frames[FRAME + 1]);
        let (one, other) = (segment.bytes[a..a + 4096].to_vec(), segment.bytes[b..b + 4096].to_vec());
        segment.bytes[a..a + 4096].copy_from_slice(&other);
        segment.bytes[b..b + 4096].copy_from_slice(&one);
    };
    found_as(swap, 0, "a frame of another number is here");
}

#[test]
fn a_sequence_an_epoch_a_position_a_time_or_a_hash_that_does_not_follow() {
    let with = |change: fn(&mut frame::Header)| {
        move |segment: &mut Segment| {
            let mut header = segment.header(FRAME);
            change(&mut header);
            segment.put_header(FRAME, header);
        }
    };
    found_as(with(|header| header.seq += 1), 0, "a frame of another number");
    found_as(with(|header| header.epoch = 0), 0, "an earlier epoch");
    found_as(with(|header| header.first.0 += 1), 0, "positions do not follow");
    found_as(with(|header| header.at = Timestamp(1)), 0, "engine time runs backwards");
    found_as(with(|header| header.prev = [0; 32]), 0, "does not name the hash of the one before");
}

#[test]
fn a_record_that_was_altered_under_checksums_that_are_right() {
    let alter = |root: bool| {
        move |segment: &mut Segment| {
            let mut records = segment.records(FRAME);
            let last = records[0].len() - 1;
            records[0][last] ^= 1;
            segment.put_records(FRAME, &records, root);
        }
    };
    // The next frame shows it.
    found_as(alter(false), 1, "does not name the hash of the one before");
    found_as(alter(true), 1, "does not name the hash of the one before");
    // With a chain that was made right as well, its own Merkle root does.
    let chained = |segment: &mut Segment| {
        alter(false)(segment);
        segment.chain_after(FRAME);
    };
    found_as(chained, 0, "the Merkle root is not that of the records");
}

#[test]
fn a_record_that_is_none_in_a_chain_that_is_right() {
    let alter = |segment: &mut Segment| {
        let mut records = segment.records(FRAME);
        let last = records.len() - 1;
        records[last].fill(0xff);
        assert!(decode_record(&records[last]).is_err());
        segment.put_records(FRAME, &records, true);
        segment.chain_after(FRAME);
    };
    found_as(alter, 0, "of the frame cannot be decoded");
}

#[test]
fn a_count_of_records_that_is_not_theirs() {
    let alter = |segment: &mut Segment| {
        let header = segment.header(FRAME);
        segment.put_header(FRAME, frame::Header { records: header.records + 1, ..header });
        segment.chain_after(FRAME);
    };
    found_as(alter, 0, "the records do not fill their frame");
}

#[test]
fn segments_that_are_lost_short_or_of_something_else() {
    type Case<'a> = (&'a dyn Fn(&Path), &'a str);
    let cases: [Case; 4] = [
        (&|path| std::fs::remove_file(path).unwrap(), "the segment is missing"),
        (&|path| std::fs::write(path, &std::fs::read(path).unwrap()[..8192]).unwrap(), "the segment is too short"),
        (&|path| std::fs::write(path, vec![0; 64 << 10]).unwrap(), "the segment's first block is damaged"),
        (
            &|path| assert!(std::fs::copy(path.with_file_name("000000000001.seg"), path).is_ok()),
            "the segment is another one",
        ),
    ];
    for (alter, what) in cases {
        let (shop, dir) = (busy_shop(1_000), tempfile::tempdir().unwrap());
        write_log(dir.path(), &shop, false);
        let path = dir.path().join("wal/000000000003.seg");
        alter(&path);
        let found = corrupt(dir.path());
        assert_eq!((found.file, found.offset, found.what.as_str()), (path, 0, what));
    }
}

#[test]
fn a_log_that_was_closed_and_lost_its_end() {
    let (shop, dir) = (busy_shop(60), tempfile::tempdir().unwrap());
    write_log(dir.path(), &shop, false);
    let mut live = segments(dir.path()).into_iter().filter(|path| !Segment::read(path).frames.is_empty());
    let path = live.next_back().unwrap();
    let mut segment = Segment::read(&path);
    let last = *segment.frames.last().unwrap();
    segment.bytes[last..].fill(0);
    segment.write();
    let found = corrupt(dir.path());
    assert_eq!((found.file, found.offset, found.seq), (path, last as u64, shop.head().seq));
    assert!(found.what.contains("does not end where it was closed"), "{}", found.what);
}

#[test]
fn an_archive_that_was_altered_anywhere() {
    let (shop, dir) = (busy_shop(1_000), tempfile::tempdir().unwrap());
    write_log(dir.path(), &shop, false);
    archive_all(dir.path(), &shop);
    let mut archives: Vec<_> =
        std::fs::read_dir(dir.path().join("archive")).unwrap().map(|file| file.unwrap().path()).collect();
    archives.sort();
    let path = &archives[1];
    let genuine = std::fs::read(path).unwrap();
    let sound = check(dir.path()).hash;
    let (mut named, mut harmless) = (0, 0);
    for at in (0..genuine.len()).step_by(97).chain([0, 30, 190, 203, 4096, 4100]) {
        let mut bytes = genuine.clone();
        bytes[at] ^= 0x10;
        std::fs::write(path, bytes).unwrap();
        match verify(dir.path(), &mut |_, _| {}) {
            Err(Error::Journal(journal::Error::Corrupt(found))) => {
                assert_eq!(found.file, *path, "byte {at}: {found}");
                named += 1;
            }
            Err(other) => panic!("byte {at}: {other}"),
            // In padding, or where the format of the compression has a choice.
            Ok(report) => {
                assert_eq!(report.hash, sound, "byte {at}: another history");
                harmless += 1;
            }
        }
    }
    assert!(named > harmless, "{named} found, {harmless} harmless");
    std::fs::write(path, &genuine[..8192]).unwrap();
    assert_eq!(corrupt(dir.path()).file, *path, "cut short");
    std::fs::remove_file(path).unwrap();
    assert_eq!(corrupt(dir.path()).what, "a frame is missing", "deleted");
    std::fs::remove_file(&archives[0]).unwrap();
    let found = corrupt(dir.path());
    assert_eq!((&found.file, found.seq), (&archives[0], 1), "the first one deleted: {found}");
}

#[test]
fn superblocks_and_checkpoints_that_were_altered() {
    let (shop, dir) = (busy_shop(100), tempfile::tempdir().unwrap());
    write_log(dir.path(), &shop, false);
    archive_all(dir.path(), &shop);
    let checkpoint = std::fs::read_dir(dir.path().join("checkpoint")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&checkpoint).unwrap();
    bytes[30] ^= 1;
    std::fs::write(&checkpoint, bytes).unwrap();
    let report = check(dir.path());
    assert!(report.is_sound(), "the log stands in");
    assert_eq!(report.damaged_checkpoints, [checkpoint]);
    for copy in ["superblock.0", "superblock.1"] {
        let path = dir.path().join(copy);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let found = corrupt(dir.path());
    assert_eq!((found.file, found.offset), (dir.path().join("superblock.0"), 0));
}
