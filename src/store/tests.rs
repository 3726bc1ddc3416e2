#![allow(clippy::unwrap_used)] // a test that cannot write its store has failed

use super::*;
use proptest::prelude::*;
use std::time::{Duration, Instant};

#[derive(Debug, Clone)]
enum Step {
    Put(Table, Vec<u8>, Vec<u8>),
    Delete(Table, Vec<u8>),
    Write,
    Sync,
    Range(Table, Vec<u8>, Option<Vec<u8>>, bool, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let table = || prop::sample::select(&Table::ALL[..]);
    let key = || prop::collection::vec(prop::sample::select(&[0u8, 1, 127, 254, 255][..]), 0..4);
    prop_oneof![
        8 => (table(), key(), prop::collection::vec(any::<u8>(), 0..9)).prop_map(|(t, k, v)| Step::Put(t, k, v)),
        3 => (table(), key()).prop_map(|(t, k)| Step::Delete(t, k)),
        4 => Just(Step::Write),
        1 => Just(Step::Sync),
        4 => (table(), key(), prop::option::of(key()), any::<bool>(), 0..6usize)
            .prop_map(|(t, from, to, reverse, limit)| Step::Range(t, from, to, reverse, limit)),
    ]
}

fn all_rows(store: &dyn Read) -> Vec<(Table, Vec<Row>)> {
    let everything = Range { from: &[], to: None, reverse: false, limit: usize::MAX };
    Table::ALL.into_iter().map(|table| (table, store.range(table, everything).unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn both_stores_answer_alike(steps in prop::collection::vec(step(), 1..80)) {
        let directory = tempfile::tempdir().unwrap();
        let disk = DiskStore::open(directory.path(), Limits::default()).unwrap();
        let memory = MemoryStore::default();
        let mut batch = Batch::default();
        for step in steps {
            match step {
                Step::Put(table, key, value) => batch.put(table, &key, value),
                Step::Delete(table, key) => batch.delete(table, &key),
                Step::Write => {
                    let (seen_disk, seen_memory) = (disk.view(), memory.view());
                    let before = all_rows(&memory);
                    disk.write(&batch).unwrap();
                    memory.write(&batch).unwrap();
                    batch.clear(1_024);
                    prop_assert_eq!(&all_rows(&*seen_disk), &before, "a view stays as it was");
                    prop_assert_eq!(&all_rows(&*seen_memory), &before);
                }
                Step::Sync => {
                    disk.sync().unwrap();
                    memory.sync().unwrap();
                }
                Step::Range(table, from, to, reverse, limit) => {
                    let range = Range { from: &from, to: to.as_deref(), reverse, limit };
                    prop_assert_eq!(disk.range(table, range).unwrap(), memory.range(table, range).unwrap());
                    prop_assert_eq!(disk.get(table, &from).unwrap(), memory.get(table, &from).unwrap());
                    prop_assert_eq!(disk.contains(table, &from).unwrap(), memory.contains(table, &from).unwrap());
                }
            }
        }
        let expected = all_rows(&memory);
        prop_assert_eq!(&all_rows(&disk), &expected);
        disk.sync().unwrap();
        drop(disk);
        let reopened = DiskStore::open(directory.path(), Limits::default()).unwrap();
        prop_assert_eq!(all_rows(&reopened), expected);
    }
}

/// Many rows, the usual way, until the next many would go to a file of their own.
fn until_files_are_taken(disk: &DiskStore) {
    let mut batch = Batch::default();
    (0..disk::BULK_ROWS).for_each(|n| batch.put(Table::Due, &n.to_be_bytes(), b""));
    disk.write(&batch).unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while !disk.takes_files() {
        assert!(Instant::now() < until, "the memtable is not flushed");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn many_rows_at_once_go_between_those_before_and_after_them() {
    let directory = tempfile::tempdir().unwrap();
    let disk = DiskStore::open(directory.path(), Limits::default()).unwrap();
    let memory = MemoryStore::default();
    let key = |n: usize| n.to_be_bytes();
    let (mut files, mut shown) = (0, Vec::new());
    // Few, then many, then few again, and often enough that files are merged meanwhile. Each round writes over the one
    // before.
    for round in 0..36_usize {
        let many = round % 12 >= 4;
        if round % 12 == 4 {
            until_files_are_taken(&disk);
        }
        files += usize::from(many && disk.takes_files());
        let seen = (round % 4 == 0).then(|| (disk.view(), memory.view()));
        let mut batch = Batch::default();
        for n in 0..if many { disk::BULK_ROWS * 2 } else { 300 } {
            match (n + round) % 5 {
                0 => batch.delete(Table::Snapshot, &key(n)),
                _ => batch.put(Table::Snapshot, &key(n), format!("{round} {n}")),
            }
        }
        batch.put(Table::Meta, b"round", key(round));
        if !disk.write_durably(&batch).unwrap() {
            disk.write(&batch).unwrap();
        }
        memory.write(&batch).unwrap();
        assert!(snapshots(&disk) == snapshots(&memory), "round {round}");
        assert_eq!(disk.get(Table::Meta, b"round").unwrap(), Some(key(round).to_vec()));
        shown.extend(seen.map(|seen| (round, seen)));
    }
    assert!(files >= 9, "{files} went to files");
    for (round, (disk, memory)) in shown {
        assert!(snapshots(&*disk) == snapshots(&*memory), "a view of round {round} stays as it was");
    }
    disk.sync().unwrap();
    drop(disk);
    let reopened = DiskStore::open(directory.path(), Limits::default()).unwrap();
    assert!(snapshots(&reopened) == snapshots(&memory), "after a start");
}

fn snapshots(store: &dyn Read) -> Vec<Row> {
    store.range(Table::Snapshot, Range { from: &[], to: None, reverse: false, limit: usize::MAX }).unwrap()
}

#[test]
fn many_rows_at_once_are_durable_with_all_that_came_before_them() {
    let directory = tempfile::tempdir().unwrap();
    let (here, left) = (directory.path().join("here"), directory.path().join("left"));
    let store = DiskStore::open(&here, Limits::default()).unwrap();
    let mut batch = Batch::default();
    batch.put(Table::Meta, b"before", b"1");
    store.write(&batch).unwrap();
    until_files_are_taken(&store);
    assert!(!store.write_durably(&batch).unwrap(), "a few rows are not worth a file");
    batch.clear(0);
    (0..disk::BULK_ROWS).for_each(|n| batch.put(Table::Snapshot, &n.to_be_bytes(), b"2"));
    assert!(store.write_durably(&batch).unwrap());
    batch.clear(0);
    batch.put(Table::Meta, b"after", b"3");
    store.write(&batch).unwrap();
    // Nothing was flushed: the last one is still in a buffer of this process. The library's worker may be clearing up
    // behind it for a moment, and a copy made meanwhile be none of one moment.
    let left = (0..100).find_map(|attempt| {
        let left = left.join(attempt.to_string());
        try_copy_files(&here, &left).ok()?;
        DiskStore::open(&left, Limits::default()).ok()
    });
    let left = left.unwrap();
    assert_eq!(left.get(Table::Meta, b"before").unwrap(), Some(b"1".to_vec()));
    assert_eq!(left.get(Table::Snapshot, &0_usize.to_be_bytes()).unwrap(), Some(b"2".to_vec()));
    assert_eq!(left.get(Table::Meta, b"after").unwrap(), None);
}

#[test]
fn an_unsynced_write_may_be_lost_and_a_synced_one_not() {
    let store = MemoryStore::default();
    let put = |key: &[u8], value: &[u8]| {
        let mut batch = Batch::default();
        batch.put(Table::Meta, key, value);
        store.write(&batch).unwrap();
    };
    put(b"a", b"1");
    store.sync().unwrap();
    put(b"a", b"2");
    put(b"b", b"1");
    store.crash(|_| true);
    assert_eq!(store.get(Table::Meta, b"a").unwrap(), Some(b"1".to_vec()));
    assert_eq!(store.get(Table::Meta, b"b").unwrap(), None);
    put(b"a", b"3");
    put(b"a", b"4");
    let mut newest = true;
    store.crash(|_| !std::mem::take(&mut newest));
    assert_eq!(store.get(Table::Meta, b"a").unwrap(), Some(b"4".to_vec()), "whatever became of the one before");
}

#[test]
fn a_flushed_write_is_with_the_system_and_outlives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let (here, left) = (directory.path().join("here"), directory.path().join("left"));
    let store = DiskStore::open(&here, Limits::default()).unwrap();
    let mut batch = Batch::default();
    batch.put(Table::Meta, b"a", b"1");
    store.write(&batch).unwrap();
    store.flush().unwrap();
    // What the system can copy now is what a killed process leaves behind.
    copy_files(&here, &left);
    let left = DiskStore::open(&left, Limits::default()).unwrap();
    assert_eq!(left.get(Table::Meta, b"a").unwrap(), Some(b"1".to_vec()));
}

/// Copies a directory as it is, with whatever is in it.
pub(crate) fn copy_files(from: &std::path::Path, to: &std::path::Path) {
    try_copy_files(from, to).unwrap();
}

/// The same of one in which files may come and go.
fn try_copy_files(from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type()?.is_dir() {
            true => try_copy_files(&from, &to)?,
            false => drop(std::fs::copy(from, to)?),
        }
    }
    Ok(())
}

#[test]
fn a_created_store_is_empty() {
    let directory = tempfile::tempdir().unwrap();
    let store = DiskStore::open(directory.path(), Limits::default()).unwrap();
    let mut batch = Batch::default();
    batch.put(Table::Meta, b"a", b"1");
    store.write(&batch).unwrap();
    store.sync().unwrap();
    drop(store);
    let store = DiskStore::create(directory.path(), Limits::default()).unwrap();
    assert_eq!(store.get(Table::Meta, b"a").unwrap(), None);
}

#[test]
fn the_numbers_of_the_tables_never_change() {
    assert_eq!(Table::ALL.map(|table| table as u8), [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
    assert_eq!(Table::from_number(5), Some(Table::Movements));
    assert_eq!(Table::from_number(0), None);
    assert_eq!(Table::from_number(Table::GIVEN_UP), None);
}

#[test]
fn a_damaged_list_of_tables_is_refused_before_it_is_believed() {
    let directory = tempfile::tempdir().unwrap();
    drop(DiskStore::open(directory.path(), Limits::default()).unwrap());
    drop(DiskStore::open(directory.path(), Limits::default()).unwrap());
    let keyspaces = std::fs::read_dir(directory.path().join("keyspaces")).unwrap();
    let lists: Vec<_> = keyspaces
        .flat_map(|keyspace| std::fs::read_dir(keyspace.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with('v'))
        .collect();
    assert!(!lists.is_empty());
    for list in lists {
        let whole = std::fs::read(&list).unwrap();
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 0x40;
        std::fs::write(&list, damaged).unwrap();
        match DiskStore::open(directory.path(), Limits::default()) {
            Err(Error::Failed(why)) => assert!(why.contains(list.to_str().unwrap()), "{why}"),
            Ok(_) => panic!("{} is believed", list.display()),
        }
        std::fs::write(&list, whole).unwrap();
        drop(DiskStore::open(directory.path(), Limits::default()).unwrap());
    }
}
