//! A CSV file (RFC 4180) as rows: forgiving in its form, strict in what its cells hold.

use std::io::{Read as Bytes, Seek, SeekFrom};

use aws_lc_rs::digest::{Context, SHA256};
use csv::{ByteRecord, Reader, ReaderBuilder, Trim};

use super::MAX_ROWS;
use crate::{
    models::{credit_assignment::MAX_CREDITS, member::email_key},
    validation::{FaultCode, Wrong, email, line},
};

/// The longest name.
const MAX_NAME: usize = 200;
/// How much of a cell or a header is shown in a message.
const SHOWN: usize = 80;
/// How much of the file's beginning is looked at for its separator.
const BEGINNING: usize = 4096;
/// The byte-order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A column that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The e-mail address.
    Email,
    /// The first name.
    FirstName,
    /// The last name.
    LastName,
    /// How many credits to assign.
    Credits,
}

impl Column {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::FirstName => "first name",
            Self::LastName => "last name",
            Self::Credits => "credits",
        }
    }

    /// The column of a header, whatever its case, blanks and hyphens.
    fn of_header(header: &str) -> Option<Self> {
        let letters: String = header.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        match letters.as_str() {
            "email" | "emailaddress" | "mail" => Some(Self::Email),
            "firstname" | "givenname" | "forename" => Some(Self::FirstName),
            "lastname" | "surname" | "familyname" => Some(Self::LastName),
            "credits" | "credit" => Some(Self::Credits),
            _ => None,
        }
    }
}

/// A row that can be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number in a spreadsheet: the header is row 1.
    pub number: u32,
    /// The e-mail address.
    pub email: String,
    /// The first name.
    pub first_name: String,
    /// The last name, where there is one.
    pub last_name: Option<String>,
    /// How many credits to assign; none is 0.
    pub credits: i32,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// What kind of fault.
    pub code: FaultCode,
    /// A sentence.
    pub message: String,
    /// In which column; `None` for the row as a whole.
    pub column: Option<Column>,
    /// What stands there, shortened.
    pub value: Option<String>,
}

/// What was read where a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// A row.
    Row(Row),
    /// One that is at fault.
    Faulty(u32, Box<RowFault>),
    /// One of empty cells.
    Empty(u32),
}

impl Read {
    /// Its number in a spreadsheet.
    pub fn number(&self) -> u32 {
        match self {
            Self::Row(row) => row.number,
            Self::Faulty(number, _) | Self::Empty(number) => *number,
        }
    }
}

/// Why a file cannot be imported at all. Displays as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// There is nothing in it.
    #[error("The file is empty. Its first row must name the columns: email, first name, last name, credits.")]
    Empty,
    /// It is UTF-16.
    #[error("The file is UTF-16. Save it as CSV in UTF-8.")]
    Utf16,
    /// A column is missing.
    #[error("There is no column {0:?}. The first row names the columns; it is {1}.")]
    NoColumn(&'static str, String),
    /// A column is there twice.
    #[error("There are two columns for {0:?}.")]
    TwoColumns(&'static str),
    /// It has too many rows.
    #[error("The file has more than {MAX_ROWS} rows. Split it.")]
    TooManyRows,
    /// It is too large.
    #[error("The file is larger than 10 MB. Split it.")]
    TooLarge,
    /// It cannot be read.
    #[error("The file cannot be read: {0}.")]
    Unreadable(String),
}

/// Something that can be read twice.
pub trait Rewindable: Bytes + Seek + Send {}

impl<T: Bytes + Seek + Send> Rewindable for T {}

/// A file whose header is read.
pub struct Table<'s> {
    reader: Reader<&'s mut dyn Rewindable>,
    record: ByteRecord,
    /// Where each column that is understood is.
    places: Vec<(Column, usize)>,
    width: usize,
    number: u32,
    /// The columns that mean nothing here.
    pub ignored: Vec<String>,
}

