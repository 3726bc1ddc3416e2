//! Frames, and the first blocks of segments, as they come from a disk that may hold anything.

use stampede::journal::frame::{self, HEADER, Header, Place};
use stampede::journal::segment::Start;
use stampede::journal::{FrameBody, merkle};

/// The first byte says which checksums are made right, so that what lies behind them is reached. What is read is written
/// again and reads the same.
pub fn frame(input: &[u8]) {
    let Some((&repair, bytes)) = input.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if repair & 1 == 1 {
        right(&mut bytes, repair & 2 == 2);
    }
    if let Some(start) = Start::read(&bytes) {
        assert_eq!(Start::read(&start.write()), Some(start));
    }
    let Some(header) = Header::read(&bytes) else { return };
    let end = header.head(frame::hash(&bytes[..HEADER]));
    assert_eq!((end.seq, end.position), (header.seq, header.last()));
    if frame::fault(&header, &bytes).is_some() {
        return;
    }
    let root = frame::check_root(&header, &bytes);
    for record in 0..9 {
        let _ = frame::offset_of(&bytes, record);
    }
    let Ok(records) = frame::records(&header, &bytes) else { return };
    assert_eq!(records.len(), header.records as usize);
    let mut body = FrameBody::with_capacity(bytes.len());
    body.clear(header.first, header.at);
    records.iter().for_each(|record| assert!(body.push(record, usize::MAX)));
    let Header { log, segment, epoch, seq, prev, .. } = header;
    let again = body.seal(Place { log, segment, epoch, seq, prev }).0;
    let written = Header::read(again).unwrap();
    assert_eq!(frame::fault(&written, again), None);
    assert_eq!(frame::check_root(&written, again), Ok(()));
    assert_eq!(frame::records(&written, again).as_ref(), Ok(&records));
    if written.payload_crc == header.payload_crc && written.payload == header.payload {
        assert_eq!(root.is_ok(), written.root == header.root, "the root is that of the records, or it is not");
    }
}

/// Magic, checksums, and the Merkle root if wanted.
fn right(bytes: &mut Vec<u8>, root: bool) {
    bytes.resize(bytes.len().max(HEADER).next_multiple_of(4096), 0);
    bytes[..8].copy_from_slice(b"SPFR\x01\0\0\0");
    let payload = u32::from_le_bytes(bytes[60..64].try_into().unwrap()) as usize % (bytes.len() - HEADER + 1);
    bytes[60..64].copy_from_slice(&(payload as u32).to_le_bytes());
    bytes.truncate((HEADER + payload).next_multiple_of(4096));
    bytes[HEADER + payload..].fill(0);
    let crc = frame::crc(&bytes[HEADER..HEADER + payload]);
    bytes[136..140].copy_from_slice(&crc.to_le_bytes());
    seal(bytes);
    let Some(header) = Header::read(bytes).filter(|_| root) else { return };
    if let Ok(records) = frame::record_bytes(&header, bytes) {
        let root = merkle::root(records.into_iter().map(merkle::leaf).collect());
        bytes[104..136].copy_from_slice(&root);
        seal(bytes);
    }
}

fn seal(bytes: &mut [u8]) {
    let crc = frame::crc(&bytes[..140]);
    bytes[140..144].copy_from_slice(&crc.to_le_bytes());
}
