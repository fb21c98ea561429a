//! What an export's address may ask for: the filters of the API's lists. Everything else is refused by name.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use iso_currency::Currency;
use rust_decimal::Decimal;

use crate::{
    clock,
    graphql::engine::arguments::search_text,
    ids::{IdError, PartnerId, parse_any},
    models::{
        affiliates::{referral::ReferralFilter, wallet_transaction::WalletTransactionFilter},
        audit::entry::{AuditFilter, action},
        billing::customer::CustomerFilter,
        commissions::list::CommissionFilter,
        leads::list::LeadFilter,
        members::list::MemberFilter,
        payouts::list::PayoutFilter,
        programmes::{link_event::LinkEventFilter, link_list::LinkFilter, sign_up_list::SignUpFilter},
    },
    money,
};

/// One parameter's value, where there is one, or a sentence that says what is wrong with its text.
fn value<T>(name: &str, text: &str, wanted: &str, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        format!("`{name}` must be {wanted}; it is {shown:?}.")
    })
}

/// Several values of an enumeration, in capitals as in the API, separated by commas.
fn words<T: FromStr>(name: &str, text: &str) -> Result<Vec<T>, String> {
    text.split(',')
        .map(|word| {
            let parsed = word.trim().to_ascii_lowercase().parse().ok();
            value(name, word, "one of the API's values, or several with commas", parsed)
        })
        .collect()
}

fn currency(text: &str) -> Result<&'static str, String> {
    Currency::from_code(text)
        .map(|known| known.code())
        .ok_or_else(|| "`currency` must be an ISO 4217 code such as USD.".to_owned())
}

fn instant(name: &str, text: &str) -> Result<DateTime<Utc>, String> {
    value(name, text, "an instant such as 2026-11-20T09:30:00Z", clock::instant(text))
}

fn truth(name: &str, text: &str) -> Result<bool, String> {
    value(name, text, "true or false", text.parse().ok())
}

fn amount(name: &str, text: &str) -> Result<Decimal, String> {
    value(name, text, "a decimal number such as 250.50", money::decimal(text))
}

fn id<T: FromStr<Err = IdError>>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("`{name}`: {error}"))
}

/// A parameter given twice could mean either.
fn once(parameters: &[(String, String)]) -> Result<(), String> {
    let repeated =
        parameters.iter().enumerate().find(|(index, (name, _))| parameters[..*index].iter().any(|(known, _)| known == name));
    repeated.map_or(Ok(()), |(_, (name, _))| Err(format!("`{name}` is given twice; several values go with commas.")))
}

fn unknown(name: &str, known: &str) -> String {
    let shown: String = name.chars().take(60).collect();
    format!("There is no parameter {shown:?}; there are {known}.")
}

fn search(text: &str) -> Result<Option<String>, String> {
    search_text(Some(text.to_owned())).map_err(|error| error.to_string())
}

/// Which leads `leads.csv` holds.
#[derive(Debug, Clone, Default)]
pub struct Leads {
    /// Those of this partner; `None` for all in scope.
    pub partner: Option<PartnerId>,
    /// Which of them.
    pub filter: LeadFilter,
}

/// Which customers `customers.csv` holds.
pub type Customers = CustomerFilter;

/// Which sign-ups `sign-ups.csv` holds.
pub type SignUps = SignUpFilter;

/// Which transfers `ledger.csv` holds.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// Those of this partner; `None` for all in scope.
    pub partner: Option<PartnerId>,
    /// Those in this currency; `None` for the tenant's default.
    pub currency: Option<&'static str>,
}

