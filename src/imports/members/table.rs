//! A CSV file (RFC 4180) as rows: forgiving in its form, strict in what its cells hold.

use std::io::{Chain, Read};

use csv::{ByteRecord, Reader, ReaderBuilder, Trim};

use super::{
    MAX_ROWS,
    column::Column,
    fault::{FileFault, RowFault, shortened},
    header::Header,
};
use crate::{
    imports::text::{self, Rewindable, Text},
    models::credits::assignment::MAX_CREDITS,
    validation::{FaultCode, MAX_NAME, Wrong, email, line},
};

/// What is read behind the file's last row, as a row of its own, unless a quotation mark is still open there.
const END: &[u8] = b"\n\x03end of the file\x03";

/// A row that can be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// Its number: the header is row 1, and blank lines are none.
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

/// What stands where a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileLine {
    /// A row.
    MemberRow(MemberRow),
    /// One that is at fault.
    Faulty(u32, Box<RowFault>),
    /// One of empty cells.
    Empty(u32),
}

impl FileLine {
    /// Its number: the header is row 1, and blank lines are none.
    pub fn number(&self) -> u32 {
        match self {
            Self::MemberRow(row) => row.number,
            Self::Faulty(number, _) | Self::Empty(number) => *number,
        }
    }
}

/// A file whose header is read.
pub struct Table<'s> {
    reader: Reader<Chain<Text<&'s mut dyn Rewindable>, &'static [u8]>>,
    record: ByteRecord,
    /// What the first row says.
    pub header: Header,
    number: u32,
}

impl<'s> Table<'s> {
    /// Reads the header, from the file's beginning.
    pub fn open(source: &'s mut dyn Rewindable) -> Result<Self, FileFault> {
        let (text, separator) = text::open(source, |record| Header::of(record).is_ok())?;
        // Rows of other lengths than the header's are rows at fault, and not the file's end.
        let mut builder = ReaderBuilder::new();
        builder.delimiter(separator).flexible(true).has_headers(false).trim(Trim::None);
        let mut reader = builder.from_reader(text.chain(END));
        let mut record = ByteRecord::new();
        if !reader.read_byte_record(&mut record).map_err(FileFault::unreadable)? || is_end(&record) {
            return Err(FileFault::Empty);
        }
        // A quotation mark that the header opens and nothing closes: the rest of the file is in its cell.
        if record.iter().any(|cell| cell.ends_with(END.trim_ascii_start())) {
            return Err(FileFault::OpenQuote(1));
        }
        Ok(Self { header: Header::of(&record)?, reader, record, number: 1 })
    }

    /// The next row; `None` at the end. A blank line is none.
    pub fn read(&mut self) -> Result<Option<FileLine>, FileFault> {
        if !self.reader.read_byte_record(&mut self.record).map_err(FileFault::unreadable)? {
            return Err(FileFault::OpenQuote(self.number));
        }
        if is_end(&self.record) {
            return Ok(None);
        }
        self.number += 1;
        if self.number > MAX_ROWS + 1 {
            return Err(FileFault::TooManyRows);
        }
        if self.record.iter().all(is_blank) {
            return Ok(Some(FileLine::Empty(self.number)));
        }
        Ok(Some(self.row().map_or_else(|fault| FileLine::Faulty(self.number, Box::new(fault)), FileLine::MemberRow)))
    }

    fn row(&self) -> Result<MemberRow, RowFault> {
        let (cells, width) = (self.record.len(), self.header.width);
        if self.record.iter().skip(width).any(|cell| !is_blank(cell)) {
            let message = format!("The row has {cells} cells, and the first row names {width} columns.");
            return Err(RowFault::of_row(FaultCode::Invalid, message));
        }
        let email = self.cell(Column::Email, email)?.ok_or_else(|| required(Column::Email))?;
        let first_name = self.cell(Column::FirstName, name)?.ok_or_else(|| required(Column::FirstName))?;
        let last_name = self.cell(Column::LastName, name)?;
        let credits = self.cell(Column::Credits, credits)?.unwrap_or(0);
        Ok(MemberRow { number: self.number, email, first_name, last_name, credits })
    }

