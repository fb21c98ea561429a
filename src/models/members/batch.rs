//! Many members of a partner at once, as an import needs them: what is known of them, and their changes in a few statements.

use std::collections::HashMap;

use diesel::{
    prelude::*,
    sql_types::{Integer, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::member::{Member, MemberStatus};
use crate::{
    db::{
        schema::partner_members,
        statement::{Bind, statement},
    },
    ids::{MemberId, PartnerId, TenantId},
    models::{
        credits::{assignment::Assignment, ledger::figures},
        ledger::books::Books,
        partners::{partner::Partner, status::PartnerStatus},
        scope::Scope,
    },
};

/// What is to be known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Members with these addresses, as addresses are compared.
    pub addresses: Vec<String>,
    /// What was assigned with these keys.
    pub keys: Vec<String>,
}

/// A member that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownMember {
    /// Its id.
    pub id: MemberId,
    /// The first name.
    pub first_name: String,
    /// The last name.
    pub last_name: Option<String>,
    /// The status.
    pub status: MemberStatus,
}

/// What was assigned with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownAssignment {
    /// To whom.
    pub member: MemberId,
    /// How many credits.
    pub credits: i32,
    /// For how many days.
    pub valid_days: i32,
}

/// What is known of a partner and of some of its members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Whether the partner is active.
    pub is_active: bool,
    /// How many credits it has to assign.
    pub balance: i64,
    /// Members by address.
    pub members: HashMap<String, KnownMember>,
    /// What was assigned, by key.
    pub assigned: HashMap<String, KnownAssignment>,
}

/// A member to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newcomer {
    /// Its id.
    pub id: MemberId,
    /// The e-mail address.
    pub email: String,
    /// The first name.
    pub first_name: String,
    /// The last name.
    pub last_name: Option<String>,
}

/// A member's new names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// The member.
    pub id: MemberId,
    /// The first name.
    pub first_name: String,
    /// The last name; `None` leaves it.
    pub last_name: Option<String>,
}

/// What is to be done: in this order.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// New members.
    pub newcomers: Vec<Newcomer>,
    /// New names.
    pub renamed: Vec<Renamed>,
    /// Credits.
    pub assignments: Vec<Assignment>,
}

impl Known {
    /// What is known now, read only.
    pub async fn read(
        connection: &AsyncPgConnection,
        tenant: TenantId,
        partner: PartnerId,
        wanted: &Wanted,
    ) -> QueryResult<Self> {
        let scope = Scope::partner(tenant, Some(partner));
        // What is unassigned does not change with time alone.
        let balance = figures(connection, scope, &[partner], chrono::DateTime::UNIX_EPOCH).await?;
        let balance = balance.get(&partner).map_or(0, |figures| figures.balance);
        Self::of(connection, scope, partner, wanted, balance, false).await
    }

    /// The same, locked until the transaction ends: the partner's balance first, then the members in one order.
    pub async fn lock(books: &Books<'_>, partner: PartnerId, wanted: &Wanted) -> QueryResult<Self> {
        let balance = books.lock_credits(partner).await?;
        let scope = Scope::partner(books.tenant, Some(partner));
        Self::of(books.connection, scope, partner, wanted, balance, true).await
    }

    async fn of(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partner: PartnerId,
        wanted: &Wanted,
        balance: i64,
        locks: bool,
    ) -> QueryResult<Self> {
        let partners = Partner::by_ids(connection, scope, &[partner]).await?;
        let is_active = partners.get(&partner).is_some_and(|partner| partner.status == PartnerStatus::Active);
        let query = Member::query()
            .filter(partner_members::tenant_id.eq(scope.tenant))
            .filter(partner_members::partner_id.eq(partner))
            .filter(partner_members::email_key.eq_any(&wanted.addresses))
            .order(partner_members::email_key);
        let members: Vec<Member> =
            if locks { query.for_no_key_update().load(&mut connection).await? } else { query.load(&mut connection).await? };
        let assigned = Self::assigned(connection, scope, partner, wanted).await?;
        let known = |row: Member| {
            let Member { id, email_key, first_name, last_name, status, .. } = row;
            (email_key, KnownMember { id, first_name, last_name, status })
        };
        Ok(Self { is_active, balance, members: members.into_iter().map(known).collect(), assigned })
    }

