#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod forger;
mod forgeries;

use super::*;
use crate::feed::projection::tests::busy_shop;
use crate::feed::projection::tests::shop::{Shop, depot, sku};
use crate::journal::Committed;
use crate::verify::offline::tests::{append_log, archive_all, archive_fully, check as verify, write_log};
use stampede_actors::ids::OpId;
use stampede_actors::time::Span;
use std::collections::BTreeMap;
use std::sync::Arc;
use tempfile::TempDir;

/// A log on disk, and the shop that it is of.
struct Kept {
    shop: Shop,
    dir: TempDir,
}

impl Kept {
    fn of(shop: Shop) -> Kept {
        let dir = tempfile::tempdir().unwrap();
        write_log(dir.path(), &shop, false);
        Kept { shop, dir }
    }

    fn export(&self, selection: &Selection) -> Result<(Vec<u8>, Written), Error> {
        let mut bytes = Vec::new();
        let written = write(self.dir.path(), selection, &mut bytes, &mut |done, all| assert!(done <= all))?;
        assert_eq!(written.bytes, bytes.len() as u64);
        Ok((bytes, written))
    }

    /// From the second `from` of the shop's life to before the second `to`.
    fn seconds(&self, from: i64, to: i64) -> Range {
        let began = self.shop.frames[0].at;
        Range { from: began.plus(Span::seconds(from)), to: began.plus(Span::seconds(to)) }
    }
}

fn select(codes: &[&str], range: Range) -> Selection {
    Selection { skus: codes.iter().map(|code| sku(code)).collect(), range, head: None }
}

fn root_of(written: &Written) -> Hash {
    read_hex(&written.root).unwrap()
}

/// Positions of the records in the range, and of those at its borders, as they follow from the shop's frames.
fn expected(frames: &[Arc<Committed>], selection: &Selection) -> [Vec<u64>; 3] {
    let records = || {
        frames.iter().flat_map(|frame| {
            let side = selection.range.side(frame.at);
            frame.records.iter().zip(frame.first.0..).map(move |(record, position)| (side, position, record))
        })
    };
    let skus: BTreeSet<EntityId> = selection.skus.iter().cloned().map(EntityId::Sku).collect();
    let mut wanted = skus.clone();
    for (_, _, record) in records().filter(|(side, ..)| *side == Side::Within) {
        let of_skus = record.entries.iter().filter(|entry| skus.contains(&entry.entity));
        wanted.extend(of_skus.filter_map(|entry| order_of(&entry.event)).map(EntityId::Order));
    }
    let (mut before, mut within, mut after) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    for (side, position, record) in records() {
        for entry in record.entries.iter().filter(|entry| wanted.contains(&entry.entity)) {
            match side {
                Side::Before => before.extend([(&entry.entity, position)]),
                Side::Within => within.extend([position]),
                Side::After => {
                    after.entry(&entry.entity).or_insert(position);
                }
            }
        }
    }
    let sorted = |places: BTreeMap<_, u64>| places.into_values().collect::<BTreeSet<_>>().into_iter().collect();
    [sorted(before), within.into_iter().collect(), sorted(after)]
}

fn shown(bytes: &[u8], root: &Hash) -> (Verdict, [Vec<u64>; 3]) {
    let mut places = [vec![], vec![], vec![]];
    let verdict = check(bytes, root, &mut |shown| places[shown.side as usize].push(shown.position.0)).unwrap();
    (verdict, places)
}

