//! Mutations of partners, for operators.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, SimpleObject};
use serde_json::json;

use super::partner::Partner;
use crate::{
    auth::Permission,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            row::Row,
            scalars::{DateTime, Decimal, currency},
            user_errors::{MAX_KEY, MAX_REASON, Outcome, Refusal, UserError, changed_since, cleared_or, given, outcome, settle},
        },
        ledger::books::BooksExt,
    },
    ids::PartnerId,
    models::{
        idempotency::Key,
        partners::{
            change::PartnerFault,
            partner::{NewPartner, PartnerChanges},
            status::PartnerStatus,
        },
    },
    money::Money,
    validation::{FaultCode, Faults, MAX_NAME, line, paragraphs, rate},
};

/// A partner to be added.
#[derive(InputObject, Clone)]
struct CreatePartnerInput {
    /// Its company's name, at most 200 characters.
    company_name: String,
    /// Its default share of a sale, as a fraction: "0.1" is ten per cent. The tenant's default where it is not given.
    commission_rate: Option<Decimal>,
    /// The organisation at the sign-in service whose members act for it.
    clerk_org_id: Option<String>,
    /// Whether it may work at once.
    #[graphql(default_with = "PartnerStatus::Active")]
    status: PartnerStatus,
    /// The idempotency key, at most 200 characters: sent again, it answers with the first partner and adds none.
    idempotency_key: String,
}

/// What became of `createPartner`.
#[derive(SimpleObject)]
struct CreatePartnerPayload {
    /// The new partner. Null where there are user errors.
    partner: Option<Row<Partner>>,
    /// Whether the key was used before, and no partner was added this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the partner was created.
    user_errors: Vec<UserError>,
}

/// What to change of a partner: a field that is left out stays as it is.
#[derive(InputObject, Clone)]
struct UpdatePartnerInput {
    /// The partner.
    id: PartnerId,
    /// Its company's name, at most 200 characters.
    company_name: MaybeUndefined<String>,
    /// Its default share of a sale, as a fraction. It is for new leads: those that are there already keep theirs.
    commission_rate: MaybeUndefined<Decimal>,
    /// The organisation at the sign-in service whose members act for it. Null takes it away.
    clerk_org_id: MaybeUndefined<String>,
    /// The partner's `updatedAt` when these changes were decided on: where somebody has changed it since, it is left as it is.
    expected_updated_at: Option<DateTime>,
}

/// What became of `updatePartner`.
#[derive(SimpleObject)]
struct UpdatePartnerPayload {
    /// The partner as it is now. Null where there are user errors.
    partner: Option<Row<Partner>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the partner was changed.
    user_errors: Vec<UserError>,
}

/// A partner's new status.
#[derive(InputObject, Clone)]
struct ChangePartnerStatusInput {
    /// The partner.
    id: PartnerId,
    /// The status to give it. Giving it the one that it has already changes nothing but the reason, where one is given.
    status: PartnerStatus,
    /// Why, for the partner's people to read; at most 1,000 characters.
    reason: Option<String>,
}

/// What became of `changePartnerStatus`.
#[derive(SimpleObject)]
struct ChangePartnerStatusPayload {
    /// The partner as it is now. Null where there are user errors.
    partner: Option<Row<Partner>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the partner has the status.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct PartnerMutations;

#[Object]
impl PartnerMutations {
    /// Adds a partner. Needs `PARTNERS_MANAGE`.
    async fn create_partner(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The partner.")] input: CreatePartnerInput,
    ) -> Result<Option<CreatePartnerPayload>> {
        ctx.require(Permission::PartnersManage)?;
        let ((partner, replayed), user_errors) = settle(ctx, || create(ctx, input.clone())).await?;
        Ok(Some(CreatePartnerPayload { partner, replayed, user_errors }))
    }

    /// Changes a partner. Needs `PARTNERS_MANAGE`.
    async fn update_partner(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The changes.")] input: UpdatePartnerInput,
    ) -> Result<Option<UpdatePartnerPayload>> {
        ctx.require(Permission::PartnersManage)?;
        let ((partner, replayed), user_errors) = settle(ctx, || update(ctx, input.clone())).await?;
        Ok(Some(UpdatePartnerPayload { partner, replayed, user_errors }))
    }

