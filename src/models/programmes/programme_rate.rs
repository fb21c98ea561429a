//! How a shop's programme comes to be, and its rate: by the commission-rate service, which gives the first rule and a next one once what it said
//! holds no longer, or by an operator.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    prelude::*,
    sql_types::{Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    address::{ProductAddress, programme_key},
    programme::{Programme, ProgrammeRateSource},
    quote::Quote,
};
use crate::{
    db::{
        QueryError,
        schema::{partner_commissions, programme_rate_answers, programmes},
        statement::{Bind, statement},
    },
    ids::{ProgrammeId, RuleId, TenantId},
    models::{
        commissions::{calculation::Formula, rule::NewRule},
        ledger::books::Books,
        scope::Scope,
    },
};

/// For how long the service is not asked again about a shop of which it knew no rate.
const ASK_AGAIN: TimeDelta = TimeDelta::hours(1);

/// A programme of whose shop the service is to be asked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrated {
    /// Whose.
    pub tenant: TenantId,
    /// The programme.
    pub id: ProgrammeId,
    /// The shop's registrable domain.
    pub domain: String,
}

/// The programmes of all tenants that have no rate of their own, and those whose rate the service stood by until now, unless they were asked
/// for within the last hour; those that were asked for longest ago first, at most `most`.
pub async fn unrated(mut connection: &AsyncPgConnection, now: DateTime<Utc>, most: i64) -> QueryResult<Vec<Unrated>> {
    let rows: Vec<(TenantId, ProgrammeId, String)> = statement::<(SqlUuid, SqlUuid, Text)>(
        "SELECT tenant_id, id, domain FROM programmes_without_rate(?, ?, ?)",
        vec![Bind::Time(now - ASK_AGAIN), Bind::Time(now), Bind::BigInt(most)],
    )
    .load(&mut connection)
    .await?;
    Ok(rows.into_iter().map(|(tenant, id, domain)| Unrated { tenant, id, domain }).collect())
}

impl Books<'_> {
    /// The programme of the shop that an address belongs to, made where there is none: one, however many ask for it at once. `None` where the
    /// commission-rate service is to be asked first.
    pub(super) async fn programme_of(&self, address: &ProductAddress, quote: &Quote) -> QueryResult<Option<Programme>> {
        let scope = Scope::tenant(self.tenant);
        for attempt in 0..16 {
            if let Some(programme) = Programme::of_address(self.connection, scope, address).await? {
                return Ok(Some(programme));
            }
            if *quote == Quote::Unasked {
                return Ok(None);
            }
            // Where nothing is inserted, either another has just made it, or another shop's programme has the key.
            let made = diesel::insert_into(programmes::table)
                .values((
                    programmes::tenant_id.eq(self.tenant),
                    programmes::id.eq(ProgrammeId::new()),
                    programmes::key.eq(programme_key(self.tenant, address.domain(), attempt)),
                    programmes::name.eq(address.domain()),
                    programmes::domain.eq(address.domain()),
                ))
                .on_conflict_do_nothing()
                .returning(Programme::as_returning())
                .get_result(&mut &*self.connection)
                .await
                .optional()?;
            if let Some(programme) = made {
                if *quote != Quote::Unanswered {
                    self.settle_quote(&programme, quote).await?;
                }
                return Ok(Some(programme));
            }
        }
        Programme::of_address(self.connection, scope, address).await?.ok_or(QueryError::NotFound).map(Some)
    }

    /// Notes where a programme's reward comes from.
    pub(in crate::models) async fn note_rate_source(&self, id: ProgrammeId, source: ProgrammeRateSource) -> QueryResult<()> {
        let row = programmes::table.filter(programmes::tenant_id.eq(self.tenant)).filter(programmes::id.eq(id));
        let update = diesel::update(row.filter(programmes::rate_source.ne(source)))
            .set((programmes::rate_source.eq(source), programmes::updated_at.eq(self.at)));
        update.execute(&mut &*self.connection).await.map(drop)
    }

    /// Gives a programme the rate that the service knows, where it is still to be asked for. Gives whether it has another rate now.
    pub async fn rate_programme(&self, id: ProgrammeId, quote: &Quote) -> QueryResult<bool> {
        let row = programmes::table.filter(programmes::tenant_id.eq(self.tenant)).filter(programmes::id.eq(id));
        let columns = (Programme::as_select(), programmes::rate_until);
        let locked: Option<(Programme, Option<DateTime<Utc>>)> =
            row.select(columns).for_no_key_update().first(&mut &*self.connection).await.optional()?;
        let Some((programme, until)) = locked else { return Ok(false) };
        // What an operator has decided meanwhile stays, and so does what another server was told.
        let is_due = match programme.rate_source {
            ProgrammeRateSource::Default => true,
            ProgrammeRateSource::Service => until.is_some_and(|until| until <= self.at),
            ProgrammeRateSource::Operator => false,
        };
        if is_due { self.settle_quote(&programme, quote).await } else { Ok(false) }
    }

    /// Notes that the service was asked about a programme's shop, and sets what it answered. The programme's row is locked, or its own.
    async fn settle_quote(&self, programme: &Programme, quote: &Quote) -> QueryResult<bool> {
        let row = programmes::table.filter(programmes::tenant_id.eq(self.tenant)).filter(programmes::id.eq(programme.id));
        let asked = programmes::rate_asked_at.eq(self.at);
        let Quote::Rate(rate) = quote else {
            diesel::update(row).set(asked).execute(&mut &*self.connection).await?;
            return Ok(false);
        };
        let rule = RuleId::new();
        let new = NewRule {
            partner_id: None,
            programme_id: Some(programme.id),
            currency: rate.currency,
            formula: Formula { terms: rate.terms.clone(), cap: None },
            duration_months: None,
            valid_from: self.at,
            valid_to: None,
        };
        // What the service said before, of whichever currency, it says no longer.
        let said = partner_commissions::table
            .filter(partner_commissions::tenant_id.eq(self.tenant))
            .filter(partner_commissions::programme_id.eq(programme.id))
            .filter(partner_commissions::partner_id.is_null())
            .filter(partner_commissions::created_by.is_null())
            .filter(partner_commissions::valid_to.is_null())
            .filter(partner_commissions::valid_from.lt(self.at));
        diesel::update(said).set(partner_commissions::valid_to.eq(self.at)).execute(&mut &*self.connection).await?;
        // Nobody has set it: it is the service's. A version that begins later than now is an operator's, and stays.
        if (Books { by: None, ..*self }).add_rule_version(rule, &new).await?.is_err() {
            diesel::update(row).set(asked).execute(&mut &*self.connection).await?;
            return Ok(false);
        }
        let update = diesel::update(row).set((
            asked,
            programmes::rate_until.eq(rate.until),
            programmes::rate_source.eq(ProgrammeRateSource::Service),
            programmes::updated_at.eq(self.at),
        ));
        update.execute(&mut &*self.connection).await?;
        diesel::insert_into(programme_rate_answers::table)
            .values((
                programme_rate_answers::tenant_id.eq(self.tenant),
                programme_rate_answers::rule_id.eq(rule),
                programme_rate_answers::programme_id.eq(programme.id),
                programme_rate_answers::answer.eq(&rate.answer),
                programme_rate_answers::valid_until.eq(rate.until),
                programme_rate_answers::created_at.eq(self.at),
            ))
            .execute(&mut &*self.connection)
            .await
            .map(|_| true)
    }
}
