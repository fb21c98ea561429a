//! A row while it is being understood: what its cells say so far, and what is wrong with them.

use iso_currency::Currency;
use serde_json::Value;
use url::Url;

use super::{
    cells::{self, Wrong, filled, text_of},
    records::{find, find_all},
    source::{ColumnFacts, Field, MoneyForm},
};
use crate::models::{
    imports::{facts::Facts, finding::FindingCode},
    programmes::address::ProductAddress,
};

/// What is wrong with a cell: in which column, what stands there, and a sentence.
pub type Fault = (FindingCode, Field, Option<String>, String);

/// A record, and the one around it.
#[derive(Clone, Copy)]
pub struct Cells<'v> {
    /// The record of the row.
    pub own: &'v Value,
    /// The record around it.
    pub outer: Option<&'v Value>,
    /// What a decision says in its stead, by columns of either.
    pub set: Option<&'v Value>,
}

/// What is understood so far.
#[derive(Default)]
pub struct Draft {
    /// What its cells say.
    pub facts: Facts,
    /// What is wrong with them.
    pub wrong: Vec<Fault>,
    /// Names: its own, a person's, a company's.
    pub names: [Option<String>; 3],
    /// The currency of what was paid.
    pub base_currency: Option<String>,
    /// Whether it says that it is paid beside its status.
    pub is_paid: bool,
    /// A share or amount.
    pub rate: Option<String>,
    /// Whether that is a share.
    pub is_share: bool,
}

impl Cells<'_> {
    /// What stands in a column, blanks included. `None` for nothing.
    pub fn text(self, name: &str) -> Option<String> {
        let column = name.strip_prefix("^.").unwrap_or(name);
        if let Some(decided) = self.set.and_then(|set| find(set, name).or_else(|| find(set, column))) {
            return text_of(decided);
        }
        let found = match name.strip_prefix("^.") {
            Some(outer) => find(self.outer?, outer),
            None => find(self.own, name),
        };
        text_of(found?)
    }

    /// The texts of a list.
    pub fn all(self, name: &str) -> Vec<String> {
        let decided = self.set.map(|set| find_all(set, name)).filter(|all| !all.is_empty());
        decided.unwrap_or_else(|| find_all(self.own, name))
    }
}

impl ColumnFacts {
    /// What stands in it, if anything does.
    pub fn filled(&self, cells: Cells<'_>) -> Option<String> {
        self.names.iter().find_map(|name| filled(cells.text(name)))
    }
}

impl Draft {
    /// Notes that something is wrong.
    pub fn say(&mut self, code: FindingCode, field: Field, value: Option<String>, message: String) {
        self.wrong.push((code, field, value, message));
    }

    /// What was read, or a note of what is wrong.
    pub fn wrong_or<T>(&mut self, field: Field, text: &str, read: Result<T, Wrong>) -> Option<T> {
        read.map_err(|(code, message)| self.say(code, field, Some(text.to_owned()), message)).ok()
    }

    /// Takes up an amount, in the currency that is known by now.
    pub fn amount(&mut self, field: Field, text: &str, form: MoneyForm) {
        let Some(currency) = self.facts.currency.as_deref().and_then(Currency::from_code) else {
            if !self.wrong.iter().any(|(code, ..)| matches!(code, FindingCode::CurrencyUnknown | FindingCode::CurrencyMissing)) {
                let message =
                    format!("{text:?} has no currency; the import's option for the currency names the one that it is in.");
                self.say(FindingCode::CurrencyMissing, Field::Currency, None, message);
            }
            return;
        };
        // What was paid may be in another currency, and is not counted then.
        let own =
            self.base_currency.as_deref().filter(|_| field == Field::Base).and_then(Currency::from_code).unwrap_or(currency);
        let amount = self.wrong_or(field, text, cells::money(text, form, own));
        match field {
            Field::Base => self.facts.base = amount,
            _ => self.facts.amount = amount,
        }
    }

    /// Takes up where a link leads.
    pub fn address(&mut self, text: &str) {
        match ProductAddress::parse(text) {
            Ok(address) => {
                (self.facts.url, self.facts.domain) = (Some(address.url().to_owned()), Some(address.domain().to_owned()));
            }
            Err(fault) => self.say(FindingCode::UrlWithoutDomain, Field::Url, Some(text.to_owned()), fault.to_string()),
        }
    }

    /// Takes up a domain, or an address in it.
    pub fn domain(&mut self, text: &str) {
        let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}/") };
        self.facts.domain = ProductAddress::parse(&whole).ok().map(|address| address.domain().to_owned());
    }

    /// Takes up a short link: its host and key.
    pub fn short_link(&mut self, text: &str) {
        let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let Ok(url) = Url::parse(&whole) else { return };
        self.facts.host = url.host_str().map(str::to_lowercase);
        self.facts.key = Some(url.path().trim_matches('/').to_owned()).filter(|key| !key.is_empty());
    }
}
