//! Cells as a CSV file (RFC 4180) holds them, and as no spreadsheet runs them.

use rust_decimal::Decimal;

/// What begins a formula (OWASP, "CSV Injection"), the forms of full width included, which some spreadsheets take for the same.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
/// At what spreadsheets split, beside the comma, when they are set to it or know no better: what follows it is then the beginning of a cell.
const SEPARATORS: [char; 5] = [';', '\t', '|', '\r', '\n'];

/// Appends a row.
pub fn push_row<'c>(cells: impl IntoIterator<Item = &'c str>, out: &mut Vec<u8>) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let cell = harmless(cell);
        let is_quoted = cell.contains(['"', ',']) || cell.contains(SEPARATORS) || cell.trim() != cell;
        if is_quoted {
            out.push(b'"');
            out.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
            out.push(b'"');
        } else {
            out.extend_from_slice(cell.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// A cell that no spreadsheet runs as a formula, wherever it splits: what begins like one, blanks aside, and is no number, gets an apostrophe
/// before it, at the beginning of the cell and behind each separator in it.
fn harmless(cell: &str) -> String {
    let mut safe = String::with_capacity(cell.len() + 1);
    let mut is_first = true;
    for piece in cell.split_inclusive(SEPARATORS) {
        let text = piece.strip_suffix(SEPARATORS).unwrap_or(piece);
        // The cell's own separators begin it like a formula, too: spreadsheets drop them there.
        let start = if is_first { cell } else { text };
        let begins_like_formula = start.trim_start_matches([' ', '\u{a0}', '"']).starts_with(FORMULA);
        if begins_like_formula && Decimal::from_str_exact(text).is_err() {
            safe.push('\'');
        }
        safe.push_str(piece);
        is_first = false;
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::{harmless, push_row};

    /// What a spreadsheet would run is made a text, wherever it splits; numbers stay numbers.
    #[test]
    fn formulas_are_texts() {
        for (cell, expected) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("+49 30 1", "'+49 30 1"),
            ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"),
            ("\t=1", "'\t'=1"),
            (" =1+1", "' =1+1"),
            ("＝1+1", "'＝1+1"),
            ("Bob;=1+1", "Bob;'=1+1"),
            ("Bob\t=1+1", "Bob\t'=1+1"),
            ("Bob; \u{a0}@x", "Bob;' \u{a0}@x"),
            ("Bob;\"=1+1\"", "Bob;'\"=1+1\""),
            ("one\n=1+1\r\n-x", "one\n'=1+1\r\n'-x"),
            ("a|-b|-5", "a|'-b|-5"),
            ("-12.50", "-12.50"),
            ("5;-3", "5;-3"),
            ("Plain, text - and more", "Plain, text - and more"),
            ("", ""),
        ] {
            assert_eq!(harmless(cell), expected, "{cell:?}");
        }
    }

    /// Cells with anything that separates are quoted, and come back as they were.
    #[test]
    fn rows() {
        let cells = ["plain", "a,b", "a;b", "a\tb", "a|b", "say \"x\"", " x", "two\nlines", "", "1.50"];
        let mut text = Vec::new();
        push_row(cells, &mut text);
        let written = String::from_utf8(text.clone()).expect("text");
        assert_eq!(written, "plain,\"a,b\",\"a;b\",\"a\tb\",\"a|b\",\"say \"\"x\"\"\",\" x\",\"two\nlines\",,1.50\r\n");
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_slice());
        assert_eq!(reader.records().next().expect("a row").expect("cells"), cells.to_vec());
    }
}
