#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

const HEADER: &str = "sku,seller,location,units,price,currency,safety_stock,priority,buyer_limit\n";

#[test]
fn rows_are_gathered_by_sku() {
    let stock =
        parse_rows("tee,acme,berlin,10,19.99,EUR,,,2\nmug,acme,berlin,5,7,EUR,1,3,\ntee,acme,lyon,4,19.99,EUR,,1,2\n");
    let tee = &stock.as_ref().unwrap().skus[0];
    assert_eq!((tee.sku.as_str(), tee.price.minor, tee.buyer_limit), ("tee", 1999, Some(2)));
    assert_eq!(tee.rows.iter().map(|row| (row.line, row.units)).collect::<Vec<_>>(), [(2, 10), (4, 4)]);
    assert_eq!((tee.rows[0].priority, tee.rows[1].priority), (DEFAULT_PRIORITY, 1));
    assert_eq!((stock.as_ref().unwrap().skus.len(), stock.unwrap().rows), (2, 3));
}

#[test]
fn optional_columns_may_be_missing_and_columns_may_change_places() {
    let text = "\u{feff}currency,price,units,location,seller,sku\r\nJPY,1999,3,tokyo,acme,tee\r\n";
    let stock = parse(text.as_bytes()).unwrap();
    assert_eq!((stock.skus[0].price.minor, stock.skus[0].rows[0].line), (1999, 2));
}

#[test]
fn every_error_is_named_with_its_line() {
    let rows = "tee,acme,berlin,-1,19.99,EUR,,,\n\
                bad sku,acme,berlin,1,19.999,EUR,,,\n\
                tee,acme,berlin,1,19.99,EURO,,,0\n\
                tee,acme,berlin,1\n";
    assert_eq!(
        problems(rows),
        [
            "2 units \"-1\": expected a whole number from 0 to 1000000000",
            "3 sku \"bad sku\": sku may hold letters, digits and . _ : - only",
            "3 price \"19.999\": an amount in EUR is written with at most 2 decimals",
            "4 currency \"EURO\": expected an ISO 4217 code like EUR",
            "4 buyer_limit \"0\": expected a whole number from 1 to 1000000000",
            "5 4 fields, but the header has 9 columns",
        ]
    );
}

#[test]
fn rows_that_contradict_each_other_are_errors() {
    let rows = "tee,acme,berlin,1,19.99,EUR,,,\ntee,acme,berlin,2,19.99,EUR,,,\ntee,acme,lyon,2,18.99,EUR,,,\n";
    assert_eq!(
        problems(rows),
        ["3 SKU tee at berlin is there already, in line 2", "4 another price for SKU tee than in line 2"]
    );
}

#[test]
fn lines_are_counted_in_the_file_and_not_in_records() {
    let text = format!("{HEADER}\n\"tee\",acme,berlin,1,1,EUR,,,\n\nmug,acme,\"ber\nlin\",1,1,EUR,,,\n");
    let Err(Error::Invalid { problems, total: 1 }) = parse(text.as_bytes()) else { panic!("one error expected") };
    assert_eq!(problems[0].line, 5);
}

/// Two rows of one line would be one receipt (S22): the second was refused, or taken for the first.
#[test]
fn s22_rows_have_lines_of_their_own_however_lines_end() {
    let rows = "tee,acme,berlin,10,1,EUR,,,\ntee,acme,lyon,10,1,EUR,,,\nmug,acme,lyon,10,1,EUR,,,\n";
    for end in ["\n", "\r\n", "\r"] {
        let stock = parse(format!("{HEADER}{rows}").replace('\n', end).as_bytes()).unwrap();
        let lines = stock.skus.iter().flat_map(|sku| sku.rows.iter().map(|row| row.line));
        assert_eq!(lines.collect::<Vec<_>>(), [2, 3, 4], "{end:?}");
    }
}

#[test]
fn a_wrong_header_is_one_clear_error() {
    for (text, says) in [
        ("sku;seller;location\ntee;acme;berlin\n", "line 1: columns must be separated by commas"),
        ("sku,seller,location,units,price\n", "line 1: column \"currency\" is missing"),
        ("sku,sku,seller,location,units,price,currency\n", "line 1: column \"sku\" is there twice"),
        ("sku,seller,location,units,price,currency,colour\n", "line 1: unknown column \"colour\""),
        ("sku,seller,location,units,price,currency\n", "line 1: there are no rows below the header"),
        ("", "line 1: "),
        ("sku,seller,location,units,price,currency\nt\u{fffd}".trim_end_matches('\u{fffd}'), "line 2: 1 fields"),
    ] {
        let error = parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says), "{text:?} says {error}");
    }
    assert!(
        parse(b"sku,seller,location,units,price,currency\n\xff,a,b,1,1,EUR\n")
            .unwrap_err()
            .to_string()
            .contains("line 2: not valid UTF-8")
    );
}

#[test]
fn twenty_errors_are_shown_and_the_rest_is_counted() {
    let rows = "tee,acme,berlin,x,1,EUR,,,\n".repeat(25);
    let error = parse_rows(&rows).unwrap_err().to_string();
    assert!(error.starts_with("25 errors in the file; nothing was imported\n  line 2: "), "{error}");
    assert!(
        error.ends_with("line 21: units \"x\": expected a whole number from 0 to 1000000000\n  and 5 more"),
        "{error}"
    );
}

#[test]
fn the_hash_names_the_bytes() {
    let stock = parse_rows("tee,acme,berlin,1,1,EUR,,,\n").unwrap();
    let other = parse_rows("tee,acme,berlin,2,1,EUR,,,\n").unwrap();
    assert_eq!(stock.hash.len(), 32);
    assert_ne!(stock.hash, other.hash);
}

fn parse_rows(rows: &str) -> Result<Stock, Error> {
    parse(format!("{HEADER}{rows}").as_bytes())
}

fn problems(rows: &str) -> Vec<String> {
    match parse_rows(rows) {
        Err(Error::Invalid { problems, .. }) => {
            problems.iter().map(|problem| format!("{} {}", problem.line, problem.message)).collect()
        }
        other => panic!("expected errors, got {other:?}"),
    }
}
