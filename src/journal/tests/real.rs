//! The same log on the real disk, with its threads.

use super::*;
use crate::clock::BootClock;
use crate::disk::RealDisk;
use std::time::{Duration, Instant};

fn open(dir: &Path, config: &Config) -> (Opened, Arc<BootClock>) {
    let (disk, clock): (SharedDisk, _) = (Arc::new(RealDisk), Arc::new(BootClock::new()));
    (Wal::open(&disk, dir, config.clone(), &*clock).unwrap(), clock)
}

fn config() -> Config {
    Config { segment_bytes: 1 << 20, frame_bytes: 16 << 10, log_id: None, ..small() }
}

fn start(opened: Opened, clock: Arc<BootClock>, heard: Arc<Heard>) -> (LogThread, Arc<Queue>, Arc<Log>) {
    let (queue, log) = (opened.queue.clone(), opened.log.clone());
    let thread = LogThread::start(Box::new(opened.wal), opened.upkeep, opened.queue, clock, vec![heard]).unwrap();
    (thread, queue, log)
}

fn wait_for(what: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !what() {
        assert!(Instant::now() < until, "it takes too long");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn many_threads_append_and_everything_is_there_after_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let (opened, clock) = open(dir.path(), &config());
    let heard = Arc::new(Heard::default());
    let (thread, queue, log) = start(opened, clock, heard.clone());
    let (threads, each) = (4, 2_000);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for i in 0..each {
                    queue.append(record(i, 10), Position(0));
                    if i % 8 == 7 {
                        queue.kick();
                    }
                }
            });
        }
    });
    wait_for(|| queue.committed().0 == threads * each);
    assert_eq!(thread.stop(), Stopped::Cleanly);
    let health = log.health();
    assert!(health.rolls > 1 && health.sync_micros > 0, "{health:?}");
    drop(log); // and with it the lock

    let (opened, _) = open(dir.path(), &config());
    assert!(opened.was_clean);
    let mut reader = opened.log.read_from(Position(1)).unwrap().with_roots();
    for frame in heard.frames.lock().iter() {
        assert_eq!(reader.next().unwrap().as_ref(), Some(frame.as_ref()));
    }
    assert_eq!(reader.next().unwrap(), None);
}

#[test]
fn an_idle_log_seals_itself_and_archives_what_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let (opened, clock) = open(dir.path(), &Config { segment_bytes: 256 << 10, ..config() });
    let (thread, queue, log) = start(opened, clock, Arc::default());
    for number in 0..40 {
        queue.append(record(number, 500), Position(0));
        queue.kick();
        wait_for(|| queue.committed().0 == number + 1);
    }
    wait_for(|| log.health().seals > 0);
    wait_for(|| log.health().archived >= log.health().rolls - 1);
    let Head { seq, hash, position, at, .. } = log.head();
    log.checkpoint(&Checkpoint { seq, position, hash, at, ..Checkpoint::default() }, None).unwrap();
    wait_for(|| log.health().live == 1);
    drop((thread, log));

    let (opened, _) = open(dir.path(), &Config { segment_bytes: 256 << 10, ..config() });
    assert!(opened.was_clean, "a log thread that is dropped stops cleanly");
    let mut reader = opened.log.read_from(Position(1)).unwrap().with_roots();
    let mut records = 0;
    while let Some(frame) = reader.next().unwrap() {
        records += frame.records.len();
    }
    assert_eq!(records, 40, "through archives and live log");
}

#[test]
fn a_panic_on_the_writers_thread_stops_the_log_and_everybody_is_told() {
    struct Clumsy;
    impl CommitListener for Clumsy {
        fn on_commit(&self, _: &Arc<Committed>) {
            panic!("a listener's bug");
        }
        fn on_stopped(&self, _: &Stopped) {}
    }
    let dir = tempfile::tempdir().unwrap();
    let (opened, clock) = open(dir.path(), &config());
    let (queue, heard) = (opened.queue.clone(), Arc::new(Heard::default()));
    let listeners: Vec<Arc<dyn CommitListener>> = vec![Arc::new(Clumsy), heard.clone()];
    let thread = LogThread::start(Box::new(opened.wal), opened.upkeep, opened.queue, clock, listeners).unwrap();
    queue.append(record(1, 1), Position(0));
    queue.kick();
    wait_for(|| queue.stopped());
    assert!(matches!(thread.stop(), Stopped::Failed(_)));
    assert!(matches!(heard.stopped.lock()[..], [Stopped::Failed(_)]));
}

#[test]
fn s08_a_second_process_is_refused_on_the_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (_opened, _) = open(dir.path(), &config());
    let disk: SharedDisk = Arc::new(RealDisk);
    let second = Wal::open(&disk, dir.path(), config(), &BootClock::new());
    assert!(matches!(second, Err(Error::Locked(_))));
}
