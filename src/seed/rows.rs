//! Makes rows, one partner or lead at a time, from a seeded sequence of random numbers.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use fastrand::Rng;
use iso_currency::Currency;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::names::{CITIES, COMPANY_HEADS, COMPANY_TAILS, FIRST_NAMES, LAST_NAMES, NOTES, SERVICES, STREETS};
use crate::{
    db::schema::{lead_status_changes, partner_leads, partner_profiles, partner_users, partners, users},
    error::{Error, Result},
    ids::{LeadId, LeadStatusChangeId, PartnerId, TenantId, UserId},
    keyring::{Keyring, SealedField},
    models::{
        leads::{lead::commission, status::LeadStatus},
        partners::{
            profile::{PaymentMethod, SealedNumber},
            status::PartnerStatus,
        },
        people::{partner_user::PartnerUserRole, tenant::Tenant},
    },
    money::{Money, minor_units},
};

/// A partner with what belongs to it.
pub struct PartnerRows {
    pub partner: PartnerRow,
    pub profile: ProfileRow,
    pub users: Vec<UserRow>,
    pub memberships: Vec<MembershipRow>,
}

/// A lead with its history.
pub struct LeadRows {
    pub lead: LeadRow,
    pub steps: Vec<StepRow>,
}

impl PartnerRows {
    /// The partner's id.
    pub fn id(&self) -> PartnerId {
        self.partner.id
    }
}

#[derive(Insertable)]
#[diesel(table_name = partners)]
pub struct PartnerRow {
    tenant_id: TenantId,
    id: PartnerId,
    company_name: String,
    status: PartnerStatus,
    commission_rate: Decimal,
    clerk_org_id: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = partner_profiles)]
pub struct ProfileRow {
    tenant_id: TenantId,
    partner_id: PartnerId,
    payment_email: String,
    payment_method: PaymentMethod,
    tax_id_sealed: Vec<u8>,
    tax_id_last4: String,
    bank_account_sealed: Vec<u8>,
    bank_account_last4: String,
    contact_name: String,
    contact_email: String,
    website: String,
    address_line1: &'static str,
    address_city: &'static str,
    address_country: &'static str,
}

#[derive(Insertable)]
#[diesel(table_name = users)]
pub struct UserRow {
    tenant_id: TenantId,
    id: UserId,
    clerk_user_id: String,
    email: String,
    name: String,
    default_partner_id: PartnerId,
    created_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = partner_users)]
pub struct MembershipRow {
    tenant_id: TenantId,
    partner_id: PartnerId,
    user_id: UserId,
    role: PartnerUserRole,
    created_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = partner_leads)]
pub struct LeadRow {
    tenant_id: TenantId,
    id: LeadId,
    partner_id: PartnerId,
    client_name: String,
    client_email: String,
    client_phone: Option<String>,
    service: &'static str,
    status: LeadStatus,
    deal_value: Option<Decimal>,
    commission_rate: Decimal,
    commission: Decimal,
    currency: &'static str,
    notes: Option<&'static str>,
    created_at: DateTime<Utc>,
    converted_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = lead_status_changes)]
pub struct StepRow {
    tenant_id: TenantId,
    id: LeadStatusChangeId,
    partner_id: PartnerId,
    lead_id: LeadId,
    from_status: Option<LeadStatus>,
    to_status: LeadStatus,
    changed_by: UserId,
    created_at: DateTime<Utc>,
}

/// The `sub` of the owner of the n-th partner that a seed makes.
pub fn owner_subject(tenant: &str, seed: u64, number: u32) -> String {
    format!("user_{tenant}_{seed}_{number}_owner")
}

/// The `sub` of its n-th other user.
pub fn member_subject(tenant: &str, seed: u64, number: u32, index: usize) -> String {
    format!("{}_{index}", owner_subject(tenant, seed, number))
}

/// Makes rows for one tenant.
pub struct Generator<'a> {
    tenant: &'a Tenant,
    currency: Currency,
    seed: u64,
    random: Rng,
    now: DateTime<Utc>,
}

