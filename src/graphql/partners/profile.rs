//! Profiles as the API shows them: account numbers by their last four characters alone.

use std::sync::Arc;

use async_graphql::{Context, Object, SimpleObject};

use crate::{
    error::Result,
    graphql::engine::{
        context::ContextExt,
        json::leaf_enums,
        loaders::batch_key,
        scalars::{DateTime, EmailAddress},
    },
    ids::PartnerId,
    models::partners::profile::{PaymentMethod, Profile},
};

leaf_enums!(PaymentMethod);

/// A profile.
pub struct PartnerProfile(Arc<Profile>);

/// How a partner is paid and reached.
#[Object]
impl PartnerProfile {
    /// Where payments go. Null where none is given.
    async fn payment_email(&self) -> Option<EmailAddress> {
        self.0.payment_email.clone().map(EmailAddress)
    }

    /// How payments are made.
    async fn payment_method(&self) -> PaymentMethod {
        self.0.payment_method
    }

    /// The tax id, its last four characters only: "•••• 6789". Null where none is given.
    async fn tax_id_masked(&self) -> Option<String> {
        self.0.tax_id_last4.as_deref().map(masked)
    }

    /// The bank account, its last four characters only: "•••• 3000". Null where none is given.
    async fn bank_account_masked(&self) -> Option<String> {
        self.0.bank_account_last4.as_deref().map(masked)
    }

    /// Whom to ask for. Null where nobody is named.
    async fn contact_name(&self) -> Option<&str> {
        self.0.contact_name.as_deref()
    }

    /// Their e-mail address. Null where none is given.
    async fn contact_email(&self) -> Option<EmailAddress> {
        self.0.contact_email.clone().map(EmailAddress)
    }

    /// Their phone number. Null where none is given.
    async fn contact_phone(&self) -> Option<&str> {
        self.0.contact_phone.as_deref()
    }

    /// The partner's web site. Null where none is given.
    async fn website(&self) -> Option<&str> {
        self.0.website.as_deref()
    }

    /// The postal address. Null where nothing of it is given.
    async fn address(&self) -> Option<PostalAddress> {
        let profile = &self.0;
        let address = PostalAddress {
            line1: profile.address_line1.clone(),
            city: profile.address_city.clone(),
            state: profile.address_state.clone(),
            postal_code: profile.address_postal_code.clone(),
            country: profile.address_country.clone(),
        };
        (address != PostalAddress::default()).then_some(address)
    }

    /// Which notifications the partner wants, and how.
    async fn notifications(&self) -> NotificationSettings {
        NotificationSettings {
            enabled: self.0.notifications_enabled,
            email: self.0.notify_by_email,
            monthly_reports: self.0.monthly_reports,
        }
    }

    /// When the profile last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

/// A postal address; each part is null where it is not given.
#[derive(SimpleObject, Default, PartialEq, Eq)]
pub struct PostalAddress {
    /// Street and number.
    line1: Option<String>,
    /// City.
    city: Option<String>,
    /// State or region.
    state: Option<String>,
    /// Postal code.
    postal_code: Option<String>,
    /// Country, its ISO 3166-1 alpha-2 code: "DE".
    country: Option<String>,
}

/// Which notifications a partner wants, and how.
#[derive(SimpleObject)]
pub struct NotificationSettings {
    /// Whether anything is sent at all.
    enabled: bool,
    /// Whether by e-mail.
    email: bool,
    /// Whether the monthly report is sent.
    monthly_reports: bool,
}

impl PartnerProfile {
    /// The profile of a partner that the viewer may see.
    pub async fn by_partner(ctx: &Context<'_>, partner: PartnerId) -> Result<Option<Self>> {
        Ok(ctx.load(ProfileByPartner(partner)).await?.map(Self))
    }
}

/// What is shown of a number that is stored sealed.
pub fn masked(last4: &str) -> String {
    format!("•••• {last4}")
}

batch_key!(ProfileByPartner(PartnerId) -> Arc<Profile>, Profile::by_partners);