impl<'s> Table<'s> {
    /// Reads the header, from the file's beginning.
    pub fn open(source: &'s mut dyn Rewindable) -> Result<Self, FileFault> {
        let delimiter = rewind(source)?;
        // Rows of other lengths than the header's are rows at fault, and not the file's end.
        let mut reader =
            ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(false).trim(Trim::None).from_reader(source);
        let mut record = ByteRecord::new();
        if !reader.read_byte_record(&mut record).map_err(unreadable)? {
            return Err(FileFault::Empty);
        }
        let headers: Vec<String> = record.iter().map(|header| String::from_utf8_lossy(header).trim().to_owned()).collect();
        let mut places: Vec<(Column, usize)> = Vec::new();
        let mut ignored = Vec::new();
        for (place, header) in headers.iter().enumerate() {
            match Column::of_header(header) {
                Some(column) if places.iter().any(|(known, _)| *known == column) => {
                    return Err(FileFault::TwoColumns(column.name()));
                }
                Some(column) => places.push((column, place)),
                None if header.is_empty() => {}
                None => ignored.push(shortened(header)),
            }
        }
        for needed in [Column::Email, Column::FirstName] {
            if !places.iter().any(|(column, _)| *column == needed) {
                return Err(FileFault::NoColumn(needed.name(), format!("{:?}", shortened(&headers.join(", ")))));
            }
        }
        Ok(Self { reader, record, places, width: headers.len(), number: 1, ignored })
    }

    /// The next row; `None` at the end. A row without a single character is none.
    pub fn read(&mut self) -> Result<Option<Read>, FileFault> {
        if !self.reader.read_byte_record(&mut self.record).map_err(unreadable)? {
            return Ok(None);
        }
        self.number += 1;
        if self.number > MAX_ROWS + 1 {
            return Err(FileFault::TooManyRows);
        }
        if self.record.iter().all(|cell| cell.iter().all(u8::is_ascii_whitespace)) {
            return Ok(Some(Read::Empty(self.number)));
        }
        Ok(Some(self.row().map_or_else(|fault| Read::Faulty(self.number, Box::new(fault)), Read::Row)))
    }

    fn row(&self) -> Result<Row, RowFault> {
        if self.record.len() > self.width {
            let message = format!("The row has {} cells, and the header {}.", self.record.len(), self.width);
            return Err(RowFault { code: FaultCode::Invalid, message, column: None, value: None });
        }
        let email = self.cell(Column::Email, email)?.ok_or_else(|| required(Column::Email))?;
        let first_name = self.cell(Column::FirstName, name)?.ok_or_else(|| required(Column::FirstName))?;
        let last_name = self.cell(Column::LastName, name)?;
        let credits = self.cell(Column::Credits, credits)?.unwrap_or(0);
        Ok(Row { number: self.number, email, first_name, last_name, credits })
    }

    /// What a column holds, by a rule; `None` where it is blank, or there is no such column.
    fn cell<T>(&self, column: Column, rule: impl Fn(&str) -> Result<T, Wrong>) -> Result<Option<T>, RowFault> {
        let place = self.places.iter().find(|(known, _)| *known == column).map(|(_, place)| *place);
        let Some(bytes) = place.and_then(|place| self.record.get(place)) else { return Ok(None) };
        let fault = |code, message| {
            let value = Some(shortened(&String::from_utf8_lossy(bytes)));
            RowFault { code, message, column: Some(column), value }
        };
        let text = std::str::from_utf8(bytes).map_err(|_| fault(FaultCode::Invalid, "Is not UTF-8.".to_owned()))?.trim();
        if text.is_empty() {
            return Ok(None);
        }
        rule(text).map(Some).map_err(|Wrong { code, message }| fault(code, message))
    }
}

fn name(text: &str) -> Result<String, Wrong> {
    line(text, MAX_NAME)
}

