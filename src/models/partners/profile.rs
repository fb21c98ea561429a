//! Profiles: how a partner is paid and reached.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    db::schema::partner_profiles,
    error::{Error, Result},
    ids::{PartnerId, TenantId},
    keyring::{Keyring, SealedField},
    models::scope::Scope,
};

crate::pg_enum! {
    /// How a partner is paid.
    pub enum PaymentMethod {
        /// By hand, outside this system.
        Manual = "manual",
        /// To the bank account of the profile.
        BankTransfer = "bank_transfer",
        /// By PayPal, to the payment e-mail address.
        #[graphql(name = "PAYPAL")]
        PayPal = "paypal",
        /// By Stripe, to the payment e-mail address.
        Stripe = "stripe",
        /// By check, to the address.
        Check = "check",
    }
}

impl PaymentMethod {
    /// What a profile must say for a payment by this method to have a destination, in words.
    fn destination(self) -> &'static str {
        match self {
            Self::Manual => "nothing",
            Self::BankTransfer => "a bank account",
            Self::PayPal | Self::Stripe => "a payment e-mail address",
            Self::Check => "a postal address with street, city and country",
        }
    }
}

/// A profile, without what is sealed.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = partner_profiles)]
pub struct Profile {
    /// Its partner.
    pub partner_id: PartnerId,
    /// Where payments go.
    pub payment_email: Option<String>,
    /// How payments go there.
    pub payment_method: PaymentMethod,
    /// The end of the tax id.
    pub tax_id_last4: Option<String>,
    /// The end of the bank account's number.
    pub bank_account_last4: Option<String>,
    /// Whom to ask for.
    pub contact_name: Option<String>,
    /// Their e-mail address.
    pub contact_email: Option<String>,
    /// Their phone number.
    pub contact_phone: Option<String>,
    /// The partner's web site.
    pub website: Option<String>,
    /// Street and number.
    pub address_line1: Option<String>,
    /// City.
    pub address_city: Option<String>,
    /// State or region.
    pub address_state: Option<String>,
    /// Postal code.
    pub address_postal_code: Option<String>,
    /// Country (ISO 3166-1 alpha-2).
    pub address_country: Option<String>,
    /// Whether anything is sent at all.
    pub notifications_enabled: bool,
    /// Whether by e-mail.
    pub notify_by_email: bool,
    /// Whether the monthly report is sent.
    pub monthly_reports: bool,
    /// When the profile last changed.
    pub updated_at: DateTime<Utc>,
}

/// What to change of a profile; `None` stays as it is, `Some(None)` is cleared.
#[derive(Debug, Clone, Default, AsChangeset)]
#[diesel(table_name = partner_profiles)]
#[expect(missing_docs, reason = "the fields of Profile")]
pub struct ProfileChanges {
    pub payment_email: Option<Option<String>>,
    pub payment_method: Option<PaymentMethod>,
    pub tax_id_sealed: Option<Option<Vec<u8>>>,
    pub tax_id_last4: Option<Option<String>>,
    pub bank_account_sealed: Option<Option<Vec<u8>>>,
    pub bank_account_last4: Option<Option<String>>,
    pub contact_name: Option<Option<String>>,
    pub contact_email: Option<Option<String>>,
    pub contact_phone: Option<Option<String>>,
    pub website: Option<Option<String>>,
    pub address_line1: Option<Option<String>>,
    pub address_city: Option<Option<String>>,
    pub address_state: Option<Option<String>>,
    pub address_postal_code: Option<Option<String>>,
    pub address_country: Option<Option<String>>,
    pub notifications_enabled: Option<bool>,
    pub notify_by_email: Option<bool>,
    pub monthly_reports: Option<bool>,
}

impl ProfileChanges {
    /// Whether anything of a profile is not so already, but for what is sealed.
    fn differ_from(&self, profile: &Profile) -> bool {
        differ!(
            self, profile; payment_email, payment_method, contact_name, contact_email, contact_phone, website,
            address_line1, address_city, address_state, address_postal_code, address_country, notifications_enabled, notify_by_email,
            monthly_reports,
        )
    }
}

/// What became of a change of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileUpdate {
    /// There is no such profile in scope.
    NotFound,
    /// It has changed.
    Changed,
    /// All was so before.
    Unchanged,
    /// Somebody has changed it since it was looked at.
    ChangedSince(DateTime<Utc>),
}

/// A number as it is stored: sealed, with the end that is shown.
#[derive(Clone)]
pub struct SealedNumber {
    /// For the keyring alone.
    pub sealed: Vec<u8>,
    /// Its last four letters and digits.
    pub last4: String,
}

