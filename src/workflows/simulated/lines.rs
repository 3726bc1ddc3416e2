//! A file of JSON lines that only grows.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

/// Appends one value a line.
#[derive(Debug)]
pub(super) struct Lines(File);

impl Lines {
    /// Opens or creates the file and reads what is there. A last line that a kill cut short was never answered for: it
    /// is cut off.
    ///
    /// # Errors
    /// When the file cannot be read or written, or a whole line of it makes no sense.
    pub fn open<T: DeserializeOwned>(path: &Path) -> io::Result<(Lines, Vec<T>)> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = whole_lines(&text);
        if whole.len() < text.len() {
            file.set_len(whole.len() as u64)?;
        }
        Ok((Lines(file), parse(whole)?))
    }

    /// Reads a file that somebody else may be writing.
    ///
    /// # Errors
    /// When the file cannot be read, or a whole line of it makes no sense.
    pub fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Vec<T>> {
        parse(whole_lines(&std::fs::read_to_string(path)?))
    }

    /// Writes one line, at once.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.0.write_all(&line)
    }
}

fn whole_lines(text: &str) -> &str {
    &text[..text.rfind('\n').map_or(0, |end| end + 1)]
}

fn parse<T: DeserializeOwned>(text: &str) -> io::Result<Vec<T>> {
    let parse = |(number, line)| {
        serde_json::from_str(line)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {error}", number + 1)))
    };
    text.lines().enumerate().map(parse).collect()
}
