//! Referrals: who was referred by whom, and when that holds. How it is decided is in [`super::referral_decision`].

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::{
    db::schema::referrals,
    ids::{ReferralId, UserId},
    models::{
        list::{Conditions, list, list_below},
        page::{Cursor, Key, KeyKind, Page, SortKey, group},
        scope::Scope,
    },
};

crate::pg_enum! {
    /// How it came to be known who referred a person.
    pub enum ReferralMeans {
        /// Their token said so when they signed in first.
        Claimed = "claimed",
        /// They accepted the invitation themselves.
        Accepted = "accepted",
        /// The billing system said so of their sign-up.
        Reported = "reported",
        /// An operator corrected it.
        Corrected = "corrected",
    }
}

/// A person who was referred by another.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = referrals)]
pub struct Referral {
    /// Its id.
    pub id: ReferralId,
    /// Who was referred.
    pub user_id: UserId,
    /// By whom.
    pub referrer_id: UserId,
    /// How that is known.
    pub means: ReferralMeans,
    /// The code that they came with, as they gave it.
    pub code: Option<String>,
    /// Why an operator corrected it.
    pub reason: Option<String>,
    /// When they signed up.
    pub signed_up_at: DateTime<Utc>,
    /// Since when it holds.
    pub valid_from: DateTime<Utc>,
    /// Its end, exclusive; `None` while it holds.
    pub valid_to: Option<DateTime<Utc>>,
    /// When they paid first while it held.
    pub first_paid_at: Option<DateTime<Utc>>,
    /// Their initials.
    pub initials: Option<String>,
    /// Who decided it.
    pub decided_by: Option<UserId>,
    /// Who acted in their name.
    pub impersonator: Option<String>,
    /// Why an operator ended it.
    pub end_reason: Option<String>,
    /// Who did.
    pub ended_by: Option<UserId>,
    /// Who acted in their name.
    pub end_impersonator: Option<String>,
}

/// Which referrals a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ReferralFilter {
    /// Those of this referrer.
    pub referrer: Option<UserId>,
    /// Those that hold now, or those that have ended.
    pub is_current: Option<bool>,
    /// Those of people who have paid, or of those who have not.
    pub has_paid: Option<bool>,
}

/// By sign-up.
pub const BY_SIGN_UP: SortKey =
    SortKey { name: "signedUp", column: "referrals.signed_up_at", id: "referrals.id", kind: KeyKind::Time };

impl ReferralFilter {
    /// What holds for each of them: of a person's own, those whom they have referred.
    fn conditions(&self, scope: Scope) -> Conditions<'_, referrals::table> {
        Conditions::of(referrals::tenant_id.eq(scope.tenant))
            .and_if([scope.user, self.referrer].into_iter().flatten(), |referrer| referrals::referrer_id.eq(referrer))
            .and_if(self.is_current, |is_current| referrals::valid_to.is_null().eq(is_current))
            .and_if(self.has_paid, |has_paid| referrals::first_paid_at.is_not_null().eq(has_paid))
    }
}

list!(ReferralFilter => Referral; referrals);
list_below!(ReferralFilter => Referral; referrals; UserId, "referrals.referrer_id");

impl Referral {
    /// Those of `ids` that are in scope: a person's own are those whom they have referred.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[ReferralId],
    ) -> QueryResult<HashMap<ReferralId, Self>> {
        let query = Self::query().filter(referrals::tenant_id.eq(scope.tenant)).filter(referrals::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().filter(|row| scope.includes_user(row.referrer_id)).map(|row| (row.id, row)).collect())
    }

    /// What has been decided of each user, the first decision first.
    pub async fn by_users(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        users: &[UserId],
    ) -> QueryResult<HashMap<UserId, Vec<Self>>> {
        let rows: Vec<Self> = Self::query()
            .filter(referrals::tenant_id.eq(scope.tenant))
            .filter(referrals::user_id.eq_any(users))
            .order((referrals::user_id, referrals::valid_from, referrals::id))
            .load(&mut connection)
            .await?;
        Ok(group(rows.into_iter().filter(|row| scope.includes_user(row.user_id)).map(|row| (row.user_id, row)).collect()))
    }

    /// Where this row stands in a list.
    pub fn cursor(&self, page: &Page) -> Cursor {
        page.cursor(Key::Time(self.signed_up_at), Uuid::from(self.id))
    }
}