    /// Approves, suspends, resumes or closes a partner. Its people can read in every status, and write while it is active. Needs
    /// `PARTNERS_MANAGE`.
    async fn change_partner_status(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The partner and its new status.")] input: ChangePartnerStatusInput,
    ) -> Result<Option<ChangePartnerStatusPayload>> {
        ctx.require(Permission::PartnersManage)?;
        let ((partner, replayed), user_errors) = settle(ctx, || change_status(ctx, input.clone())).await?;
        Ok(Some(ChangePartnerStatusPayload { partner, replayed, user_errors }))
    }
}

async fn create(ctx: &Context<'_>, input: CreatePartnerInput) -> Result<Outcome<Row<Partner>>, Refusal> {
    let tenant = &ctx.viewer().tenant;
    let mut faults = Faults::default();
    let company_name = faults.check("input.companyName", line(&input.company_name, MAX_NAME));
    let commission_rate = match input.commission_rate {
        Some(given) => faults.check("input.commissionRate", rate(given.0)),
        None => Some(tenant.default_commission_rate),
    };
    let clerk_org_id = faults.check_option("input.clerkOrgId", input.clerk_org_id.as_deref(), |text| line(text, MAX_NAME));
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let (Some(company_name), Some(commission_rate), Some(key), true) = (company_name, commission_rate, key, faults.is_empty())
    else {
        return Err(faults.into());
    };
    // What was asked for, whatever the tenant's default is by then.
    let request = [
        ("companyName", json!(company_name)),
        ("commissionRate", json!(input.commission_rate.map(|_| commission_rate.normalize().to_string()))),
        ("clerkOrgId", json!(clerk_org_id)),
        ("status", json!(input.status.as_str())),
    ];
    let new = NewPartner {
        tenant_id: tenant.id,
        id: PartnerId::new(),
        company_name: &company_name,
        status: input.status,
        commission_rate,
        clerk_org_id: clerk_org_id.as_deref(),
    };
    let writing = ctx.write().await?;
    let (id, is_new) = ctx.books(&writing).add_partner(&Key::new(key, request), &new).await?.map_err(refusal)?;
    Ok(outcome(writing, is_new, Partner::by_id(ctx, id)).await?)
}

async fn update(ctx: &Context<'_>, input: UpdatePartnerInput) -> Result<Outcome<Row<Partner>>, Refusal> {
    let mut faults = Faults::default();
    let changes = PartnerChanges {
        company_name: given(input.company_name, "input.companyName", &mut faults, |text| line(&text, MAX_NAME)),
        commission_rate: given(input.commission_rate, "input.commissionRate", &mut faults, |value| rate(value.0)),
        clerk_org_id: cleared_or(input.clerk_org_id, |text| faults.check("input.clerkOrgId", line(&text, MAX_NAME))),
        ..PartnerChanges::default()
    };
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let writing = ctx.write().await?;
    let expected = input.expected_updated_at.map(|expected| expected.0);
    let written = ctx.books(&writing).change_partner(ctx.viewer().scope(), input.id, &changes, expected).await?;
    let has_changed = written.map_err(refusal)?;
    Ok(outcome(writing, has_changed, Partner::by_id(ctx, input.id)).await?)
}

async fn change_status(ctx: &Context<'_>, input: ChangePartnerStatusInput) -> Result<Outcome<Row<Partner>>, Refusal> {
    let mut faults = Faults::default();
    let reason = faults.check_option("input.reason", input.reason.as_deref(), |text| paragraphs(text, MAX_REASON));
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let writing = ctx.write().await?;
    let stepped = ctx.books(&writing).step_partner(ctx.viewer().scope(), input.id, input.status, reason).await?;
    let has_changed = stepped.map_err(refusal)?;
    Ok(outcome(writing, has_changed, Partner::by_id(ctx, input.id)).await?)
}

fn refusal(fault: PartnerFault) -> Refusal {
    match fault {
        PartnerFault::NotFound => Refusal::not_found("input.id", "partner"),
        PartnerFault::NoStep(from, to) => {
            let message = format!("A partner that is {} cannot become {}.", from.shown(), to.shown());
            Refusal::fault("input.status", FaultCode::InvalidTransition, message)
        }
        PartnerFault::OpenBalance(accounts) => {
            let shown = accounts.iter().map(|account| {
                let kind = account.kind.as_str().replace('_', " ");
                let amount = currency(&account.unit).map_or(account.balance, |unit| Money::rounded(account.balance, unit).amount);
                format!("{amount} {} {kind}", account.unit)
            });
            let message = format!(
                "The partner has an open balance: {}. Pay it out, or reject or adjust it, first.",
                shown.collect::<Vec<_>>().join(", ")
            );
            Refusal::fault("input.status", FaultCode::OpenBalance, message)
        }
        PartnerFault::OrganizationTaken => {
            Refusal::fault("input.clerkOrgId", FaultCode::Taken, "Another partner has this organisation already.")
        }
        PartnerFault::KeyReused { first, difference } => Refusal::key_reused(first, &difference),
        PartnerFault::ChangedSince(at) => changed_since(at, "partner"),
    }
}
