//! People in the schema: what is kept of somebody, and erasing them.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::{
    auth::Permission,
    error::{Error, Result},
    graphql::{
        engine::{
            context::ContextExt,
            scalars::DateTime,
            user_errors::{MAX_REASON, Refusal, UserError, settle},
        },
        ledger::books::BooksExt,
    },
    models::people::{
        erasing::{Erasure, ErasureFault},
        person::{self, PersonKind, PersonRow},
        person_export::{self, KeptRow},
    },
    validation::{FaultCode, Faults, paragraphs},
};

/// A record that is about a person.
#[derive(SimpleObject)]
struct PersonRecord {
    /// What kind of record it is.
    kind: PersonKind,
    /// The id of the lead, member, customer, user or invitation.
    record_id: ID,
    /// When the person was erased there. Null where they were not.
    erased_at: Option<DateTime>,
}

impl From<&PersonRow> for PersonRecord {
    fn from(row: &PersonRow) -> Self {
        Self { kind: row.kind, record_id: ID(row.node_id()), erased_at: row.erased_at.map(DateTime) }
    }
}

/// What is kept of a person.
#[derive(SimpleObject)]
struct PersonExport {
    /// The records that are about the person.
    people: Vec<PersonRecord>,
    /// Other records with the same e-mail address: they may be about the same person.
    same_address: Vec<PersonRecord>,
    /// The rows about the person, of each type at most 1,000. Mentions in texts and in received webhooks are not among them.
    rows: Vec<PersonExportRow>,
    /// Whether those are all rows.
    is_complete: bool,
}

/// A row about a person.
#[derive(SimpleObject)]
struct PersonExportRow {
    /// Its type, such as `Lead`.
    #[graphql(name = "type")]
    kind: &'static str,
    /// Its id. Null where rows of the type have none.
    record_id: Option<ID>,
    /// Its fields that are not empty.
    fields: Vec<PersonExportField>,
}

/// A field of a row.
#[derive(SimpleObject)]
struct PersonExportField {
    /// Its name.
    name: String,
    /// Its value.
    value: String,
}

impl From<KeptRow> for PersonExportRow {
    fn from(row: KeptRow) -> Self {
        let fields = row.fields.into_iter().map(|(name, value)| PersonExportField { name, value }).collect();
        Self { kind: row.kind, record_id: row.id.map(ID), fields }
    }
}

#[derive(Default)]
pub struct PersonQueries;

#[Object]
impl PersonQueries {
    /// What is kept of the person whom a lead, a member, a customer, a user or an invitation is about, to answer somebody who asks for it. Null
    /// where there is nothing of that id. Needs `PEOPLE_ERASE`.
    async fn export_person(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the lead, member, customer, user or invitation.")] id: ID,
        #[graphql(desc = "Whether all else that has their e-mail address is about them too.", default = false)]
        with_same_address: bool,
    ) -> Result<Option<PersonExport>> {
        ctx.require(Permission::PeopleErase)?;
        let Some((kind, id)) = PersonKind::of(&id) else { return Ok(None) };
        let tenant = ctx.viewer().tenant.id;
        let connection = ctx.read().await?;
        let rows = person::find(&connection, tenant, kind, id).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let (people, others): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.is_certain || with_same_address);
        let ids: Vec<_> = people.iter().map(|row| row.id).collect();
        let (kept, is_complete) = person_export::kept(&connection, tenant, &ids).await?;
        let records = |rows: Vec<&PersonRow>| rows.into_iter().map(PersonRecord::from).collect();
        let rows = kept.into_iter().map(PersonExportRow::from).collect();
        Ok(Some(PersonExport { people: records(people), same_address: records(others), rows, is_complete }))
    }
}

/// Whom to erase.
#[derive(InputObject, Clone)]
struct ErasePersonInput {
    /// The id of the lead, member, customer, user or invitation that is about the person. A member or customer that is a user is erased with
    /// the user.
    id: ID,
    /// Why, for the audit trail; at most 1,000 characters. What names the person is replaced there too.
    reason: String,
    /// Whether everything else that has their e-mail address is erased too: leads, members, customers, users and invitations.
    #[graphql(default = false)]
    with_same_address: bool,
}

/// What became of `erasePerson`.
#[derive(SimpleObject)]
struct ErasePersonPayload {
    /// What the person is called from now on. Null where there are user errors.
    pseudonym: Option<String>,
    /// The records that were about the person, and no longer contain their name.
    erased: Vec<PersonRecord>,
    /// Other records with the same e-mail address, which are as they were. Erase them by their ids. They are listed at the first time only: an erased user or
    /// customer has no address any more.
    same_address: Vec<PersonRecord>,
    /// Whether the person was erased before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the person is erased.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct PersonMutations;

#[Object]
impl PersonMutations {
    /// Erases a person: their name, addresses and telephone numbers are replaced by a pseudonym everywhere, also in histories, in the audit trail
    /// and in what was sent or received by webhooks, and free texts about them lose their names. Amounts, dates and statuses stay, and the books
    /// with them. A user's access ends at once. It cannot be undone. Needs `PEOPLE_ERASE`.
    async fn erase_person(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The person and the reason.")] input: ErasePersonInput,
    ) -> Result<Option<ErasePersonPayload>> {
        ctx.require(Permission::PeopleErase)?;
        let (erasure, user_errors) = settle(ctx, || erase(ctx, input.clone())).await?;
        let records = |rows: &[PersonRow]| rows.iter().map(PersonRecord::from).collect();
        Ok(Some(ErasePersonPayload {
            erased: erasure.as_ref().map(|erasure| records(&erasure.erased)).unwrap_or_default(),
            same_address: erasure.as_ref().map(|erasure| records(&erasure.left)).unwrap_or_default(),
            replayed: erasure.as_ref().is_some_and(|erasure| !erasure.is_new),
            pseudonym: erasure.map(|erasure| erasure.pseudonym),
            user_errors,
        }))
    }
}

async fn erase(ctx: &Context<'_>, input: ErasePersonInput) -> Result<Option<Erasure>, Refusal> {
    let mut faults = Faults::default();
    faults.check("input.reason", paragraphs(&input.reason, MAX_REASON));
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let Some((kind, id)) = PersonKind::of(&input.id) else { return Err(refused(ErasureFault::NotFound)) };
    let writing = ctx.write().await?;
    let erasure = ctx.books(&writing).erase_person(kind, id, input.with_same_address).await?.map_err(refused)?;
    if erasure.is_new {
        writing.commit_alone().await?;
    }
    Ok(Some(erasure))
}

fn refused(fault: ErasureFault) -> Refusal {
    let (code, message) = match fault {
        ErasureFault::CallerIsErased => return Error::Forbidden("Your own user was erased meanwhile.".to_owned()).into(),
        ErasureFault::NotFound => {
            (FaultCode::NotFound, "There is no lead, member, customer, user or invitation of this id.".to_owned())
        }
        ErasureFault::BelongsTo(user) => {
            (FaultCode::Invalid, format!("This belongs to the user {user}. Erase the user: this is erased with it."))
        }
        ErasureFault::IsCaller => {
            (FaultCode::Invalid, "This is your own user. Another operator can erase it; your access ends then.".to_owned())
        }
        ErasureFault::Importing(import) => (
            FaultCode::InvalidTransition,
            format!(
                "{import} is not finished, and may bring the person in again. Wait until it has ended, or cancel it, and try again."
            ),
        ),
    };
    Refusal::fault("input.id", code, message)
}
