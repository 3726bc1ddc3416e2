//! Bytes that are frozen.

use super::*;
use crate::journal::frame::{self, HEADER, Header, Place};

const GOLDEN: &[u8] = include_bytes!("../../../tests/golden/frame-v1.bin");

fn body() -> FrameBody {
    let mut body = FrameBody::with_capacity(4096);
    body.clear(Position(41), Timestamp(1_700_000_000_000_001));
    for number in 41..44 {
        assert!(body.push(&record(number, 2), 4096));
    }
    body
}

fn place() -> Place {
    Place { log: LogId(*b"0123456789abcdef"), segment: 3, epoch: 5, seq: 7, prev: [0xaa; 32] }
}

#[test]
fn a_frame_is_written_as_ever() {
    let mut body = body();
    let (bytes, hash) = body.seal(place());
    let differs = bytes.iter().zip(GOLDEN).position(|(new, old)| new != old);
    assert_eq!((bytes.len(), differs), (GOLDEN.len(), None), "the format of frames must not change");
    assert_eq!(hash, frame::hash(GOLDEN));
}

#[test]
fn a_frame_written_by_the_first_version_is_read() {
    let header = Header::read(GOLDEN).unwrap();
    assert_eq!((header.seq, header.first, header.records, header.segment), (7, Position(41), 3, 3));
    assert_eq!((header.epoch, header.at, header.prev), (5, Timestamp(1_700_000_000_000_001), [0xaa; 32]));
    assert_eq!(frame::fault(&header, GOLDEN), None);
    frame::check_root(&header, GOLDEN).unwrap();
    assert_eq!(frame::records(&header, GOLDEN).unwrap(), (41..44).map(|i| record(i, 2)).collect::<Vec<_>>());
}

#[test]
fn the_hash_covers_the_records_through_their_root() {
    let sealed = |number| {
        let mut body = FrameBody::with_capacity(4096);
        body.clear(Position(1), Timestamp(0));
        body.push(&record(number, 1), 4096);
        body.seal(place()).1
    };
    assert_ne!(sealed(1), sealed(2));
    assert_eq!(sealed(1), sealed(1));
}

#[test]
fn no_header_with_a_flipped_bit_is_read() {
    for bit in 0..HEADER * 8 {
        let mut bytes = GOLDEN.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Header::read(&bytes), None, "bit {bit}");
    }
}

#[test]
fn a_forged_count_of_records_is_an_error_and_no_panic() {
    let mut header = Header::read(GOLDEN).unwrap();
    header.records = u32::MAX;
    assert!(frame::records(&header, GOLDEN).is_err());
    header.payload = u32::MAX;
    assert!(frame::records(&header, GOLDEN).is_err());
}
