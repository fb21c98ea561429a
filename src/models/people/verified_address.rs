//! What becomes of a bearer by their address, where the issuer has verified it: who was known by the address alone is the bearer.

use diesel::{prelude::*, sql_types::BigInt};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::sign_in::{Identity, SignIn};
use crate::{
    db::{
        schema::partner_members,
        statement::{Bind, condition, statement},
    },
    ids::{PartnerId, UserId},
    models::members::member::MemberStatus,
};

impl SignIn {
    /// Members of the address, who were invited, are the bearer.
    pub(super) async fn link_members(
        &self,
        mut connection: &AsyncPgConnection,
        found: &Identity,
        user: UserId,
    ) -> QueryResult<()> {
        let Some(email) = self.verified_email().filter(|_| found.is_invited) else { return Ok(()) };
        let tenant = found.tenant.id;
        let invited = || {
            partner_members::table
                .filter(partner_members::tenant_id.eq(tenant))
                .filter(condition("partner_members.email_key = email_key(?)", vec![Bind::text(email)]))
                .filter(partner_members::user_id.is_null())
                .filter(partner_members::status.eq(MemberStatus::Invited))
        };
        // In the lock order of redemptions by address, so that the two cannot deadlock.
        let members = invited().order(partner_members::id).select(partner_members::partner_id).for_no_key_update();
        let mut partners: Vec<PartnerId> = members.load(&mut connection).await?;
        partners.sort_unstable();
        // Then one after the other: each changes its partner's counts, and two who sign in at once must do so in one order.
        for partner in partners {
            diesel::update(invited().filter(partner_members::partner_id.eq(partner)))
                .set((
                    partner_members::user_id.eq(user),
                    partner_members::status.eq(MemberStatus::Active),
                    partner_members::updated_at.eq(diesel::dsl::now),
                ))
                .execute(&mut connection)
                .await?;
        }
        Ok(())
    }

    /// Accepts the open invitations of the bearer's verified address, if the bearer acts for nobody yet. Gives whether there was one.
    pub(super) async fn accept_invitations(
        &self,
        mut connection: &AsyncPgConnection,
        found: &Identity,
        user: UserId,
    ) -> QueryResult<bool> {
        let Some(email) = self.verified_email().filter(|_| found.is_invited) else { return Ok(false) };
        let binds = vec![Bind::Uuid(found.tenant.id.uuid()), Bind::Uuid(user.uuid()), Bind::text(email)];
        let accepted = statement::<BigInt>("SELECT accept_invitations_of_address(?, ?, ?)", binds);
        Ok(accepted.get_result::<i64>(&mut connection).await? > 0)
    }

    /// Customers of the bearer's verified address are the bearer.
    pub(super) async fn link_customers(
        &self,
        mut connection: &AsyncPgConnection,
        found: &Identity,
        user: UserId,
    ) -> QueryResult<()> {
        let Some(email) = self.verified_email().filter(|_| found.is_invited) else { return Ok(()) };
        let binds = vec![Bind::Uuid(found.tenant.id.uuid()), Bind::Uuid(user.uuid()), Bind::text(email)];
        statement::<BigInt>("SELECT link_customers(?, ?, ?)", binds).execute(&mut connection).await.map(drop)
    }
}