impl<'a> Generator<'a> {
    pub fn new(tenant: &'a Tenant, seed: u64, now: DateTime<Utc>) -> Result<Self> {
        let currency = Currency::from_code(&tenant.default_currency)
            .ok_or_else(|| Error::internal(format!("{} is no currency", tenant.default_currency)))?;
        // The same for the same tenant and seed: FNV-1a over the slug.
        let of_slug = tenant
            .slug
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Ok(Self { tenant, currency, seed, random: Rng::with_seed(of_slug ^ seed), now })
    }

    /// The currency of the tenant's leads and most of its customers.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// A `UUIDv7` of the seed's: its time is not the present, so that the next run makes the same.
    fn id<Id: From<Uuid>>(&mut self) -> Id {
        let milliseconds = 1_735_689_600_000 + self.random.u64(..31_536_000_000);
        let mut bits = [0; 10];
        self.random.fill(&mut bits);
        uuid::Builder::from_unix_timestamp_millis(milliseconds, &bits).into_uuid().into()
    }

    fn one_of<T: Copy>(&mut self, words: &[T]) -> T {
        words[self.random.usize(..words.len())]
    }

    fn person(&mut self) -> (String, String) {
        let (first, last) = (self.one_of(&FIRST_NAMES), self.one_of(&LAST_NAMES));
        (format!("{first} {last}"), format!("{}.{}", first.to_lowercase(), last.to_lowercase()))
    }

    fn company(&mut self, number: u32) -> String {
        let heads = COMPANY_HEADS.len();
        let index = usize::try_from(number).unwrap_or(0) * 7 + usize::try_from(self.seed % 12).unwrap_or(0);
        let (head, tail) = (COMPANY_HEADS[index % heads], COMPANY_TAILS[(index / heads + index) % COMPANY_TAILS.len()]);
        let city = self.one_of(&CITIES).0;
        if number <= 20 { format!("{head} {tail}") } else { format!("{head} {tail} {city} {number}") }
    }

    /// The n-th partner. The first one is active; of the others a few wait for approval or are suspended.
    pub fn partner(&mut self, number: u32, keyring: &Keyring) -> Result<PartnerRows> {
        let (tenant_id, id) = (self.tenant.id, self.id::<PartnerId>());
        let slug = &self.tenant.slug;
        let company_name = self.company(number);
        let domain = format!("{}.example", company_name.to_lowercase().replace(' ', "-"));
        let created_at = self.now - TimeDelta::days(self.random.i64(370..900));
        let status = match number % 10 {
            4 => PartnerStatus::Pending,
            7 => PartnerStatus::Suspended,
            _ => PartnerStatus::Active,
        };
        let partner = PartnerRow {
            tenant_id,
            id,
            company_name,
            status,
            commission_rate: Decimal::new(self.random.i64(10..=40) * 50, 4),
            clerk_org_id: format!("org_{slug}_{}_{number}", self.seed),
            created_at,
            updated_at: created_at,
        };

        let mut users = Vec::new();
        let mut memberships = Vec::new();
        let roles = [PartnerUserRole::Owner, PartnerUserRole::Member, PartnerUserRole::Member];
        for (index, role) in roles.into_iter().take(self.random.usize(1..=3)).enumerate() {
            let (name, mailbox) = self.person();
            let user_id = self.id();
            let clerk_user_id = match index {
                0 => owner_subject(slug, self.seed, number),
                index => member_subject(slug, self.seed, number, index),
            };
            users.push(UserRow {
                tenant_id,
                id: user_id,
                clerk_user_id,
                email: format!("{mailbox}@{domain}"),
                name,
                default_partner_id: id,
                created_at,
            });
            memberships.push(MembershipRow {
                tenant_id,
                partner_id: id,
                user_id,
                role,
                created_at: created_at + TimeDelta::days(i64::try_from(index).unwrap_or(0)),
            });
        }
        let profile = self.profile(id, &users[0], &domain, keyring)?;
        Ok(PartnerRows { partner, profile, users, memberships })
    }

