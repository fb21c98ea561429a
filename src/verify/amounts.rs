//! Whether amounts explain themselves: each commission recalculated from the inputs that it has pinned.

use std::collections::HashMap;

use diesel::{pg::Pg, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::TryStreamExt;

use crate::{
    db::schema::partner_commission_events,
    error::Result,
    ids::{RuleId, TenantId},
    models::{
        commission::{Commission, CommissionEventType},
        explanation::Explanation,
        rule::Rule,
        scope::Scope,
    },
};

/// More rules than a tenant has.
const ALL: i64 = i64::MAX;

/// How many commissions were recalculated, how many come to another amount, and one of those.
pub async fn check(mut connection: &AsyncPgConnection, tenant: TenantId) -> Result<(i64, i64, Option<String>)> {
    let rules = Rule::list(connection, Scope::tenant(tenant), None, None, ALL).await?;
    let rules: HashMap<RuleId, Rule> = rules.into_iter().map(|rule| (rule.id, rule)).collect();
    let query = Commission::query()
        .into_boxed::<Pg>()
        .filter(partner_commission_events::tenant_id.eq(tenant))
        .filter(
            partner_commission_events::event_type
                .eq_any([CommissionEventType::InvoicePayment, CommissionEventType::LeadConversion]),
        )
        .filter(partner_commission_events::rate.is_not_null().or(partner_commission_events::rule_id.is_not_null()));
    let rows = query.load_stream::<Commission>(&mut connection).await?;
    let start = (0, 0, None);
    let counted = rows.map_err(Into::into).try_fold(start, async |(checked, faults, example), commission| {
        let rule = commission.rule_id.and_then(|id| rules.get(&id)).cloned();
        let explained = Explanation::of_commission(&commission, rule, None, commission.money()?).amount.amount;
        let is_wrong = explained != commission.amount;
        let example = example.or_else(|| {
            is_wrong.then(|| format!("{}: {}, its inputs come to {explained}", commission.id, commission.amount.normalize()))
        });
        Ok((checked + 1, faults + i64::from(is_wrong), example))
    });
    counted.await
}
