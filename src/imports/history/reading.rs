//! From a record to a row: what is understood of its cells by the facts of its source, and what there is to say of them.

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};
use iso_currency::Currency;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    cells::{self, filled},
    decisions::Decisions,
    draft::{Cells, Draft, Fault},
    records::{FileFormat, Record, find},
    source::{ColumnFacts, Field, FileFacts, MoneyForm, SourceFacts, plain},
};
use crate::models::{
    calendar::TimeZone,
    imports::{
        facts::ImportKind,
        finding::{Finding, FindingCode},
        staged::ReadRow,
    },
};

/// The longest id of a row, in characters.
const MAX_ID: usize = 500;
/// The longest text that is nobody's id, in characters.
const MAX_TEXT: usize = 4_000;

/// What a number is that says a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, async_graphql::Enum, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum RateUnit {
    /// 10 is ten per cent.
    Percent,
    /// 1000 is ten per cent.
    BasisPoints,
    /// 0.1 is ten per cent.
    Fraction,
}

/// What the person who imports says about a source beyond what is known of it.
#[derive(Debug, Clone, Default)]
pub struct ReadingOptions {
    /// The currency of amounts that name none.
    pub currency: Option<Currency>,
    /// The zone of times that name none.
    pub zone: Option<TimeZone>,
    /// What shares are written in.
    pub rate_unit: Option<RateUnit>,
    /// How amounts are written, where that is otherwise than the source does.
    pub money: Option<MoneyForm>,
    /// Where links lead that say no address, with `{key}` for their key.
    pub link_url: Option<String>,
}

/// Understands the records of one kind of row in a file.
pub struct Understanding<'i> {
    /// The system.
    pub source: &'static SourceFacts,
    /// What its rows are.
    pub file: &'static FileFacts,
    /// How the file is written.
    pub format: FileFormat,
    /// The file's name.
    pub name: &'i str,
    /// What else is said.
    pub options: &'i ReadingOptions,
    /// What was decided about rows.
    pub decisions: &'i Decisions,
    /// Whether there are days of links of their own, so that their totals count for nothing.
    pub has_link_days: bool,
    /// When.
    pub now: DateTime<Utc>,
}

