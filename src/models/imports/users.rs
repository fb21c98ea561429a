//! People and the partners that they belong to, as they were elsewhere.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    sql_types::{Jsonb, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    facts::{Facts, ImportKind},
    finding::{Finding, FindingCode},
    refs::Known,
    run::ImportRun,
    staged::{Settled, WaitingRow, understood},
};
use crate::{
    db::statement::{Bind, statement},
    ids::UserId,
    models::members::member::email_key,
};

/// The longest subject, in characters.
const MAX_SUBJECT: usize = 255;

#[derive(Serialize)]
struct NewUser {
    id: Uuid,
    subject: String,
    email: Option<String>,
    name: Option<String>,
    partner: Option<Uuid>,
    at: DateTime<Utc>,
}

#[derive(Serialize)]
struct NewMembership {
    id: Uuid,
    partner: Uuid,
    role: String,
    at: DateTime<Utc>,
}

/// A membership that was read, with the partner if that has come in.
struct Belongs {
    source_id: String,
    facts: Facts,
    partner: Option<Uuid>,
}

/// What some users become.
#[derive(Default)]
struct Plan {
    users: Vec<NewUser>,
    memberships: Vec<NewMembership>,
    settled: Vec<Settled>,
    settled_memberships: Vec<Settled>,
    findings: Vec<Finding>,
}

