//! What the arguments of lists share.

use async_graphql::Enum;

use crate::error::{Error, Result};

/// The longest text to search for.
const MAX_SEARCH: usize = 200;

/// The direction of an order.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Default)]
pub enum OrderDirection {
    /// The smallest, oldest or alphabetically first at the start.
    Asc,
    /// The largest, newest or alphabetically last at the start.
    #[default]
    Desc,
}

impl OrderDirection {
    /// Whether large comes first.
    pub fn is_descending(self) -> bool {
        self == Self::Desc
    }
}

/// A text to search for; blank is none.
pub fn search_text(text: Option<String>) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    if text.chars().count() > MAX_SEARCH || text.contains('\0') {
        return Err(Error::BadUserInput(format!("`search` takes at most {MAX_SEARCH} characters, none of them NUL.")));
    }
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}
