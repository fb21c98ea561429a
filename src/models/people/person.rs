//! Who is behind a row: a lead's client, a member, a customer, a user or somebody who was invited, and what else is kept of the same person.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    sql_types::{Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::{
    db::statement::{Bind, statement},
    ids::{self, CustomerId, InvitationId, LeadId, MemberId, TenantId, UserId},
};

crate::pg_enum! {
    /// The kind of a record that is about a person.
    pub enum PersonKind {
        /// The client of a lead, by the lead's id.
        Lead = "lead",
        /// A member of a partner.
        Member = "member",
        /// A customer.
        Customer = "customer",
        /// A user.
        User = "user",
        /// Somebody who was invited to act for a partner, by the invitation's id.
        Invitation = "invitation",
    }
}

impl PersonKind {
    /// What its ids begin with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Lead => LeadId::PREFIX,
            Self::Member => MemberId::PREFIX,
            Self::Customer => CustomerId::PREFIX,
            Self::User => UserId::PREFIX,
            Self::Invitation => InvitationId::PREFIX,
        }
    }

    /// What an id is of, with its UUID; `None` where it is of nobody.
    pub fn of(id: &str) -> Option<(Self, Uuid)> {
        let (prefix, uuid) = ids::parse_any(id)?;
        Self::ALL.iter().find(|kind| kind.prefix() == prefix).map(|&kind| (kind, uuid))
    }
}

/// A row that is about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRow {
    /// As what they are known by it.
    pub kind: PersonKind,
    /// The row's id.
    pub id: Uuid,
    /// Whether it is certain that it is the person: it is the row that was asked about, or it belongs to a user who is. Of the others it is
    /// known that they have the same e-mail address.
    pub is_certain: bool,
    /// The user that it belongs to, where that is another row.
    pub user: Option<UserId>,
    /// When the person was erased there.
    pub erased_at: Option<DateTime<Utc>>,
    /// What the person is called there.
    pub name: Option<String>,
}

impl PersonRow {
    /// Its id, as `node` takes it.
    pub fn node_id(&self) -> String {
        ids::format_any(self.kind.prefix(), self.id).expect("prefixes of ids are well-formed")
    }

    /// The pseudonym that it was erased with.
    pub fn pseudonym(&self) -> Option<String> {
        self.erased_at?;
        // Of an invitation, the name is the address.
        self.name.as_deref()?.split(['@', '+']).next().map(str::to_owned)
    }
}

type Found = (String, Uuid, bool, Option<UserId>, Option<DateTime<Utc>>, Option<String>);

/// Everything of a tenant's that is about the person whom a row is about, that row first. Nothing where there is no such row.
pub async fn find(
    mut connection: &AsyncPgConnection,
    tenant: TenantId,
    kind: PersonKind,
    id: Uuid,
) -> QueryResult<Vec<PersonRow>> {
    // Each table of people, once; addresses are compared as for invitations: the key finds them, and two of one key need not be one mailbox.
    let sql = "
        WITH asked AS MATERIALIZED (SELECT ?::uuid AS tenant_id, ?::text AS kind, ?::uuid AS id),
        known AS (
            SELECT 'lead' AS kind, l.id, l.client_email AS email, NULL::uuid AS user_id, l.erased_at, l.client_name AS name
                FROM asked a JOIN partner_leads l ON l.tenant_id = a.tenant_id AND l.id = a.id WHERE a.kind = 'lead'
            UNION ALL SELECT 'member', m.id, m.email, m.user_id, m.erased_at, m.first_name
                FROM asked a JOIN partner_members m ON m.tenant_id = a.tenant_id AND m.id = a.id WHERE a.kind = 'member'
            UNION ALL SELECT 'customer', c.id, c.email, c.user_id, c.erased_at, c.name
                FROM asked a JOIN customers c ON c.tenant_id = a.tenant_id AND c.id = a.id WHERE a.kind = 'customer'
            UNION ALL SELECT 'user', u.id, u.email, u.id, u.erased_at, u.name
                FROM asked a JOIN users u ON u.tenant_id = a.tenant_id AND u.id = a.id WHERE a.kind = 'user'
            UNION ALL SELECT 'invitation', i.id, i.email, i.accepted_by, i.erased_at, i.email
                FROM asked a JOIN partner_invitations i ON i.tenant_id = a.tenant_id AND i.id = a.id WHERE a.kind = 'invitation'
        ),
        likely AS (
            SELECT 'lead' AS kind, l.id, NULL::uuid AS user_id, l.erased_at, l.client_name AS name FROM asked a CROSS JOIN known k
                JOIN partner_leads l ON l.tenant_id = a.tenant_id AND email_key(l.client_email) = email_key(k.email) AND is_same_mailbox(l.client_email, k.email)
            UNION ALL SELECT 'member', m.id, m.user_id, m.erased_at, m.first_name FROM asked a CROSS JOIN known k
                JOIN partner_members m ON m.tenant_id = a.tenant_id
                    AND (m.email_key = email_key(k.email) AND is_same_mailbox(m.email, k.email) OR k.kind = 'user' AND m.user_id = k.id)
            UNION ALL SELECT 'customer', c.id, c.user_id, c.erased_at, c.name FROM asked a CROSS JOIN known k
                JOIN customers c ON c.tenant_id = a.tenant_id
                    AND (email_key(c.email) = email_key(k.email) AND is_same_mailbox(c.email, k.email) OR k.kind = 'user' AND c.user_id = k.id)
            UNION ALL SELECT 'user', u.id, u.id, u.erased_at, u.name FROM asked a CROSS JOIN known k
                JOIN users u ON u.tenant_id = a.tenant_id
                    AND (email_key(u.email) = email_key(k.email) AND is_same_mailbox(u.email, k.email) OR k.kind <> 'user' AND u.id = k.user_id)
            UNION ALL SELECT 'invitation', i.id, i.accepted_by, i.erased_at, i.email FROM asked a CROSS JOIN known k
                JOIN partner_invitations i ON i.tenant_id = a.tenant_id
                    AND (email_key(i.email) = email_key(k.email) AND is_same_mailbox(i.email, k.email) OR k.kind = 'user' AND i.accepted_by = k.id)
        )
        SELECT kind, id, true, nullif(user_id, id), erased_at, name FROM known
        UNION ALL
        SELECT l.kind, l.id, k.kind = 'user' AND l.user_id IS NOT DISTINCT FROM k.id, nullif(l.user_id, l.id), l.erased_at, l.name
            FROM (SELECT DISTINCT * FROM likely) AS l CROSS JOIN known k WHERE (l.kind, l.id) <> (k.kind, k.id)";
    let binds = vec![Bind::Uuid(tenant.uuid()), Bind::text(kind.as_str()), Bind::Uuid(id)];
    let rows: Vec<Found> =
        statement::<(Text, SqlUuid, Bool, Nullable<SqlUuid>, Nullable<Timestamptz>, Nullable<Text>)>(sql, binds)
            .load(&mut connection)
            .await?;
    rows.into_iter()
        .map(|(kind, id, is_certain, user, erased_at, name)| {
            let kind = kind.parse().map_err(|error: String| diesel::result::Error::DeserializationError(error.into()))?;
            Ok(PersonRow { kind, id, is_certain, user, erased_at, name })
        })
        .collect()
}
