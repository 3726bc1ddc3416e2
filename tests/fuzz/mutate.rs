//! Random changes of an input.

use rand::Rng;
use rand::rngs::StdRng;
use std::ops::Range;

/// Numbers at which things break.
const NUMBERS: [u64; 12] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    i64::MAX as u64,
    i64::MIN as u64,
    u64::MAX - 1,
    u64::MAX,
];

/// Changes `input` in one to six ways; some take pieces out of `other` or of `words`.
pub fn mutate(rng: &mut StdRng, input: &[u8], other: &[u8], words: &[&[u8]], longest: usize) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..1 << rng.random_range(0..3u32) >> rng.random_range(0..2u32) | 1 {
        change(rng, &mut bytes, other, words);
    }
    bytes.truncate(longest);
    bytes
}

fn change(rng: &mut StdRng, bytes: &mut Vec<u8>, other: &[u8], words: &[&[u8]]) {
    if bytes.is_empty() {
        bytes.push(rng.random());
        return;
    }
    let at = rng.random_range(0..bytes.len());
    match rng.random_range(0..11) {
        0 => bytes[at] ^= 1 << rng.random_range(0..8u32),
        1 => bytes[at] = rng.random(),
        2 => bytes[at] = bytes[at].wrapping_add(rng.random_range(0..9u8)).wrapping_sub(4),
        3 => {
            let number = NUMBERS[rng.random_range(0..NUMBERS.len())].to_le_bytes();
            let width = [1, 2, 4, 8][rng.random_range(0..4)].min(bytes.len() - at);
            bytes[at..at + width].copy_from_slice(&number[..width]);
        }
        4 => drop(bytes.drain(piece(rng, bytes.len()))),
        5 => {
            let new: Vec<u8> = (0..rng.random_range(1..16)).map(|_| rng.random()).collect();
            bytes.splice(at..at, new);
        }
        6 => {
            let again = bytes[piece(rng, bytes.len())].to_vec();
            bytes.splice(at..at, again);
        }
        7 => {
            let (from, byte) = (piece(rng, bytes.len()), rng.random());
            bytes[from].fill(byte);
        }
        8 if !words.is_empty() => {
            let word = words[rng.random_range(0..words.len())].iter().copied();
            let over = if rng.random() { bytes.len().min(at + word.len()) } else { at };
            bytes.splice(at..over, word);
        }
        9 if !other.is_empty() => {
            let part = other[piece(rng, other.len())].to_vec();
            let over = if rng.random() { bytes.len().min(at + part.len()) } else { at };
            bytes.splice(at..over, part);
        }
        _ if !other.is_empty() => {
            bytes.truncate(at);
            bytes.extend(&other[rng.random_range(0..other.len())..]);
        }
        _ => bytes.truncate(at),
    }
}

/// A piece of something so long; most are short.
fn piece(rng: &mut StdRng, len: usize) -> Range<usize> {
    let at = rng.random_range(0..len);
    let longest = if rng.random_range(0..4) == 0 { len } else { 32 };
    at..len.min(at + 1 + rng.random_range(0..longest))
}
