//! A year of a tenant's credits: members, grants, assignments, use, what is taken back and what expires. Everything is booked by the code
//! that the API books with, in the order of time.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use fastrand::Rng;

use super::{
    Progress,
    names::{FIRST_NAMES, LAST_NAMES},
};
use crate::{
    db::{
        QueryError,
        schema::{credit_allocations, partner_members},
    },
    error::Result,
    ids::{AllocationId, MemberId, PartnerId, TenantId},
    models::{
        credits::{
            assignment::Assignment,
            grant::NewGrant,
            redemption::{NewRedemption, Redeemer},
        },
        ledger::books::Books,
        members::member::{MemberStatus, NewMember},
        scope::Scope,
    },
};

/// Members in one statement.
const CHUNK: usize = 1_000;
/// How many credits a partner is granted, each quarter.
const GRANT: i32 = 250;

/// One thing that happens.
enum Happening {
    Grant(NewGrant),
    Assignment(PartnerId, Assignment),
    Redemption(NewRedemption),
    /// What is unused of what was assigned with this key.
    Revocation(PartnerId, String),
    Expiry,
}

/// Whose credits, until when, and what is drawn by lot.
pub struct CreditYear<'p> {
    pub tenant: TenantId,
    /// The partners.
    pub partners: &'p [PartnerId],
    pub members: u32,
    pub seed: u64,
    pub now: DateTime<Utc>,
}

/// A member as it is made.
struct Made {
    id: MemberId,
    partner: PartnerId,
    email: String,
    first_name: &'static str,
    last_name: &'static str,
    at: DateTime<Utc>,
}

