//! The entities of a full checkpoint, in blocks with a checksum each.

use super::{Entities, Entity};
use crate::disk::File;
use crate::journal::frame::{Fields, crc};
use crate::journal::{Corrupt, Error};
use std::io;
use std::path::{Path, PathBuf};

/// A block is closed when it has grown to so many bytes.
const BLOCK_FULL: usize = 256 << 10;
const BLOCK_HEAD: usize = 8;

pub fn write(file: &dyn File, mut offset: u64, entities: Entities<'_>) -> io::Result<()> {
    let mut block = vec![0; BLOCK_HEAD];
    loop {
        let next = entities.next().transpose()?;
        if let Some((key, state)) = &next {
            for part in [key, state] {
                let len = u32::try_from(part.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
                block.extend_from_slice(&len.to_le_bytes());
                block.extend_from_slice(part);
            }
        }
        if block.len() >= BLOCK_FULL || (next.is_none() && block.len() > BLOCK_HEAD) {
            offset += put_out(file, offset, &mut block)?;
        }
        if next.is_none() {
            put_out(file, offset, &mut block)?;
            return Ok(());
        }
    }
}

fn put_out(file: &dyn File, offset: u64, block: &mut Vec<u8>) -> io::Result<u64> {
    let len = u32::try_from(block.len() - BLOCK_HEAD).map_err(|_| io::ErrorKind::InvalidInput)?;
    let crc = crc(&block[BLOCK_HEAD..]);
    block[..4].copy_from_slice(&len.to_le_bytes());
    block[4..BLOCK_HEAD].copy_from_slice(&crc.to_le_bytes());
    file.write_at(offset, block)?;
    let written = block.len() as u64;
    block.truncate(BLOCK_HEAD);
    Ok(written)
}

/// Keys and states of a full checkpoint, one after the other; memory is bounded by one block.
pub struct EntityReader {
    file: Box<dyn File>,
    path: PathBuf,
    offset: u64,
    block: Vec<u8>,
    used: usize,
    ended: bool,
}

impl EntityReader {
    pub(super) fn new(file: Box<dyn File>, path: &Path, offset: u64) -> EntityReader {
        EntityReader { file, path: path.to_owned(), offset, block: Vec::new(), used: 0, ended: false }
    }

    fn read(&mut self) -> Result<Option<Entity>, Error> {
        if self.used == self.block.len() {
            self.read_block()?;
        }
        if self.block.is_empty() {
            return Ok(None);
        }
        let (key, state) = self.part().zip(self.part()).ok_or_else(|| self.damaged("an entity is cut short"))?;
        Ok(Some((key, state)))
    }

    fn part(&mut self) -> Option<Vec<u8>> {
        let mut fields = Fields(&self.block[self.used..]);
        let len = fields.u32()? as usize;
        let part = fields.0.get(..len)?.to_owned();
        self.used += 4 + len;
        Some(part)
    }

    fn read_block(&mut self) -> Result<(), Error> {
        let mut head = [0; BLOCK_HEAD];
        self.read_at(&mut head)?;
        let mut fields = Fields(&head);
        let (len, expected) = (fields.u32().unwrap_or_default(), fields.u32().unwrap_or_default());
        let left = self.file.len().map_err(Error::io("look at", &self.path))?.saturating_sub(self.offset);
        if u64::from(len) > left {
            return Err(self.damaged("a block is longer than the file"));
        }
        let mut block = vec![0; len as usize];
        self.read_at(&mut block)?;
        if crc(&block) != expected {
            return Err(self.damaged("a block does not match its checksum"));
        }
        (self.block, self.used) = (block, 0);
        Ok(())
    }

    fn read_at(&mut self, into: &mut [u8]) -> Result<(), Error> {
        match self.file.read_at(self.offset, into) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.damaged("the file is cut short")),
            Err(error) => Err(Error::io("read", &self.path)(error)),
            Ok(()) => {
                self.offset += into.len() as u64;
                Ok(())
            }
        }
    }

    fn damaged(&self, what: &str) -> Error {
        Corrupt { file: self.path.clone(), offset: self.offset, seq: 0, what: what.to_owned() }.into()
    }
}

impl Iterator for EntityReader {
    type Item = Result<Entity, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entity = self.read().transpose();
        self.ended = !matches!(entity, Some(Ok(_)));
        entity
    }
}
