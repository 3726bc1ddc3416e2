//! The power goes, or the disk fails, at every single step: what was acknowledged is there afterwards.

use super::*;
use crate::disk::sim::Fault;

/// Everything that a log does: frames of all sizes, rolls, archive, reuse, checkpoints, a seal, a clean stop. Ends early
/// when the disk fails; answers the last position that was acknowledged.
fn work(disk: &SimDisk, config: &Config, frames: u64) -> Worked {
    let mut worked = Worked::default();
    let Ok(mut rig) = Rig::open(disk, config.clone()) else { return worked };
    worked.acknowledged = rig.log.head().position.0;
    for frame in 0..frames {
        for _ in 0..=frame % 4 {
            rig.append(1 + frame % 3 * 20);
        }
        let turn = rig.flush();
        worked.acknowledged = rig.queue.committed().0;
        worked.stopped = matches!(turn, Turn::Stopped(_));
        if worked.stopped {
            assert_eq!(rig.heard.stopped.lock().len(), 1, "everybody is told, once");
            let heard = rig.heard.frames.lock().len();
            rig.append_after_stop();
            assert!(matches!(rig.flush(), Turn::Stopped(_)), "nothing is committed any more");
            assert_eq!(rig.heard.frames.lock().len(), heard);
            return worked;
        }
        if frame % 5 == 4 {
            rig.log.keep("feed", Position(worked.acknowledged));
            let _ = rig.checkpoint();
        }
        let _ = rig.tend();
    }
    rig.idle();
    worked.stopped = rig.writer.close() != Stopped::Cleanly;
    worked.rolls = rig.log.health().rolls;
    worked
}

#[derive(Default)]
struct Worked {
    acknowledged: u64,
    stopped: bool,
    rolls: u64,
}

impl Rig {
    fn append_after_stop(&self) {
        self.queue.append(record(u64::MAX / 1_000, 1), Position(0));
    }
}

