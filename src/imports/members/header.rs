//! A file's first row: which column is what.

use csv::ByteRecord;

use super::{
    column::Column,
    fault::{FileFault, shortened},
};

/// The most columns. More are no list of members, and would be kept in memory.
const MAX_COLUMNS: usize = 100;

/// The column of a header, whatever its case, blanks and hyphens.
fn column_of(header: &str) -> Option<Column> {
    let letters: String = header.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    match letters.as_str() {
        "email" | "emailaddress" | "mail" => Some(Column::Email),
        "firstname" | "givenname" | "forename" => Some(Column::FirstName),
        "lastname" | "surname" | "familyname" => Some(Column::LastName),
        "credits" | "credit" => Some(Column::Credits),
        _ => None,
    }
}

/// What the first row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Where each column that is understood is.
    columns: Vec<(Column, usize)>,
    /// How many columns there are.
    pub width: usize,
    /// The columns that mean nothing here.
    pub ignored: Vec<String>,
}

impl Header {
    /// Reads it.
    pub fn of(record: &ByteRecord) -> Result<Self, FileFault> {
        if record.len() > MAX_COLUMNS {
            return Err(FileFault::TooManyColumns(record.len()));
        }
        let headers: Vec<String> = record.iter().map(|header| String::from_utf8_lossy(header).trim().to_owned()).collect();
        let mut columns: Vec<(Column, usize)> = Vec::new();
        let mut ignored = Vec::new();
        for (index, header) in headers.iter().enumerate() {
            match column_of(header) {
                Some(column) => {
                    if let Some((_, first)) = columns.iter().find(|(known, _)| *known == column) {
                        let both = format!("{:?} and {:?}", shortened(&headers[*first]), shortened(header));
                        return Err(FileFault::TwoColumns(column.name(), both));
                    }
                    columns.push((column, index));
                }
                None if header.is_empty() => {}
                None => ignored.push(shortened(header)),
            }
        }
        for needed in [Column::Email, Column::FirstName] {
            if !columns.iter().any(|(column, _)| *column == needed) {
                return Err(FileFault::NoColumn(needed.name(), shortened(&headers.join(" | "))));
            }
        }
        Ok(Self { columns, width: headers.len(), ignored })
    }

    /// Where a column is.
    pub fn index(&self, column: Column) -> Option<usize> {
        self.columns.iter().find(|(known, _)| *known == column).map(|(_, index)| *index)
    }
}
