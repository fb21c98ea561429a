//! Changes of members: who is taken in, which address they have, and when it is settled.

use chrono::{DateTime, Utc};
use diesel::QueryResult;

use super::member::{Member, MemberChanges, MemberStatus, NewMember, email_key, is_email_taken};
use crate::{
    ids::{MemberId, PartnerId},
    models::{ledger::books::Books, partners::partner::Partner, scope::Scope},
};

/// A person to be added to a partner's members.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// The e-mail address.
    pub email: &'a str,
    /// The first name.
    pub first_name: &'a str,
    /// The last name.
    pub last_name: Option<&'a str>,
}

/// Why a member was left as it is, or was not added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberFault {
    /// There is no such partner.
    UnknownPartner,
    /// There is no such member.
    NotFound,
    /// The partner has another member with the address.
    AddressTaken,
    /// Somebody has signed in with this address, which is settled since.
    AddressSettled(String),
    /// It was changed at this instant, after the caller had read it.
    ChangedSince(DateTime<Utc>),
    /// The person was erased then, and is not named again.
    Erased(DateTime<Utc>),
}

impl Books<'_> {
    /// Adds a member, and gives its id and whether it is new: the same person again is the one that is there, so a retry is safe.
    pub async fn add_member(
        &self,
        scope: Scope,
        partner: PartnerId,
        person: Person<'_>,
    ) -> QueryResult<Result<(MemberId, bool), MemberFault>> {
        if Partner::by_ids(self.connection, scope, &[partner]).await?.is_empty() {
            return Ok(Err(MemberFault::UnknownPartner));
        }
        let Person { email, first_name, last_name } = person;
        let new = NewMember {
            tenant_id: self.tenant,
            id: MemberId::new(),
            partner_id: partner,
            email,
            first_name,
            last_name,
            created_at: self.at,
            updated_at: self.at,
        };
        if Member::insert(self.connection, &new).await? {
            return Ok(Ok((new.id, true)));
        }
        Ok(match Member::by_address(self.connection, scope, partner, email).await? {
            Some(known) if new.is_as(&known) => Ok((known.id, false)),
            _ => Err(MemberFault::AddressTaken),
        })
    }

    /// Changes a member, and gives whether anything was not so already. Its credits follow a new address, which is settled once somebody
    /// has signed in with it. `expected` is its `updated_at` when the caller decided on the changes.
    pub async fn change_member(
        &self,
        scope: Scope,
        id: MemberId,
        changes: &MemberChanges,
        expected: Option<DateTime<Utc>>,
    ) -> QueryResult<Result<bool, MemberFault>> {
        let members = Member::by_ids(self.connection, scope, &[id]).await?;
        let Some(known) = members.get(&id) else { return Ok(Err(MemberFault::NotFound)) };
        let member = if changes.email.is_some() {
            // Credits that move along are written in the tenant's name, and their lock order begins with the partner's balance.
            self.act_for_tenant().await?;
            self.lock_credits(known.partner_id).await?;
            Member::lock_key(self.connection, scope, id).await?
        } else {
            Member::lock(self.connection, scope, id).await?
        };
        let Some(member) = member else { return Ok(Err(MemberFault::NotFound)) };
        if !changes.differ_from(&member) {
            return Ok(Ok(false));
        }
        if let Some(erased) = member.erased_at {
            return Ok(Err(MemberFault::Erased(erased)));
        }
        if expected.is_some_and(|expected| expected != member.updated_at) {
            return Ok(Err(MemberFault::ChangedSince(member.updated_at)));
        }
        if changes.email.as_ref().is_some_and(|email| email_key(email) != member.email_key) {
            if member.user_id.is_some() {
                return Ok(Err(MemberFault::AddressSettled(member.email)));
            }
            member.lock_units(self.connection, self.tenant).await?;
        }
        match member.update(self.connection, self.tenant, changes, self.after_locks().at).await {
            Err(error) if is_email_taken(&error) => Ok(Err(MemberFault::AddressTaken)),
            updated => updated.map(|()| Ok(true)),
        }
    }

    /// Takes an inactive member in again: active where somebody has signed in with the address, else invited. Gives whether it was
    /// inactive.
    pub async fn reactivate_member(&self, scope: Scope, id: MemberId) -> QueryResult<Result<bool, MemberFault>> {
        let Some(member) = Member::lock(self.connection, scope, id).await? else { return Ok(Err(MemberFault::NotFound)) };
        if member.status != MemberStatus::Inactive {
            return Ok(Ok(false));
        }
        if let Some(erased) = member.erased_at {
            return Ok(Err(MemberFault::Erased(erased)));
        }
        let status = if member.user_id.is_some() { MemberStatus::Active } else { MemberStatus::Invited };
        let changes = MemberChanges { status: Some(status), ..MemberChanges::default() };
        member.update(self.connection, self.tenant, &changes, self.after_locks().at).await.map(|()| Ok(true))
    }
}