impl ImportRun<'_> {
    /// Settles some users and their memberships; gives how many. A user who belongs to no partner gets one.
    pub async fn settle_users(&self) -> QueryResult<usize> {
        let rows = self.waiting(ImportKind::User).await?;
        let count = rows.len();
        let rows = self.without_unknown(ImportKind::User, rows).await?;
        let mut belongs = self.belonging_of(&rows).await?;
        let alone =
            rows.iter().filter(|row| !belongs.get(&row.source_id).is_some_and(|all| all.iter().any(|one| one.partner.is_some())));
        let wanted = alone.map(|row| (format!("user:{}", row.source_id), row.facts.clone())).collect();
        let own: HashMap<String, Uuid> = self.derive_partners(wanted).await?.into_iter().collect();
        let firsts = self.first_of_addresses(ImportKind::User, rows.iter().map(|row| row.facts.email.as_ref())).await?;
        let here = self.users_here(&rows).await?;
        let mut plan = Plan::default();
        for row in &rows {
            let all = belongs.remove(&row.source_id).unwrap_or_default();
            let first = row.facts.email.as_ref().and_then(|email| firsts.get(&email_key(email)));
            let first = first.map(|(first, _)| first.as_str()).filter(|first| *first != row.source_id);
            let known = row.facts.existing.or_else(|| here.get(self.subject_of(row).as_str()).copied());
            let own = own.get(&format!("user:{}", row.source_id)).copied();
            self.plan_user(row, all, own, first, known, &mut plan);
        }
        self.add_users(&plan.users, &plan.memberships).await?;
        self.settle(ImportKind::User, &plan.settled).await?;
        self.settle(ImportKind::Membership, &plan.settled_memberships).await?;
        self.report(&plan.findings).await?;
        Ok(count)
    }

    fn plan_user(
        &self,
        row: &WaitingRow,
        all: Vec<Belongs>,
        own: Option<Uuid>,
        first: Option<&str>,
        known: Option<Uuid>,
        plan: &mut Plan,
    ) {
        let (kind, facts) = (ImportKind::User, &row.facts);
        let mut say = |code, message: &str| plan.findings.push(Finding::of(kind, &row.source_id, code, message));
        let mut theirs: Vec<&Belongs> = all.iter().filter(|one| one.partner.is_some()).collect();
        theirs.sort_by_key(|one| (one.facts.at, one.source_id.clone()));
        let chosen = facts
            .default_partner
            .as_ref()
            .and_then(|wanted| theirs.iter().find(|one| one.facts.partner.as_ref() == Some(wanted)));
        let default = chosen.or(theirs.as_slice().first()).and_then(|one| one.partner).or(own);
        if theirs.is_empty() {
            say(FindingCode::UserWithoutPartner, "The user belonged to no partner, and got one of their own.");
        } else if chosen.is_none() && facts.default_partner.is_some() {
            say(
                FindingCode::DefaultNotTheirs,
                "The user does not belong to their default partner; they act for the one that they joined first.",
            );
        }
        if theirs.len() > 1 {
            let which = chosen.or(theirs.as_slice().first()).and_then(|one| one.facts.partner.clone()).unwrap_or_default();
            say(FindingCode::SeveralPartners, &format!("The user belongs to {} partners, and acts for {which:?}.", theirs.len()));
        }
        if facts.name.is_none() {
            say(FindingCode::UserWithoutName, "The user has no name.");
        }
        let mut email = facts.email.clone();
        if email.is_none() {
            say(
                FindingCode::UserWithoutEmail,
                "The user has no e-mail address: nobody can sign in as them until a decision gives one.",
            );
        }
        if let Some(first) = first {
            let message = format!("The user {first:?} has this address, and was there before; this one has none here.");
            let finding = Finding::of(kind, &row.source_id, FindingCode::DuplicateEmail, message);
            plan.findings.push(finding.at("email", email.take().as_deref()));
        }
        let id = known.unwrap_or_else(|| UserId::new().uuid());
        let (at, subject) = (facts.at.unwrap_or(self.at), self.subject_of(row));
        plan.users.push(NewUser { id, subject, email, name: facts.name.clone(), partner: default, at });
        let role = |one: &Belongs| one.facts.role.clone().unwrap_or_else(|| "member".to_owned());
        plan.memberships.extend(theirs.iter().filter_map(|one| {
            Some(NewMembership { id, partner: one.partner?, role: role(one), at: one.facts.at.unwrap_or(at) })
        }));
        plan.memberships.extend(own.map(|partner| NewMembership { id, partner, role: "owner".to_owned(), at }));
        let inside = theirs.iter().map(|one| Settled { partner: one.partner, ..Settled::inside(&one.source_id, id) });
        plan.settled_memberships.extend(inside);
        plan.settled.push(Settled { partner: default, ..Settled::inside(&row.source_id, id) });
    }

    /// A person's `sub`: theirs, or one that waits for them to sign in.
    fn subject_of(&self, row: &WaitingRow) -> String {
        row.facts.subject.clone().unwrap_or_else(|| unclaimed(self.source, &row.source_id))
    }

    /// The users of these subjects who are here already.
    async fn users_here(&self, rows: &[WaitingRow]) -> QueryResult<HashMap<String, Uuid>> {
        let subjects = rows.iter().map(|row| self.subject_of(row)).collect();
        let found: Vec<(String, Uuid)> = statement::<(Text, SqlUuid)>(
            "SELECT clerk_user_id, id FROM users WHERE tenant_id = ? AND clerk_user_id = ANY (?)",
            vec![self.tenant_bind(), Bind::Texts(subjects)],
        )
        .load(&mut &*self.connection)
        .await?;
        Ok(found.into_iter().collect())
    }

    /// The memberships of these users, whose partners may not have come in.
    async fn belonging_of(&self, rows: &[WaitingRow]) -> QueryResult<HashMap<String, Vec<Belongs>>> {
        let users = rows.iter().map(|row| row.source_id.clone()).collect();
        let found: Vec<(String, String, Value)> = statement::<(Text, Text, Jsonb)>(
            "SELECT user_ref, source_id, facts FROM import_rows WHERE tenant_id = ? AND source = ? AND kind = 'membership' AND user_ref = ANY (?)
                 AND state <> 'left'",
            vec![self.tenant_bind(), self.source_bind(), Bind::Texts(users)],
        )
        .load(&mut &*self.connection)
        .await?;
        let found = found
            .into_iter()
            .map(|(user, id, facts)| Ok((user, id, understood(facts)?)))
            .collect::<QueryResult<Vec<(_, _, Facts)>>>()?;
        let partners = self.known(ImportKind::Partner, found.iter().map(|(.., facts)| facts.partner.as_ref())).await?;
        let mut belongs = HashMap::<String, Vec<Belongs>>::new();
        for (user, source_id, facts) in found {
            let partner = facts.partner.as_ref().and_then(|id| partners.get(id)).and_then(Known::inside);
            belongs.entry(user).or_default().push(Belongs { source_id, facts, partner });
        }
        Ok(belongs)
    }

    async fn add_users(&self, users: &[NewUser], memberships: &[NewMembership]) -> QueryResult<()> {
        let binds = vec![self.tenant_bind(), Bind::json(&users), Bind::json(&memberships)];
        statement::<Text>("SELECT import_users(?, ?::jsonb, ?::jsonb)::text", binds)
            .execute(&mut &*self.connection)
            .await
            .map(drop)
    }

    /// Settles some memberships of users who had their turn before, or are nobody; gives how many.
    pub async fn settle_memberships(&self) -> QueryResult<usize> {
        let kind = ImportKind::Membership;
        let rows = self.waiting(kind).await?;
        let users = self.known(ImportKind::User, rows.iter().map(|row| row.facts.user.as_ref())).await?;
        let partners = self.known(ImportKind::Partner, rows.iter().map(|row| row.facts.partner.as_ref())).await?;
        let (mut added, mut settled, mut findings) = (Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            let user = row.facts.user.as_ref().and_then(|id| users.get(id)).and_then(Known::inside);
            let partner = row.facts.partner.as_ref().and_then(|id| partners.get(id)).and_then(Known::inside);
            let (Some(id), Some(partner)) = (user, partner) else {
                let (what, value) = if user.is_none() { ("user", &row.facts.user) } else { ("partner", &row.facts.partner) };
                let message = format!("There is no {what} {:?} among those that came in.", value.as_deref().unwrap_or_default());
                findings
                    .push(Finding::of(kind, &row.source_id, FindingCode::MembershipDangling, message).at(what, value.as_deref()));
                settled.push(Settled::left(&row.source_id));
                continue;
            };
            let role = row.facts.role.clone().unwrap_or_else(|| "member".to_owned());
            added.push(NewMembership { id, partner, role, at: row.facts.at.unwrap_or(self.at) });
            settled.push(Settled { partner: Some(partner), ..Settled::inside(&row.source_id, id) });
        }
        self.add_users(&[], &added).await?;
        self.settle(kind, &settled).await?;
        self.report(&findings).await?;
        Ok(rows.len())
    }

    /// Gives some partners that have no owner one: the person of their own address, who may sign in by it. `is_expected` where the source has no people
    /// besides its partners. Gives how many.
    pub async fn give_owners(&self, is_expected: bool) -> QueryResult<usize> {
        let found: Vec<(String, Uuid, Value, Option<String>)> = statement::<(Text, SqlUuid, Jsonb, Nullable<Text>)>(
            "SELECT r.source_id, r.target_id, r.facts, (SELECT p.contact_email FROM partner_profiles p
                 WHERE p.tenant_id = r.tenant_id AND p.partner_id = r.target_id
                     AND NOT EXISTS (SELECT FROM users u WHERE u.tenant_id = r.tenant_id AND email_key(u.email) = email_key(p.contact_email)))
             FROM import_rows r
             WHERE r.tenant_id = ? AND r.source = ? AND r.kind = 'partner' AND r.state = 'in' AND NOT EXISTS (SELECT FROM partner_users o
                 WHERE o.tenant_id = r.tenant_id AND o.partner_id = r.target_id AND o.role = 'owner')
             ORDER BY r.position LIMIT ?",
            vec![self.tenant_bind(), self.source_bind(), Bind::BigInt(self.batch)],
        )
        .load(&mut &*self.connection)
        .await?;
        let (mut users, mut memberships, mut rows, mut findings) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (source_id, partner, facts, email) in &found {
            let facts = Facts { email: email.clone(), ..understood(facts.clone())? };
            let (id, at, own) = (UserId::new().uuid(), facts.at.unwrap_or(self.at), format!("partner:{source_id}"));
            let (subject, name) = (unclaimed(self.source, &own), facts.name.clone());
            users.push(NewUser { id, subject, email: email.clone(), name, partner: Some(*partner), at });
            memberships.push(NewMembership { id, partner: *partner, role: "owner".to_owned(), at });
            rows.push((
                own,
                Facts { email: email.clone(), name: facts.name, at: facts.at, ..Facts::default() },
                id,
                Some(*partner),
            ));
            if !is_expected {
                let message = "The partner had no owner; the person of its own address is one.";
                findings.push(Finding::of(ImportKind::Partner, source_id, FindingCode::PartnerWithoutOwner, message));
            }
        }
        self.add_users(&users, &memberships).await?;
        self.derive(ImportKind::User, &rows).await?;
        self.report(&findings).await?;
        Ok(found.len())
    }
}

/// The subject of somebody who has not signed in yet: see the function `claim_imported_user`.
fn unclaimed(source: &str, id: &str) -> String {
    let whole = format!("import:{source}:{id}");
    if whole.chars().count() <= MAX_SUBJECT {
        return whole;
    }
    let hash = digest(&SHA256, id.as_bytes());
    let (start, _) = hash.as_ref().split_at(16);
    let number = start.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    format!("import:{source}:{number:032x}")
}
