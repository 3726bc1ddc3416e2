//! A segment file that somebody alters who can make every checksum that he likes.

use super::*;
use crate::disk::whole_blocks;
use crate::journal::frame::{HEADER, Header};
use crate::journal::merkle;

pub struct Segment {
    path: PathBuf,
    pub bytes: Vec<u8>,
    /// Where each frame begins; frame 1 is at index 0.
    pub frames: Vec<usize>,
}

impl Segment {
    pub fn read(path: &Path) -> Segment {
        let bytes = std::fs::read(path).unwrap();
        let (mut frames, mut at) = (Vec::new(), 4096);
        while let Some(header) = bytes.get(at..).and_then(Header::read) {
            frames.push(at);
            at += header.frame_len();
        }
        Segment { path: path.to_owned(), bytes, frames }
    }

    pub fn write(&self) {
        std::fs::write(&self.path, &self.bytes).unwrap();
    }

    pub fn header(&self, frame: usize) -> Header {
        Header::read(&self.bytes[self.frames[frame]..]).unwrap()
    }

    /// Puts another header there, with the right checksum over it.
    pub fn put_header(&mut self, frame: usize, header: Header) {
        header.write(&mut self.bytes[self.frames[frame]..][..HEADER]);
    }

    /// The records' bytes.
    pub fn records(&self, frame: usize) -> Vec<Vec<u8>> {
        let records = frame::record_bytes(&self.header(frame), &self.bytes[self.frames[frame]..]).unwrap();
        records.into_iter().map(<[u8]>::to_vec).collect()
    }

    /// Puts other records there, which take as many blocks, under a right checksum; and a right Merkle root, if wanted.
    pub fn put_records(&mut self, frame: usize, records: &[Vec<u8>], root: bool) {
        let (at, mut header) = (self.frames[frame], self.header(frame));
        let mut payload = Vec::new();
        for record in records {
            payload.extend((record.len() as u32).to_le_bytes());
            payload.extend(record);
        }
        assert_eq!(whole_blocks(HEADER + payload.len()), header.frame_len(), "it must fit in its place");
        self.bytes[at + HEADER..at + header.frame_len()].fill(0);
        self.bytes[at + HEADER..][..payload.len()].copy_from_slice(&payload);
        header.payload = payload.len() as u32;
        header.records = records.len() as u32;
        header.payload_crc = frame::crc(&payload);
        if root {
            header.root = merkle::root(records.iter().map(|record| merkle::leaf(record)).collect());
        }
        self.put_header(frame, header);
    }

    /// Makes the chain right again after this frame.
    pub fn chain_after(&mut self, frame: usize) {
        for frame in frame + 1..self.frames.len() {
            let prev = frame::hash(&self.bytes[self.frames[frame - 1]..][..HEADER]);
            let first = Position(self.header(frame - 1).last().0 + 1);
            self.put_header(frame, Header { prev, first, ..self.header(frame) });
        }
    }
}