/// Opens the log again and demands every acknowledged record, in its place.
fn demand(disk: &SimDisk, config: &Config, acknowledged: u64, what: &str) -> Rig {
    let rig = Rig::open(disk, config.clone()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let read = rig.read_back(1).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(read, (1..=rig.log.head().position.0).collect::<Vec<_>>(), "{what}");
    assert!(read.len() as u64 >= acknowledged, "{what}: {acknowledged} acknowledged, {} there", read.len());
    rig
}

fn tiny() -> Config {
    Config { segment_bytes: 32 << 10, frame_bytes: 1024, ..small() }
}

/// Steps of the whole work when nothing fails.
fn steps(frames: u64) -> u64 {
    let disk = SimDisk::new(1);
    let worked = work(&disk, &tiny(), frames);
    assert!(!worked.stopped && worked.rolls > 4);
    disk.steps()
}

#[test]
fn s02_a_power_cut_at_any_step_loses_nothing_acknowledged() {
    let frames = 30;
    let steps = steps(frames);
    let mut cuts = 0;
    for seed in 0..2 {
        for step in 1..=steps {
            let disk = SimDisk::new(seed * 1_000 + step);
            disk.fail_at(step, Fault::PowerCut);
            let worked = work(&disk, &tiny(), frames);
            let what = format!("seed {seed}, step {step}");
            disk.restart();

            let shared: SharedDisk = Arc::new(disk.clone());
            cuts += u64::from(Log::inspect(&shared, Path::new(DIR)).is_ok_and(|found| found.cut.is_some()));

            // The power goes again while the log is being opened, ever later, until that is through.
            let mut acknowledged = worked.acknowledged;
            for again in (1 + step % 5..).step_by(5) {
                disk.fail_at(disk.steps() + again, Fault::PowerCut);
                let opened = Rig::open(&disk, tiny());
                if !disk.is_off() {
                    assert!(
                        opened.is_ok(),
                        "{what}: {}",
                        opened.err().map(|error| error.to_string()).unwrap_or_default()
                    );
                    break;
                }
                drop(opened);
                disk.restart();
            }
            disk.heal();
            disk.kill();
            let mut rig = demand(&disk, &tiny(), acknowledged, &what);
            rig.frame(3);
            // Also what upkeep makes of the files that the crash has left.
            rig.tend().unwrap_or_else(|error| panic!("{what}: {error}"));
            acknowledged = rig.queue.committed().0;
            disk.power_cut();
            disk.restart();
            let mut rig = demand(&disk, &tiny(), acknowledged, &what);
            assert_eq!(rig.writer.close(), Stopped::Cleanly);
            disk.kill();
            drop(demand(&disk, &tiny(), acknowledged, &what));
            disk.kill();
        }
    }
    assert!(cuts > 0, "some frame was torn");
}

#[test]
fn an_error_at_any_step_stops_the_log_or_is_tried_again() {
    let frames = 30;
    let mut stops = 0;
    for step in 1..=steps(frames) {
        let disk = SimDisk::new(step);
        disk.fail_at(step, Fault::Broken);
        let worked = work(&disk, &tiny(), frames);
        stops += u64::from(worked.stopped);
        disk.power_cut();
        disk.restart();
        drop(demand(&disk, &tiny(), worked.acknowledged, &format!("step {step}")));
    }
    assert!(stops > 0);
}

#[test]
fn an_error_while_writing_or_syncing_a_frame_stops_without_acknowledging() {
    for sync in [0, 1] {
        let disk = SimDisk::new(7);
        let mut rig = Rig::open(&disk, small()).unwrap();
        rig.frame(1);
        rig.append(1);
        disk.fail_at(disk.steps() + 1 + sync, Fault::Broken);
        assert!(matches!(rig.flush(), Turn::Stopped(Stopped::Failed(_))));
        assert_eq!(rig.queue.committed(), Position(1));
        assert_eq!(rig.heard.frames.lock().len(), 1);
        assert!(matches!(rig.heard.stopped.lock()[..], [Stopped::Failed(_)]));
        assert!(rig.log.health().stopped);
        assert!(matches!(rig.writer.close(), Stopped::Failed(_)), "it stays that way");
        assert_eq!(rig.heard.stopped.lock().len(), 1);
    }
}

#[test]
fn a_full_disk_at_any_step_loses_nothing_acknowledged() {
    let frames = 30;
    for step in 1..=steps(frames) {
        let disk = SimDisk::new(step);
        disk.fail_at(step, Fault::Full);
        let worked = work(&disk, &tiny(), frames);
        disk.kill();
        drop(demand(&disk, &tiny(), worked.acknowledged, &format!("step {step}")));
    }
}

#[test]
fn s09_a_record_is_never_split_and_is_there_wholly_or_not_at_all() {
    let frames = 12;
    let run = |disk: &SimDisk| {
        let Ok(mut rig) = Rig::open(disk, tiny()) else { return 0 };
        for frame in 0..frames {
            rig.append(1);
            rig.append(200); // far beyond the cap of a frame
            rig.append(1 + frame % 7);
            rig.flush();
        }
        rig.queue.committed().0
    };
    let whole = SimDisk::new(1);
    assert_eq!(run(&whole), 3 * frames);
    for step in 1..=whole.steps() {
        let disk = SimDisk::new(step);
        disk.fail_at(step, Fault::PowerCut);
        let acknowledged = run(&disk);
        disk.restart();
        let rig = demand(&disk, &tiny(), acknowledged, &format!("step {step}"));
        let mut reader = rig.log.read_from(Position(1)).unwrap();
        while let Some(frame) = reader.next().unwrap() {
            for (number, read) in (frame.first.0..).zip(&frame.records) {
                let entries = [1 + (number - 1) / 3 % 7, 1, 200][number as usize % 3];
                assert_eq!(*read, record(number, entries), "step {step}");
            }
        }
        disk.kill();
    }
}

#[test]
fn s03_a_roll_that_was_not_finished_costs_no_later_segment() {
    let frames = 30;
    for step in 1..=steps(frames) {
        let disk = SimDisk::new(step);
        disk.fail_at(step, Fault::Broken);
        let worked = work(&disk, &tiny(), frames);
        disk.kill();
        let what = format!("step {step}");
        let mut rig = demand(&disk, &tiny(), worked.acknowledged, &what);
        // Upkeep comes late, when the log has rolled already.
        let rolls = rig.log.health().rolls;
        while rig.log.health().rolls < rolls + 2 {
            rig.frame(20);
        }
        let _ = rig.tend();
        rig.frame(1);
        let acknowledged = rig.queue.committed().0;
        disk.kill();
        drop(demand(&disk, &tiny(), acknowledged, &what));
        disk.kill();
    }
}

#[test]
fn s06_an_archive_whose_name_is_not_durable_frees_no_segment() {
    let mut failures = 0;
    for step in 1..150 {
        let disk = SimDisk::new(step);
        let mut rig = Rig::open(&disk, tiny()).unwrap();
        while rig.log.health().rolls < 3 {
            rig.frame(20);
        }
        rig.checkpoint().unwrap();
        disk.fail_at(disk.steps() + step, Fault::Broken);
        let failed = rig.tend().is_err();
        let _ = rig.tend();
        let acknowledged = rig.queue.committed().0;
        disk.power_cut();
        disk.restart();
        drop(demand(&disk, &tiny(), acknowledged, &format!("step {step}")));
        failures += u64::from(failed);
    }
    assert!(failures > 10, "{failures}");
}
