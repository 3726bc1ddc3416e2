//! Every kind of fault, in a file of a real directory that was altered: the report names file and offset.

mod events;
mod files;
mod segment;

use super::*;
use crate::journal::Corrupt;
use crate::journal::frame;
use segment::Segment;
use std::path::PathBuf;

/// A log of one segment that was not closed, so that nothing but its frames says where it ends.
fn open_log(shop: &Shop) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let disk: SharedDisk = Arc::new(RealDisk);
    let wide = Config { segment_bytes: 1 << 20, ..config() };
    let mut opened = Wal::open(&disk, dir.path(), wide, &ManualClock::new(shop.now)).unwrap();
    let mut body = FrameBody::with_capacity(64 << 10);
    for frame in &shop.frames {
        body.clear(frame.first, frame.at);
        frame.records.iter().for_each(|record| assert!(body.push(record, 1 << 20)));
        assert!(opened.wal.make_room(body.frame_len()).unwrap());
        assert!(matches!(opened.wal.commit(&mut body), Outcome::Committed { .. }));
    }
    let segment = dir.path().join("wal/000000000001.seg");
    (dir, segment)
}

#[track_caller]
fn corrupt(dir: &Path) -> Corrupt {
    match verify(dir, &mut |_, _| {}) {
        Err(Error::Journal(journal::Error::Corrupt(corrupt))) => corrupt,
        Err(other) => panic!("another error: {other}"),
        Ok(report) => panic!("nobody saw it: {report:?}"),
    }
}

/// The record that a finding points to, as it is in the file.
fn record_at(finding: &Finding) -> stampede_actors::record::Record {
    let bytes = std::fs::read(finding.file.as_ref().unwrap()).unwrap();
    let at = finding.offset.unwrap() as usize;
    let len = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    stampede_actors::codec::decode_record(&bytes[at + 4..at + 4 + len]).unwrap()
}
