//! A file's first row: which column is what.

use csv::ByteRecord;

use super::fault::{FileFault, shortened};

/// The most columns. More are no list of members, and would be kept in memory.
const MAX_COLUMNS: usize = 100;

/// A column that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "MemberImportColumn")]
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

/// What the first row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Where each column that is understood is.
    places: Vec<(Column, usize)>,
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
        let mut places: Vec<(Column, usize)> = Vec::new();
        let mut ignored = Vec::new();
        for (place, header) in headers.iter().enumerate() {
            match Column::of_header(header) {
                Some(column) => {
                    if let Some((_, first)) = places.iter().find(|(known, _)| *known == column) {
                        let both = format!("{:?} and {:?}", shortened(&headers[*first]), shortened(header));
                        return Err(FileFault::TwoColumns(column.name(), both));
                    }
                    places.push((column, place));
                }
                None if header.is_empty() => {}
                None => ignored.push(shortened(header)),
            }
        }
        for needed in [Column::Email, Column::FirstName] {
            if !places.iter().any(|(column, _)| *column == needed) {
                return Err(FileFault::NoColumn(needed.name(), shortened(&headers.join(" | "))));
            }
        }
        Ok(Self { places, width: headers.len(), ignored })
    }

    /// Where a column is.
    pub fn place(&self, column: Column) -> Option<usize> {
        self.places.iter().find(|(known, _)| *known == column).map(|(_, place)| *place)
    }
}
