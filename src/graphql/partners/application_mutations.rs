//! The mutation by which a partner that signed up applies.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, SimpleObject};

use super::{partner::Partner, profile_mutations::seal};
use crate::{
    auth::Role,
    error::{Error, Result},
    graphql::{
        engine::{
            context::ContextExt,
            row::Row,
            user_errors::{Outcome, Refusal, UserError, cleared_or, given, outcome, settle},
        },
        ledger::books::BooksExt,
    },
    keyring::SealedField,
    models::partners::{
        application::{ApplicationChanges, ApplicationFault, Needed},
        profile::ProfileChanges,
        status::PartnerStatus,
    },
    validation::{FaultCode, Faults, MAX_NAME, account_number, bank_account, country, line, paragraphs, website},
};

/// The longest plan.
const MAX_PLAN: usize = 5_000;

/// What to say of the partner. In the first application its name, its country and its plan are needed; in a later one whatever is left
/// out stays as it is.
#[derive(InputObject, Clone)]
struct SubmitPartnerApplicationInput {
    /// The company's name, at most 200 characters.
    company_name: MaybeUndefined<String>,
    /// The country it is in, its ISO 3166-1 alpha-2 code: "DE".
    country: MaybeUndefined<String>,
    /// How it will sell, in its own words, at most 5,000 characters.
    sales_plan: MaybeUndefined<String>,
    /// Its web site, `http` or `https`. Null clears it.
    website: MaybeUndefined<String>,
    /// Its tax id, 6 to 40 letters and digits. Only its last four characters are ever shown again. Null clears it.
    tax_id: MaybeUndefined<String>,
    /// The number of its bank account, 6 to 40 letters and digits; what begins like an IBAN must be one (ISO 13616). Only its last four
    /// characters are ever shown again. Null clears it.
    bank_account: MaybeUndefined<String>,
}

/// What became of `submitPartnerApplication`.
#[derive(SimpleObject)]
struct SubmitPartnerApplicationPayload {
    /// The partner, with its application as it is now. Null where there are user errors.
    partner: Option<Row<Partner>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the application was submitted.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct PartnerApplicationMutations;

#[Object]
impl PartnerApplicationMutations {
    /// Says who the partner is and how it will sell, for the operators who decide about it. For owners of a partner that is `PENDING`, as
    /// often as there is something to put right.
    async fn submit_partner_application(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The application.")] input: SubmitPartnerApplicationInput,
    ) -> Result<Option<SubmitPartnerApplicationPayload>> {
        if ctx.viewer().role != Role::PartnerOwner {
            return Err(Error::Forbidden(
                "Your role does not allow this; it is for owners of a partner that has signed up.".to_owned(),
            ));
        }
        let ((partner, replayed), user_errors) = settle(ctx, || submit(ctx, input.clone())).await?;
        Ok(Some(SubmitPartnerApplicationPayload { partner, replayed, user_errors }))
    }
}

async fn submit(ctx: &Context<'_>, input: SubmitPartnerApplicationInput) -> Result<Outcome<Row<Partner>>, Refusal> {
    let viewer = ctx.viewer();
    let decided = |status: PartnerStatus| {
        let hint = match status {
            PartnerStatus::Active => " What is paid where is changed with `updatePartnerProfile`.",
            PartnerStatus::Pending | PartnerStatus::Suspended | PartnerStatus::Closed => "",
        };
        let message = format!("The partner is {}: that has been decided.{hint}", status.shown());
        Refusal::fault("input", FaultCode::InvalidTransition, message)
    };
    let active = viewer.partner.ok_or_else(|| Refusal::not_found("input", "partner"))?;
    if active.status != PartnerStatus::Pending {
        return Err(decided(active.status));
    }
    let (scope, partner_id) = (viewer.scope(), active.id);
    let mut faults = Faults::default();
    let number = |path, field, number: MaybeUndefined<String>, rule, faults: &mut Faults| {
        seal(ctx, partner_id, path, field, number, rule, faults)
    };
    let tax_id = number("input.taxId", SealedField::TaxId, input.tax_id, account_number, &mut faults)?;
    let account = number("input.bankAccount", SealedField::BankAccount, input.bank_account, bank_account, &mut faults)?;
    let company_name = given(input.company_name, "input.companyName", &mut faults, |text| line(&text, MAX_NAME));
    let country = given(input.country, "input.country", &mut faults, |text| country(&text));
    let sales_plan = given(input.sales_plan, "input.salesPlan", &mut faults, |text| paragraphs(&text, MAX_PLAN));
    let website = cleared_or(input.website, |text| faults.check("input.website", website(&text)));

    if !faults.is_empty() {
        return Err(faults.into());
    }
    let profile = ProfileChanges {
        website,
        address_country: country.map(Some),
        tax_id_sealed: tax_id.clone().map(|number| number.map(|number| number.sealed)),
        tax_id_last4: tax_id.map(|number| number.map(|number| number.last4)),
        bank_account_sealed: account.clone().map(|number| number.map(|number| number.sealed)),
        bank_account_last4: account.map(|number| number.map(|number| number.last4)),
        ..ProfileChanges::default()
    };
    let said = ApplicationChanges { company_name, sales_plan, profile };
    let writing = ctx.write().await?;
    let keyring = &ctx.request().shared.keyring;
    let submitted = ctx.books(&writing).submit_application(scope, partner_id, viewer.user, keyring, said).await?;
    let has_changed = submitted.map_err(refusal)?;
    Ok(outcome(writing, has_changed, Partner::by_id(ctx, partner_id)).await?)
}

fn refusal(fault: ApplicationFault) -> Refusal {
    match fault {
        ApplicationFault::Decided => Refusal::fault("input", FaultCode::InvalidTransition, "It has been decided just now."),
        ApplicationFault::Incomplete(lacks) => {
            let mut faults = Faults::default();
            for needed in lacks {
                let path = match needed {
                    Needed::CompanyName => "input.companyName",
                    Needed::Country => "input.country",
                    Needed::SalesPlan => "input.salesPlan",
                };
                faults.add(path, FaultCode::Required, "Is needed in the first application.");
            }
            faults.into()
        }
    }
}