    /// What a column holds, by a rule; `None` where it is blank, or there is no such column.
    fn cell<T>(&self, column: Column, rule: impl Fn(&str) -> Result<T, Wrong>) -> Result<Option<T>, RowFault> {
        let Some(bytes) = self.header.index(column).and_then(|index| self.record.get(index)) else { return Ok(None) };
        let fault = |code, message: String| RowFault::of_cell(column, &String::from_utf8_lossy(bytes), code, message);
        let text = std::str::from_utf8(bytes)
            .map_err(|_| fault(FaultCode::Invalid, "Is not UTF-8. Save the file as CSV in UTF-8.".to_owned()))?;
        // What a decoder writes for bytes that it cannot read.
        if text.contains(char::REPLACEMENT_CHARACTER) {
            return Err(fault(
                FaultCode::Invalid,
                "Has characters that cannot be read. Save the file as CSV in UTF-8.".to_owned(),
            ));
        }
        if text.trim().is_empty() {
            return Ok(None);
        }
        rule(text.trim()).map(Some).map_err(|Wrong { code, message }| fault(code, message))
    }
}

fn is_end(record: &ByteRecord) -> bool {
    record.len() == 1 && record.get(0) == Some(&END[1..])
}

fn is_blank(cell: &[u8]) -> bool {
    cell.iter().all(u8::is_ascii_whitespace)
}

fn name(text: &str) -> Result<String, Wrong> {
    line(text, MAX_NAME)
}

fn credits(text: &str) -> Result<i32, Wrong> {
    let number = if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
    number.filter(|credits| (0..=MAX_CREDITS).contains(credits)).ok_or_else(|| Wrong {
        code: FaultCode::InvalidAmount,
        message: format!("Must be a whole number from 0 to {MAX_CREDITS}, without separators; it is {:?}.", shortened(text)),
    })
}

