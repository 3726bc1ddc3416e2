//! Damage on disk: what a crash can leave is repaired, everything else is refused with its place (S2, S3).

use super::*;
use crate::disk::BLOCK;

/// Offset of frame `seq` in the first segment when every frame takes one block.
fn offset(seq: u64) -> u64 {
    seq * BLOCK as u64
}

/// A log with `frames` frames of one record, not sealed, whose process was killed.
fn killed_after(frames: u64) -> SimDisk {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    (0..frames).for_each(|_| drop(rig.frame(1)));
    disk.kill();
    disk
}

fn first_segment() -> PathBuf {
    Path::new(DIR).join("wal/000000000001.seg")
}

fn flip(disk: &SimDisk, path: &Path, offset: u64) {
    assert!(disk.damage(path, offset, |bytes| bytes[0] ^= 0x10));
}

#[test]
fn s02_a_damaged_middle_is_refused_with_its_offset() {
    for byte in [0, 30, 100, 139, 143, 150, 160, 4_000] {
        let disk = killed_after(5);
        flip(&disk, &first_segment(), offset(3) + byte);
        let found = corrupt(Rig::open(&disk, small()));
        assert_eq!((found.file, found.offset, found.seq), (first_segment(), offset(3), 3), "byte {byte}");
    }
}

#[test]
fn s02_a_later_frame_proves_the_damaged_one_even_if_it_is_torn_itself() {
    let disk = killed_after(5);
    flip(&disk, &first_segment(), offset(4));
    flip(&disk, &first_segment(), offset(5) + 150);
    assert_eq!(corrupt(Rig::open(&disk, small())).offset, offset(4));
}

#[test]
fn s03_the_last_frame_before_a_crash_is_cut_and_reported() {
    let disk = killed_after(5);
    flip(&disk, &first_segment(), offset(5) + 150);
    let mut rig = Rig::open(&disk, small()).unwrap();
    assert_eq!(rig.cut, Some(Cut { seq: 5, file: first_segment(), offset: offset(5) }));
    assert_eq!(rig.log.health().cuts, 1);
    let tail = disk.bytes(&first_segment()).unwrap().split_off(offset(5) as usize);
    assert!(tail.iter().all(|&byte| byte == 0));

    // The next frame takes its place, and nothing is cut again.
    rig.frame(2);
    disk.kill();
    let rig = Rig::open(&disk, small()).unwrap();
    assert_eq!(rig.cut, None);
    assert_eq!(rig.read_back(1).unwrap(), vec![1, 2, 3, 4, 5, 6]);
}

#[test]
fn s03_after_idle_the_last_record_frame_is_sealed() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    rig.frame(1);
    rig.frame(1);
    rig.idle();
    assert_eq!((rig.log.head().seq, rig.log.health().seals), (3, 1));
    rig.idle();
    assert_eq!(rig.log.head().seq, 3, "one seal is enough");
    disk.kill();
    flip(&disk, &first_segment(), offset(2));
    assert_eq!(corrupt(Rig::open(&disk, small())).seq, 2);
}

#[test]
fn s03_a_log_that_was_killed_is_sealed_soon_after_its_start() {
    let disk = killed_after(2);
    let mut rig = Rig::open(&disk, small()).unwrap();
    rig.idle();
    disk.kill();
    flip(&disk, &first_segment(), offset(2));
    assert_eq!(corrupt(Rig::open(&disk, small())).seq, 2);
}

#[test]
fn s03_after_a_clean_stop_the_head_is_exactly_what_was_written() {
    for damaged in [1, 2, 3] {
        let disk = SimDisk::new(1);
        let mut rig = Rig::open(&disk, small()).unwrap();
        rig.frame(1);
        rig.frame(1);
        rig.writer.close();
        disk.kill();
        disk.damage(&first_segment(), offset(damaged), |bytes| bytes[..BLOCK].fill(0));
        assert_eq!(corrupt(Rig::open(&disk, small())).seq, damaged, "wiped frame {damaged}");
    }
}

