//! A file's bytes as the text of a CSV file: in UTF-8, without what spreadsheets put before the first row or around quoted cells.

use std::io::{self, Chain, Cursor, Read, Seek, SeekFrom};

use csv::ByteRecord;
use encoding_rs_io::{DecodeReaderBytes, DecodeReaderBytesBuilder};

/// How much of the text's beginning is looked at for its separator.
const BEGINNING: u64 = 4096;
/// What separates cells, the likeliest first: files of the locale's list separator, and of the clipboard.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
/// How a file begins that is no text: a ZIP archive, which the newer workbooks are (PKWARE APPNOTE, section 4.3.7), and a compound file, which
/// the older ones are ([MS-CFB], section 2.2).
const WORKBOOKS: [(&[u8], &str); 2] = [(b"PK\x03\x04", ".xlsx"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ".xls")];

/// Why a file's bytes are no text.
#[derive(Debug, thiserror::Error)]
pub enum TextFault {
    /// It is a spreadsheet's workbook, with this extension.
    #[error("it is a workbook ({0}) and no CSV file: save it as CSV UTF-8")]
    Workbook(&'static str),
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// Something that can be read twice.
pub trait Rewindable: Read + Seek + Send {}

impl<T: Read + Seek + Send> Rewindable for T {}

/// The text of a file, read to its end.
pub type Text<R> = Tidy<Chain<Cursor<Vec<u8>>, DecodeReaderBytes<R, Vec<u8>>>>;

/// Opens a file from its beginning; gives its text and what separates its cells. `is_header` says whether a first row names the columns that are needed.
pub fn open<R: Read + Seek>(mut source: R, is_header: impl Fn(&ByteRecord) -> bool) -> Result<(Text<R>, u8), TextFault> {
    source.seek(SeekFrom::Start(0))?;
    let mut first = Vec::new();
    source.by_ref().take(8).read_to_end(&mut first)?;
    if let Some((_, extension)) = WORKBOOKS.iter().find(|(magic, _)| first.starts_with(magic)) {
        return Err(TextFault::Workbook(extension));
    }
    source.seek(SeekFrom::Start(0))?;
    // UTF-16 is known by its byte-order mark; without one it is UTF-8, and what is not is said of the cell.
    let mut rest = DecodeReaderBytesBuilder::new().bom_sniffing(true).strip_bom(true).utf8_passthru(true).build(source);
    let mut beginning = Vec::new();
    rest.by_ref().take(BEGINNING).read_to_end(&mut beginning)?;
    let separator = match named_separator(&beginning) {
        Some((separator, length)) => {
            beginning.drain(..length);
            separator
        }
        None => likely_separator(&beginning, is_header),
    };
    Ok((Tidy::new(Cursor::new(beginning).chain(rest), separator), separator))
}

/// The separator that a line `sep=;` before the first row names, and the line's length. Spreadsheets write and read it.
fn named_separator(beginning: &[u8]) -> Option<(u8, usize)> {
    let end = beginning.iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
    let line = beginning[..end].trim_ascii_start();
    let line = line.strip_prefix(b"\"").and_then(|line| line.trim_ascii_end().strip_suffix(b"\"")).unwrap_or(line);
    let (name, separator) = line.split_at_checked(4)?;
    let &[separator] = separator else { return None };
    let is_named = name.eq_ignore_ascii_case(b"sep=")
        && separator.is_ascii()
        && !separator.is_ascii_alphanumeric()
        && !matches!(separator, b'"' | b' ');
    let length = if beginning[end..].starts_with(b"\r\n") { end + 2 } else { end + 1 };
    is_named.then_some((separator, length))
}

/// By which character the cells of a text that begins so are separated: the one under which its first row names the columns that are
/// needed, or else the one that is most in it.
fn likely_separator(beginning: &[u8], is_header: impl Fn(&ByteRecord) -> bool) -> u8 {
    let header = |separator: u8| {
        let mut record = ByteRecord::new();
        let tidy = Tidy::new(beginning, separator);
        let mut reader = csv::ReaderBuilder::new().delimiter(separator).flexible(true).has_headers(false).from_reader(tidy);
        let is_read = reader.read_byte_record(&mut record).is_ok();
        (is_read && is_header(&record), record.len())
    };
    // Of equals the last is the greatest.
    SEPARATORS.into_iter().rev().max_by_key(|&separator| header(separator)).unwrap_or(b',')
}

/// Where in a cell a text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the cell's first character that is no blank.
    Start,
    /// In a cell without quotation marks, or behind what follows one.
    Plain,
    /// Within quotation marks.
    Quoted,
    /// Behind a quotation mark that ends the cell, or is the first of two.
    Mark,
    /// Behind the blanks that follow it.
    After,
}

/// A CSV text without the blanks that stand around quoted cells: RFC 4180 knows no such blanks, and takes the marks behind them for a part of
/// the cell.
pub struct Tidy<R> {
    source: R,
    separator: u8,
    state: State,
    /// Blanks of which it is not known yet what they are.
    blanks: Vec<u8>,
    /// What is to be read.
    ready: Cursor<Vec<u8>>,
    is_at_end: bool,
}

impl<R: Read> Tidy<R> {
    /// Whose cells the separator separates.
    pub fn new(source: R, separator: u8) -> Self {
        let ready = Cursor::new(Vec::new());
        Self { source, separator, state: State::Start, blanks: Vec::new(), ready, is_at_end: false }
    }

    fn take(&mut self, byte: u8, out: &mut Vec<u8>) {
        let ends = byte == self.separator || matches!(byte, b'\n' | b'\r');
        let is_blank = matches!(byte, b' ' | b'\t') && !ends;
        match (self.state, byte) {
            (State::Start | State::Mark | State::After, _) if is_blank => {
                self.blanks.push(byte);
                if self.state == State::Mark {
                    self.state = State::After;
                }
                return;
            }
            (State::Start, b'"') => {
                self.blanks.clear();
                self.state = State::Quoted;
            }
            (State::Quoted, b'"') => self.state = State::Mark,
            (State::Mark, b'"') => self.state = State::Quoted,
            (State::Quoted, _) => {}
            (State::After, _) if ends => {
                self.blanks.clear();
                self.state = State::Start;
            }
            _ => self.state = if ends { State::Start } else { State::Plain },
        }
        out.append(&mut self.blanks);
        out.push(byte);
    }
}

impl<R: Read> Read for Tidy<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut bytes = [0; 8192];
        loop {
            let read = self.ready.read(buffer)?;
            if read > 0 || buffer.is_empty() || self.is_at_end {
                return Ok(read);
            }
            let length = self.source.read(&mut bytes)?;
            let mut out = Vec::with_capacity(length + self.blanks.len());
            for &byte in &bytes[..length] {
                self.take(byte, &mut out);
            }
            if length == 0 {
                self.is_at_end = true;
                if self.state != State::After {
                    out.append(&mut self.blanks);
                }
            }
            self.ready = Cursor::new(out);
            if self.is_at_end {
                return self.ready.read(buffer);
            }
        }
    }
}