fn required(column: Column) -> RowFault {
    RowFault { column: Some(column), ..RowFault::of_row(FaultCode::Required, "Must not be empty.".to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::imports::members::source::scan;

    fn read(bytes: &[u8]) -> Result<Vec<FileLine>, FileFault> {
        let mut source = Cursor::new(bytes.to_vec());
        let mut table = Table::open(&mut source)?;
        let mut rows = Vec::new();
        while let Some(row) = table.read()? {
            rows.push(row);
        }
        Ok(rows)
    }

    fn row(number: u32, email: &str, first: &str, last: Option<&str>, credits: i32) -> FileLine {
        let last_name = last.map(str::to_owned);
        FileLine::MemberRow(MemberRow { number, email: email.to_owned(), first_name: first.to_owned(), last_name, credits })
    }

    /// The same rows, however they are written.
    #[test]
    fn forms() {
        let expected = [row(2, "ann@example.com", "Ann", Some("Lee; Esq."), 5), row(3, "bo@example.com", "Bo", None, 0)];
        for text in [
            "email,first name,last name,credits\nann@example.com,Ann,Lee; Esq.,5\nbo@example.com,Bo,,\n",
            "\u{feff}E-Mail;First_Name;LASTNAME;Credits\r\nann@example.com;Ann;\"Lee; Esq.\";5\r\nbo@example.com;Bo;;0\r\n",
            "Credits , Surname, Given Name ,Email address,Comment\n5,Lee; Esq.,  Ann ,ann@example.com,x\n,,Bo,bo@example.com",
            "Email;First name;Last name;Credits;Notes (a, b, c, d, e)\nann@example.com;Ann;\"Lee; Esq.\";5;x\nbo@example.com;Bo;;;;;\n",
            "email, \"first name\" ,\"last name\" , credits\nann@example.com, \"Ann\",  \"Lee; Esq.\"  ,5\nbo@example.com,\"Bo\" , , \n",
            "sep=;\r\nemail;first name;last name;credits\r\nann@example.com; \"Ann\";\"Lee; Esq.\";5\r\nbo@example.com;Bo;;\r\n",
            "SEP=|\nemail|first name|last name|credits\nann@example.com|Ann|Lee; Esq.|5\nbo@example.com|Bo||\n",
            "\"sep=\t\"\nemail\tfirst name\tlast name\tcredits\nann@example.com\tAnn\tLee; Esq.\t5\nbo@example.com\tBo\t\t\n",
            "email\tfirst name\tlast name\tcredits\nann@example.com\t \"Ann\"\t\"Lee; Esq.\"\t5\nbo@example.com\tBo\n",
            "\n\nemail,\"first\nname\",last name,credits\r\r\nann@example.com,Ann,\"Lee; Esq.\",5\n\nbo@example.com,Bo",
        ] {
            assert_eq!(read(text.as_bytes()).as_deref(), Ok(expected.as_slice()), "{text}");
            let scanned = scan(&mut Cursor::new(text.as_bytes().to_vec())).expect("a file");
            let plain = scan(&mut Cursor::new(
                b"email,first name,last name,credits\nann@example.com,Ann,Lee; Esq.,5\nbo@example.com,Bo".to_vec(),
            ));
            assert_eq!((scanned.rows, &scanned.digest), (2, &plain.expect("a file").digest), "{text}");
            // As spreadsheets write UTF-16, in either order of bytes.
            let units = || text.trim_start_matches('\u{feff}').encode_utf16();
            let little: Vec<u8> = [0xff, 0xfe].into_iter().chain(units().flat_map(u16::to_le_bytes)).collect();
            let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(units().flat_map(u16::to_be_bytes)).collect();
            for bytes in [little, big] {
                assert_eq!(read(&bytes).as_deref(), Ok(expected.as_slice()), "{text}");
            }
        }
    }

    /// Quotation marks that are doubled, or stand within a cell, are the cell's; so are blanks within them.
    #[test]
    fn quotation_marks() {
        for (cell, name) in [
            ("\"Ann\"", "Ann"),
            (" \"Ann\"\t", "Ann"),
            (" \"Ann \"\"A\"\" Lee\" ", "Ann \"A\" Lee"),
            ("\"Ann, \"\"Lee\"\"\"", "Ann, \"Lee\""),
            (" Ann \"A\" Lee", "Ann \"A\" Lee"),
            ("\" , Ann\"", ", Ann"),
        ] {
            let text = format!("email,first name\nann@example.com,{cell}\n");
            assert_eq!(read(text.as_bytes()), Ok(vec![row(2, "ann@example.com", name, None, 0)]), "{cell}");
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
                FileLine::Faulty(number, fault) => (*number, Some((fault.code, fault.column.map(Column::name)))),
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
        assert_eq!((&rows[8], &rows[10]), (&FileLine::Empty(10), &row(12, "a@example.com", "A", None, 0)));
    }

    /// What cannot be read in a file of UTF-16 is at fault, as in one of UTF-8.
    #[test]
    fn damaged_utf16() {
        let mut bytes = vec![0xff, 0xfe];
        bytes.extend("email,first name\na@example.com,J".encode_utf16().flat_map(u16::to_le_bytes));
        bytes.extend([0x00, 0xd8]);
        bytes.extend("rg\n".encode_utf16().flat_map(u16::to_le_bytes));
        let rows = read(&bytes).expect("a file");
        assert!(matches!(&rows[..], [FileLine::Faulty(2, fault)] if fault.column == Some(Column::FirstName)), "{rows:?}");
    }

    /// What is wrong with a file is said of the file.
    #[test]
    fn files() {
        let fault = |bytes: &[u8]| read(bytes).expect_err("a fault").to_string();
        assert!(fault(b"").starts_with("The file is empty"));
        assert!(fault(b"\xef\xbb\xbf").starts_with("The file is empty"));
        for (magic, extension) in [(b"PK\x03\x04\x14\0".as_slice(), ".xlsx"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", ".xls")] {
            let said = fault(magic);
            assert!(said.contains(extension) && said.contains("CSV UTF-8"), "{said}");
        }
        assert!(fault(b"email,last name\n").contains("\"first name\""));
        assert!(fault(b"email,E-mail,first name\n").contains("two columns for \"email\": \"email\" and \"E-mail\""));
        assert!(fault(b"email^first name\n").ends_with("it is: email^first name."));
        assert!(
            fault(b"email,first name,comment\na@example.com,A,\"oops\nb@example.com,B,fine\n")
                .contains("in row 2 and is never closed")
        );
        assert!(fault(b"email,\"first name\na@example.com,A\n").contains("in row 1 and is never closed"));
        assert!(fault(b"email,\"first name\n").contains("in row 1 and is never closed"));
        // A blank separates nothing: the line names no separator, and is the header.
        assert!(fault(b"sep= \nemail first_name\na@example.com A\n").contains("There is no column"));
        assert!(fault(&[b"email,first name".as_slice(), &b",x".repeat(100)].concat()).contains("102 columns"));
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
                match read(&text) {
                    Ok(rows) => {
                        prop_assert!(rows.iter().map(FileLine::number).eq(2..2 + u32::try_from(rows.len()).expect("few")));
                        // Without quotation marks every line that is not blank is a row.
                        let lines = body.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty()).count();
                        prop_assert!(body.contains(&b'"') || rows.len() == lines);
                    }
                    Err(FileFault::OpenQuote(_)) => prop_assert!(body.contains(&b'"')),
                    Err(fault) => prop_assert!(false, "{fault}"),
                }
                let _ = read(&body);
            }
        }
    }
}
