//! One writer: lock, inode and epoch (S8).

use super::*;
use crate::disk::Disk as _;

fn superblock(copy: u8) -> PathBuf {
    Path::new(DIR).join(format!("superblock.{copy}"))
}

#[test]
fn s08_a_second_opener_is_refused() {
    let disk = SimDisk::new(1);
    let rig = Rig::open(&disk, small()).unwrap();
    assert!(matches!(Rig::open(&disk, small()), Err(Error::Locked(_))));
    drop(rig);
    assert!(Rig::open(&disk, small()).is_ok(), "the lock goes with its owner");
}

#[test]
fn s08_who_deletes_one_superblock_opens_nothing() {
    for copy in [0, 1] {
        let disk = SimDisk::new(1);
        let mut rig = Rig::open(&disk, small()).unwrap();
        rig.frame(1);
        disk.destroy(&superblock(copy));
        assert!(matches!(Rig::open(&disk, small()), Err(Error::Locked(_))), "the other copy is locked");
    }
}

#[test]
fn s08_a_server_whose_files_were_replaced_stops_at_its_next_roll() {
    for copy in [0, 1] {
        let disk = SimDisk::new(1);
        let mut rig = Rig::open(&disk, small()).unwrap();
        rig.frame(1);
        let bytes = disk.bytes(&superblock(copy)).unwrap();
        disk.destroy(&superblock(copy));
        let other = disk.create(&superblock(copy)).unwrap();
        other.write_at(0, &bytes).unwrap();
        let stopped = loop {
            if let Turn::Stopped(why) = rig.frame(1) {
                break why;
            }
            assert!(rig.log.health().rolls < 2, "it has rolled all the same");
        };
        assert!(matches!(stopped, Stopped::Fenced(why) if why.contains("was replaced")));
    }
}

#[test]
fn s08_even_without_superblocks_two_writers_never_write_one_segment() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    rig.frame(1);
    // Both copies moved away and put back as new files: their locks are gone, the segment's is not.
    for copy in [0, 1] {
        let bytes = disk.bytes(&superblock(copy)).unwrap();
        disk.destroy(&superblock(copy));
        disk.create(&superblock(copy)).unwrap().write_at(0, &bytes).unwrap();
    }
    assert!(matches!(Rig::open(&disk, small()), Err(Error::Locked(file)) if file == rig.segment(1)));
}

#[test]
fn s08_a_checkpoint_also_looks_whether_the_log_is_ours() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::open(&disk, small()).unwrap();
    rig.frame(1);
    disk.destroy(&superblock(0));
    assert!(matches!(rig.checkpoint(), Err(Error::Fenced(_))));
    assert!(matches!(rig.frame(1), Turn::Stopped(Stopped::Fenced(_))), "and stops the writer");
}

#[test]
fn s08_every_opening_has_a_higher_epoch_whichever_copy_is_left() {
    let disk = SimDisk::new(1);
    for epoch in 1..10 {
        let mut rig = Rig::open(&disk, small()).unwrap();
        assert_eq!(rig.log.health().epoch, epoch);
        rig.frame(1);
        assert_eq!(rig.log.head().epoch, epoch);
        disk.kill();
        // The frame still says it when the newer copy is lost.
        let generation = |copy| disk.bytes(&superblock(copy)).unwrap()[24..32].to_vec();
        let newer = u8::from(generation(1) > generation(0));
        disk.damage(&superblock(newer), 0, |bytes| bytes.fill(0));
    }
}

#[test]
fn s18_engine_time_goes_on_from_the_log_when_the_wall_clock_was_set_back() {
    let disk = SimDisk::new(1);
    let (hour, noon) = (Span::hours(1), Timestamp(Span::hours(12).0));
    let mut rig = Rig::open_at(&disk, small(), noon).unwrap();
    rig.frame(1);
    disk.kill();
    let earlier = Timestamp(noon.0 - hour.0);
    let mut rig = Rig::open_at(&disk, small(), earlier).unwrap();
    assert_eq!(crate::clock::Clock::now(&*rig.clock), rig.log.head().at);
    rig.frame(1);
    assert!(rig.log.head().at >= noon);
}