#[test]
fn an_export_has_exactly_the_records_that_it_must() {
    let kept = Kept::of(busy_shop(200));
    let some = kept.seconds(50, 120);
    let [until, since] = [Range { from: Range::ALL.from, ..some }, Range { to: Range::ALL.to, ..some }];
    // Nothing happens in this one.
    let nothing = Range { from: some.from.plus(Span(1)), to: some.from.plus(Span(2)) };
    let root = verify(kept.dir.path()).root.unwrap();
    for range in [Range::ALL, some, until, since, nothing] {
        for codes in [&["mug"][..], &["pen"], &["mug", "pen"]] {
            let selection = select(codes, range);
            let (bytes, written) = kept.export(&selection).unwrap();
            assert_eq!(written.root, root, "the root is that of `verify`");
            let (verdict, places) = shown(&bytes, &root_of(&written));
            assert_eq!(places, expected(&kept.shop.frames, &selection), "{codes:?} in {range:?}");
            assert_eq!(verdict.records, places[1].len() as u64);
            assert_eq!(verdict.borders as usize, places[0].len() + places[2].len());
            assert_eq!((verdict.orders, verdict.skus.len()), (written.orders, codes.len()));
            assert_eq!(verdict.from.is_some(), range.from != Range::ALL.from);
        }
    }
    let (_, written) = kept.export(&select(&["mug"], some)).unwrap();
    assert!(written.orders > 20 && written.records > 100, "it is about something: {written:?}");
}

#[test]
fn archived_history_is_exported_as_well() {
    let kept = Kept::of(busy_shop(1_000));
    let selection = select(&["pen"], kept.seconds(10, 40));
    let live = kept.export(&selection).unwrap().0;
    archive_all(kept.dir.path(), &kept.shop);
    let count = |folder: &str, ending: &str| {
        let files = std::fs::read_dir(kept.dir.path().join(folder)).unwrap();
        files.filter(|file| file.as_ref().unwrap().file_name().to_str().unwrap().ends_with(ending)).count()
    };
    assert!(count("archive", ".zst") > 3, "most of it is in the archive");
    let selection = Selection { head: Some(kept.shop.head().seq), ..selection };
    assert!(kept.export(&selection).unwrap().0 == live);
}

#[test]
fn an_export_can_be_made_later_for_a_root_that_was_noted_down_before() {
    let mut shop = busy_shop(60);
    let early = Kept::of(busy_shop(60));
    let noted = verify(early.dir.path());
    let head = shop.head().seq;
    for number in 100..140 {
        shop.pass(Span::seconds(1));
        assert!(shop.buy(number, "late", "mug", 1));
        shop.work(OrderId(number));
        shop.frame();
    }
    let late = Kept::of(shop);
    let selection = Selection { head: Some(head), ..select(&["mug"], Range::ALL) };
    let (bytes, written) = late.export(&selection).unwrap();
    assert_eq!((written.head, Some(&written.root)), (head, noted.root.as_ref()));
    let (verdict, places) = shown(&bytes, &root_of(&written));
    assert_eq!((verdict.head, &verdict.hash), (noted.head, &noted.hash));
    assert_eq!(places, expected(&early.shop.frames, &selection));
    // As of another time, it does not answer to that root.
    let (bytes, _) = late.export(&select(&["mug"], Range::ALL)).unwrap();
    let other = check(&bytes[..], &root_of(&written), &mut |_| {}).unwrap_err();
    assert!(other.to_string().contains("another log or another time"), "{other}");
}

/// Frozen: exports are kept, and their roots printed. With `GOLDEN=write`, files that are not there yet are written.
#[test]
fn an_export_is_written_and_read_as_ever() {
    let (bytes, written) = Kept::of(busy_shop(9)).export(&select(&["pen"], Range::ALL)).unwrap();
    let file = |name: &str| [env!("CARGO_MANIFEST_DIR"), "tests/golden", name].iter().collect::<std::path::PathBuf>();
    let [golden, root] = ["export-v1.bin", "export-v1.txt"].map(file);
    if std::env::var("GOLDEN").is_ok_and(|golden| golden == "write") && !golden.exists() {
        std::fs::write(&golden, &bytes).unwrap();
        std::fs::write(&root, format!("{}\n", written.root)).unwrap();
    }
    let (golden, root) = (std::fs::read(golden).unwrap(), std::fs::read_to_string(root).unwrap());
    assert!(bytes == golden, "the format of exports must not change");
    let (verdict, _) = shown(&golden, &read_hex(&root).unwrap());
    assert_eq!(verdict.skus.len(), 1);
}

