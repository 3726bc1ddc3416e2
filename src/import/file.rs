//! Reads and checks a stock file. Everything that is wrong is found in one go.

use super::{Error, MAX_BYTES, Problem, Row, SHOWN, SkuRows};
use csv::StringRecord;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use stampede_actors::ids::{LocationId, SellerId, SkuId};
use stampede_actors::money::{self, Money};
use stampede_actors::sku::{DEFAULT_PRIORITY, MAX_LOCATIONS, MAX_UNITS};
use std::path::Path;
use std::str::FromStr;

/// Columns that must be there, in any order.
const REQUIRED: [&str; 6] = ["sku", "seller", "location", "units", "price", "currency"];
/// Columns that may be there; an empty field says the same as no column.
const OPTIONAL: [&str; 3] = ["safety_stock", "priority", "buyer_limit"];

/// A checked file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    /// First 16 bytes of the file's BLAKE3 hash, in hexadecimal digits: the file's name in receipts.
    pub hash: String,
    /// Its SKUs in the order of their first rows.
    pub skus: Vec<SkuRows>,
    /// Rows in all.
    pub rows: usize,
}

/// Reads and checks a file.
///
/// # Errors
/// [`Error`] with everything that is wrong.
pub fn read(path: &Path) -> Result<Stock, Error> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes > MAX_BYTES {
        return Err(Error::TooLarge { bytes });
    }
    parse(&std::fs::read(path)?)
}

/// Reads and checks a file's bytes.
///
/// # Errors
/// [`Error::Invalid`] with everything that is wrong.
pub fn parse(bytes: &[u8]) -> Result<Stock, Error> {
    let hash = blake3::hash(bytes).to_hex()[..32].to_owned();
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text);
    let mut problems = Problems::default();
    let columns = match reader.headers() {
        Ok(header) => Columns::find(header, &mut problems),
        Err(error) => {
            problems.add(1, csv_message(&error));
            None
        }
    };
    let Some(columns) = columns else { return Err(problems.into_error()) };

    let mut gathered = Gathered::default();
    let mut lines = Lines { text, at: 0, line: 1 };
    let mut record = StringRecord::new();
    loop {
        let start = reader.position().byte();
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {
                if let Some(parsed) = columns.parse(&record, lines.at(start), &mut problems) {
                    gathered.add(parsed, &mut problems);
                }
            }
            Err(error) => problems.add(lines.at(start), csv_message(&error)),
        }
    }
    if gathered.rows == 0 && problems.total == 0 {
        problems.add(1, "there are no rows below the header".into());
    }
    if problems.total > 0 {
        return Err(problems.into_error());
    }
    Ok(Stock { hash, skus: gathered.skus, rows: gathered.rows })
}

/// Counts lines. The reader's own count is of what it has skipped over, which differs with blank lines and CRLF.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the first record at or after this place in the text. Places never go back.
    fn at(&mut self, start: u64) -> u64 {
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(self.text.len());
        let blank = self.text[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        // A record ends with CR, LF or both, and so does a line: no two records begin in the same one.
        let ends = |place: &usize| match self.text[*place] {
            b'\n' => true,
            b'\r' => self.text.get(place + 1) != Some(&b'\n'),
            _ => false,
        };
        self.line += (self.at..start + blank).filter(ends).count() as u64;
        self.at = start + blank;
        self.line
    }
}

/// Where each column is.
struct Columns {
    required: [usize; REQUIRED.len()],
    optional: [Option<usize>; OPTIONAL.len()],
    count: usize,
}

impl Columns {
    fn find(header: &StringRecord, problems: &mut Problems) -> Option<Columns> {
        if header.len() <= 1 && header.iter().any(|name| name.contains([';', '\t'])) {
            problems.add(1, "columns must be separated by commas".into());
            return None;
        }
        let place = |wanted: &str| header.iter().position(|name| name.eq_ignore_ascii_case(wanted));
        for (i, name) in header.iter().enumerate() {
            let known = || REQUIRED.iter().chain(&OPTIONAL).any(|known| known.eq_ignore_ascii_case(name));
            if !known() {
                problems.add(1, format!("unknown column {name:?}; there are {}", all_columns()));
            } else if place(name) != Some(i) {
                problems.add(1, format!("column {name:?} is there twice"));
            }
        }
        for missing in REQUIRED.iter().filter(|name| place(name).is_none()) {
            problems.add(1, format!("column {missing:?} is missing; needed are {}", REQUIRED.join(", ")));
        }
        if problems.total > 0 {
            return None;
        }
        Some(Columns {
            required: REQUIRED.map(|name| place(name).unwrap_or_default()),
            optional: OPTIONAL.map(place),
            count: header.len(),
        })
    }

