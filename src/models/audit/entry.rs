//! Entries: one for each transaction that changed something for a person, a machine or a command.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::{
    db::{
        schema::audit_entries,
        session::AuditActor,
        statement::{Bind, condition},
    },
    ids::{AuditEntryId, PartnerId, UserId},
    models::{
        list::{Conditions, list},
        page::{Cursor, Key, KeyKind, Page, SortKey},
        scope::Scope,
    },
};

/// The longest name of an action.
const MAX_ACTION: usize = 100;

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = audit_entries)]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditEntryId,
    /// When the transaction began.
    pub at: DateTime<Utc>,
    /// The mutation's name, or the command's, or the type of the event that was reported.
    pub action: String,
    /// What kind of actor it was.
    pub actor_role: AuditActor,
    /// The user, where there was one.
    pub actor_id: Option<UserId>,
    /// Who acted in their name.
    pub impersonator: Option<String>,
    /// The reason that was given.
    pub reason: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// The name of the operation.
    pub operation_name: Option<String>,
}

/// Which entries a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AuditFilter {
    /// Those that changed something of this partner's.
    pub partner: Option<PartnerId>,
    /// Those that changed this.
    pub subject: Option<Uuid>,
    /// Those of this user's.
    pub actor: Option<UserId>,
    /// Those of these kinds of actors.
    pub roles: Option<Vec<AuditActor>>,
    /// Those of these actions.
    pub actions: Option<Vec<String>>,
    /// Those from this instant on.
    pub from: Option<DateTime<Utc>>,
    /// Those before this instant.
    pub before: Option<DateTime<Utc>>,
}

/// An action to look for, or what is wrong with its text.
pub fn action(text: &str) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | ' ');
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_ACTION || !text.chars().all(is_name) {
        let shown: String = text.chars().take(60).collect();
        return Err(format!("{shown:?} is no action: it is the name of a mutation or command, or the type of a reported event."));
    }
    Ok(text.to_owned())
}

/// By when they were made.
pub const BY_TIME: SortKey = SortKey { name: "at", column: "audit_entries.at", id: "audit_entries.id", kind: KeyKind::Time };

impl AuditFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, audit_entries::table> {
        // Not correlated: it is evaluated once, by its index.
        let changes = move |column: &str, id: Uuid| {
            let sql =
                format!("audit_entries.id IN (SELECT c.entry_id FROM audit_changes c WHERE c.tenant_id = ? AND c.{column} = ?)");
            condition(sql, vec![Bind::Uuid(scope.tenant.uuid()), Bind::Uuid(id)])
        };
        Conditions::of(audit_entries::tenant_id.eq(scope.tenant))
            .and_if([scope.partner, self.partner].into_iter().flatten(), move |partner| changes("partner_id", partner.uuid()))
            .and_if(self.subject, move |subject| changes("subject_id", subject))
            .and_if(self.actor, |actor| audit_entries::actor_id.assume_not_null().eq(actor))
            // Who of the staff it was is not theirs to find out.
            .and_if(self.actor.and(scope.partner), |_| audit_entries::actor_role.eq(AuditActor::Partner))
            .and_if(self.roles.as_deref(), |roles| audit_entries::actor_role.eq_any(roles))
            .and_if(self.actions.as_deref(), |actions| audit_entries::action.eq_any(actions))
            .and_if(self.from, |from| audit_entries::at.ge(from))
            .and_if(self.before, |before| audit_entries::at.lt(before))
    }
}

list!(AuditFilter => AuditEntry; audit_entries);

impl AuditEntry {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[AuditEntryId],
    ) -> QueryResult<HashMap<AuditEntryId, Self>> {
        let query = Self::query().into_boxed::<diesel::pg::Pg>().filter(audit_entries::id.eq_any(ids));
        let rows: Vec<Self> = AuditFilter::default().conditions(scope).narrow(query).load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// The user who has done it, as far as callers of a scope may know them.
    pub fn actor_for(&self, scope: Scope) -> Option<UserId> {
        self.actor_id.filter(|_| self.shows_who(scope))
    }

    /// Who acted in their name, likewise.
    pub fn impersonator_for(&self, scope: Scope) -> Option<&str> {
        self.impersonator.as_deref().filter(|_| self.shows_who(scope))
    }

    fn shows_who(&self, scope: Scope) -> bool {
        scope.partner.is_none() || matches!(self.actor_role, AuditActor::Partner | AuditActor::SignIn)
    }

    /// Where this row stands in a list.
    pub fn cursor(&self, page: &Page) -> Cursor {
        page.cursor(Key::Time(self.at), Uuid::from(self.id))
    }
}
