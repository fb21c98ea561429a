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
}
