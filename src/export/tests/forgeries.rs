//! One record removed, altered or added, and any byte: nothing of that passes.

use super::forger::{Forger, fails};
use super::*;
use proptest::prelude::*;
use stampede_actors::codec::{decode_record, encode_record};
use std::sync::LazyLock;

/// Exports with records before, in and after their range, of one SKU and of two, and one without borders.
static GENUINE: LazyLock<Vec<(Forger, Hash)>> = LazyLock::new(|| {
    let kept = Kept::of(busy_shop(60));
    let range = kept.seconds(15, 40);
    let selections = [select(&["mug"], range), select(&["pen"], range), select(&["mug", "pen"], Range::ALL)];
    let genuine: Vec<_> = selections.iter().map(|selection| Forger::of(&kept, selection)).collect();
    let count = |genuine: &(Forger, Hash)| genuine.0.records().iter().filter(|(.., shown)| *shown).count();
    assert!(genuine.iter().all(|genuine| count(genuine) > 20));
    genuine
});

#[test]
fn every_record_that_is_removed_is_missed() {
    for (genuine, root) in GENUINE.iter() {
        for (frame, index, _) in genuine.records().into_iter().filter(|(.., shown)| *shown) {
            let mut forged = genuine.clone();
            forged.frames[frame].shown.remove(&index);
            // A frame at the front that shows nothing more would be noticed by itself.
            let first = forged.frames.iter().position(|frame| !frame.shown.is_empty()).unwrap();
            forged.frames.drain(..first);
            forged.fails(root, &format!("record {index} of frame {frame}, removed"));
        }
    }
}

#[test]
fn every_record_that_is_added_is_one_too_many() {
    for (genuine, root) in GENUINE.iter() {
        for (frame, index, _) in genuine.records().into_iter().filter(|(.., shown)| !*shown) {
            let mut forged = genuine.clone();
            forged.frames[frame].shown.insert(index);
            let flaw = forged.fails(root, &format!("record {index} of frame {frame}, added"));
            let seen = ["nothing in this export asks for", "one too many", "is named here"];
            assert!(seen.iter().any(|seen| flaw.contains(seen)), "{flaw}");
        }
    }
}

#[test]
fn every_record_that_is_altered_is_in_no_frame() {
    for (genuine, root) in GENUINE.iter() {
        for (frame, index, _) in genuine.records().into_iter().filter(|(.., shown)| *shown) {
            let mut forged = genuine.clone();
            let mut record = decode_record(&forged.frames[frame].records[index]).unwrap();
            record.at = record.at.plus(Span(1));
            forged.frames[frame].records[index].clear();
            encode_record(&record, &mut forged.frames[frame].records[index]);
            let flaw = forged.fails(root, &format!("record {index} of frame {frame}, altered"));
            assert!(flaw.contains("these records are not in frame"), "{flaw}");
        }
    }
}

#[test]
fn an_order_is_left_out_with_all_its_records_or_taken_in_without_a_reason() {
    for (genuine, root) in GENUINE.iter() {
        let touches = |frame: &super::forger::Frame, index: usize, order: u128| {
            let record = decode_record(&frame.records[index]).unwrap();
            record.entries.iter().any(|entry| entry.entity == EntityId::Order(OrderId(order)))
        };
        for &order in &genuine.orders {
            let mut forged = genuine.clone();
            forged.orders.retain(|other| *other != order);
            for frame in &mut forged.frames {
                let whole = frame.clone();
                frame.shown.retain(|&index| !touches(&whole, index, order));
            }
            let flaw = forged.fails(root, &format!("order {order}, left out"));
            assert!(flaw.contains("its records are not in the export"), "{flaw}");
        }
        let mut unnamed = 0;
        for stranger in (1..=60).filter(|order| !genuine.orders.contains(order)).take(20) {
            let mut forged = genuine.clone();
            forged.orders.push(stranger);
            forged.orders.sort_unstable();
            // Exactly those of its records that would be needed.
            let mut before = None;
            let mut closed = false;
            for (number, index, _) in genuine.records() {
                let frame = &genuine.frames[number];
                if !touches(frame, index, stranger) {
                    continue;
                }
                match genuine.range.side(journal::frame::Header::read(&frame.header).unwrap().at) {
                    Side::Before => before = Some((number, index)),
                    Side::After if std::mem::replace(&mut closed, true) => {}
                    Side::Within | Side::After => forged.frames[number].shown.extend([index]),
                }
            }
            if let Some((number, index)) = before {
                forged.frames[number].shown.insert(index);
            }
            let flaw = forged.fails(root, &format!("order {stranger}, taken in"));
            unnamed += u32::from(flaw.contains("nothing in the range names"));
        }
        assert!(unnamed > 0 || genuine.range == Range::ALL);
    }
}

