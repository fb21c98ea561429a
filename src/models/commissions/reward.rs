//! What partners earn in programmes: the rule that a payment there would fall under.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{
    result::QueryResult,
    sql_types::{Nullable, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;

use super::rule::Rule;
use crate::{
    db::statement::{Bind, statement},
    ids::{PartnerId, ProgrammeId, RuleId},
    models::scope::Scope,
};

/// A programme, and who takes part in it: a partner, or `None` for what holds for all.
pub type Participation = (ProgrammeId, Option<PartnerId>);

impl Rule {
    /// The rules in scope by which payments in a currency earn at an instant, in the order of [`Rule::holding`]. Where no rule holds, it is left
    /// out: then it is the partner's default rate.
    pub async fn rewards(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        of: &[Participation],
        currency: Currency,
        at: DateTime<Utc>,
    ) -> QueryResult<HashMap<Participation, Self>> {
        let tenant = Bind::Uuid(scope.tenant.uuid());
        let rows: Vec<(ProgrammeId, Option<PartnerId>, RuleId)> = statement::<(SqlUuid, Nullable<SqlUuid>, SqlUuid)>(
            "SELECT DISTINCT ON (1, 2) g.programme, g.partner, c.id
             FROM unnest(?, ?) AS g (programme, partner)
             LEFT JOIN enrolments e ON e.tenant_id = ? AND e.partner_id = g.partner AND e.programme_id = g.programme
             JOIN partner_commissions c ON c.tenant_id = ? AND c.scope_id IN (?, g.programme, g.partner, e.id)
                 AND c.scope_currency IN (?, '') AND c.valid_from <= ? AND (c.valid_to IS NULL OR c.valid_to > ?)
             ORDER BY 1, 2, c.enrolment_id IS NULL, c.partner_id IS NULL, c.programme_id IS NULL, c.currency IS NULL",
            vec![
                Bind::Uuids(of.iter().map(|(programme, _)| programme.uuid()).collect()),
                Bind::OptionalUuids(of.iter().map(|(_, partner)| partner.map(PartnerId::uuid)).collect()),
                tenant.clone(),
                tenant.clone(),
                tenant,
                Bind::text(currency.code()),
                Bind::Time(at),
                Bind::Time(at),
            ],
        )
        .load(&mut connection)
        .await?;
        let rules = Self::by_ids(connection, scope, &rows.iter().map(|(.., rule)| *rule).collect::<Vec<_>>()).await?;
        let found =
            rows.into_iter().filter_map(|(programme, partner, rule)| Some(((programme, partner), rules.get(&rule)?.clone())));
        Ok(found.collect())
    }
}
