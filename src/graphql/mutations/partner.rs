//! Mutations of partners, for operators.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, SimpleObject};

use super::{MAX_NAME, MAX_REASON, Refusal, UserError, cleared_or, given, settle};
use crate::{
    auth::Permission,
    db::{self, session::Writing},
    error::Result,
    graphql::{
        context::ContextExt,
        partner::Partner,
        row::Row,
        scalars::{Decimal, currency},
    },
    ids::PartnerId,
    models::{
        customer::{CustomerAccount, Whose},
        ledger,
        partner::{self, NewPartner, PartnerChanges, PartnerStatus},
    },
    money::Money,
    validation::{FaultCode, Faults, line, paragraphs, rate},
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
}

/// What became of `createPartner`.
#[derive(SimpleObject)]
struct CreatePartnerPayload {
    /// The new partner. Null where there are user errors.
    partner: Option<Row<Partner>>,
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
}

/// What became of `updatePartner`.
#[derive(SimpleObject)]
struct UpdatePartnerPayload {
    /// The partner as it is now. Null where there are user errors.
    partner: Option<Row<Partner>>,
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
        let (partner, user_errors) = settle(ctx, || create(ctx, input.clone())).await?;
        Ok(Some(CreatePartnerPayload { partner, user_errors }))
    }

    /// Changes a partner. Needs `PARTNERS_MANAGE`.
    async fn update_partner(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The changes.")] input: UpdatePartnerInput,
    ) -> Result<Option<UpdatePartnerPayload>> {
        ctx.require(Permission::PartnersManage)?;
        let (partner, user_errors) = settle(ctx, || update(ctx, input.clone())).await?;
        Ok(Some(UpdatePartnerPayload { partner, user_errors }))
    }

    /// Approves, suspends, resumes or closes a partner. Its people can read in every status, and write while it is active. Needs
    /// `PARTNERS_MANAGE`.
    async fn change_partner_status(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The partner and its new status.")] input: ChangePartnerStatusInput,
    ) -> Result<Option<ChangePartnerStatusPayload>> {
        ctx.require(Permission::PartnersManage)?;
        let (partner, user_errors) = settle(ctx, || change_status(ctx, input.clone())).await?;
        Ok(Some(ChangePartnerStatusPayload { partner, user_errors }))
    }
}

async fn create(ctx: &Context<'_>, input: CreatePartnerInput) -> Result<Option<Row<Partner>>, Refusal> {
    let tenant = &ctx.viewer().tenant;
    let mut faults = Faults::default();
    let company_name = faults.check("input.companyName", line(&input.company_name, MAX_NAME));
    let commission_rate = match input.commission_rate {
        Some(given) => faults.check("input.commissionRate", rate(given.0)),
        None => Some(tenant.default_commission_rate),
    };
    let clerk_org_id = faults.check_option("input.clerkOrgId", input.clerk_org_id.as_deref(), |text| line(text, MAX_NAME));
    let (Some(company_name), Some(commission_rate), true) = (company_name, commission_rate, faults.is_empty()) else {
        return Err(faults.into());
    };
    let new = NewPartner {
        tenant_id: tenant.id,
        id: PartnerId::new(),
        company_name: &company_name,
        status: input.status,
        commission_rate,
        clerk_org_id: clerk_org_id.as_deref(),
    };
    let writing = ctx.write().await?;
    partner::Partner::insert(&writing, &new).await.map_err(violation)?;
    Ok(writing.commit_and(Partner::by_id(ctx, new.id)).await?)
}

async fn update(ctx: &Context<'_>, input: UpdatePartnerInput) -> Result<Option<Row<Partner>>, Refusal> {
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
    let partner = partner::Partner::lock_key(&writing, ctx.viewer().scope(), input.id).await?;
    let partner = partner.ok_or_else(|| Refusal::not_found("input.id", "partner"))?;
    partner.update(&writing, &changes).await.map_err(violation)?;
    Ok(writing.commit_and(Partner::by_id(ctx, input.id)).await?)
}

/// Makes sure that nothing is owed either way, and releases the customers. The books stay locked: nothing is booked meanwhile.
async fn settle_accounts(ctx: &Context<'_>, writing: &Writing<'_>, id: PartnerId) -> Result<(), Refusal> {
    let open = ledger::open_balances(writing, ctx.viewer().scope(), id).await?;
    if open.is_empty() {
        let now = ctx.now();
        return Ok(CustomerAccount::end_all(writing, ctx.viewer().tenant.id, Whose::Partner(id), now).await?);
    }
    let shown = open.iter().map(|account| {
        let kind = account.kind.as_str().replace('_', " ");
        let amount = currency(&account.unit).map_or(account.balance, |unit| Money::rounded(account.balance, unit).amount);
        format!("{amount} {} {kind}", account.unit)
    });
    let message = format!(
        "The partner has an open balance: {}. Pay it out, or reject or adjust it, first.",
        shown.collect::<Vec<_>>().join(", ")
    );
    Err(Refusal::fault("input.status", FaultCode::OpenBalance, message))
}

async fn change_status(ctx: &Context<'_>, input: ChangePartnerStatusInput) -> Result<Option<Row<Partner>>, Refusal> {
    let mut faults = Faults::default();
    let reason = faults.check_option("input.reason", input.reason.as_deref(), |text| paragraphs(text, MAX_REASON));
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let writing = ctx.write().await?;
    let books = ctx.books(&writing);
    books.lock(&[input.id]).await?;
    // Mutations that assign credits lock this balance before they read the status: so none runs beside the closing.
    books.lock_credits(input.id).await?;
    let partner = partner::Partner::lock(&writing, ctx.viewer().scope(), input.id).await?;
    let partner = partner.ok_or_else(|| Refusal::not_found("input.id", "partner"))?;
    if partner.status == input.status {
        if reason.is_none() || reason == partner.status_reason {
            drop(writing);
            return Ok(Partner::by_id(ctx, input.id).await?);
        }
        partner.update(&writing, &PartnerChanges { status_reason: Some(reason), ..PartnerChanges::default() }).await?;
        return Ok(writing.commit_and(Partner::by_id(ctx, input.id)).await?);
    }
    if !partner.status.may_become(input.status) {
        let message = format!("A partner that is {} cannot become {}.", partner.status.shown(), input.status.shown());
        return Err(Refusal::fault("input.status", FaultCode::InvalidTransition, message));
    }
    if input.status == PartnerStatus::Closed {
        settle_accounts(ctx, &writing, input.id).await?;
    }
    partner
        .update(
            &writing,
            &PartnerChanges { status: Some(input.status), status_reason: Some(reason), ..PartnerChanges::default() },
        )
        .await?;
    Ok(writing.commit_and(Partner::by_id(ctx, input.id)).await?)
}

/// What a person can put right of what the database refused.
fn violation(error: db::QueryError) -> Refusal {
    if partner::is_organization_taken(&error) {
        return Refusal::fault("input.clerkOrgId", FaultCode::Taken, "Another partner has this organisation already.");
    }
    error.into()
}