    async fn assigned(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partner: PartnerId,
        wanted: &Wanted,
    ) -> QueryResult<HashMap<String, KnownAssignment>> {
        if wanted.keys.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<(String, MemberId, i32, i32)> = statement::<(Text, SqlUuid, Integer, Integer)>(
            "SELECT idempotency_key, member_id, credits, valid_days FROM credit_allocations
             WHERE tenant_id = ? AND partner_id = ? AND idempotency_key = ANY (?)",
            vec![Bind::Uuid(scope.tenant.uuid()), Bind::Uuid(partner.uuid()), Bind::Texts(wanted.keys.clone())],
        )
        .load(&mut connection)
        .await?;
        let known = |(key, member, credits, valid_days)| (key, KnownAssignment { member, credits, valid_days });
        Ok(rows.into_iter().map(known).collect())
    }
}

impl Books<'_> {
    /// Does it all, with what it was decided from locked; or returns that it is to be decided anew, because another request has added one of the
    /// members. Runs as a machine of the tenant.
    pub async fn import_members(&self, partner: PartnerId, changes: &Changes) -> QueryResult<bool> {
        if self.add_members(partner, &changes.newcomers).await? < changes.newcomers.len() {
            return Ok(false);
        }
        self.rename_members(&changes.renamed).await?;
        if changes.assignments.is_empty() {
            return Ok(true);
        }
        let outcomes = self.assign_credits(partner, &changes.assignments).await?;
        // With the balance and the members locked, only the partner itself can have become inactive.
        Ok(outcomes.iter().all(Result::is_ok))
    }

    async fn add_members(&self, partner: PartnerId, newcomers: &[Newcomer]) -> QueryResult<usize> {
        if newcomers.is_empty() {
            return Ok(0);
        }
        let mut newcomers: Vec<&Newcomer> = newcomers.iter().collect();
        newcomers.sort_by_key(|newcomer| super::member::email_key(&newcomer.email));
        let texts = |text: fn(&Newcomer) -> String| Bind::Texts(newcomers.iter().map(|newcomer| text(newcomer)).collect());
        statement::<Text>(
            "INSERT INTO partner_members (tenant_id, id, partner_id, email, first_name, last_name, created_at, updated_at)
             SELECT ?, id, ?, email, first_name, nullif(last_name, ''), ?, ?
             FROM unnest(?, ?, ?, ?) WITH ORDINALITY AS new (id, email, first_name, last_name, place) ORDER BY place
             ON CONFLICT (tenant_id, partner_id, email_key) DO NOTHING",
            vec![
                Bind::Uuid(self.tenant.uuid()),
                Bind::Uuid(partner.uuid()),
                Bind::Time(self.at),
                Bind::Time(self.at),
                Bind::Uuids(newcomers.iter().map(|newcomer| newcomer.id.uuid()).collect()),
                texts(|newcomer| newcomer.email.clone()),
                texts(|newcomer| newcomer.first_name.clone()),
                texts(|newcomer| newcomer.last_name.clone().unwrap_or_default()),
            ],
        )
        .execute(&mut &*self.connection)
        .await
    }

    async fn rename_members(&self, renamed: &[Renamed]) -> QueryResult<()> {
        if renamed.is_empty() {
            return Ok(());
        }
        let texts = |text: fn(&Renamed) -> String| Bind::Texts(renamed.iter().map(text).collect());
        statement::<Text>(
            "UPDATE partner_members m SET first_name = new.first_name, last_name = coalesce(nullif(new.last_name, ''), m.last_name), updated_at = ?
             FROM unnest(?, ?, ?) AS new (id, first_name, last_name) WHERE m.tenant_id = ? AND m.id = new.id",
            vec![
                Bind::Time(self.at),
                Bind::Uuids(renamed.iter().map(|renamed| renamed.id.uuid()).collect()),
                texts(|renamed| renamed.first_name.clone()),
                texts(|renamed| renamed.last_name.clone().unwrap_or_default()),
                Bind::Uuid(self.tenant.uuid()),
            ],
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }
}