impl Understanding<'_> {
    /// The rows of a record.
    pub fn rows(&self, record: &Record) -> Vec<ReadRow> {
        let Some(list) = self.file.each else {
            return self.row(record, Cells { own: &record.cells, outer: None, set: None }, 0).into_iter().collect();
        };
        let entries = find(&record.cells, list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let rows = entries
            .iter()
            .enumerate()
            .filter_map(|(index, own)| self.row(record, Cells { own, outer: Some(&record.cells), set: None }, index));
        rows.collect()
    }

    fn row(&self, record: &Record, cells: Cells<'_>, index: usize) -> Option<ReadRow> {
        let line = record.line;
        if let Some((column, words)) = self.file.unless
            && let Some(word) = filled(cells.text(column))
            && words.contains(&word.to_lowercase().as_str())
        {
            return None;
        }
        let kind = self.file.kind;
        let id = self.id(cells);
        let decision = id.as_ref().and_then(|id| self.decisions.of(kind, id));
        let set = decision.map(|decision| Value::Object(decision.set.clone()));
        let mut draft = self.understand(Cells { set: set.as_ref(), ..cells });
        if let Some(name) = decision.and_then(|decision| decision.set.keys().find(|name| !self.has_column(name))) {
            let message = format!("The decision sets {name:?}, which is no column of {}.", self.file.kind.plural());
            draft.say(FindingCode::DecisionUnknown, Field::Id, None, message);
        }
        if let Some(message) = &record.fault {
            draft.say(FindingCode::CellsDiffer, Field::Id, None, message.clone());
        }
        if record.is_replaced {
            let message = "The row has bytes that are no characters in UTF-8: U+FFFD stands in their stead.";
            draft.say(FindingCode::CharactersReplaced, Field::Id, None, message.to_owned());
        }
        let place = if index == 0 { format!("{}:{line}", self.name) } else { format!("{}:{line}.{index}", self.name) };
        let source_id = id.unwrap_or_else(|| {
            draft.say(FindingCode::RowWithoutId, Field::Id, None, "The row has no id.".to_owned());
            place
        });
        if let Some(decision) = decision {
            draft.facts.existing = decision.existing;
            if decision.leave {
                draft.wrong.clear();
                draft.say(FindingCode::LeftOut, Field::Id, None, "A decision leaves the row out.".to_owned());
            }
        }
        let mut whole = cells.own.to_string();
        if let Some(decision) = decision {
            whole.push_str(&decision.line.to_string());
        }
        let findings = draft.wrong.into_iter().map(|(code, field, value, message)| {
            Finding::of(kind, &source_id, code, message).at(&field.name(), value.as_deref())
        });
        Some(ReadRow {
            kind,
            file: self.name.to_owned(),
            line,
            digest: hex::encode(&digest(&SHA256, whole.as_bytes()).as_ref()[..16]),
            findings: findings.collect(),
            facts: draft.facts,
            raw: cells.own.clone(),
            decision: decision.map(|decision| decision.line.clone()),
            source_id,
        })
    }

    /// Whether a name that a decision uses is one of the columns that are read.
    fn has_column(&self, name: &str) -> bool {
        let same = |column: &str| plain(column.trim_start_matches("^.")) == plain(name.trim_start_matches("^."));
        self.file.columns.iter().any(|column| column.names.iter().any(|column| same(column)))
    }

    /// A row's id there; of several columns joined.
    fn id(&self, cells: Cells<'_>) -> Option<String> {
        let parts: Option<Vec<String>> = self
            .file
            .columns
            .iter()
            .filter(|column| column.field == Field::Id)
            .map(|column| column.names.iter().find_map(|name| filled(cells.text(name))))
            .collect();
        parts.map(|parts| parts.join("/")).filter(|id| !id.is_empty() && id.chars().count() <= MAX_ID)
    }

    fn understand(&self, cells: Cells<'_>) -> Draft {
        let mut draft = Draft::default();
        // Currencies first, which amounts are read by.
        for column in self.file.columns.iter().filter(|column| matches!(column.field, Field::Currency | Field::BaseCurrency)) {
            Self::currency(column, cells, &mut draft);
        }
        if draft.facts.currency.is_none() && !draft.wrong.iter().any(|(code, ..)| *code == FindingCode::CurrencyUnknown) {
            let default = self.options.currency.map(|currency| currency.code()).or(self.source.currency);
            draft.facts.currency = default.map(str::to_owned);
        }
        for column in self.file.columns {
            self.cell(column, cells, &mut draft);
        }
        self.complete(&mut draft);
        draft
    }

    fn currency(column: &ColumnFacts, cells: Cells<'_>, draft: &mut Draft) {
        let Some(text) = column.filled(cells) else { return };
        match (cells::currency(&text), column.field) {
            (Ok(currency), Field::BaseCurrency) => draft.base_currency = Some(currency.code().to_owned()),
            (Ok(currency), _) => draft.facts.currency = Some(currency.code().to_owned()),
            (Err((code, message)), _) => draft.say(code, column.field, Some(text), message),
        }
    }

    fn cell(&self, column: &ColumnFacts, cells: Cells<'_>, draft: &mut Draft) {
        let field = column.field;
        if field == Field::Commissions {
            let all: Vec<String> = column.names.iter().flat_map(|name| cells.all(name)).collect();
            draft.facts.commissions = Some(all).filter(|all| !all.is_empty());
            return;
        }
        if field == Field::Status {
            return self.status(column, cells, draft);
        }
        let Some(text) = column.filled(cells) else {
            if field == Field::Partner {
                draft.facts.blank_partner = column.names.iter().find_map(|name| cells.text(name));
            }
            return;
        };
        let longest = if field.is_reference() { MAX_ID } else { MAX_TEXT };
        if text.chars().count() > longest {
            let message = format!("The {} has more than {longest} characters.", field.name());
            return draft.say(FindingCode::ValueTooLong, field, Some(text), message);
        }
        let facts = &mut draft.facts;
        match field {
            Field::Email => facts.email = Some(text),
            Field::Name => draft.names[0] = Some(text),
            Field::FirstName => {
                draft.names[1] = Some(draft.names[1].take().map_or_else(|| text.clone(), |last| format!("{text} {last}")));
            }
            Field::LastName => {
                draft.names[1] = Some(draft.names[1].take().map_or_else(|| text.clone(), |first| format!("{first} {text}")));
            }
            Field::Company => draft.names[2] = Some(text),
            Field::Subject => facts.subject = Some(text),
            Field::Partner => facts.partner = Some(text),
            Field::PartnerEmail => facts.partner_email = Some(text),
            Field::DefaultPartner => facts.default_partner = Some(text),
            Field::User => facts.user = Some(text),
            Field::Programme => facts.programme = Some(text),
            Field::Link => facts.link = Some(text),
            Field::Customer => facts.customer = Some(text),
            Field::Payout => facts.payout = Some(text),
            Field::Invoice => facts.invoice = Some(text),
            Field::Url => draft.address(&text),
            Field::ShortUrl => draft.short_link(&text),
            Field::Domain => draft.domain(&text),
            Field::Host => facts.host = Some(text.to_lowercase()),
            Field::Key => facts.key = Some(text),
            Field::Amount | Field::Base => draft.amount(field, &text, self.money()),
            Field::Rate => draft.rate = Some(text),
            Field::RateKind => match text.to_lowercase().as_str() {
                "percentage" | "percent" => draft.is_share = true,
                "flat" | "fixed" => {}
                _ => draft.say(FindingCode::RuleNotOfSales, field, Some(text), "The kind of reward is not known.".to_owned()),
            },
            Field::RateEvent if text.to_lowercase() != "sale" => {
                draft.say(FindingCode::RuleNotOfSales, field, Some(text), "The reward is not for sales.".to_owned());
            }
            Field::Role => match text.to_lowercase().as_str() {
                "owner" | "admin" => facts.role = Some("owner".to_owned()),
                "member" | "viewer" | "user" => facts.role = Some("member".to_owned()),
                _ => draft.say(FindingCode::StatusUnknown, field, Some(text), "The role is not known.".to_owned()),
            },
            Field::At => facts.at = self.time(field, &text, &mut draft.wrong),
            Field::PaidAt => facts.paid_at = self.time(field, &text, &mut draft.wrong),
            Field::PeriodStart => facts.period_start = self.time(field, &text, &mut draft.wrong),
            Field::PeriodEnd => facts.period_end = self.time(field, &text, &mut draft.wrong),
            Field::Day => draft.facts.day = draft.wrong_or(field, &text, cells::day(&text, self.now)),
            Field::Clicks => draft.facts.clicks = draft.wrong_or(field, &text, cells::count(&text)),
            Field::SignUps => draft.facts.sign_ups = draft.wrong_or(field, &text, cells::count(&text)),
            Field::Archived => facts.is_archived = Some(cells::is_yes(&text)),
            Field::IsPaid => draft.is_paid = cells::is_yes(&text),
            Field::Unit if text.to_lowercase() != "cash" => {
                draft.say(FindingCode::UnitUnsupported, field, Some(text), "It is not money.".to_owned());
            }
            Field::IsTest if cells::is_yes(&text) => {
                draft.say(FindingCode::TestRow, field, Some(text), "It is a test.".to_owned());
            }
            Field::Id
            | Field::Status
            | Field::Currency
            | Field::BaseCurrency
            | Field::Commissions
            | Field::Unit
            | Field::RateEvent
            | Field::IsTest => {}
        }
    }

    fn status(&self, column: &ColumnFacts, cells: Cells<'_>, draft: &mut Draft) {
        let text = column.filled(cells);
        let word = text.as_deref().unwrap_or_default().to_lowercase();
        let known = self.file.statuses.iter().find(|(there, _)| *there == word).map(|(_, here)| (*here).to_owned());
        match known {
            Some(here) => (draft.facts.status, draft.facts.source_status) = (Some(here), text),
            None if text.is_none() && !column.is_required => {}
            None => {
                let words: Vec<&str> =
                    self.file.statuses.iter().map(|(there, _)| *there).filter(|word| !word.is_empty()).collect();
                let shown = text.as_deref().unwrap_or_default();
                let message =
                    format!("{shown:?} is no status of {}: expected one of {}.", self.file.kind.plural(), words.join(", "));
                draft.say(FindingCode::StatusUnknown, Field::Status, text, message);
            }
        }
    }

    fn time(&self, field: Field, text: &str, wrong: &mut Vec<Fault>) -> Option<DateTime<Utc>> {
        match cells::time(text, self.source.numeric_time, self.options.zone, self.now) {
            Ok(at) => Some(at),
            Err((code, message)) => {
                wrong.push((code, field, Some(text.to_owned()), message));
                None
            }
        }
    }

    fn money(&self) -> MoneyForm {
        let own = if self.format == FileFormat::Csv { self.source.money_in_csv } else { self.source.money };
        self.options.money.unwrap_or(own)
    }

    /// What follows from all cells together, and what is missing.
    fn complete(&self, draft: &mut Draft) {
        let facts = &mut draft.facts;
        facts.name = draft.names.iter().flatten().next().cloned();
        if draft.is_paid && facts.status.as_deref() != Some("rejected") {
            facts.status = Some("paid".to_owned());
        }
        let is_other = draft.base_currency.is_some() && draft.base_currency != facts.currency;
        if is_other || facts.base.is_some_and(|base| base <= Decimal::ZERO) {
            facts.base = None;
        }
        if self.has_link_days && self.file.kind == ImportKind::Link {
            (facts.clicks, facts.sign_ups) = (None, None);
        }
        if let (ImportKind::Link, None, Some(template)) = (self.file.kind, &facts.url, &self.options.link_url) {
            let url = template.replace("{key}", facts.key.as_deref().unwrap_or_default());
            draft.address(&url);
        }
        let needs: &[Field] = match self.file.kind {
            ImportKind::Commission => &[Field::Amount, Field::At],
            ImportKind::LinkDay => &[Field::Day],
            _ => &[],
        };
        for field in needs {
            let is_there = match field {
                Field::Amount => draft.facts.amount.is_some(),
                Field::At => draft.facts.at.is_some(),
                _ => draft.facts.day.is_some(),
            };
            if !is_there && !draft.wrong.iter().any(|(_, at, ..)| at == field) {
                draft.say(FindingCode::MissingValue, *field, None, format!("The {} is missing.", field.name()));
            }
        }
        if self.file.kind == ImportKind::Link
            && draft.facts.url.is_none()
            && !draft.wrong.iter().any(|(_, at, ..)| *at == Field::Url)
        {
            draft.say(FindingCode::UrlWithoutDomain, Field::Url, None, "The link leads to no address.".to_owned());
        }
        self.rate(draft);
    }

    fn rate(&self, draft: &mut Draft) {
        let Some(text) = draft.rate.take() else { return };
        if !draft.is_share {
            return draft.amount(Field::Amount, &text, self.money());
        }
        let number = crate::money::decimal(&text);
        let unit = self.options.rate_unit.map(|unit| match unit {
            RateUnit::Percent => Decimal::ONE_HUNDRED,
            RateUnit::BasisPoints => Decimal::from(10_000),
            RateUnit::Fraction => Decimal::ONE,
        });
        match (number, unit) {
            (None, _) => {
                draft.say(FindingCode::NumberInvalid, Field::Rate, Some(text.clone()), format!("{text:?} is no number."));
            }
            (_, None) => {
                let message = format!("{text:?} may be per cent, basis points or a fraction: the rate unit says which.");
                draft.say(FindingCode::RateUnitUnknown, Field::Rate, Some(text), message);
            }
            (Some(number), Some(unit)) => {
                let rate = (number / unit).normalize();
                if (Decimal::ZERO..=Decimal::ONE).contains(&rate) && rate.scale() <= 4 {
                    draft.facts.rate = Some(rate);
                } else {
                    let percent = rate.checked_mul(Decimal::ONE_HUNDRED).unwrap_or(rate).normalize();
                    let message = format!("{text:?} is {percent} per cent.");
                    draft.say(FindingCode::RateTooHigh, Field::Rate, Some(text), message);
                }
            }
        }
    }
}