impl CreditYear<'_> {
    /// Books the year; gives how many members are new. A second run with the same seed finds everything booked.
    pub async fn book(&self, connection: &mut AsyncPgConnection, progress: impl Fn(Progress)) -> Result<usize> {
        if self.partners.is_empty() || self.members == 0 {
            return Ok(0);
        }
        let mut random = Rng::with_seed(self.seed ^ 0x6372_6564_6974);
        let members: Vec<Made> = (0..self.members).map(|number| self.member(&mut random, number)).collect();
        let before = self.count(connection).await?;
        for chunk in members.chunks(CHUNK) {
            connection.transaction(async |connection| self.add(connection, chunk).await).await?;
        }
        let added = self.count(connection).await? - before;
        let mut happenings = self.grants();
        for member in &members {
            self.career(&mut random, member, &mut happenings);
        }
        happenings.extend((0..52).map(|week| (self.now - TimeDelta::weeks(week), Happening::Expiry)));
        happenings.sort_by_key(|(at, _)| *at);
        progress(Progress::Planned(happenings.len()));
        for (at, happening) in &happenings {
            let outcome = connection
                .transaction(async |connection| {
                    let books = Books { connection, tenant: self.tenant, by: None, at: *at, writing: None, clock: None };
                    self.happen(books, happening).await?.then_some(()).ok_or(QueryError::RollbackTransaction)
                })
                .await;
            // What is refused does not happen: a partner that is not active assigns nothing, and its members use nothing.
            if let Err(error @ (QueryError::DatabaseError(..) | QueryError::DeserializationError(_))) = outcome {
                return Err(error.into());
            }
            progress(Progress::Done(1));
        }
        Ok(usize::try_from(added).unwrap_or(0))
    }

    async fn count(&self, connection: &mut AsyncPgConnection) -> QueryResult<i64> {
        partner_members::table.filter(partner_members::tenant_id.eq(self.tenant)).count().get_result(connection).await
    }

    fn member(&self, random: &mut Rng, number: u32) -> Made {
        let index = usize::try_from(number).unwrap_or(0);
        let partner = self.partners[index % self.partners.len()];
        let (first_name, last_name) = (FIRST_NAMES[random.usize(..32)], LAST_NAMES[random.usize(..32)]);
        let email =
            format!("{}.{}.{}@staff-{}.example", first_name.to_lowercase(), last_name.to_lowercase(), number + 1, self.seed);
        // Of the seed's, and not of the present, so that the next run makes the same.
        let milliseconds = 1_735_689_600_000 + random.u64(..31_536_000_000);
        let mut bits = [0; 10];
        random.fill(&mut bits);
        let id = uuid::Builder::from_unix_timestamp_millis(milliseconds, &bits).into_uuid().into();
        let at = self.now - TimeDelta::days(360) - TimeDelta::seconds(random.i64(0..86_400));
        Made { id, partner, email, first_name, last_name, at }
    }

    async fn add(&self, mut connection: &AsyncPgConnection, members: &[Made]) -> Result<()> {
        let rows: Vec<NewMember<'_>> = members
            .iter()
            .map(|made| NewMember {
                tenant_id: self.tenant,
                id: made.id,
                partner_id: made.partner,
                email: &made.email,
                first_name: made.first_name,
                last_name: Some(made.last_name),
                created_at: made.at,
                updated_at: made.at,
            })
            .collect();
        diesel::insert_into(partner_members::table).values(rows).on_conflict_do_nothing().execute(&mut connection).await?;
        // Some have signed in elsewhere, as far as the demo goes.
        let active: Vec<MemberId> = members.iter().step_by(3).map(|made| made.id).collect();
        diesel::update(
            partner_members::table
                .filter(partner_members::tenant_id.eq(self.tenant))
                .filter(partner_members::id.eq_any(active))
                .filter(partner_members::status.eq(MemberStatus::Invited)),
        )
        .set(partner_members::status.eq(MemberStatus::Active))
        .execute(&mut connection)
        .await?;
        Ok(())
    }

    fn grants(&self) -> Vec<(DateTime<Utc>, Happening)> {
        let mut happenings = Vec::new();
        for (index, partner) in self.partners.iter().enumerate() {
            for quarter in 0..4_i64 {
                let key = format!("seed_{}_{}_{quarter}", self.seed, index + 1);
                let new = NewGrant { partner: *partner, credits: GRANT, reason: "Included in the plan".to_owned(), key };
                happenings.push((self.now - TimeDelta::days(355 - 90 * quarter), Happening::Grant(new)));
            }
        }
        happenings
    }

    /// What a member is given over the year, and what becomes of it.
    fn career(&self, random: &mut Rng, member: &Made, happenings: &mut Vec<(DateTime<Utc>, Happening)>) {
        for turn in 0..random.i64(1..5) {
            let credits = random.i32(1..25);
            let valid_days = [30, 60, 90, 180][random.usize(..4)];
            let at = self.now - TimeDelta::days(350 - 86 * turn) + TimeDelta::seconds(random.i64(0..85 * 86_400));
            let key = format!("seed_{}_{}_{turn}", self.seed, member.email);
            let assignment = Assignment { member: member.id, credits, valid_days, key: Some(key.clone()) };
            happenings.push((at, Happening::Assignment(member.partner, assignment)));
            let used_at = at + TimeDelta::seconds(random.i64(3_600..20 * 86_400));
            if used_at < self.now {
                let redeemer = Redeemer::Member(member.id);
                let new = NewRedemption { redeemer, credits: random.i32(1..=credits), key: key.clone() };
                happenings.push((used_at, Happening::Redemption(new)));
            }
            let revoked_at = at + TimeDelta::days(25);
            if revoked_at < self.now && random.u8(..10) == 0 {
                happenings.push((revoked_at, Happening::Revocation(member.partner, key)));
            }
        }
    }

    /// Does it; gives whether it may stay.
    async fn happen(&self, books: Books<'_>, happening: &Happening) -> QueryResult<bool> {
        Ok(match happening {
            Happening::Grant(new) => books.grant_credits(new).await?.is_ok(),
            Happening::Assignment(partner, assignment) => {
                books.assign_credits(*partner, std::slice::from_ref(assignment)).await?.iter().all(std::result::Result::is_ok)
            }
            Happening::Redemption(new) => books.redeem_credits(new, true).await?.is_ok(),
            Happening::Revocation(partner, key) => {
                let found: Option<AllocationId> = credit_allocations::table
                    .filter(credit_allocations::tenant_id.eq(self.tenant))
                    .filter(credit_allocations::partner_id.eq(partner))
                    .filter(credit_allocations::idempotency_key.eq(key))
                    .select(credit_allocations::id)
                    .first(&mut &*books.connection)
                    .await
                    .optional()?;
                match found {
                    Some(id) => books.revoke_credits(Scope::tenant(self.tenant), id).await?.is_some(),
                    None => false,
                }
            }
            Happening::Expiry => books.expire_due().await? > 0,
        })
    }
}