    fn profile(&mut self, partner: PartnerId, owner: &UserRow, domain: &str, keyring: &Keyring) -> Result<ProfileRow> {
        let tenant_id = self.tenant.id;
        let (address_city, address_country) = self.one_of(&CITIES);
        let tax_id = format!("{address_country}{:09}", self.random.u32(..1_000_000_000));
        let account = format!("3704 0044 {:04} {:04} 00", self.random.u32(..10_000), self.random.u32(..10_000));
        let tax_id = SealedNumber::seal(&tax_id, SealedField::TaxId, tenant_id, partner, keyring)?;
        let account = SealedNumber::seal(&account, SealedField::BankAccount, tenant_id, partner, keyring)?;
        Ok(ProfileRow {
            tenant_id,
            partner_id: partner,
            payment_email: format!("billing@{domain}"),
            payment_method: self.one_of(PaymentMethod::ALL),
            tax_id_sealed: tax_id.sealed,
            tax_id_last4: tax_id.last4,
            bank_account_sealed: account.sealed,
            bank_account_last4: account.last4,
            contact_name: owner.name.clone(),
            contact_email: owner.email.clone(),
            website: format!("https://{domain}/"),
            address_line1: self.one_of(&STREETS),
            address_city,
            address_country,
        })
    }

    /// A lead of one of the partners, created within the past year; partners that come first have more of them.
    pub fn lead(&mut self, partners: &[PartnerRows]) -> LeadRows {
        let index = self.random.usize(..partners.len()).min(self.random.usize(..partners.len()));
        let rows = &partners[index];
        let (tenant_id, partner_id) = (self.tenant.id, rows.partner.id);
        let (client_name, mailbox) = self.person();
        let company = format!("{}-{}", self.one_of(&COMPANY_HEADS), self.one_of(&COMPANY_TAILS)).to_lowercase();
        let deal_value = (self.random.u8(..10) > 0).then(|| {
            let tens = Decimal::from(self.random.i64(20..2_500) * 10);
            let scale = if minor_units(self.currency) == 0 { Decimal::ONE_HUNDRED } else { Decimal::ONE };
            Money::rounded(tens * scale, self.currency).amount
        });
        let created_at = self.now - TimeDelta::seconds(self.random.i64(3_600..365 * 86_400));
        let id = self.id();
        let steps = self.steps(rows, id, created_at);
        let last = steps.last().map_or((LeadStatus::Pending, created_at), |step| (step.to_status, step.created_at));
        let phone = format!("+49 30 {:03} {:04}", self.random.u32(100..1_000), self.random.u32(..10_000));
        let lead = LeadRow {
            tenant_id,
            id,
            partner_id,
            client_name,
            client_email: format!("{mailbox}@{company}.example"),
            client_phone: self.random.bool().then_some(phone),
            service: self.one_of(&SERVICES),
            status: last.0,
            deal_value,
            commission_rate: rows.partner.commission_rate,
            commission: commission(deal_value, rows.partner.commission_rate, self.currency),
            currency: self.currency.code(),
            notes: (self.random.u8(..3) == 0).then(|| self.one_of(&NOTES)),
            created_at,
            converted_at: (last.0 == LeadStatus::Converted).then_some(last.1),
            updated_at: last.1,
        };
        LeadRows { lead, steps }
    }

    /// A walk through the pipeline that ends somewhere, each step a while after the one before.
    fn steps(&mut self, rows: &PartnerRows, lead_id: LeadId, created_at: DateTime<Utc>) -> Vec<StepRow> {
        let mut at = created_at;
        let mut status = LeadStatus::Pending;
        let mut from_status = None;
        let mut steps = Vec::new();
        loop {
            let (tenant_id, partner_id, changed_by) = (rows.partner.tenant_id, rows.partner.id, rows.users[0].id);
            steps.push(StepRow {
                tenant_id,
                id: self.id(),
                partner_id,
                lead_id,
                from_status,
                to_status: status,
                changed_by,
                created_at: at,
            });
            at += TimeDelta::seconds(self.random.i64(3_600..20 * 86_400));
            let ends = self.random.u8(..10) < 2 || matches!(status, LeadStatus::Converted | LeadStatus::Lost) || at > self.now;
            if ends {
                return steps;
            }
            from_status = Some(status);
            let next = status.next();
            // The nearest step twice as often as a leap.
            status = if self.random.u8(..3) > 0 { next[0] } else { self.one_of(next) };
        }
    }
}
