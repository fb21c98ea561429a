//! What is known of a system that gives something out: its files, and how it writes names, amounts, times and statuses. Each system is one table of such
//! facts in [`super::sources`]; nothing else knows one of them.

use serde::{Deserialize, Serialize};

use crate::models::imports::facts::ImportKind;

/// A system.
#[derive(Debug)]
pub struct SourceFacts {
    /// What it is called in commands, reports and notes.
    pub name: &'static str,
    /// Its files.
    pub files: &'static [FileFacts],
    /// How it writes amounts in JSON, and the same where it writes nothing else.
    pub money: MoneyForm,
    /// How it writes amounts in CSV.
    pub money_in_csv: MoneyForm,
    /// How it writes times that are numbers.
    pub numeric_time: NumericTime,
    /// The currency of amounts that name none, where the system has one alone.
    pub currency: Option<&'static str>,
    /// Whether it knows people besides partners.
    pub has_users: bool,
}

/// A kind of row in a file. One file may have several.
#[derive(Debug)]
pub struct FileFacts {
    /// What the file is called, without what follows a hyphen (the number of a page, a date) and without its extension.
    pub names: &'static [&'static str],
    /// What its rows are.
    pub kind: ImportKind,
    /// Whether nothing can be imported without it.
    pub is_required: bool,
    /// The list within each record whose entries are the rows; `None` where the records are.
    pub each: Option<&'static str>,
    /// Its columns.
    pub columns: &'static [ColumnFacts],
    /// What its statuses are here. Compared without case; the empty one is that of a blank cell.
    pub statuses: &'static [(&'static str, &'static str)],
    /// A column and the words in it by which a record is no row of this kind.
    pub unless: Option<(&'static str, &'static [&'static str])>,
}

impl FileFacts {
    /// One that may be missing, whose records are its rows.
    pub const fn of(names: &'static [&'static str], kind: ImportKind, columns: &'static [ColumnFacts]) -> Self {
        Self { names, kind, is_required: false, each: None, columns, statuses: &[], unless: None }
    }

    /// The same, which must be there.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    /// The same, with these statuses.
    #[must_use]
    pub const fn with_statuses(self, statuses: &'static [(&'static str, &'static str)]) -> Self {
        Self { statuses, ..self }
    }

    /// The same, whose rows are the entries of a list in each record.
    #[must_use]
    pub const fn for_each(self, list: &'static str) -> Self {
        Self { each: Some(list), ..self }
    }

    /// The same, without the records that have one of these words in a column.
    #[must_use]
    pub const fn unless(self, column: &'static str, words: &'static [&'static str]) -> Self {
        Self { unless: Some((column, words)), ..self }
    }
}

/// A column.
#[derive(Debug)]
pub struct ColumnFacts {
    /// What it says.
    pub field: Field,
    /// What it is called: the first of these that says something counts. In JSON a path: `sale.currency`; with `^.` before it, in the record around the
    /// row. Compared without case, blanks, hyphens and underscores.
    pub names: &'static [&'static str],
    /// Whether the file must have it.
    pub is_required: bool,
}

/// A column that the file must have.
pub const fn must(field: Field, names: &'static [&'static str]) -> ColumnFacts {
    ColumnFacts { field, names, is_required: true }
}

/// A column that the file may have.
pub const fn may(field: Field, names: &'static [&'static str]) -> ColumnFacts {
    ColumnFacts { field, names, is_required: false }
}

/// How amounts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, async_graphql::Enum, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum MoneyForm {
    /// In the currency's smallest unit, as a whole number: 1250 is 12.50 USD and 1250 JPY.
    Minor,
    /// In the currency's major unit, as a decimal: 12.50.
    Major,
    /// As text for people, in the major unit: $1,250.00.
    Shown,
}

/// What times are that are numbers, since the first second of 1970 (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumericTime {
    /// Milliseconds.
    Milliseconds,
    /// Seconds or milliseconds: from 2000 to 2100 no number is both.
    Either,
}

/// What a column says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The row's id; of several columns of this the ids are joined.
    Id,
    /// An e-mail address.
    Email,
    /// A name.
    Name,
    /// A first name.
    FirstName,
    /// A last name.
    LastName,
    /// A company's name.
    Company,
    /// A person's `sub`.
    Subject,
    /// A status.
    Status,
    /// The id of a partner.
    Partner,
    /// The address of a partner.
    PartnerEmail,
    /// The id of the partner that a user acts for.
    DefaultPartner,
    /// The id of a user.
    User,
    /// The id of a programme.
    Programme,
    /// The id of a link.
    Link,
    /// The id of a customer.
    Customer,
    /// The id of a payout.
    Payout,
    /// The id of an invoice.
    Invoice,
    /// Where a link leads.
    Url,
    /// A short link: its host and key.
    ShortUrl,
    /// A registrable domain, or an address in it.
    Domain,
    /// The host that a link is on.
    Host,
    /// A link's key.
    Key,
    /// What was earned, or paid out.
    Amount,
    /// What a customer paid.
    Base,
    /// The currency of that, where it has one of its own.
    BaseCurrency,
    /// Of a payout the ids of the commissions that it pays: `commissions.id`.
    Commissions,
    /// A currency.
    Currency,
    /// A share: see `--rate-unit`.
    Rate,
    /// What a share is of: `percentage`, or `flat` for an amount for each payment.
    RateKind,
    /// What a share is for: `sale`.
    RateEvent,
    /// A membership's role.
    Role,
    /// When it came to be.
    At,
    /// When it was paid.
    PaidAt,
    /// A period's begin.
    PeriodStart,
    /// A period's end.
    PeriodEnd,
    /// A day.
    Day,
    /// How many clicks.
    Clicks,
    /// How many sign-ups.
    SignUps,
    /// Whether a link is archived.
    Archived,
    /// That it is paid, whatever its status says.
    IsPaid,
    /// What amounts are of: `cash`, else they are no money.
    Unit,
    /// Whether it is a test.
    IsTest,
}

impl Field {
    /// Whether it names a row, or a person by their address.
    pub const fn is_reference(self) -> bool {
        matches!(
            self,
            Self::Email
                | Self::PartnerEmail
                | Self::Subject
                | Self::Partner
                | Self::DefaultPartner
                | Self::User
                | Self::Programme
                | Self::Link
                | Self::Customer
                | Self::Payout
                | Self::Invoice
        )
    }

    /// Its name in reports and decisions' messages.
    pub fn name(self) -> String {
        let name = format!("{self:?}");
        let mut shown = String::new();
        for letter in name.chars() {
            if letter.is_uppercase() && !shown.is_empty() {
                shown.push(' ');
            }
            shown.extend(letter.to_lowercase());
        }
        shown
    }
}

/// A name as names are compared: in lower case, without blanks, hyphens and underscores.
pub fn plain(name: &str) -> String {
    name.trim_start_matches('\u{feff}').chars().filter(|c| !matches!(c, ' ' | '_' | '-')).flat_map(char::to_lowercase).collect()
}
