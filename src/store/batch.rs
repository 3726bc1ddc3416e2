//! Rows that are written together: all of them in one piece of memory, which is used again for the next batch. A flush
//! writes tens of thousands of rows, and finding memory for each key and value would cost more than writing them.

use super::Table;

/// Rows that are written together. The last one of a key counts.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    rows: Vec<Span>,
}

/// Where a row is in the bytes: its full key, and its value behind it; `None`: the row is taken out.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// How the full key begins, as a number that sorts like it: most keys are told apart by it, without a look at the bytes.
    begins: u128,
    key: usize,
    value: Option<usize>,
    key_end: usize,
}

impl Batch {
    /// Writes a row. The key and the value are given in parts, which are put together here.
    pub fn put(&mut self, table: Table, key: &[u8], value: impl AsRef<[u8]>) {
        self.put_with(table, &[key], |bytes| bytes.extend_from_slice(value.as_ref()));
    }

    /// Writes a row. The key is given in parts; `write` appends the value to what is there.
    pub fn put_with(&mut self, table: Table, key: &[&[u8]], write: impl FnOnce(&mut Vec<u8>)) {
        let (begins, key, key_end) = self.key(table, key);
        write(&mut self.bytes);
        self.rows.push(Span { begins, key, key_end, value: Some(self.bytes.len()) });
    }

    /// Takes a row out, if it is there.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        self.delete_parts(table, &[key]);
    }

    /// Takes a row out whose key is given in parts.
    pub fn delete_parts(&mut self, table: Table, key: &[&[u8]]) {
        let (begins, key, key_end) = self.key(table, key);
        self.rows.push(Span { begins, key, key_end, value: None });
    }

    /// How many rows were written or taken out, those of one key counted each.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Is there nothing to write?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Forgets all rows, and keeps their memory, at most `keep` bytes of it.
    pub fn clear(&mut self, keep: usize) {
        self.bytes.clear();
        self.rows.clear();
        self.bytes.shrink_to(keep);
        self.rows.shrink_to(keep / size_of::<Span>());
    }

    /// Full keys with their values, in the order of the keys and each key once: a store may give all rows of a batch
    /// one sequence number.
    pub(super) fn rows(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<&[u8]>)> {
        let mut rows: Vec<&Span> = self.rows.iter().collect();
        // Later rows have later places: of those of one key the last comes first, and stays.
        rows.sort_unstable_by(|a, b| {
            let by_key = a.begins.cmp(&b.begins).then_with(|| self.full_key(a).cmp(self.full_key(b)));
            by_key.then(b.key.cmp(&a.key))
        });
        rows.dedup_by(|later, kept| self.full_key(later) == self.full_key(kept));
        rows.into_iter().map(|row| (self.full_key(row), row.value.map(|end| &self.bytes[row.key_end..end])))
    }

    fn full_key(&self, row: &Span) -> &[u8] {
        &self.bytes[row.key..row.key_end]
    }

    fn key(&mut self, table: Table, parts: &[&[u8]]) -> (u128, usize, usize) {
        let from = self.bytes.len();
        self.bytes.push(table as u8);
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        let key = &self.bytes[from..];
        let mut begins = [0; size_of::<u128>()];
        let known = key.len().min(begins.len());
        begins[..known].copy_from_slice(&key[..known]);
        (u128::from_be_bytes(begins), from, self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_begin_alike_are_told_apart_by_how_they_go_on() {
        let mut batch = Batch::default();
        let keys: [&[u8]; 6] = [b"", b"\0", b"0123456789abcde", b"0123456789abcde\0", b"0123456789abcdef", b"1"];
        for index in [5, 0, 3, 4, 1, 2, 3] {
            batch.put(Table::Meta, keys[index], [index as u8]);
        }
        let rows: Vec<_> = batch.rows().map(|(key, _)| key[1..].to_vec()).collect();
        assert_eq!(rows, keys);
    }

    #[test]
    fn rows_come_by_key_and_the_last_of_a_key_counts() {
        let mut batch = Batch::default();
        batch.put(Table::Snapshot, b"b", b"1");
        batch.put_with(Table::Meta, &[b"a", b"z"], |bytes| bytes.extend_from_slice(b"22"));
        batch.put(Table::Snapshot, b"b", b"3");
        batch.put(Table::Snapshot, b"a", b"");
        batch.delete(Table::Snapshot, b"a");
        batch.delete_parts(Table::Snapshot, &[b"", b"c"]);
        batch.put(Table::Snapshot, b"c", b"4");
        let rows: Vec<_> = batch.rows().collect();
        let expected: [(&[u8], Option<&[u8]>); 4] =
            [(b"\x01az", Some(b"22")), (b"\x02a", None), (b"\x02b", Some(b"3")), (b"\x02c", Some(b"4"))];
        assert_eq!(rows, expected);
        batch.clear(16);
        assert!(batch.is_empty() && batch.rows().len() == 0 && batch.bytes.capacity() <= 16);
    }
}
