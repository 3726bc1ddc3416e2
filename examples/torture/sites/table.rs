//! The table that the shim keeps of sites and their calls, shared with it as a file.

use anyhow::bail;
use std::path::{Path, PathBuf};

/// Sites in the shim's table, and bytes of each.
const SITES: usize = 4096;
const SITE: usize = 128;

/// A place where the server does something to its files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    pub call: String,
    pub kind: String,
    pub hash: u64,
}

/// An empty table for the shim.
pub fn empty(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("sites");
    std::fs::write(&path, vec![0; SITES * SITE])?;
    Ok(path)
}

/// Faults that were made, and sites with their calls.
pub fn read(table: &Path) -> anyhow::Result<(u64, Vec<(Site, u64)>)> {
    let bytes = std::fs::read(table)?;
    let number = |at: &[u8]| u64::from_ne_bytes(at.try_into().unwrap_or_default());
    let word = |at: &[u8]| String::from_utf8_lossy(at.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned();
    let mut sites = Vec::new();
    for row in bytes[SITE..].chunks_exact(SITE) {
        let calls = number(&row[8..16]);
        if calls > 0 {
            sites.push((Site { call: word(&row[16..32]), kind: word(&row[32..]), hash: number(&row[..8]) }, calls));
        }
    }
    if sites.len() + 1 >= SITES {
        bail!("more sites than the table holds");
    }
    Ok((number(&bytes[8..16]), sites))
}