impl SealedNumber {
    /// Seals a checked number (at least six letters and digits) for one field of one partner.
    pub fn seal(number: &str, field: SealedField, tenant: TenantId, partner: PartnerId, keyring: &Keyring) -> Result<Self> {
        let significant: Vec<char> = number.chars().filter(char::is_ascii_alphanumeric).collect();
        let last4 = significant[significant.len().saturating_sub(4)..].iter().collect();
        let sealed = keyring.seal(number, field, tenant, partner).map_err(Error::internal)?;
        Ok(Self { sealed, last4 })
    }
}

/// A sealed number, where there is one.
type Sealed = Option<Vec<u8>>;

impl Profile {
    /// The profiles of those of `partners` that are in scope.
    pub async fn by_partners(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partners: &[PartnerId],
    ) -> QueryResult<HashMap<PartnerId, Self>> {
        let rows = Self::query()
            .filter(partner_profiles::tenant_id.eq(scope.tenant))
            .filter(partner_profiles::partner_id.eq_any(partners))
            .load(&mut connection)
            .await?;
        Ok(rows.into_iter().filter(|row: &Self| scope.includes(row.partner_id)).map(|row| (row.partner_id, row)).collect())
    }

    /// What the profile lacks, in words, for a payment by `method` to have a destination; `None` where it has one.
    pub fn lacks(&self, method: PaymentMethod) -> Option<&'static str> {
        let has_destination = match method {
            PaymentMethod::Manual => true,
            PaymentMethod::BankTransfer => self.bank_account_last4.is_some(),
            PaymentMethod::PayPal | PaymentMethod::Stripe => self.payment_email.is_some(),
            PaymentMethod::Check => {
                [&self.address_line1, &self.address_city, &self.address_country].into_iter().all(Option::is_some)
            }
        };
        (!has_destination).then(|| method.destination())
    }

    /// Changes the profile of `partner`, unless it was changed since `expected`. A sealed number that is the one which is there stays as it is
    /// sealed.
    pub async fn update(
        mut connection: &AsyncPgConnection,
        keyring: &Keyring,
        scope: Scope,
        partner: PartnerId,
        changes: &ProfileChanges,
        expected: Option<DateTime<Utc>>,
    ) -> Result<ProfileUpdate> {
        if !scope.includes(partner) {
            return Ok(ProfileUpdate::NotFound);
        }
        let row = partner_profiles::table
            .filter(partner_profiles::tenant_id.eq(scope.tenant))
            .filter(partner_profiles::partner_id.eq(partner));
        let locked = row.select((Self::as_select(), partner_profiles::tax_id_sealed, partner_profiles::bank_account_sealed));
        let before: Option<(Self, Sealed, Sealed)> = locked.for_no_key_update().first(&mut connection).await.optional()?;
        let Some((before, tax_id, bank_account)) = before else { return Ok(ProfileUpdate::NotFound) };
        // Two numbers may have one end, and one number is never sealed the same twice: they are compared as they are. One that no key opens
        // any longer is another, and can be replaced.
        let is_kept = |new: &Option<Sealed>, old: &Sealed, field| {
            let open = |sealed: &[u8]| keyring.open(sealed, field, scope.tenant, partner).ok();
            match (new, old) {
                (Some(Some(new)), Some(old)) => open(old).is_some_and(|old| open(new) == Some(old)),
                (Some(new), old) => new == old,
                (None, _) => true,
            }
        };
        let mut changes = changes.clone();
        let keeps_tax_id = is_kept(&changes.tax_id_sealed, &tax_id, SealedField::TaxId);
        let keeps_account = is_kept(&changes.bank_account_sealed, &bank_account, SealedField::BankAccount);
        if keeps_tax_id {
            (changes.tax_id_sealed, changes.tax_id_last4) = (None, None);
        }
        if keeps_account {
            (changes.bank_account_sealed, changes.bank_account_last4) = (None, None);
        }
        if keeps_tax_id && keeps_account && !changes.differ_from(&before) {
            return Ok(ProfileUpdate::Unchanged);
        }
        if expected.is_some_and(|expected| expected != before.updated_at) {
            return Ok(ProfileUpdate::ChangedSince(before.updated_at));
        }
        diesel::update(row).set((&changes, partner_profiles::updated_at.eq(diesel::dsl::now))).execute(&mut connection).await?;
        Ok(ProfileUpdate::Changed)
    }
}