/// Whole frames of this log and segment that do not continue the chain, at the place of the next one.
#[test]
fn s02_a_whole_frame_that_does_not_fit_is_refused_and_not_cut() {
    let head = {
        let disk = killed_after(3);
        Rig::open(&disk, small()).unwrap().log.head()
    };
    let right = frame::Place { log: LogId([9; 16]), segment: 1, epoch: 1, seq: 4, prev: head.hash };
    let cases = [
        (frame::Place { seq: 5, ..right }, 4, head.at, "a frame of another number is here"),
        (frame::Place { seq: 3, ..right }, 4, head.at, "a frame of another number is here"),
        (frame::Place { prev: [0; 32], ..right }, 4, head.at, "the frame does not name the hash of the one before"),
        (frame::Place { epoch: 0, ..right }, 4, head.at, "the frame is from an earlier epoch than the one before"),
        (right, 5, head.at, "the frame's positions do not follow those before"),
        (right, 4, Timestamp(head.at.0 - 1), "engine time runs backwards"),
    ];
    let opened = |place, first, at| {
        let disk = killed_after(3);
        let mut body = FrameBody::with_capacity(4096);
        body.clear(Position(first), at);
        body.push(&record(4, 1), 4096);
        let (bytes, _) = body.seal(place);
        disk.damage(&first_segment(), offset(4), |now| now[..bytes.len()].copy_from_slice(bytes));
        Rig::open(&disk, small())
    };
    assert_eq!(opened(right, 4, head.at).unwrap().log.head().seq, 4, "the right one is taken");
    for (place, first, at, what) in cases {
        let found = corrupt(opened(place, first, at));
        assert_eq!((found.offset, found.seq, found.what.as_str()), (offset(4), 4, what));
    }
}

#[test]
fn s03_a_lost_segment_is_damage_and_not_the_end() {
    for (idle, lost) in [(true, true), (false, true), (true, false), (false, false)] {
        let disk = SimDisk::new(1);
        let mut rig = Rig::open(&disk, small()).unwrap();
        while rig.log.health().rolls < 3 {
            rig.frame(1);
        }
        if idle {
            rig.idle();
        }
        disk.kill();
        let last = rig.segment(3);
        if lost {
            disk.destroy(&last);
        } else {
            disk.truncate(&last, 32 << 10);
        }
        let found = corrupt(Rig::open(&disk, small()));
        assert_eq!(found.file, last);
        assert_eq!(found.what, if lost { "the segment is missing" } else { "the segment is too short" });
    }
}

#[test]
fn s03_a_log_without_superblocks_is_no_new_log() {
    let disk = killed_after(2);
    for copy in ["superblock.0", "superblock.1"] {
        disk.destroy(&Path::new(DIR).join(copy));
    }
    assert_eq!(corrupt(Rig::open(&disk, small())).file, Path::new(DIR).join("superblock.0"));
}

#[test]
fn one_damaged_superblock_is_survived_even_right_after_a_roll() {
    for copy in ["superblock.0", "superblock.1"] {
        let disk = SimDisk::new(1);
        let mut rig = Rig::open(&disk, small()).unwrap();
        while rig.log.health().rolls < 3 {
            rig.frame(1);
        }
        let head = rig.log.head();
        disk.kill();
        flip(&disk, &Path::new(DIR).join(copy), 60);
        let rig = Rig::open(&disk, small()).unwrap();
        assert_eq!(rig.log.head(), head, "{copy}");
        assert_eq!(rig.read_back(1).unwrap().len() as u64, head.position.0);
    }
}

#[test]
fn one_damaged_superblock_is_survived_even_right_after_a_reuse() {
    for copy in ["superblock.0", "superblock.1"] {
        let disk = SimDisk::new(1);
        let mut rig = Rig::open(&disk, small()).unwrap();
        while rig.log.health().rolls < 4 {
            rig.frame(1);
        }
        rig.checkpoint().unwrap();
        rig.tend().unwrap();
        assert_eq!(rig.log.health().live, 1);
        let head = rig.log.head();
        disk.kill();
        flip(&disk, &Path::new(DIR).join(copy), 60);
        let mut rig = Rig::open(&disk, small()).unwrap();
        assert_eq!(rig.log.head(), head, "{copy}");
        rig.frame(1);
        rig.tend().unwrap();
        assert_eq!(rig.read_back(1).unwrap().len() as u64, head.position.0 + 1);
        disk.kill();
        assert!(Rig::open(&disk, small()).is_ok());
    }
}

