//! The mutation of a partner's profile.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, SimpleObject};

use super::partner::Partner;
use crate::{
    auth::Permission,
    error::Result,
    graphql::engine::{
        context::ContextExt,
        row::Row,
        scalars::{DateTime, EmailAddress},
        user_errors::{Outcome, Refusal, UserError, changed_since, cleared_or, given, outcome, settle},
    },
    ids::PartnerId,
    keyring::SealedField,
    models::partners::profile::{PaymentMethod, Profile, ProfileChanges, ProfileUpdate, SealedNumber},
    validation::{FaultCode, Faults, Wrong, account_number, bank_account, country, email, line, phone, website},
};

/// What to change of a profile: a field that is left out stays as it is, one that is null is cleared if a profile can be without it.
#[derive(InputObject, Clone)]
struct UpdatePartnerProfileInput {
    /// The partner. Operators must name one; for others it is their own.
    partner_id: Option<PartnerId>,
    /// Where payments go.
    payment_email: MaybeUndefined<EmailAddress>,
    /// How payments are made.
    payment_method: MaybeUndefined<PaymentMethod>,
    /// The tax id, 6 to 40 letters and digits. Only its last four characters are ever shown again.
    tax_id: MaybeUndefined<String>,
    /// The number of the bank account, 6 to 40 letters and digits; what begins like an IBAN must be one (ISO 13616). Only its last
    /// four characters are ever shown again.
    bank_account: MaybeUndefined<String>,
    /// Whom to ask for, at most 200 characters.
    contact_name: MaybeUndefined<String>,
    /// Their e-mail address.
    contact_email: MaybeUndefined<EmailAddress>,
    /// Their phone number, 6 to 15 digits, with an extension such as `ext. 12` where there is one.
    contact_phone: MaybeUndefined<String>,
    /// The partner's web site, `http` or `https`.
    website: MaybeUndefined<String>,
    /// The postal address. Null clears all of it.
    address: MaybeUndefined<PostalAddressInput>,
    /// Which notifications to send, and how.
    notifications: MaybeUndefined<NotificationSettingsInput>,
    /// The profile's `updatedAt` when these changes were decided on: where somebody has changed it since, it is left as it is.
    expected_updated_at: Option<DateTime>,
}

/// What to change of a postal address: a part that is left out stays as it is, one that is null is cleared.
#[derive(InputObject, Clone)]
struct PostalAddressInput {
    /// Street and number, at most 200 characters.
    line1: MaybeUndefined<String>,
    /// City, at most 200 characters.
    city: MaybeUndefined<String>,
    /// State or region, at most 200 characters.
    state: MaybeUndefined<String>,
    /// Postal code, at most 20 characters.
    postal_code: MaybeUndefined<String>,
    /// Country, its ISO 3166-1 alpha-2 code: "DE".
    country: MaybeUndefined<String>,
}

/// What to change of the notifications; a switch that is left out stays as it is.
#[derive(InputObject, Clone, Default)]
struct NotificationSettingsInput {
    /// Whether anything is sent at all.
    enabled: Option<bool>,
    /// Whether by e-mail.
    email: Option<bool>,
    /// Whether the monthly report is sent.
    monthly_reports: Option<bool>,
}

/// What became of `updatePartnerProfile`.
#[derive(SimpleObject)]
struct UpdatePartnerProfilePayload {
    /// The partner, with its profile as it is now. Null where there are user errors.
    partner: Option<Row<Partner>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the profile was changed.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct ProfileMutations;

#[Object]
impl ProfileMutations {
    /// Changes how a partner is paid and reached. Needs `PROFILE_WRITE`.
    async fn update_partner_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The changes.")] input: UpdatePartnerProfileInput,
    ) -> Result<Option<UpdatePartnerProfilePayload>> {
        ctx.require(Permission::ProfileWrite)?;
        let ((partner, replayed), user_errors) = settle(ctx, || update(ctx, input.clone())).await?;
        Ok(Some(UpdatePartnerProfilePayload { partner, replayed, user_errors }))
    }
}

