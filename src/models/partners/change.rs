//! Changes of partners: what is known of them, and the steps from approval to closing.

use chrono::{DateTime, Utc};
use diesel::QueryResult;

use super::{
    partner::{NewPartner, Partner, PartnerChanges, is_organization_taken},
    status::PartnerStatus,
};
use crate::{
    ids::PartnerId,
    models::{
        billing::account::{CustomerAccount, Whose},
        idempotency::{Claim, Difference, Key, Operation},
        ledger::{self, Account, books::Books},
        scope::Scope,
    },
};

/// Why a partner was left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartnerFault {
    /// There is no such partner.
    NotFound,
    /// A partner of the first status cannot be given the second.
    NoStep(PartnerStatus, PartnerStatus),
    /// It cannot be closed while money is owed either way: these accounts hold something.
    OpenBalance(Vec<Account>),
    /// Another partner has the organisation.
    OrganizationTaken,
    /// The idempotency key was used for something else.
    KeyReused {
        /// The partner that was added with it.
        first: PartnerId,
        /// Where the requests differ.
        difference: Difference,
    },
    /// It was changed at this instant, after the caller had read it.
    ChangedSince(DateTime<Utc>),
}

impl Books<'_> {
    /// Adds a partner and its empty profile, once for each key. Gives its id and whether it is new.
    pub async fn add_partner(&self, key: &Key, new: &NewPartner<'_>) -> QueryResult<Result<(PartnerId, bool), PartnerFault>> {
        match key.claim(self.connection, Operation::CreatePartner, self.tenant, None, new.id.uuid()).await? {
            Claim::First => {}
            Claim::Replay(first) => return Ok(Ok((first.into(), false))),
            Claim::Reused { first, difference } => {
                return Ok(Err(PartnerFault::KeyReused { first: first.into(), difference }));
            }
        }
        match Partner::insert(self.connection, new).await {
            Err(error) if is_organization_taken(&error) => Ok(Err(PartnerFault::OrganizationTaken)),
            inserted => inserted.map(|()| Ok((new.id, true))),
        }
    }

    /// Changes what is known of a partner, its status left out. Gives whether anything was not so already. `expected` is its `updated_at`
    /// when the caller decided on the changes.
    pub async fn change_partner(
        &self,
        scope: Scope,
        id: PartnerId,
        changes: &PartnerChanges,
        expected: Option<DateTime<Utc>>,
    ) -> QueryResult<Result<bool, PartnerFault>> {
        let Some(partner) = Partner::lock_key(self.connection, scope, id).await? else {
            return Ok(Err(PartnerFault::NotFound));
        };
        if !changes.differ_from(&partner) {
            return Ok(Ok(false));
        }
        if expected.is_some_and(|expected| expected != partner.updated_at) {
            return Ok(Err(PartnerFault::ChangedSince(partner.updated_at)));
        }
        match partner.update(self.connection, changes).await {
            Err(error) if is_organization_taken(&error) => Ok(Err(PartnerFault::OrganizationTaken)),
            updated => updated.map(|()| Ok(true)),
        }
    }

    /// Gives a partner a status, and the reason for it. Gives whether anything was not so already: the same status again changes nothing but
    /// the reason, where there is one. One that closes is owed nothing and owes nothing, and its customers are released.
    pub async fn step_partner(
        &self,
        scope: Scope,
        id: PartnerId,
        to: PartnerStatus,
        reason: Option<String>,
    ) -> QueryResult<Result<bool, PartnerFault>> {
        self.lock(&[id]).await?;
        // Whatever assigns credits locks this balance before it reads the status: so nothing is assigned beside the closing.
        self.lock_credits(id).await?;
        let Some(partner) = Partner::lock(self.connection, scope, id).await? else { return Ok(Err(PartnerFault::NotFound)) };
        let mut changes = PartnerChanges { status_reason: Some(reason), ..PartnerChanges::default() };
        if partner.status == to {
            let has_reason = changes.status_reason.as_ref().is_some_and(Option::is_some);
            if !has_reason || !changes.differ_from(&partner) {
                return Ok(Ok(false));
            }
        } else {
            if !partner.status.may_become(to) {
                return Ok(Err(PartnerFault::NoStep(partner.status, to)));
            }
            if to == PartnerStatus::Closed {
                let open = ledger::open_balances(self.connection, scope, id).await?;
                if !open.is_empty() {
                    return Ok(Err(PartnerFault::OpenBalance(open)));
                }
                CustomerAccount::end_all(self.connection, self.tenant, Whose::Partner(id), self.after_locks().at).await?;
            }
            changes.status = Some(to);
        }
        partner.update(self.connection, &changes).await?;
        Ok(Ok(true))
    }
}
