//! Mutations of leads.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, SimpleObject};

use super::lead::Lead;
use crate::{
    auth::Permission,
    error::{Error, Result},
    graphql::{
        engine::{
            context::ContextExt,
            row::Row,
            scalars::{DateTime, Decimal, EmailAddress, currency},
            user_errors::{
                MAX_KEY, Outcome, Refusal, UserError, changed_since, cleared_or, erased, given, outcome, settle, settled,
            },
        },
        ledger::books::BooksExt,
    },
    ids::{LeadId, PartnerId},
    models::{
        self,
        leads::{
            change::{LeadFault, NewTerms, Term},
            lead::{Inserted, LeadChanges, NewLead},
            status::LeadStatus,
        },
    },
    money::minor_units,
    validation::{Fault, FaultCode, Faults, MAX_NAME, amount, email, line, paragraphs, phone},
};

/// The most leads that are stepped at once.
const MAX_IDS: usize = 100;
const MAX_NOTES: usize = 5_000;
const MAX_NOTE: usize = 1_000;
/// How often a lead is tried to be sent while its partner's rate is being changed.
const RATE_ATTEMPTS: usize = 5;

/// What is wrong with a commission that a partner wants to set.
const COMMISSION_IS_OPERATORS: &str = "Only an operator can set a commission by hand; it follows from the deal's value.";

/// A lead to be sent.
#[derive(InputObject, Clone)]
struct CreateLeadInput {
    /// The partner that sends it. Operators must name one; for others it is their own.
    partner_id: Option<PartnerId>,
    /// The client's name, at most 200 characters.
    client_name: String,
    /// The client's e-mail address.
    client_email: EmailAddress,
    /// The client's phone number, 6 to 15 digits, with an extension such as `ext. 12` where there is one.
    client_phone: Option<String>,
    /// What the client is interested in, at most 200 characters.
    service: String,
    /// What the deal is worth, in the tenant's default currency.
    deal_value: Option<Decimal>,
    /// The partner's notes, at most 5,000 characters.
    notes: Option<String>,
    /// The idempotency key, of the partner's own, at most 200 characters: sent again, it answers with the first lead and sends none. A fresh
    /// UUID for each form is one.
    idempotency_key: String,
}

/// What became of `createLead`.
#[derive(SimpleObject)]
struct CreateLeadPayload {
    /// The lead. Null where there are user errors, and where the first one with the key has been moved to another partner since.
    lead: Option<Row<Lead>>,
    /// Whether the key was used before, and no lead was sent this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the lead was created.
    user_errors: Vec<UserError>,
}

/// What to change of a lead: a field that is left out stays as it is, one that is null is cleared if a lead can be without it.
#[derive(InputObject, Clone)]
struct UpdateLeadInput {
    /// The lead.
    id: LeadId,
    /// The client's name, at most 200 characters.
    client_name: MaybeUndefined<String>,
    /// The client's e-mail address.
    client_email: MaybeUndefined<EmailAddress>,
    /// The client's phone number, 6 to 15 digits, with an extension such as `ext. 12` where there is one.
    client_phone: MaybeUndefined<String>,
    /// What the client is interested in, at most 200 characters.
    service: MaybeUndefined<String>,
    /// What the deal is worth, in the lead's currency. The commission follows, unless an operator has set it by hand. Settled once
    /// the lead has converted; an operator can still say it then where it was not known.
    deal_value: MaybeUndefined<Decimal>,
    /// The commission, set by hand; operators only. Null lets it follow from the deal's value again.
    commission: MaybeUndefined<Decimal>,
    /// The partner's notes, at most 5,000 characters.
    notes: MaybeUndefined<String>,
    /// The lead's `updatedAt` when these changes were decided on: where somebody has changed it since, it is left as it is.
    expected_updated_at: Option<DateTime>,
}

