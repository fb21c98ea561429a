//! The columns of a list of members.

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
    pub fn of_header(header: &str) -> Option<Self> {
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
