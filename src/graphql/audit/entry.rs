//! Entries of the audit trail.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use async_graphql::{Context, ID, InputObject, Object};

use crate::{
    auth::Readable,
    db::{self, session::AuditActor},
    error::{Error, Result},
    graphql::{
        engine::{
            context::ContextExt,
            json::leaf_enums,
            lists::{self, Shown},
            loaders::{BatchKey, batch_key},
            pagination::{Connection, Listed, TotalCount},
            period::{PeriodInput, bounds},
            row::{Row, plain},
            scalars::DateTime,
        },
        partners::partner::Partner,
        people::user::User,
    },
    ids::{self, AuditEntryId, IdError, PartnerId, UserId},
    models::{
        audit::{
            change::{self, AuditChangeKind},
            entry::{self, AuditFilter, BY_TIME, action},
        },
        page::{Page, PageArguments},
        scope::Scope,
    },
};

/// The most changes of an entry that one answer has.
const MAX_CHANGES: i64 = 500;

/// An entry.
#[derive(Clone)]
pub struct AuditEntry(pub Arc<entry::AuditEntry>);

/// What a mutation, a sign-in, a command or a reported event has changed. Entries are never changed.
#[Object]
impl AuditEntry {
    /// Its id.
    pub async fn id(&self) -> AuditEntryId {
        self.0.id
    }

    /// When it was done.
    async fn at(&self) -> DateTime {
        self.0.at.into()
    }

    /// The mutation's name, the command's, or the type of the event that a source of webhooks has reported; `signIn` for a sign-in.
    async fn action(&self) -> &str {
        &self.0.action
    }

    /// What kind of actor has done it.
    async fn actor_kind(&self) -> AuditActor {
        self.0.actor_role
    }

    /// The user who has done it. Null where there was no user, or you do not see them.
    async fn actor(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.actor_for(ctx.viewer().scope())?).await.transpose()
    }

    /// Who acted in the name of `actor`, as the sign-in service knows them. Null where nobody did, or you do not see the actor.
    async fn impersonator(&self, ctx: &Context<'_>) -> Option<&str> {
        self.0.impersonator_for(ctx.viewer().scope())
    }

    /// The reason that was given, which owners of a partner read where it is their partner's that was changed. Null where none was.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// The id of the request, as in the header `X-Request-Id` and in the log; clients may choose it. Null where there was no request.
    async fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The name of the operation. Null where it had none.
    async fn operation_name(&self) -> Option<&str> {
        self.0.operation_name.as_deref()
    }

    /// What it has changed, in order: the first of it, of which `changeCount` says how many there are; `/export/audit.csv` has all. Owners of a partner see what
    /// is their partner's.
    async fn changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 100, desc = "How many: 1 to 500.")] first: i32,
    ) -> Result<Option<Vec<AuditChange>>> {
        let most = i64::from(first);
        if !(1..=MAX_CHANGES).contains(&most) {
            return Err(Error::BadUserInput(format!("`first` must be 1 to {MAX_CHANGES}, not {first}.")));
        }
        let changes = ctx.load(ChangesOfEntry(self.0.id, most)).await?.unwrap_or_default();
        Ok(Some(changes.into_iter().map(AuditChange).collect()))
    }

    /// How many changes there are. More than two hundred commissions, payouts, members, allocations or the like that one statement has changed are
    /// one for each partner.
    async fn change_count(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(ctx.load(ChangeCount(self.0.id)).await?.unwrap_or_default())
    }
}

/// A change.
pub struct AuditChange(change::AuditChange);

/// Something that was changed.
#[Object]
impl AuditChange {
    /// What was done to it.
    async fn kind(&self) -> AuditChangeKind {
        self.0.change
    }

    /// What it is: the name of its type, such as `Lead`.
    async fn subject(&self) -> &str {
        &self.0.subject
    }

    /// Its id. Null where it stands for several, or has none.
    async fn subject_id(&self) -> Option<ID> {
        self.0.subject().map(ID)
    }

    /// The partner that it concerns. Null where it concerns none, or you do not see it.
    async fn partner(&self, ctx: &Context<'_>) -> Option<Result<Row<Partner>>> {
        Partner::by_id(ctx, self.0.partner_id?).await.transpose()
    }

    /// How many it stands for: where one SQL statement has changed more than two hundred commissions, payouts, members, allocations or the like, they
    /// are counted rather than listed.
    async fn count(&self) -> i64 {
        self.0.row_count
    }

