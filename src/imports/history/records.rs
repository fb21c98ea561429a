//! A file as records, one at a time: rows of CSV, lines of JSON, or a page of an API's answer.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use csv::{ByteRecord, Reader, ReaderBuilder};
use encoding_rs_io::DecodeReaderBytesBuilder;
use serde_json::{Map, Value};

use super::source::plain;
use crate::imports::text;

/// The largest page of JSON: it is read as a whole. Lines of JSON have no such bound.
pub const MAX_PAGE: u64 = 16 * 1024 * 1024;
/// The longest line of JSON, in bytes.
const MAX_LINE: u64 = 1024 * 1024;
/// What stands behind a file's last row, unless a quotation mark is still open there.
const END: &[u8] = b"\n\x03end of the file\x03\n";

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// CSV (RFC 4180), its first row with the names of the columns.
    Csv,
    /// A JSON value on each line.
    Lines,
    /// One JSON value: a list of records, or an object with one.
    Page,
}

impl FileFormat {
    /// By the extension of a file's name.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" | "tsv" | "txt" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Lines),
            "json" => Some(Self::Page),
            _ => None,
        }
    }
}

/// A record: its cells, and where it is.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its number: of lines of JSON the line; of CSV the row, the header being row 1 and blank lines none; of a page its index from 1.
    pub line: i64,
    /// An object. Of CSV its names are [`plain`] ones.
    pub cells: Value,
    /// What is wrong with it as a whole, as a sentence.
    pub fault: Option<String>,
    /// Whether it has bytes that are no characters.
    pub is_replaced: bool,
}

/// The records of a file.
pub enum Records {
    /// Of CSV.
    Csv {
        /// Where they come from.
        reader: Box<Reader<Box<dyn Read + Send>>>,
        /// The names of the columns.
        names: Vec<String>,
        /// The number of the last row that was read.
        row: i64,
        /// What separates cells.
        separator: u8,
    },
    /// Of lines of JSON.
    Lines {
        /// Where they come from.
        reader: BufReader<Box<dyn Read + Send>>,
        /// How many have been read.
        line: i64,
    },
    /// Of a page.
    Page(std::iter::Enumerate<std::vec::IntoIter<Value>>),
}

impl Records {
    /// Opens a file. `knows` says of names of columns whether they are those of the file, by which what separates them is found. An error is a sentence without the file's name.
    pub fn open(path: &Path, format: FileFormat, knows: impl Fn(&[String]) -> bool) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        if format == FileFormat::Page && file.metadata().is_ok_and(|data| data.len() > MAX_PAGE) {
            return Err("is larger than 16 MB: write its records as lines of JSON (.jsonl)".to_owned());
        }
        // UTF-16 is known by its byte-order mark; without one it is UTF-8.
        let decode = |file| DecodeReaderBytesBuilder::new().bom_sniffing(true).strip_bom(true).utf8_passthru(true).build(file);
        match format {
            FileFormat::Csv => Self::csv(file, knows),
            FileFormat::Lines => Ok(Self::Lines { reader: BufReader::new(Box::new(decode(file))), line: 0 }),
            FileFormat::Page => {
                let mut whole = String::new();
                decode(file).read_to_string(&mut whole).map_err(|error| error.to_string())?;
                let value = serde_json::from_str(&storable(whole)).map_err(|error| format!("is no JSON: {error}"))?;
                Ok(Self::Page(page(value)?.into_iter().enumerate()))
            }
        }
    }

    fn csv(file: File, knows: impl Fn(&[String]) -> bool) -> Result<Self, String> {
        let (text, separator) = text::open(file, |record| knows(&names_of(record))).map_err(|fault| fault.to_string())?;
        let whole: Box<dyn Read + Send> = Box::new(text.chain(END));
        let mut reader = ReaderBuilder::new().delimiter(separator).flexible(true).has_headers(false).from_reader(whole);
        let mut record = ByteRecord::new();
        reader.read_byte_record(&mut record).map_err(|error| error.to_string())?;
        if is_end(&record) {
            return Err("is empty: its first row must name the columns".to_owned());
        }
        let names = names_of(&record);
        if let Some(name) = names
            .iter()
            .enumerate()
            .find_map(|(at, name)| names[..at].contains(name).then_some(name).filter(|name| !name.is_empty()))
        {
            return Err(format!("has two columns called {name:?} (without case and signs): which of them counts is not known"));
        }
        Ok(Self::Csv { reader: Box::new(reader), names, row: 1, separator })
    }

    /// How many there are, where that is known.
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::Page(values) => Some(values.len() as u64),
            Self::Csv { .. } | Self::Lines { .. } => None,
        }
    }

    /// The next record; `None` at the end. An error is a sentence.
    pub fn read(&mut self) -> Result<Option<Record>, String> {
        match self {
            Self::Csv { reader, names, row, separator } => {
                let mut record = ByteRecord::new();
                loop {
                    if !reader.read_byte_record(&mut record).map_err(|error| error.to_string())? {
                        return Err(format!("opens a quotation mark in row {row} that is never closed"));
                    }
                    if is_end(&record) {
                        return Ok(None);
                    }
                    *row += 1;
                    if record.iter().any(|cell| !cell.trim_ascii().is_empty()) {
                        break;
                    }
                }
                if record.as_slice().len() as u64 > MAX_LINE {
                    return Err(format!("row {row} has more than 1 MB"));
                }
                let (fault, is_replaced) =
                    (shape(&record, names.len(), *separator), std::str::from_utf8(record.as_slice()).is_err());
                let cells = names
                    .iter()
                    .zip(&record)
                    .map(|(name, cell)| (name.clone(), Value::String(text_of(cell))))
                    .collect::<Map<_, _>>();
                Ok(Some(Record { line: *row, cells: Value::Object(cells), fault, is_replaced }))
            }
            Self::Lines { reader, line } => loop {
                let mut text = String::new();
                if reader.by_ref().take(MAX_LINE).read_line(&mut text).map_err(|error| error.to_string())? == 0 {
                    return Ok(None);
                }
                *line += 1;
                if text.len() as u64 == MAX_LINE {
                    return Err(format!("line {line} has more than 1 MB"));
                }
                if !text.trim().is_empty() {
                    let cells =
                        serde_json::from_str(&storable(text)).map_err(|error| format!("line {line} is no JSON: {error}"))?;
                    return Ok(Some(Record { line: *line, cells, fault: None, is_replaced: false }));
                }
            },
            Self::Page(values) => Ok(values.next().map(|(index, cells)| {
                let line = i64::try_from(index).unwrap_or(i64::MAX) + 1;
                Record { line, cells, fault: None, is_replaced: false }
            })),
        }
    }
}