fn credits(text: &str) -> Result<i32, Wrong> {
    let wrong = || Wrong {
        code: FaultCode::InvalidAmount,
        message: format!("Must be a whole number from 0 to {MAX_CREDITS}, without separators."),
    };
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    text.parse().ok().filter(|credits| (0..=MAX_CREDITS).contains(credits)).ok_or_else(wrong)
}

fn required(column: Column) -> RowFault {
    RowFault { code: FaultCode::Required, message: "Must not be empty.".to_owned(), column: Some(column), value: None }
}

/// A text for a message: shortened, without control characters.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

fn unreadable(error: impl std::fmt::Display) -> FileFault {
    FileFault::Unreadable(error.to_string())
}

/// Goes to the beginning of the text, and tells by which character its cells are separated: whichever of the two is more in its first
/// row, outside of quotes.
fn rewind(source: &mut dyn Rewindable) -> Result<u8, FileFault> {
    source.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let mut beginning = Vec::with_capacity(BEGINNING);
    source.take(BEGINNING as u64).read_to_end(&mut beginning).map_err(unreadable)?;
    if beginning.starts_with(b"\xff\xfe") || beginning.starts_with(b"\xfe\xff") {
        return Err(FileFault::Utf16);
    }
    let start = if beginning.starts_with(MARK) { MARK.len() } else { 0 };
    source.seek(SeekFrom::Start(start as u64)).map_err(unreadable)?;
    let (mut quoted, mut commas, mut semicolons) = (false, 0_usize, 0_usize);
    for byte in &beginning[start..] {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted && commas + semicolons > 0 => break,
            b',' if !quoted => commas += 1,
            b';' if !quoted => semicolons += 1,
            _ => {}
        }
    }
    Ok(if semicolons > commas { b';' } else { b',' })
}

/// What is known of a file once it has been read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Rows, without the header.
    pub rows: u32,
    /// SHA-256 over what its rows say, in hexadecimal: the same for the same rows, however they are written.
    pub digest: String,
    /// The columns that mean nothing here.
    pub ignored_columns: Vec<String>,
}