#[test]
fn a_segment_with_frames_that_nobody_knows_is_not_thrown_away() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    while rig.log.health().rolls < 4 {
        rig.frame(1);
    }
    disk.kill();
    let fresh = SimDisk::new(2);
    drop(Rig::open(&fresh, small()).unwrap());
    let mut contents = fresh.contents();
    contents.insert(rig.segment(3), disk.bytes(&rig.segment(3)).unwrap());
    let found = corrupt(Rig::open(&SimDisk::with_contents(3, &contents), small()));
    assert_eq!(found.file, rig.segment(3));
}

/// Every single byte of a sealed and closed log: a flipped bit is found, or was in no frame.
#[test]
fn no_flipped_bit_goes_unseen() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    (0..3).for_each(|_| drop(rig.frame(2)));
    rig.writer.close();
    let used = rig.log.health().bytes + BLOCK as u64;
    let contents = disk.contents();
    for at in (0..used).step_by(7) {
        let disk = SimDisk::with_contents(1, &contents);
        flip(&disk, &first_segment(), at);
        if Rig::open(&disk, small()).is_ok() {
            assert!((108..4096).contains(&at), "byte {at} was flipped, and nobody saw it");
        }
    }
}

/// Sectors zeroed, swapped or taken from elsewhere, anywhere in a log of several segments: refused, or harmless, or the
/// last unsealed frame is cut. Never another content.
#[test]
fn random_damage_never_changes_what_is_read() {
    let (mut refused, mut cut, mut harmless) = (0, 0, 0);
    for seed in 0..400 {
        let disk = SimDisk::new(seed);
        let mut rig = Rig::open(&disk, small()).unwrap();
        while rig.log.health().rolls < 2 {
            rig.frame(1 + seed % 3);
        }
        rig.frame(2);
        let sealed = seed % 2 == 0;
        if sealed {
            rig.idle();
        }
        let (head, last_frame) = (rig.log.head(), rig.heard.frames.lock().last().unwrap().clone());
        disk.kill();
        let number = 1 + seed / 7 % 2;
        let bytes = disk.bytes(&rig.segment(number)).unwrap();
        let sector = |salt: u64| (blake3::hash(&(seed * 3 + salt).to_le_bytes()).as_bytes()[0] as usize % 40) * 512;
        let (a, b) = (sector(1), sector(2));
        disk.damage(&rig.segment(number), 0, |now| match seed % 3 {
            0 => now[a..a + 512].fill(0),
            1 => now[a..a + 512].copy_from_slice(&bytes[b..b + 512]),
            _ => {
                now[a..a + 512].copy_from_slice(&bytes[b..b + 512]);
                now[b..b + 512].copy_from_slice(&bytes[a..a + 512]);
            }
        });
        match Rig::open(&disk, small()) {
            Err(Error::Corrupt(_)) => refused += 1,
            Err(other) => panic!("seed {seed}: {other}"),
            Ok(rig) if rig.log.head() == head => {
                assert_eq!(rig.read_back(1).unwrap().len() as u64, head.position.0, "seed {seed}");
                harmless += 1;
            }
            Ok(rig) => {
                // A small frame that is zeroed wholly looks as if it had never been written.
                assert!(rig.cut.is_some() || seed % 3 == 0, "seed {seed}");
                let kept = if sealed { last_frame.last().0 } else { last_frame.first.0 - 1 };
                assert_eq!(rig.read_back(1).unwrap().len() as u64, kept, "seed {seed}");
                cut += 1;
            }
        }
    }
    assert!(refused > 50 && harmless > 50 && cut > 0, "{refused} refused, {harmless} harmless, {cut} cut");
}

#[test]
fn a_frame_of_an_earlier_use_of_the_segment_is_never_valid() {
    let disk = killed_after(3);
    let bytes = disk.bytes(&first_segment()).unwrap();
    let mut other = small();
    other.log_id = Some(LogId([1; 16]));
    let fresh = SimDisk::new(2);
    drop(Rig::open(&fresh, other.clone()).unwrap());
    fresh.kill();
    fresh.damage(&first_segment(), BLOCK as u64, |now| {
        now[..3 * BLOCK].copy_from_slice(&bytes[BLOCK..4 * BLOCK]);
    });
    let rig = Rig::open(&fresh, other).unwrap();
    assert_eq!(rig.log.head().seq, 0);
    assert_eq!(rig.cut.map(|cut| cut.offset), Some(BLOCK as u64));
}
