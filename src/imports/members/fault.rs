//! What is wrong with a file, or with one of its rows.

use super::{MAX_ROWS, column::Column};
use crate::{imports::text::TextFault, validation::FaultCode};

/// How much of a cell or a header is shown in a message.
const SHOWN: usize = 80;

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

impl RowFault {
    /// A fault of the row as a whole.
    pub fn of_row(code: FaultCode, message: String) -> Self {
        Self { code, message, column: None, value: None }
    }

    /// A fault of a cell.
    pub fn of_cell(column: Column, value: &str, code: FaultCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), column: Some(column), value: Some(shortened(value)) }
    }
}

/// Why a file cannot be imported at all, or not to its end. Displays as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// There is nothing in it.
    #[error("The file is empty. Its first row must name the columns: email, first name, last name, credits.")]
    Empty,
    /// It is a spreadsheet's workbook, with this extension.
    #[error(
        "The file is a workbook ({0}) and no CSV file. Open it in the spreadsheet, save it as CSV UTF-8, and import that file."
    )]
    Workbook(&'static str),
    /// A column is missing.
    #[error(
        "There is no column {0:?}. The first row must name the columns, separated by commas, semicolons or tabs; it is: {1}."
    )]
    NoColumn(&'static str, String),
    /// A column is there twice.
    #[error("There are two columns for {0:?}: {1}. Take one away.")]
    TwoColumns(&'static str, String),
    /// It has too many columns.
    #[error("The file has {0} columns. Take away those that are not email, first name, last name and credits.")]
    TooManyColumns(usize),
    /// It has too many rows.
    #[error("The file has more than {MAX_ROWS} rows. Split it.")]
    TooManyRows,
    /// It is too large.
    #[error("The file is larger than 10 MB. Split it.")]
    TooLarge,
    /// A quotation mark is never closed: what follows it would be one cell.
    #[error("A quotation mark opens a cell in row {0} and is never closed. Close it, or double it to have it in the cell.")]
    OpenQuote(u32),
    /// It is another at the second reading.
    #[error("The file was changed while it was read. What was imported until then stays; import the file again.")]
    Changed,
    /// It cannot be read.
    #[error("The file cannot be read: {0}.")]
    Unreadable(String),
}

impl FileFault {
    /// It cannot be read, for this reason.
    pub fn unreadable(error: impl std::fmt::Display) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<TextFault> for FileFault {
    fn from(fault: TextFault) -> Self {
        match fault {
            TextFault::Workbook(extension) => Self::Workbook(extension),
            TextFault::Unreadable(error) => Self::unreadable(error),
        }
    }
}

/// A text for a message: shortened, without control characters.
pub fn shortened(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect()
}