/// What became of `updateLead`.
#[derive(SimpleObject)]
struct UpdateLeadPayload {
    /// The lead as it is now. Null where there are user errors.
    lead: Option<Row<Lead>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the lead was changed.
    user_errors: Vec<UserError>,
}

/// A step of a lead.
#[derive(InputObject, Clone)]
struct UpdateLeadStatusInput {
    /// The lead.
    id: LeadId,
    /// The status to give it: one of its `nextStatuses`, or the one that it has already, which changes nothing.
    status: LeadStatus,
    /// A note for its history, at most 1,000 characters.
    note: Option<String>,
}

/// What became of `updateLeadStatus`.
#[derive(SimpleObject)]
struct UpdateLeadStatusPayload {
    /// The lead as it is now. Null where there are user errors.
    lead: Option<Row<Lead>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the lead has the status.
    user_errors: Vec<UserError>,
}

/// A step of several leads.
#[derive(InputObject, Clone)]
struct UpdateLeadStatusesInput {
    /// The leads, at most 100.
    ids: Vec<LeadId>,
    /// The status to give them: one of each lead's `nextStatuses`, or the one that it has already, which changes nothing.
    status: LeadStatus,
    /// A note for their histories, at most 1,000 characters.
    note: Option<String>,
}

/// What became of one lead.
#[derive(SimpleObject)]
struct LeadStep {
    /// The id that was given.
    id: LeadId,
    /// The lead as it is now. Null where there are user errors.
    lead: Option<Row<Lead>>,
    /// What is wrong with this step, `FAILED` where it could not be tried. Empty when the lead has the status.
    user_errors: Vec<UserError>,
}

/// What became of `updateLeadStatuses`.
#[derive(SimpleObject)]
struct UpdateLeadStatusesPayload {
    /// One result for each id, in their order. Empty where there are user errors.
    results: Vec<LeadStep>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input as a whole.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct LeadMutations;

#[Object]
impl LeadMutations {
    /// Sends a lead. Needs `LEADS_WRITE`.
    async fn create_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The lead.")] input: CreateLeadInput,
    ) -> Result<Option<CreateLeadPayload>> {
        ctx.require(Permission::LeadsWrite)?;
        let ((lead, replayed), user_errors) = settle(ctx, || create(ctx, input.clone())).await?;
        Ok(Some(CreateLeadPayload { lead, replayed, user_errors }))
    }

    /// Changes what is known of a lead. Needs `LEADS_WRITE`.
    async fn update_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The changes.")] input: UpdateLeadInput,
    ) -> Result<Option<UpdateLeadPayload>> {
        ctx.require(Permission::LeadsWrite)?;
        if !input.commission.is_undefined() && !ctx.viewer().is_operator() {
            return Err(Error::Forbidden(COMMISSION_IS_OPERATORS.to_owned()));
        }
        let ((lead, replayed), user_errors) = settle(ctx, || update(ctx, input.clone())).await?;
        Ok(Some(UpdateLeadPayload { lead, replayed, user_errors }))
    }

    /// Takes a lead one step through the pipeline. Giving it the status that it has already succeeds and changes nothing, so a
    /// retry is safe. Needs `LEADS_WRITE`.
    async fn update_lead_status(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The lead and its new status.")] input: UpdateLeadStatusInput,
    ) -> Result<Option<UpdateLeadStatusPayload>> {
        ctx.require(Permission::LeadsWrite)?;
        let ((lead, replayed), user_errors) = settle(ctx, || update_status(ctx, input.clone())).await?;
        Ok(Some(UpdateLeadStatusPayload { lead, replayed, user_errors }))
    }

    /// Takes several leads one step through the pipeline, each on its own: what is wrong with one keeps no other from its step. A retry is
    /// safe. Needs `LEADS_WRITE`.
    async fn update_lead_statuses(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The leads and their new status.")] input: UpdateLeadStatusesInput,
    ) -> Result<Option<UpdateLeadStatusesPayload>> {
        ctx.require(Permission::LeadsWrite)?;
        let ((results, replayed), user_errors) = settled(update_statuses(ctx, &input).await)?;
        Ok(Some(UpdateLeadStatusesPayload { results, replayed, user_errors }))
    }
}