/// Reads a file to its end.
pub fn scan(source: &mut dyn Rewindable) -> Result<Scan, FileFault> {
    let mut table = Table::open(source)?;
    let mut digest = Context::new(&SHA256);
    let mut rows = 0;
    while let Some(read) = table.read()? {
        rows += 1;
        if let Read::Row(Row { email, first_name, last_name, credits, .. }) = read {
            let text = [email_key(&email), first_name, last_name.unwrap_or_default(), credits.to_string()].join("\0");
            digest.update(text.as_bytes());
            digest.update(b"\n");
        }
    }
    Ok(Scan { rows, digest: hex(digest.finish().as_ref()), ignored_columns: table.ignored })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Read>, FileFault> {
        let mut source = Cursor::new(bytes.to_vec());
        let mut table = Table::open(&mut source)?;
        let mut rows = Vec::new();
        while let Some(row) = table.read()? {
            rows.push(row);
        }
        Ok(rows)
    }

    fn row(number: u32, email: &str, first: &str, last: Option<&str>, credits: i32) -> Read {
        let last_name = last.map(str::to_owned);
        Read::Row(Row { number, email: email.to_owned(), first_name: first.to_owned(), last_name, credits })
    }

    /// The same rows, however they are written.
    #[test]
    fn forms() {
        let expected = [row(2, "ann@example.com", "Ann", Some("Lee; Esq."), 5), row(3, "bo@example.com", "Bo", None, 0)];
        for text in [
            "email,first name,last name,credits\nann@example.com,Ann,Lee; Esq.,5\nbo@example.com,Bo,,\n",
            "\u{feff}E-Mail;First_Name;LASTNAME;Credits\r\nann@example.com;Ann;\"Lee; Esq.\";5\r\nbo@example.com;Bo;;0\r\n",
            "Credits , Surname, Given Name ,Email address,Comment\n5,Lee; Esq.,  Ann ,ann@example.com,x\n,,Bo,bo@example.com",
            "\n\nemail,\"first\nname\",last name,credits\r\r\nann@example.com,Ann,\"Lee; Esq.\",5\n\nbo@example.com,Bo",
        ] {
            assert_eq!(read(text.as_bytes()).as_deref(), Ok(expected.as_slice()), "{text}");
            let scanned = scan(&mut Cursor::new(text.as_bytes().to_vec())).expect("a file");
            let plain = scan(&mut Cursor::new(
                b"email,first name,last name,credits\nann@example.com,Ann,Lee; Esq.,5\nbo@example.com,Bo".to_vec(),
            ));
            assert_eq!((scanned.rows, &scanned.digest), (2, &plain.expect("a file").digest), "{text}");
        }
    }

    /// What is wrong with a row is said of its cell; the rows around it are read.
    #[test]
    fn faults() {
        let text: &[u8] = b"email,first name,last name,credits\nnobody,Ann,,\n,Ann,,\na@example.com,,,\na@example.com,A\xff,,\na@example.com,A,,1.5\n\
            a@example.com,A,,-1\na@example.com,A,,100001\na@example.com,A,,1,2\n , ,,\na@example.com,A,\"x\x00y\",\na@example.com,A\n";
        let rows = read(text).expect("a file");
        let faults: Vec<_> = rows
            .iter()
            .map(|read| match read {
                Read::Faulty(number, fault) => (*number, Some((fault.code, fault.column.map(Column::name)))),
                other => (other.number(), None),
            })
            .collect();
        let (email, first, last, credits) = (Some("email"), Some("first name"), Some("last name"), Some("credits"));
        assert_eq!(
            faults,
            [
                (2, Some((FaultCode::Invalid, email))),
                (3, Some((FaultCode::Required, email))),
                (4, Some((FaultCode::Required, first))),
                (5, Some((FaultCode::Invalid, first))),
                (6, Some((FaultCode::InvalidAmount, credits))),
                (7, Some((FaultCode::InvalidAmount, credits))),
                (8, Some((FaultCode::InvalidAmount, credits))),
                (9, Some((FaultCode::Invalid, None))),
                (10, None),
                (11, Some((FaultCode::Invalid, last))),
                (12, None),
            ]
        );
        assert_eq!((&rows[8], &rows[10]), (&Read::Empty(10), &row(12, "a@example.com", "A", None, 0)));
    }

    /// What is wrong with a file is said of the file.
    #[test]
    fn files() {
        let fault = |bytes: &[u8]| read(bytes).expect_err("a fault").to_string();
        assert!(fault(b"").starts_with("The file is empty"));
        assert!(fault(b"\xef\xbb\xbf").starts_with("The file is empty"));
        assert!(fault(b"\xff\xfee\0m\0").starts_with("The file is UTF-16"));
        assert!(fault(b"email,last name\n").contains("\"first name\""));
        assert!(fault(b"email,E-mail,first name\n").contains("two columns for \"email\""));
        let long = "email,first name\n".to_owned() + &"a@example.com,A\n".repeat(50_001);
        assert_eq!(read(long.as_bytes()), Err(FileFault::TooManyRows));
        assert_eq!(read(&long.as_bytes()[..long.len() - 16]).map(|rows| rows.len()), Ok(50_000));
    }

    proptest! {
        /// Whatever the bytes, every row is read or is at fault, in order; nothing panics.
        #[test]
        fn hostile(bytes in prop::collection::vec(any::<u8>(), 0..400), lines in "[\",;\r\n\\PC\0]{0,200}") {
            for body in [bytes, lines.into_bytes()] {
                let mut text = b"email,first name,credits\n".to_vec();
                text.extend(&body);
                let rows = read(&text).expect("the header is good");
                prop_assert!(rows.iter().map(Read::number).eq(2..2 + u32::try_from(rows.len()).expect("few")));
                let _ = read(&body);
            }
        }
    }
}
