//! One thing that is wrong with a directory.

use super::template::{Content, Template};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const SECTOR: u64 = 512;
const BLOCK: u64 = 4096;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file, from the data directory on.
    pub file: PathBuf,
    pub how: How,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    Flip { offset: u64, bit: u8 },
    Zero { offset: u64, bytes: u64 },
    Swap { first: u64, second: u64 },
    Truncate { len: u64 },
    Delete,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match self.how {
            How::Flip { offset, bit } => write!(f, "bit {bit} of byte {offset} of {file} flipped"),
            How::Zero { offset, bytes } => write!(f, "{bytes} bytes of {file} from {offset} on made zero"),
            How::Swap { first, second } => write!(f, "blocks at {first} and {second} of {file} swapped"),
            How::Truncate { len } => write!(f, "{file} cut to {len} bytes"),
            How::Delete => write!(f, "{file} deleted"),
        }
    }
}

/// What is damaged, and how often among a hundred.
const CLASSES: [(&str, u32); 6] =
    [("wal/", 30), ("archive/", 20), ("checkpoint/", 12), ("superblock", 13), ("store/", 20), ("secret", 5)];

impl Damage {
    /// One that changes something.
    pub fn draw(template: &Template, rng: &mut StdRng) -> Damage {
        loop {
            let (class, _) = *CLASSES.choose_weighted(rng, |class| class.1).unwrap_or(&CLASSES[0]);
            let of_class = |file: &&PathBuf| file.to_string_lossy().starts_with(class);
            let files: Vec<&PathBuf> = template.files.keys().filter(of_class).collect();
            let Some(&file) = files.choose(rng) else { continue };
            let mut how = How::draw(&template.files[file], rng);
            let mut file = file;
            if template.crashed && class == "wal/" && rng.random_bool(0.15) {
                // Where a torn tail and lost data are hardest to tell apart.
                file = &template.truth.last.0;
                how = How::draw_from(template.truth.last.1, &template.files[file], rng);
            }
            if how.changes(&template.files[file]) {
                return Damage { file: file.clone(), how };
            }
        }
    }

    /// The first byte that it touches.
    pub fn begins_at(&self) -> u64 {
        match self.how {
            How::Flip { offset, .. } | How::Zero { offset, .. } => offset,
            How::Swap { first, second } => first.min(second),
            How::Truncate { len } => len,
            How::Delete => 0,
        }
    }

    /// Does it to the directory.
    pub fn apply(&self, dir: &Path) -> io::Result<()> {
        let path = dir.join(&self.file);
        if self.how == How::Delete {
            return fs::remove_file(path);
        }
        let file = File::options().read(true).write(true).open(path)?;
        let read = |offset: u64, bytes: u64| -> io::Result<Vec<u8>> {
            let mut piece = vec![0; usize::try_from(bytes).unwrap_or_default()];
            let len = file.metadata()?.len();
            let there = usize::try_from(len.saturating_sub(offset).min(bytes)).unwrap_or_default();
            file.read_exact_at(&mut piece[..there], offset)?;
            piece.truncate(there);
            Ok(piece)
        };
        match self.how {
            How::Flip { offset, bit } => {
                let byte = read(offset, 1)?;
                file.write_all_at(&[byte[0] ^ (1 << bit)], offset)
            }
            How::Zero { offset, bytes } => {
                let there = read(offset, bytes)?.len();
                file.write_all_at(&vec![0; there], offset)
            }
            How::Swap { first, second } => {
                let (a, b) = (read(first, BLOCK)?, read(second, BLOCK)?);
                let bytes = a.len().min(b.len());
                file.write_all_at(&b[..bytes], first)?;
                file.write_all_at(&a[..bytes], second)
            }
            How::Truncate { len } => file.set_len(len),
            How::Delete => Ok(()),
        }
    }
}

impl How {
    fn draw(content: &Content, rng: &mut StdRng) -> How {
        // Most of it where something is.
        let used = if rng.random_bool(0.9) { (content.bytes.len() as u64).max(1) } else { content.len.max(1) };
        How::at(rng.random_range(0..used), used, rng)
    }

    /// Something that begins at this offset or after.
    fn draw_from(from: u64, content: &Content, rng: &mut StdRng) -> How {
        let used = (content.bytes.len() as u64).max(from + 1);
        How::at(rng.random_range(from..used), used, rng)
    }

    fn at(offset: u64, used: u64, rng: &mut StdRng) -> How {
        match rng.random_range(0..100) {
            0..40 => How::Flip { offset, bit: rng.random_range(0..8) },
            40..60 => {
                let unit = if rng.random_bool(0.5) { SECTOR } else { BLOCK };
                How::Zero { offset: offset / unit * unit, bytes: unit }
            }
            60..75 => {
                let second = rng.random_range(0..used);
                How::Swap { first: offset / BLOCK * BLOCK, second: second / BLOCK * BLOCK }
            }
            75..90 => How::Truncate { len: if rng.random_bool(0.2) { 0 } else { offset } },
            _ => How::Delete,
        }
    }

    fn changes(&self, content: &Content) -> bool {
        match *self {
            How::Flip { offset, .. } => offset < content.len,
            How::Zero { offset, bytes } => (offset..offset + bytes).any(|at| content.at(at) != 0),
            How::Swap { first, second } => {
                let room = content.len.saturating_sub(first.max(second)).min(BLOCK);
                (0..room).any(|at| content.at(first + at) != content.at(second + at))
            }
            How::Truncate { len } => len < content.len,
            How::Delete => true,
        }
    }
}