async fn create(ctx: &Context<'_>, input: CreateLeadInput) -> Result<Outcome<Row<Lead>>, Refusal> {
    let viewer = ctx.viewer();
    let currency = currency(&viewer.tenant.default_currency)?;
    let mut faults = Faults::default();
    let partner_id = input.partner_id.or(viewer.partner.map(|partner| partner.id));
    if partner_id.is_none() {
        faults.add("input.partnerId", FaultCode::Required, "Name the partner that sends the lead.");
    }
    let client_name = faults.check("input.clientName", line(&input.client_name, MAX_NAME));
    let client_email = faults.check("input.clientEmail", email(&input.client_email.0));
    let client_phone = faults.check_option("input.clientPhone", input.client_phone.as_deref(), phone);
    let service = faults.check("input.service", line(&input.service, MAX_NAME));
    let deal_value = input.deal_value.and_then(|value| faults.check("input.dealValue", amount(value.0, minor_units(currency))));
    let notes = faults.check_option("input.notes", input.notes.as_deref(), |text| paragraphs(text, MAX_NOTES));
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let (Some(partner_id), Some(client_name), Some(client_email), Some(service), Some(key), true) =
        (partner_id, client_name, client_email, service, key, faults.is_empty())
    else {
        return Err(faults.into());
    };

    let scope = viewer.scope();
    let new = NewLead { partner_id, client_name, client_email, client_phone, service, deal_value, currency, notes, key };
    for _ in 0..RATE_ATTEMPTS {
        let writing = ctx.write().await?;
        match models::leads::lead::Lead::insert(&writing, scope, &new, viewer.user).await? {
            Inserted::New(id) => return Ok(outcome(writing, true, Lead::by_id(ctx, id)).await?),
            Inserted::Before(id) => return Ok(outcome(writing, false, Lead::by_id(ctx, id)).await?),
            Inserted::KeyReused { first, difference } => return Err(Refusal::key_reused(first, &difference)),
            Inserted::UnknownPartner => return Err(Refusal::not_found("input.partnerId", "partner")),
            Inserted::OtherRate => {}
        }
    }
    Err(Error::internal("a partner's rate changes at every attempt to send a lead").into())
}

async fn update(ctx: &Context<'_>, input: UpdateLeadInput) -> Result<Outcome<Row<Lead>>, Refusal> {
    let mut faults = Faults::default();
    let changes = LeadChanges {
        client_name: given(input.client_name, "input.clientName", &mut faults, |text| line(&text, MAX_NAME)),
        client_email: given(input.client_email, "input.clientEmail", &mut faults, |text| email(&text.0)),
        client_phone: cleared_or(input.client_phone, |text| faults.check("input.clientPhone", phone(&text))),
        service: given(input.service, "input.service", &mut faults, |text| line(&text, MAX_NAME)),
        notes: cleared_or(input.notes, |text| faults.check("input.notes", paragraphs(&text, MAX_NOTES))),
        ..LeadChanges::default()
    };
    let writing = ctx.write().await?;
    let scope = ctx.viewer().scope();
    let Some(lead) = models::leads::lead::Lead::lock(&writing, scope, input.id).await? else {
        faults.add("input.id", FaultCode::NotFound, "There is no lead of this id.");
        return Err(faults.into());
    };
    let digits = minor_units(currency(&lead.currency)?);
    let terms = NewTerms {
        deal_value: cleared_or(input.deal_value, |value| faults.check("input.dealValue", amount(value.0, digits))),
        commission: cleared_or(input.commission, |value| faults.check("input.commission", amount(value.0, digits))),
    };
    for term in lead.settled_terms(terms, ctx.viewer().is_operator()) {
        let path = match term {
            Term::DealValue => "input.dealValue",
            Term::Commission => "input.commission",
        };
        faults.add(
            path,
            FaultCode::InvalidTransition,
            "The lead has converted: what it is worth, and earns, is settled. `adjustCommission` books a correction.",
        );
    }
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let expected = input.expected_updated_at.map(|expected| expected.0);
    let written = ctx.books(&writing).change_lead(scope, &lead, changes, terms, expected).await?;
    let has_changed = written.map_err(|fault| refusal(fault, "input.id"))?;
    Ok(outcome(writing, has_changed, Lead::by_id(ctx, input.id)).await?)
}

