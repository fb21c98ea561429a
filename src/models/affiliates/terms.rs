//! What affiliates earn, in versions: the latest that has begun is in force.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;

use crate::{
    db::{
        locks::{self, OfTenant},
        schema::affiliate_terms,
    },
    ids::{AffiliateTermsId, TenantId, UserId},
    models::{ledger::books::Books, scope::Scope},
};

/// A version of the terms.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = affiliate_terms)]
pub struct AffiliateTerms {
    /// Its id.
    pub id: AffiliateTermsId,
    /// Which version, from 1.
    pub number: i32,
    /// The share of what a referred person pays, as a fraction.
    pub share: Decimal,
    /// For how many days after a person's sign-up their payments earn; `None` for good.
    pub validity_days: Option<i32>,
    /// Whether anybody earns anything.
    pub is_active: bool,
    /// Since when.
    pub valid_from: DateTime<Utc>,
    /// Who set it.
    pub created_by: Option<UserId>,
    /// Who acted in their name.
    pub impersonator: Option<String>,
}

/// Terms to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewTerms {
    /// The share, as a fraction.
    pub share: Decimal,
    /// For how many days.
    pub validity_days: Option<i32>,
    /// Whether they are on.
    pub is_active: bool,
}

impl AffiliateTerms {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[AffiliateTermsId],
    ) -> QueryResult<HashMap<AffiliateTermsId, Self>> {
        let query = Self::query().filter(affiliate_terms::tenant_id.eq(scope.tenant)).filter(affiliate_terms::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// A tenant's versions, the latest first.
    pub async fn by_tenants(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        _: &[TenantId],
    ) -> QueryResult<HashMap<TenantId, Vec<Self>>> {
        let query = Self::query().filter(affiliate_terms::tenant_id.eq(scope.tenant)).order(affiliate_terms::number.desc());
        Ok(HashMap::from([(scope.tenant, query.load(&mut connection).await?)]))
    }

    /// Until when the payments of a person who signed up at an instant earn; `None` for good.
    pub fn valid_until(&self, signed_up_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.validity_days.map(|days| signed_up_at + TimeDelta::days(i64::from(days)))
    }
}

impl Books<'_> {
    /// Keeps the terms from being changed until the transaction ends.
    pub(super) async fn hold_terms(&self) -> QueryResult<()> {
        locks::share_of_tenant(self.connection, OfTenant::Terms, self.tenant).await
    }

    /// Sets the terms from now on: a new version, unless those in force are the same. Gives the version in force, and whether it is new.
    pub async fn set_affiliate_terms(&self, new: NewTerms) -> QueryResult<(AffiliateTermsId, bool)> {
        // One after the other, and after the payments that are being booked by those in force.
        locks::lock_of_tenant(self.connection, OfTenant::Terms, self.tenant).await?;
        let query =
            AffiliateTerms::query().filter(affiliate_terms::tenant_id.eq(self.tenant)).order(affiliate_terms::number.desc());
        let last: Option<AffiliateTerms> = query.first(&mut &*self.connection).await.optional()?;
        if let Some(last) = &last
            && (NewTerms { share: last.share, validity_days: last.validity_days, is_active: last.is_active }) == new
        {
            return Ok((last.id, false));
        }
        let id = AffiliateTermsId::new();
        let at = self.after_locks().at;
        let later = |last: &AffiliateTerms| last.valid_from + TimeDelta::microseconds(1);
        diesel::insert_into(affiliate_terms::table)
            .values((
                affiliate_terms::tenant_id.eq(self.tenant),
                affiliate_terms::id.eq(id),
                affiliate_terms::number.eq(last.as_ref().map_or(0, |last| last.number) + 1),
                affiliate_terms::share.eq(new.share),
                affiliate_terms::validity_days.eq(new.validity_days),
                affiliate_terms::is_active.eq(new.is_active),
                affiliate_terms::valid_from.eq(last.as_ref().map_or(at, |last| at.max(later(last)))),
                affiliate_terms::created_by.eq(self.by),
            ))
            .execute(&mut &*self.connection)
            .await?;
        Ok((id, true))
    }
}