/// Reads each parameter by its name into a filter. The same names are listed where one is unknown.
macro_rules! filter {
    ($(#[$doc:meta])* $name:ident -> $filter:ty, |$into:ident, $key:ident, $text:ident| { $($known:literal => $read:expr,)+ }) => {
        $(#[$doc])*
        pub fn $name(parameters: &[(String, String)]) -> Result<$filter, String> {
            once(parameters)?;
            let mut $into = <$filter>::default();
            for ($key, $text) in parameters {
                match $key.as_str() {
                    $($known => $read,)+
                    _ => return Err(unknown($key, &[$($known,)+ "bom"].join(", "))),
                }
            }
            Ok($into)
        }
    };
}

filter!(
    /// The filter of `commissions.csv`.
    commissions -> CommissionFilter, |filter, name, text| {
        "partnerId" => filter.partner = Some(id(name, text)?),
        "status" => filter.statuses = Some(words(name, text)?),
        "eventType" => filter.event_types = Some(words(name, text)?),
        "currency" => filter.currency = Some(currency(text)?),
        "customerId" => filter.customer = Some(id(name, text)?),
        "linkId" => filter.link = Some(id(name, text)?),
        "programmeId" => filter.programme = Some(id(name, text)?),
        "flag" => filter.flags = Some(words(name, text)?),
        "leadId" => filter.lead = Some(id(name, text)?),
        "payoutId" => filter.payout = Some(id(name, text)?),
        "invoiceId" => filter.invoice = Some(text.to_owned()),
        "search" => filter.search = search(text)?,
        "earnedFrom" => filter.earned_from = Some(instant(name, text)?),
        "earnedBefore" => filter.earned_before = Some(instant(name, text)?),
        "minAmount" => filter.min_amount = Some(amount(name, text)?),
        "maxAmount" => filter.max_amount = Some(amount(name, text)?),
    }
);

filter!(
    /// The filter of `payouts.csv`.
    payouts -> PayoutFilter, |filter, name, text| {
        "partnerId" => filter.partner = Some(id(name, text)?),
        "status" => filter.statuses = Some(words(name, text)?),
        "currency" => filter.currency = Some(currency(text)?),
        "createdFrom" => filter.created_from = Some(instant(name, text)?),
        "createdBefore" => filter.created_before = Some(instant(name, text)?),
        "payoutFrom" => filter.payout_from = Some(instant(name, text)?),
        "payoutBefore" => filter.payout_before = Some(instant(name, text)?),
        "minAmount" => filter.min_amount = Some(amount(name, text)?),
        "maxAmount" => filter.max_amount = Some(amount(name, text)?),
    }
);

filter!(
    /// The filter of `leads.csv`.
    leads -> Leads, |of, name, text| {
        "partnerId" => of.partner = Some(id(name, text)?),
        "status" => of.filter.statuses = Some(words(name, text)?),
        "search" => of.filter.search = search(text)?,
        "service" => of.filter.service = Some(text.to_owned()),
        "minDealValue" => of.filter.min_deal_value = Some(amount(name, text)?),
        "maxDealValue" => of.filter.max_deal_value = Some(amount(name, text)?),
        "createdFrom" => of.filter.created_from = Some(instant(name, text)?),
        "createdBefore" => of.filter.created_before = Some(instant(name, text)?),
    }
);

filter!(
    /// The filter of `members.csv`.
    members -> MemberFilter, |filter, name, text| {
        "partnerId" => filter.partner = Some(id(name, text)?),
        "status" => filter.statuses = Some(words(name, text)?),
        "search" => filter.search = search(text)?,
    }
);

filter!(
    /// The filter of `customers.csv`.
    customers -> Customers, |filter, name, text| {
        "search" => filter.search = search(text)?,
    }
);

filter!(
    /// The filter of `wallet.csv`.
    wallet -> WalletTransactionFilter, |filter, name, text| {
        "userId" => filter.user = Some(id(name, text)?),
        "currency" => filter.currency = Currency::from_code(currency(text)?),
        "kind" => filter.kinds = Some(words(name, text)?),
        "createdFrom" => filter.from = Some(instant(name, text)?),
        "createdBefore" => filter.before = Some(instant(name, text)?),
    }
);

filter!(
    /// The filter of `audit.csv`.
    audit -> AuditFilter, |filter, name, text| {
        "partnerId" => filter.partner = Some(id(name, text)?),
        "subjectId" => filter.subject = Some(value(name, text, "an id", parse_any(text))?.1),
        "actorId" => filter.actor = Some(id(name, text)?),
        "actorKind" => filter.roles = Some(words(name, text)?),
        "action" => filter.actions = Some(text.split(',').map(action).collect::<Result<_, _>>()?),
        "from" => filter.from = Some(instant(name, text)?),
        "before" => filter.before = Some(instant(name, text)?),
    }
);

filter!(
    /// The filter of `referrals.csv`.
    referrals -> ReferralFilter, |filter, name, text| {
        "referrerId" => filter.referrer = Some(id(name, text)?),
        "current" => filter.is_current = Some(truth(name, text)?),
        "paid" => filter.has_paid = Some(truth(name, text)?),
    }
);

filter!(
    /// The filter of `links.csv`.
    links -> LinkFilter, |filter, name, text| {
        "partnerId" => filter.partner = Some(id(name, text)?),
        "programmeId" => filter.programme = Some(id(name, text)?),
        "archived" => filter.is_archived = Some(truth(name, text)?),
        "search" => filter.search = search(text)?,
    }
);

filter!(
    /// The filter of `sign-ups.csv`.
    sign_ups -> SignUps, |filter, name, text| {
        "partnerId" => filter.partner = Some(id(name, text)?),
        "programmeId" => filter.programme = Some(id(name, text)?),
        "linkId" => filter.link = Some(id(name, text)?),
        "counted" => filter.is_counted = Some(truth(name, text)?),
        "signedUpFrom" => filter.from = Some(instant(name, text)?),
        "signedUpBefore" => filter.before = Some(instant(name, text)?),
    }
);

filter!(
    /// The filter of `link-events.csv`.
    link_events -> LinkEventFilter, |filter, name, text| {
        "kind" => filter.kinds = Some(words(name, text)?),
        "partnerId" => filter.partner = Some(id(name, text)?),
        "linkId" => filter.link = Some(id(name, text)?),
        "counted" => filter.is_counted = Some(truth(name, text)?),
        "from" => filter.from = Some(instant(name, text)?),
        "before" => filter.before = Some(instant(name, text)?),
    }
);

filter!(
    /// The filter of `ledger.csv`.
    ledger -> Ledger, |of, name, text| {
        "partnerId" => of.partner = Some(id(name, text)?),
        "currency" => of.currency = Some(currency(text)?),
    }
);
