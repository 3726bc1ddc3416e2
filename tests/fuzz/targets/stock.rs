//! Stock files.

use stampede::import::file::parse;
use stampede::import::{Error, SHOWN};
use std::collections::BTreeSet;

/// Names of columns, and values.
pub const WORDS: &[&[u8]] = &[
    b"sku,seller,location,units,price,currency\n",
    b"safety_stock",
    b"priority",
    b"buyer_limit",
    b",",
    b"\n",
    b"\r\n",
    b"\"",
    b"\"\"",
    b"EUR",
    b"JPY",
    b"19.99",
    b"0",
    b"-1",
    b"1000000000",
    b"4294967296",
    b"\xef\xbb\xbf",
    b";",
    b"\t",
];

/// A file that is taken has rows, each of one SKU and of one location of it; another says what is wrong, and where.
pub fn stock(input: &[u8]) {
    let lines = 1 + input.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count() as u64;
    match parse(input) {
        Ok(stock) => {
            assert!(stock.rows > 0);
            assert_eq!(stock.rows, stock.skus.iter().map(|sku| sku.rows.len()).sum::<usize>());
            let names: BTreeSet<_> = stock.skus.iter().map(|sku| &sku.sku).collect();
            assert_eq!(names.len(), stock.skus.len());
            let mut seen = BTreeSet::new();
            for row in stock.skus.iter().flat_map(|sku| &sku.rows) {
                assert!((2..=lines).contains(&row.line) && seen.insert(row.line), "line {} of {lines}", row.line);
            }
            assert_eq!(parse(input).unwrap(), stock);
        }
        Err(Error::Invalid { problems, total }) => {
            assert!(total > 0 && !problems.is_empty() && problems.len() <= SHOWN.min(total));
            assert!(problems.iter().all(|problem| (1..=lines).contains(&problem.line)), "{problems:?} of {lines}");
        }
        Err(other) => panic!("{other}"),
    }
}
