//! Whether amounts explain themselves: each commission recalculated from the inputs that it has pinned, each reversal from what has been
//! refunded. Rows stream by: memory does not grow with them.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::TryStreamExt;
use iso_currency::Currency;
use rust_decimal::Decimal;

use crate::{
    db::schema::{affiliate_rewards, affiliate_terms, commission_splits, invoices, partner_commission_events},
    error::Result,
    ids::{RuleId, TenantId},
    models::{
        affiliates::reward::{Reward, share_of},
        commissions::{
            commission::{Commission, CommissionEventType, CommissionStatus},
            explanation::Explanation,
            refund::reversal_target,
            rule::Rule,
        },
        scope::Scope,
    },
    money::Money,
};

/// More rules than a tenant has.
const ALL: i64 = i64::MAX;

/// How many commissions were recalculated, how many come to another amount, and one of those.
pub async fn commissions(mut connection: &AsyncPgConnection, tenant: TenantId) -> Result<(i64, i64, Option<String>)> {
    let rules = Rule::list(connection, Scope::tenant(tenant), None, None, None, ALL).await?;
    let rules: HashMap<RuleId, Rule> = rules.into_iter().map(|rule| (rule.id, rule)).collect();
    let query = partner_commission_events::table
        .left_join(
            commission_splits::table.on(commission_splits::tenant_id
                .eq(partner_commission_events::tenant_id)
                .and(commission_splits::commission_id.eq(partner_commission_events::id))),
        )
        .filter(partner_commission_events::tenant_id.eq(tenant))
        .filter(partner_commission_events::event_type.eq_any([
            CommissionEventType::InvoicePayment,
            CommissionEventType::LeadConversion,
            CommissionEventType::Split,
        ]))
        .filter(partner_commission_events::rate.is_not_null().or(partner_commission_events::rule_id.is_not_null()))
        .select((Commission::as_select(), commission_splits::whole.nullable()));
    let rows = query.load_stream::<(Commission, Option<Decimal>)>(&mut connection).await?;
    let start = (0, 0, None);
    let counted = rows.map_err(Into::into).try_fold(start, async |(checked, faults, example), (commission, whole)| {
        let rule = commission.rule_id.and_then(|id| rules.get(&id)).cloned();
        let explained = commission.money().map(|amount| Explanation::of_whole(&commission, rule, None, amount).amount.amount);
        // Of a part, what it is a part of; that the parts are right is a rule of its own.
        let said = whole.unwrap_or(commission.amount);
        let wrong = match explained {
            Ok(explained) if explained == said => None,
            Ok(explained) => Some(format!("{}: {}, its inputs come to {explained}", commission.id, said.normalize())),
            Err(_) => Some(format!("{}, in the currency {:?}", commission.id, commission.currency)),
        };
        Ok((checked + 1, faults + i64::from(wrong.is_some()), example.or(wrong)))
    });
    counted.await
}

/// How many refunded commissions were recalculated, of how many something else is taken back, and one of those.
pub async fn refunds(mut connection: &AsyncPgConnection, tenant: TenantId) -> Result<(i64, i64, Option<String>)> {
    let reversal = diesel::alias!(partner_commission_events as reversal);
    let reversed = reversal
        .filter(reversal.field(partner_commission_events::tenant_id).eq(partner_commission_events::tenant_id))
        // Which the index of refunds needs.
        .filter(reversal.field(partner_commission_events::event_type).eq(CommissionEventType::Refund))
        .filter(reversal.field(partner_commission_events::reverses_id).eq(partner_commission_events::id.nullable()))
        .select(diesel::dsl::sum(reversal.field(partner_commission_events::amount)))
        .single_value();
    let rows = partner_commission_events::table
        .inner_join(
            invoices::table.on(invoices::tenant_id
                .eq(partner_commission_events::tenant_id)
                .and(partner_commission_events::invoice_id.eq(invoices::external_id.nullable()))),
        )
        .filter(partner_commission_events::tenant_id.eq(tenant))
        .filter(partner_commission_events::event_type.eq_any([CommissionEventType::InvoicePayment, CommissionEventType::Split]))
        .filter(partner_commission_events::status.ne(CommissionStatus::Rejected))
        .filter(invoices::refunded.gt(Decimal::ZERO).or(reversed.is_not_null()))
        .select((Commission::as_select(), invoices::refunded, reversed))
        .load_stream::<(Commission, Decimal, Option<Decimal>)>(&mut connection)
        .await?;
    let counted =
        rows.map_err(Into::into).try_fold((0, 0, None), async |(checked, faults, example), (commission, refunded, reversed)| {
            let reversed = -reversed.unwrap_or_default();
            let target = commission.currency().map(|currency| reversal_target(&commission, refunded, currency));
            let wrong = match target {
                Ok(target) if target == reversed => None,
                Ok(target) => {
                    Some(format!("{}, of which {} is taken back and not {target}", commission.id, reversed.normalize()))
                }
                Err(_) => Some(format!("{}, in the currency {:?}", commission.id, commission.currency)),
            };
            Ok((checked + 1, faults + i64::from(wrong.is_some()), example.or(wrong)))
        });
    counted.await
}

/// How many rewards of affiliates were recalculated, how many come to another amount, and one of those.
pub async fn rewards(mut connection: &AsyncPgConnection, tenant: TenantId) -> Result<(i64, i64, Option<String>)> {
    let query = affiliate_rewards::table
        .inner_join(affiliate_terms::table.on(
            affiliate_terms::tenant_id.eq(affiliate_rewards::tenant_id).and(affiliate_terms::id.eq(affiliate_rewards::terms_id)),
        ))
        .filter(affiliate_rewards::tenant_id.eq(tenant))
        .select((Reward::as_select(), affiliate_terms::share));
    let rows = query.load_stream::<(Reward, Decimal)>(&mut connection).await?;
    let counted = rows.map_err(Into::into).try_fold((0, 0, None), async |(checked, faults, example), (reward, share)| {
        let said = Currency::from_code(&reward.currency)
            .map(|currency| share_of(share, Money::rounded(reward.base - reward.refunded, currency)).amount);
        let wrong = (said != Some(reward.amount)).then(|| {
            let said = said.map_or("nothing".to_owned(), |said| said.to_string());
            format!("{}: {}, its terms come to {said}", reward.id, reward.amount.normalize())
        });
        Ok((checked + 1, faults + i64::from(wrong.is_some()), example.or(wrong)))
    });
    counted.await
}
