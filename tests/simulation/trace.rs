//! What happened, line by line: hashed always, kept when somebody wants to read it.

use std::fmt::{Arguments, Write};

/// See the module.
#[derive(Default)]
pub struct Trace {
    hasher: blake3::Hasher,
    line: String,
    kept: Option<Vec<String>>,
}

impl Trace {
    /// Keeps the lines from now on.
    pub fn keep(&mut self) {
        self.kept = Some(Vec::new());
    }

    /// This happened.
    pub fn line(&mut self, what: Arguments<'_>) {
        self.line.clear();
        let _ = writeln!(self.line, "{what}");
        self.hasher.update(self.line.as_bytes());
        if let Some(kept) = &mut self.kept {
            kept.push(self.line.trim_end().to_owned());
        }
    }

    /// Of everything so far.
    pub fn hash(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }

    /// The lines that were kept.
    pub fn lines(&mut self) -> Vec<String> {
        self.kept.take().unwrap_or_default()
    }
}