#[test]
fn what_is_left_of_deleted_history_is_exported_and_no_more_is_claimed() {
    let mut kept = Kept::of(busy_shop(1_000));
    archive_fully(kept.dir.path(), &kept.shop);
    let (deleted, shop) = (kept.shop.frames.len(), &mut kept.shop);
    let mut since = Vec::new();
    for number in 2_000..2_040 {
        shop.pass(Span::seconds(1));
        since.push(shop.now);
        let (receipt, location) = (OpId(number), depot());
        assert!(shop.sku("mug", sku::Command::Receive { receipt, fingerprint: 1, location, units: 5 }));
        assert!(shop.buy(number, "late", "mug", 1));
        shop.work(OrderId(number));
        shop.frame();
    }
    append_log(kept.dir.path(), &kept.shop, deleted);
    let mut archives: Vec<_> =
        std::fs::read_dir(kept.dir.path().join("archive")).unwrap().map(|file| file.unwrap().path()).collect();
    archives.sort();
    std::fs::remove_file(&archives[0]).unwrap();
    let report = verify(kept.dir.path());
    assert!(report.first > 1 && report.is_sound(), "{:?}", report.findings);

    let selection = select(&["mug"], Range { from: since[20], to: since[30] });
    let (bytes, written) = kept.export(&selection).unwrap();
    assert_eq!(Some(&written.root), report.root.as_ref());
    assert_eq!(shown(&bytes, &root_of(&written)).1, expected(&kept.shop.frames[deleted..], &selection));
    for refused in [select(&["mug"], Range::ALL), select(&["pen"], selection.range)] {
        let refused = kept.export(&refused).unwrap_err().to_string();
        assert!(refused.contains("nothing can be proven of sku "), "{refused}");
    }
}

#[test]
fn what_cannot_be_exported_is_refused_with_a_reason() {
    let kept = Kept::of(busy_shop(30));
    let refused = |selection: &Selection| kept.export(selection).unwrap_err().to_string();
    assert!(refused(&select(&["cup"], Range::ALL)).contains("no SKU cup"));
    assert!(refused(&select(&[], Range::ALL)).contains("1 to 1000 SKUs"));
    assert!(refused(&select(&["mug"], kept.seconds(5, 5))).contains("ends before it begins"));
    let selection = Selection { head: Some(1_000_000), ..select(&["mug"], Range::ALL) };
    assert!(refused(&selection).contains("there is no frame 1000000"));
    assert!(refused(&Selection { head: Some(0), ..selection }).contains("there is no frame 0"));
}

#[test]
fn a_log_whose_versions_have_a_gap_has_no_root_and_no_export() {
    let mut shop = busy_shop(10);
    *shop.versions.get_mut(&EntityId::Sku(sku("pen"))).unwrap() += 1;
    shop.forge(vec![(EntityId::Sku(sku("pen")), Event::Sku(sku::Event::Paused))]);
    shop.frame();
    let kept = Kept::of(shop);
    assert_eq!(verify(kept.dir.path()).root, None);
    let error = kept.export(&select(&["mug"], Range::ALL)).unwrap_err();
    assert!(matches!(&error, Error::Journal(journal::Error::Corrupt(_))), "{error}");
    assert!(error.to_string().contains("of sku pen follows version"), "{error}");
}

#[test]
fn an_export_that_proves_nothing_is_told_from_one_that_is_wrong() {
    let kept = Kept::of(busy_shop(10));
    let (bytes, written) = kept.export(&select(&["mug"], Range::ALL)).unwrap();
    let root = root_of(&written);
    let flaw = |bytes: &[u8]| check(bytes, &root, &mut |_| {}).unwrap_err();
    assert!(matches!(flaw(b""), Flaw::NotAnExport));
    assert!(matches!(flaw(b"sku,seller,location"), Flaw::NotAnExport));
    let mut newer = bytes.clone();
    newer[4] = 2;
    assert!(matches!(flaw(&newer), Flaw::Version(2)));
    let longer = [&bytes[..], &[0]].concat();
    assert!(flaw(&longer).to_string().contains("something follows the end"));
    assert_eq!(read_hex("abc").unwrap_err().split(',').next(), Some("a root has 64 hexadecimal digits"));
    assert_eq!(read_hex(&hex(&root).to_uppercase()), Ok(root));
}