async fn update(ctx: &Context<'_>, input: UpdatePartnerProfileInput) -> Result<Outcome<Row<Partner>>, Refusal> {
    let viewer = ctx.viewer();
    let Some(partner) = input.partner_id.or(viewer.partner.map(|partner| partner.id)) else {
        return Err(Refusal::fault("input.partnerId", FaultCode::Required, "Name the partner whose profile it is."));
    };
    let mut faults = Faults::default();
    let expected = input.expected_updated_at.as_ref().map(|expected| expected.0);
    let changes = changes(ctx, partner, input, &mut faults)?;
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let writing = ctx.write().await?;
    let update = Profile::update(&writing, &ctx.request().shared.keyring, viewer.scope(), partner, &changes, expected).await?;
    match update {
        ProfileUpdate::NotFound => Err(Refusal::not_found("input.partnerId", "partner")),
        ProfileUpdate::ChangedSince(at) => Err(changed_since(at, "profile")),
        update => Ok(outcome(writing, update == ProfileUpdate::Changed, Partner::by_id(ctx, partner)).await?),
    }
}

/// A number that is stored sealed, checked by its rule.
#[expect(clippy::option_option, reason = "the three cases of a change")]
pub(super) fn seal(
    ctx: &Context<'_>,
    partner: PartnerId,
    path: &'static str,
    field: SealedField,
    number: MaybeUndefined<String>,
    rule: fn(&str) -> Result<String, Wrong>,
    faults: &mut Faults,
) -> Result<Option<Option<SealedNumber>>> {
    let number = cleared_or(number, |number| faults.check(path, rule(&number)));
    let seal =
        |number: String| SealedNumber::seal(&number, field, ctx.viewer().tenant.id, partner, &ctx.request().shared.keyring);
    number.map(|number| number.map(seal).transpose()).transpose()
}

/// Every field checked; all faults are noted, so what comes back counts only when there are none.
fn changes(
    ctx: &Context<'_>,
    partner: PartnerId,
    input: UpdatePartnerProfileInput,
    faults: &mut Faults,
) -> Result<ProfileChanges> {
    let tax_id = seal(ctx, partner, "input.taxId", SealedField::TaxId, input.tax_id, account_number, faults)?;
    let account = seal(ctx, partner, "input.bankAccount", SealedField::BankAccount, input.bank_account, bank_account, faults)?;

    let payment_method = given(input.payment_method, "input.paymentMethod", faults, Ok);
    let notifications = given(input.notifications, "input.notifications", faults, Ok);
    let mut text = |path, field: MaybeUndefined<String>, rule: fn(&str) -> Result<String, Wrong>| {
        cleared_or(field, |text| faults.check(path, rule(&text)))
    };
    let name: fn(&str) -> Result<String, Wrong> = |text| line(text, 200);
    let address = match input.address {
        MaybeUndefined::Undefined => PostalAddressInput::unchanged(),
        MaybeUndefined::Null => PostalAddressInput::cleared(),
        MaybeUndefined::Value(address) => address,
    };
    let notifications = notifications.unwrap_or_default();
    Ok(ProfileChanges {
        payment_email: text("input.paymentEmail", input.payment_email.map_value(|email| email.0), email),
        payment_method,
        tax_id_sealed: tax_id.clone().map(|number| number.map(|number| number.sealed)),
        tax_id_last4: tax_id.map(|number| number.map(|number| number.last4)),
        bank_account_sealed: account.clone().map(|number| number.map(|number| number.sealed)),
        bank_account_last4: account.map(|number| number.map(|number| number.last4)),
        contact_name: text("input.contactName", input.contact_name, name),
        contact_email: text("input.contactEmail", input.contact_email.map_value(|email| email.0), email),
        contact_phone: text("input.contactPhone", input.contact_phone, phone),
        website: text("input.website", input.website, website),
        address_line1: text("input.address.line1", address.line1, name),
        address_city: text("input.address.city", address.city, name),
        address_state: text("input.address.state", address.state, name),
        address_postal_code: text("input.address.postalCode", address.postal_code, |text| line(text, 20)),
        address_country: text("input.address.country", address.country, country),
        notifications_enabled: notifications.enabled,
        notify_by_email: notifications.email,
        monthly_reports: notifications.monthly_reports,
    })
}

impl PostalAddressInput {
    fn unchanged() -> Self {
        use MaybeUndefined::Undefined;
        Self { line1: Undefined, city: Undefined, state: Undefined, postal_code: Undefined, country: Undefined }
    }

    fn cleared() -> Self {
        use MaybeUndefined::Null;
        Self { line1: Null, city: Null, state: Null, postal_code: Null, country: Null }
    }
}