#[test]
fn a_frame_in_front_that_shows_nothing_is_one_too_many() {
    for (genuine, root) in GENUINE.iter().filter(|(genuine, _)| !genuine.earlier.is_empty()) {
        let mut forged = genuine.clone();
        forged.frames.insert(0, genuine.earlier.last().unwrap().clone());
        let flaw = forged.fails(root, "one more frame in front");
        assert!(flaw.contains("a frame that nothing in this export asks for"), "{flaw}");
    }
    assert!(GENUINE.iter().any(|(genuine, _)| !genuine.earlier.is_empty()));
}

#[test]
fn frames_left_out_swapped_or_changed_break_the_chain() {
    let (genuine, root) = &GENUINE[0];
    for number in 0..genuine.frames.len() {
        let mut forged = genuine.clone();
        forged.frames.remove(number);
        forged.fails(root, &format!("frame {number}, left out"));
        let mut forged = genuine.clone();
        forged.frames.swap(number, (number + 1) % genuine.frames.len());
        forged.fails(root, &format!("frame {number}, swapped"));
        // The number of its segment, which nothing else in the frame depends on, under a right checksum.
        let mut forged = genuine.clone();
        let header = &mut forged.frames[number].header;
        header[24] ^= 1;
        let crc = journal::frame::crc(&header[..140]);
        header[140..144].copy_from_slice(&crc.to_le_bytes());
        forged.fails(root, &format!("frame {number}, changed"));
    }
}

#[test]
fn a_range_that_was_narrowed_is_a_smaller_proof_or_none() {
    let (genuine, root) = &GENUINE[0];
    let mut told = 0;
    for cut in (0..25_000_000).step_by(500_000) {
        let mut forged = genuine.clone();
        forged.range.to = Timestamp(forged.range.to.0 - cut);
        match check(&forged.encode()[..], root, &mut |_| {}) {
            // Then it is as true, and says so.
            Ok(verdict) => assert_eq!(verdict.to, Some(forged.range.to)),
            Err(_) => told += 1,
        }
    }
    assert!(told > 30, "{told}");
}

#[test]
fn an_export_that_is_cut_short_anywhere_is_refused() {
    let (genuine, root) = &GENUINE[1];
    let bytes = genuine.encode();
    for len in (0..bytes.len()).step_by(13) {
        fails(&bytes[..len], root, &format!("the first {len} bytes"));
    }
}

/// The checksum, over what was changed.
fn sealed(bytes: &mut [u8]) {
    let end = bytes.len() - 32;
    let seal = blake3::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(seal.as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn any_byte_that_is_changed_is_noticed(which in 0..3usize, at in any::<prop::sample::Index>(), change in 1..=255u8) {
        let (genuine, root) = &GENUINE[which];
        let mut bytes = genuine.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        fails(&bytes, root, &format!("byte {at}"));
        // Nor does the checksum help who makes it anew; only the range may be another one, and then it is told.
        if at < bytes.len() - 32 {
            sealed(&mut bytes);
            if let Ok(verdict) = check(&bytes[..], root, &mut |_| {}) {
                prop_assert!((24..40).contains(&at), "byte {}: nobody saw it: {:?}", at, verdict);
                let range = Range { from: verdict.from.unwrap_or(Range::ALL.from), to: verdict.to.unwrap_or(Range::ALL.to) };
                prop_assert_ne!(range, genuine.range);
            }
        }
    }

    #[test]
    fn any_bytes_that_are_taken_out_or_put_in_are_noticed(
        which in 0..3usize, at in any::<prop::sample::Index>(), out in 0..100usize, put in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let (genuine, root) = &GENUINE[which];
        let genuine = genuine.encode();
        let mut bytes = genuine.clone();
        let at = at.index(bytes.len());
        bytes.splice(at..(at + out).min(genuine.len()), put);
        prop_assume!(bytes != genuine && bytes.len() > 32);
        fails(&bytes, root, &format!("{out} bytes at {at}"));
        sealed(&mut bytes);
        // What was changed in the checksum is right again now.
        prop_assume!(bytes != genuine);
        if let Ok(verdict) = check(&bytes[..], root, &mut |_| {}) {
            prop_assert!(at < 40, "{} bytes at {}: nobody saw it: {:?}", out, at, verdict);
        }
    }

    /// Any set of records shown, other than the right one.
    #[test]
    fn any_other_choice_of_records_is_noticed(which in 0..3usize, toggled in prop::collection::vec(any::<prop::sample::Index>(), 1..6)) {
        let (genuine, root) = &GENUINE[which];
        let (mut forged, records) = (genuine.clone(), genuine.records());
        let toggled: BTreeSet<usize> = toggled.iter().map(|index| index.index(records.len())).collect();
        for &number in &toggled {
            let (frame, index, shown) = records[number];
            if shown {
                forged.frames[frame].shown.remove(&index);
            } else {
                forged.frames[frame].shown.insert(index);
            }
        }
        forged.fails(root, &format!("{toggled:?}"));
    }
}