async fn update_status(ctx: &Context<'_>, input: UpdateLeadStatusInput) -> Result<Outcome<Row<Lead>>, Refusal> {
    let mut faults = Faults::default();
    let note = faults.check_option("input.note", input.note.as_deref(), |text| paragraphs(text, MAX_NOTE));
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let writing = ctx.write().await?;
    let stepped = ctx.books(&writing).step_lead(ctx.viewer().scope(), input.id, input.status, note.as_deref()).await?;
    let has_changed = stepped.map_err(|fault| refusal(fault, "input.status"))?;
    Ok(outcome(writing, has_changed, Lead::by_id(ctx, input.id)).await?)
}

async fn update_statuses(ctx: &Context<'_>, input: &UpdateLeadStatusesInput) -> Result<(Vec<LeadStep>, bool), Refusal> {
    let mut faults = Faults::default();
    if input.ids.is_empty() || input.ids.len() > MAX_IDS {
        faults.add("input.ids", FaultCode::OutOfRange, format!("Must be 1 to {MAX_IDS} ids; there are {}.", input.ids.len()));
    }
    faults.check_option("input.note", input.note.as_deref(), |text| paragraphs(text, MAX_NOTE));
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let mut results = Vec::with_capacity(input.ids.len());
    let (mut was_so, mut has_changed) = (false, false);
    for &id in &input.ids {
        let step = UpdateLeadStatusInput { id, status: input.status, note: input.note.clone() };
        let (lead, mut user_errors) = match settle(ctx, || update_status(ctx, step.clone())).await {
            Ok(((lead, replayed), user_errors)) => {
                was_so |= replayed;
                has_changed |= lead.is_some() && !replayed;
                (lead, user_errors)
            }
            Err(error) if results.is_empty() => return Err(error.into()),
            // What was done stays and is in the answer; the others can be sent again.
            Err(error) => {
                tracing::warn!(request_id = ctx.request().session().request(), %error, "a lead could not be stepped");
                let fault = Fault { code: FaultCode::Failed, message: error.public_message(), field: vec!["input"] };
                (None, vec![UserError::from(fault)])
            }
        };
        for error in user_errors.iter_mut().filter(|error| error.field == ["input", "id"]) {
            error.field = vec!["input", "ids"];
        }
        results.push(LeadStep { id, lead, user_errors });
    }
    Ok((results, was_so && !has_changed))
}

/// `path` is the field that a closed partner is said of.
fn refusal(fault: LeadFault, path: &'static str) -> Refusal {
    match fault {
        LeadFault::NotFound => Refusal::not_found("input.id", "lead"),
        LeadFault::NoStep(from, to) => {
            let next: Vec<String> = from.next().iter().map(|status| status.shown()).collect();
            let message = match next.as_slice() {
                [] => format!("The lead is {}, which is final.", from.shown()),
                next => {
                    format!("A lead that is {} cannot become {}; it can become {}.", from.shown(), to.shown(), next.join(", "))
                }
            };
            Refusal::fault("input.status", FaultCode::InvalidTransition, message)
        }
        LeadFault::PartnerClosed => {
            Refusal::fault(path, FaultCode::InvalidTransition, "The lead's partner is CLOSED and earns nothing more.")
        }
        LeadFault::ChangedSince(at) => changed_since(at, "lead"),
        LeadFault::Erased(at) => erased(at, "client of the lead"),
    }
}
