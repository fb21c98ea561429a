//! The rows of exported lists as cells, in the words of the API.

mod affiliates;
mod audit;
mod links;
mod money;
mod people;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, SecondsFormat, Utc};
use iso_currency::Currency;
use rust_decimal::Decimal;

use crate::{auth::Viewer, db, ids::PartnerId, models::partners::partner::Partner, money::Money};

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The partners of rows, each once.
async fn partners(
    connection: &db::Connection,
    viewer: &Viewer,
    of: impl Iterator<Item = PartnerId>,
) -> db::QueryResult<HashMap<PartnerId, Partner>> {
    let ids: HashSet<PartnerId> = of.collect();
    Partner::by_ids(connection, viewer.scope(), &ids.into_iter().collect::<Vec<_>>()).await
}

fn name(partners: &HashMap<PartnerId, Partner>, id: PartnerId) -> String {
    or_empty(partners.get(&id).map(|partner| &partner.company_name))
}

fn or_empty<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn amount(amount: Decimal, code: &str) -> String {
    Currency::from_code(code).map_or(amount, |currency| Money::rounded(amount, currency).amount).to_string()
}