    /// Reads one row; says everything that is wrong with it.
    fn parse(&self, record: &StringRecord, line: u64, problems: &mut Problems) -> Option<(SkuRows, Row)> {
        if record.len() != self.count {
            problems.add(line, format!("{} fields, but the header has {} columns", record.len(), self.count));
            return None;
        }
        let before = problems.total;
        let [sku, seller, location, units, price, currency] = self.required.map(|place| &record[place]);
        let optional = |i: usize| self.optional[i].map(|place| &record[place]).filter(|text| !text.is_empty());
        let mut fields = Fields { line, problems };
        let sku: Option<SkuId> = fields.id("sku", sku);
        let seller: Option<SellerId> = fields.id("seller", seller);
        let location: Option<LocationId> = fields.id("location", location);
        let units = fields.number("units", units, 0, MAX_UNITS);
        let price = fields.price(price, currency);
        let safety_stock = optional(0).map_or(Some(0), |text| fields.number("safety_stock", text, 0, MAX_UNITS));
        let priority = optional(1).map_or(Some(DEFAULT_PRIORITY), |text| fields.number("priority", text, 0, u32::MAX));
        let buyer_limit = optional(2).map(|text| fields.number("buyer_limit", text, 1, MAX_UNITS));
        if problems.total > before {
            return None;
        }
        let rows =
            SkuRows { sku: sku?, seller: seller?, price: price?, buyer_limit: buyer_limit.flatten(), rows: Vec::new() };
        let row = Row { line, location: location?, units: units?, safety_stock: safety_stock?, priority: priority? };
        Some((rows, row))
    }
}

/// Reads the fields of one line.
struct Fields<'a> {
    line: u64,
    problems: &'a mut Problems,
}

impl Fields<'_> {
    fn id<T: FromStr<Err: std::fmt::Display>>(&mut self, column: &str, text: &str) -> Option<T> {
        text.parse().map_err(|error| self.problems.add(self.line, format!("{column} {}: {error}", shown(text)))).ok()
    }

    fn number(&mut self, column: &str, text: &str, least: u32, most: u32) -> Option<u32> {
        let number = text.parse::<u32>().ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let message = format!("{column} {}: expected a whole number from {least} to {most}", shown(text));
            self.problems.add(self.line, message);
        }
        number
    }

    fn price(&mut self, price: &str, currency: &str) -> Option<Money> {
        let Ok(currency) = money::currency(currency) else {
            let message = format!("currency {}: expected an ISO 4217 code like EUR", shown(currency));
            self.problems.add(self.line, message);
            return None;
        };
        match Money::parse(price, currency) {
            Ok(money) if money.minor >= 0 => Some(money),
            Ok(_) => {
                self.problems.add(self.line, format!("price {}: must not be negative", shown(price)));
                None
            }
            Err(error) => {
                self.problems.add(self.line, format!("price {}: {error}", shown(price)));
                None
            }
        }
    }
}

/// Rows by SKU.
#[derive(Default)]
struct Gathered {
    skus: Vec<SkuRows>,
    places: HashMap<SkuId, usize, FixedState>,
    rows: usize,
}

impl Gathered {
    /// Takes a row in, unless it contradicts an earlier one.
    fn add(&mut self, (parsed, row): (SkuRows, Row), problems: &mut Problems) {
        let place = *self.places.entry(parsed.sku.clone()).or_insert_with(|| {
            self.skus.push(parsed.clone());
            self.skus.len() - 1
        });
        let known = &mut self.skus[place];
        let first = known.rows.first().map_or(row.line, |first| first.line);
        let differs = [
            ("seller", known.seller != parsed.seller),
            ("price", known.price != parsed.price),
            ("buyer_limit", known.buyer_limit != parsed.buyer_limit),
        ];
        if let Some((column, _)) = differs.iter().find(|(_, differs)| *differs) {
            problems.add(row.line, format!("another {column} for SKU {} than in line {first}", parsed.sku));
        } else if let Some(same) = known.rows.iter().find(|known| known.location == row.location) {
            let message = format!("SKU {} at {} is there already, in line {}", parsed.sku, row.location, same.line);
            problems.add(row.line, message);
        } else if known.rows.len() == MAX_LOCATIONS {
            problems.add(row.line, format!("SKU {} has more than {MAX_LOCATIONS} locations", parsed.sku));
        } else {
            known.rows.push(row);
            self.rows += 1;
        }
    }
}

/// Counts all problems and keeps the first few.
#[derive(Default)]
struct Problems {
    shown: Vec<Problem>,
    total: usize,
}

impl Problems {
    fn add(&mut self, line: u64, message: String) {
        self.total += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(Problem { line, message });
        }
    }

    fn into_error(self) -> Error {
        Error::Invalid { problems: self.shown, total: self.total }
    }
}

/// A field in a message: quoted, and not longer than a line.
fn shown(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn all_columns() -> String {
    [REQUIRED.join(", "), OPTIONAL.join(", ")].join(", ")
}

fn csv_message(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "not valid UTF-8".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