/// What is wrong with the shape of a row of CSV: another number of cells than there are columns, or a cell that holds what looks like whole rows, because
/// a quotation mark was opened that belongs to the text.
fn shape(record: &ByteRecord, columns: usize, separator: u8) -> Option<String> {
    let cells = record.iter().collect::<Vec<_>>();
    let filled = cells.iter().rposition(|cell| !cell.trim_ascii().is_empty()).map_or(0, |last| last + 1);
    if cells.len() < columns || filled > columns {
        let count = cells.len();
        return Some(format!(
            "The row has {count} cells, and the file {columns} columns: a cell with a separator in it stands in quotation marks."
        ));
    }
    let separators = columns.saturating_sub(1).max(1);
    let holds_row = |line: &[u8]| line.split(|byte| *byte == separator).count() > separators;
    let holds_rows = |cell: &&[u8]| cell.split(|byte| *byte == b'\n').skip(1).any(holds_row);
    cells.iter().any(holds_rows).then(|| {
        "A cell of the row holds what looks like other rows: a quotation mark that belongs to the text is written twice."
            .to_owned()
    })
}

/// JSON without the character NUL, which becomes U+FFFD too.
pub(super) fn storable(json: String) -> String {
    if json.contains("\\u0000") { json.replace("\\u0000", "\\ufffd") } else { json }
}

fn names_of(record: &ByteRecord) -> Vec<String> {
    record.iter().map(|cell| plain(&text_of(cell))).collect()
}

/// The text of a cell. What is no text, and the character NUL, which PostgreSQL's texts do not have, is U+FFFD.
fn text_of(cell: &[u8]) -> String {
    String::from_utf8_lossy(cell).replace('\0', "\u{fffd}")
}

fn is_end(record: &ByteRecord) -> bool {
    record.iter().next().is_some_and(|cell| cell.starts_with(END.trim_ascii())) || record.is_empty()
}

/// The records of a page: a list, or the first list within an object, however deep: `data`, `data.data`.
fn page(value: Value) -> Result<Vec<Value>, String> {
    match value {
        Value::Array(records) => Ok(records),
        Value::Object(mut fields) => {
            let is_list =
                |value: &Value| value.is_array() || value.as_object().is_some_and(|inner| inner.values().any(Value::is_array));
            let named =
                ["data", "items", "results"].into_iter().find(|name| fields.get(*name).is_some_and(is_list)).map(str::to_owned);
            let name = named.or_else(|| fields.iter().find(|(_, value)| is_list(value)).map(|(name, _)| name.clone()));
            match name.and_then(|name| fields.remove(&name)) {
                Some(inner) => page(inner),
                None => Err("has no list of records".to_owned()),
            }
        }
        _ => Err("has no list of records".to_owned()),
    }
}

/// What a path names in a record: its whole, or one part after the other. Names are compared as plain ones.
pub fn find<'v>(cells: &'v Value, path: &str) -> Option<&'v Value> {
    if let Some(found) = named(cells, path) {
        return Some(found);
    }
    let (first, rest) = path.split_once('.')?;
    let inner = match cells {
        Value::Array(list) => list.get(first.parse::<usize>().ok()?)?,
        _ => named(cells, first)?,
    };
    find(inner, rest)
}

/// The texts that a path names in a list or a single record: `commissions.id`.
pub fn find_all(cells: &Value, path: &str) -> Vec<String> {
    let Some((list, rest)) = path.split_once('.') else { return Vec::new() };
    let entries = find(cells, list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    entries.iter().filter_map(|entry| super::cells::text_of(find(entry, rest).unwrap_or(entry))).collect()
}

fn named<'v>(cells: &'v Value, name: &str) -> Option<&'v Value> {
    let fields = cells.as_object()?;
    let wanted = plain(name);
    fields
        .get(name)
        .or_else(|| fields.get(&wanted))
        .or_else(|| fields.iter().find(|(key, _)| plain(key) == wanted).map(|(_, value)| value))
}