    /// The fields that were changed. Empty where it stands for several.
    async fn fields(&self) -> Vec<FieldChange> {
        self.0.fields().into_iter().map(FieldChange).collect()
    }
}

/// A field before and after.
pub struct FieldChange(change::FieldChange);

/// A field, before and after.
#[Object]
impl FieldChange {
    /// Its name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it was, as a text. Null where it was null, and for a secret.
    async fn before(&self) -> Option<&str> {
        self.0.before.as_deref()
    }

    /// What it is, as a text. Null where it is null, and for a secret.
    async fn after(&self) -> Option<&str> {
        self.0.after.as_deref()
    }

    /// Whether it is a secret, such as a tax id, an account's number or a webhook's secret: of a secret only that it was changed is recorded.
    async fn is_secret(&self) -> bool {
        self.0.is_secret
    }
}

leaf_enums!(AuditActor, AuditChangeKind);

/// Which entries to list.
#[derive(InputObject, Default, Clone)]
pub struct AuditFilterInput {
    /// Those that changed something of this partner's.
    partner_id: Option<PartnerId>,
    /// Those that changed this: the id of anything that has one.
    subject_id: Option<ID>,
    /// Those by this user.
    actor_id: Option<UserId>,
    /// Those by actors of these kinds.
    actor_kind: Option<Vec<AuditActor>>,
    /// Those of these actions: names of mutations or commands, `signIn`, or types of reported events.
    action: Option<Vec<String>>,
    /// Those done in this period.
    period: Option<PeriodInput>,
}

impl AuditFilterInput {
    fn parse(self, ctx: &Context<'_>) -> Result<AuditFilter> {
        let (from, before) = bounds(ctx, "filter.period", self.period)?;
        let subject = self.subject_id.map(|id| {
            let malformed =
                IdError::Malformed { given: id.chars().take(60).collect(), expected: "An id", expected_prefix: "lead" };
            ids::parse_any(&id).map(|(_, uuid)| uuid).ok_or(malformed)
        });
        let actions = self.action.map(|names| names.iter().map(|name| action(name)).collect::<Result<_, _>>()).transpose();
        let actions = actions.map_err(Error::BadUserInput)?;
        let subject = subject.transpose().map_err(|error| Error::BadUserInput(error.to_string()))?;
        Ok(AuditFilter { partner: self.partner_id, subject, actor: self.actor_id, roles: self.actor_kind, actions, from, before })
    }
}

impl AuditEntry {
    /// The entry of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: AuditEntryId) -> Result<Option<Self>> {
        if !ctx.viewer().may_read(Readable::Audit) {
            return Ok(None);
        }
        Ok(ctx.load(EntryById(id)).await?.map(Self))
    }

    /// One page of entries, the latest first.
    pub async fn paginate(
        ctx: &Context<'_>,
        filter: Option<AuditFilterInput>,
        arguments: PageArguments,
    ) -> Result<Connection<Self>> {
        let filter = filter.unwrap_or_default().parse(ctx)?;
        lists::root(ctx, filter, Page::new(BY_TIME, true, arguments)?).await
    }
}

batch_key!(EntryById(AuditEntryId) -> Arc<entry::AuditEntry>, entry::AuditEntry::by_ids);
batch_key!(ChangeCount(AuditEntryId) -> i64, change::AuditChange::count_by_entries);

/// The first changes of an entry, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ChangesOfEntry(AuditEntryId, i64);

impl BatchKey for ChangesOfEntry {
    type Value = Vec<change::AuditChange>;

    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, Self::Value>> {
        let mut found = HashMap::new();
        // An answer names one number, or a few by aliases.
        let numbers: BTreeSet<i64> = keys.iter().map(|key| key.1).collect();
        for most in numbers {
            let entries: Vec<AuditEntryId> = keys.iter().filter(|key| key.1 == most).map(|key| key.0).collect();
            let changes = change::AuditChange::by_entries(connection, scope, &entries, most).await?;
            found.extend(changes.into_iter().map(|(entry, changes)| (Self(entry, most), changes)));
        }
        Ok(found)
    }
}

plain!(AuditEntry: id, at, action, actor_kind, impersonator, reason, request_id, operation_name);

impl From<Arc<entry::AuditEntry>> for AuditEntry {
    fn from(row: Arc<entry::AuditEntry>) -> Self {
        Self(row)
    }
}

impl Listed for AuditEntry {
    type Beside = TotalCount;
}

impl Shown for AuditFilter {}
