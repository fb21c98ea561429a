//! Proves the books: recomputes every balance, total and counter from the rows beneath, in one instant, and says for each rule how
//! much was checked and what is wrong.
//!
//! The sums are PostgreSQL's, which keeps them on disk where they are large; what is recalculated here streams by. Runs as the
//! owner of the tables, whom row-level security does not hold.

mod affiliate_rules;
mod amounts;
mod commission_rules;
mod credit_rules;
mod import_rules;
mod ledger_rules;
mod link_rules;

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use self::{
    affiliate_rules::AFFILIATE_RULES, commission_rules::COMMISSION_RULES, credit_rules::CREDIT_RULES, import_rules::IMPORT_RULES,
    ledger_rules::LEDGER_RULES, link_rules::LINK_RULES,
};
use crate::{
    db::statement::{Bind, statement},
    error::{Error, Result},
    ids::{self, TenantId},
    models::people::tenant::Tenant,
};

/// A rule that the books must follow.
#[derive(Debug)]
pub struct BookRule {
    /// What it is called.
    pub name: &'static str,
    /// What it says.
    pub sentence: &'static str,
    check: Check,
}

#[derive(Debug)]
enum Check {
    /// A statement that answers how many were checked, how many are wrong, and one of those in words. Every question mark is the
    /// tenant's id.
    Sql(&'static str),
    /// Commissions recalculated from what they have pinned.
    Amounts,
    /// Reversals recalculated from what has been refunded.
    Refunds,
    /// Rewards recalculated from what has been paid and not refunded.
    Rewards,
}

/// Every rule, in the order in which they are checked.
pub fn rules() -> impl Iterator<Item = &'static BookRule> {
    LEDGER_RULES.iter().chain(COMMISSION_RULES).chain(CREDIT_RULES).chain(LINK_RULES).chain(AFFILIATE_RULES).chain(IMPORT_RULES)
}

/// What came out for a rule, over all tenants.
#[derive(Debug)]
pub struct Finding {
    /// The rule.
    pub rule: &'static BookRule,
    /// How much was checked.
    pub checked: i64,
    /// How much of it is wrong.
    pub faults: i64,
    /// One that is wrong, in words.
    pub example: Option<String>,
}

/// Checks all rules for one tenant, or for all, at one instant. `progress` is called with each rule once it is checked.
pub async fn run(connection: &mut AsyncPgConnection, tenant: Option<&str>, progress: impl Fn(&BookRule)) -> Result<Vec<Finding>> {
    // What is summed up may be long, so there is no time limit; day and month are those of UTC.
    connection
        .batch_execute("SET statement_timeout = 0; SET TIME ZONE 'UTC'; BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ")
        .await?;
    let findings = examine(connection, tenant, progress).await?;
    connection.batch_execute("COMMIT").await?;
    Ok(findings)
}

/// The same within the transaction that is open.
pub async fn examine(connection: &AsyncPgConnection, tenant: Option<&str>, progress: impl Fn(&BookRule)) -> Result<Vec<Finding>> {
    let tenants: Vec<TenantId> = Tenant::all(connection)
        .await?
        .into_iter()
        .filter(|known| tenant.is_none_or(|slug| known.slug == slug))
        .map(|known| known.id)
        .collect();
    if let (true, Some(slug)) = (tenants.is_empty(), tenant) {
        return Err(Error::NotFound(format!("there is no tenant {slug:?}; `partner-portal tenant list` shows them")));
    }
    let mut findings = Vec::new();
    for rule in rules() {
        let mut finding = Finding { rule, checked: 0, faults: 0, example: None };
        for &tenant in &tenants {
            let (checked, faults, example) = rule.check(connection, tenant).await?;
            finding.checked += checked;
            finding.faults += faults;
            finding.example = finding.example.or(example.map(|words| with_ids(&words)));
        }
        progress(rule);
        findings.push(finding);
    }
    Ok(findings)
}

impl BookRule {
    async fn check(&self, mut connection: &AsyncPgConnection, tenant: TenantId) -> Result<(i64, i64, Option<String>)> {
        match self.check {
            Check::Sql(text) => {
                let binds = vec![Bind::Uuid(tenant.uuid()); text.matches('?').count()];
                Ok(statement::<(BigInt, BigInt, Nullable<Text>)>(text, binds).get_result(&mut connection).await?)
            }
            Check::Amounts => amounts::commissions(connection, tenant).await,
            Check::Refunds => amounts::refunds(connection, tenant).await,
            Check::Rewards => amounts::rewards(connection, tenant).await,
        }
    }
}

/// The words with `partner:<uuid>` and the like written as ids.
fn with_ids(words: &str) -> String {
    let word = |word: &str| {
        let (kind, rest) = word.split_once(':')?;
        let (uuid, tail) = rest.split_at_checked(36)?;
        Some(ids::format_any(kind, uuid.parse().ok()?)? + tail)
    };
    words.split(' ').map(|text| word(text).unwrap_or_else(|| text.to_owned())).collect::<Vec<_>>().join(" ")
}
