//! The fields of what is sent: of each kind of row a table of names, the columns that they are made of, and how.

use super::event::WebhookEventType;
use crate::ids::{
    AllocationId, ClickId, CommissionId, CustomerAccountId, CustomerId, EnrolmentId, GrantId, InvitationId, LeadId, LinkId,
    MemberId, PartnerId, PayoutId, ProgrammeId, RedemptionId, SignUpId, UserId, WalletTransactionId, WebhookEndpointId,
};

/// How a column is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// An id of the kind with this prefix.
    Id(&'static str),
    /// A text as it is.
    Text,
    /// A value of an enum.
    Enum,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Truth,
    /// A decimal number as text, with the digits that are stored.
    Exact,
    /// An amount in the currency that the row's column `currency` names, as text with the currency's minor units.
    Amount,
    /// An instant (RFC 3339, UTC).
    Time,
}

/// A field of an event's data: its name, the column that it is made of, and how.
pub(super) struct Field(pub &'static str, pub &'static str, pub Form);

use Form::{Amount, Enum, Exact, Id, Number, Text, Time, Truth};

const PARTNER_ID: Field = Field("partnerId", "partner_id", Id(PartnerId::PREFIX));
const CREATED_AT: Field = Field("createdAt", "created_at", Time);
const UPDATED_AT: Field = Field("updatedAt", "updated_at", Time);
const CURRENCY: Field = Field("currency", "currency", Text);
const STATUS: Field = Field("status", "status", Enum);
const PREVIOUS_STATUS: Field = Field("previousStatus", "previous_status", Enum);

const fn id(prefix: &'static str) -> Field {
    Field("id", "id", Id(prefix))
}

const PARTNER: &[Field] = &[
    id(PartnerId::PREFIX),
    Field("companyName", "company_name", Text),
    STATUS,
    PREVIOUS_STATUS,
    Field("statusReason", "status_reason", Text),
    Field("commissionRate", "commission_rate", Exact),
    Field("clerkOrgId", "clerk_org_id", Text),
    CREATED_AT,
    UPDATED_AT,
];
const APPLICATION: &[Field] = &[
    PARTNER_ID,
    Field("salesPlan", "sales_plan", Text),
    Field("submittedById", "submitted_by", Id(UserId::PREFIX)),
    Field("submittedAt", "submitted_at", Time),
    UPDATED_AT,
];
const PARTNER_USER: &[Field] = &[
    PARTNER_ID,
    Field("userId", "user_id", Id(UserId::PREFIX)),
    Field("role", "role", Enum),
    Field("previousRole", "previous_role", Enum),
    Field("clerkOrgId", "clerk_org_id", Text),
    CREATED_AT,
    Field("removedAt", "removed_at", Time),
];
const INVITATION: &[Field] = &[
    id(InvitationId::PREFIX),
    PARTNER_ID,
    Field("email", "email", Text),
    Field("role", "role", Enum),
    Field("token", "token", Text),
    Field("url", "url", Text),
    CREATED_AT,
    Field("expiresAt", "expires_at", Time),
];
const PROGRAMME: &[Field] = &[
    id(ProgrammeId::PREFIX),
    Field("key", "key", Text),
    Field("name", "name", Text),
    Field("domain", "domain", Text),
    STATUS,
    Field("rateSource", "rate_source", Enum),
    Field("cookieDays", "cookie_days", Number),
    Field("attribution", "attribution", Enum),
    Field("enrolmentPolicy", "enrolment_policy", Enum),
    Field("includesTax", "includes_tax", Truth),
    CREATED_AT,
    UPDATED_AT,
];
const ENROLMENT: &[Field] = &[
    id(EnrolmentId::PREFIX),
    PARTNER_ID,
    Field("programmeId", "programme_id", Id(ProgrammeId::PREFIX)),
    STATUS,
    PREVIOUS_STATUS,
    Field("reason", "reason", Text),
    Field("decidedAt", "decided_at", Time),
    CREATED_AT,
    UPDATED_AT,
];
const LINK: &[Field] = &[
    id(LinkId::PREFIX),
    PARTNER_ID,
    Field("userId", "user_id", Id(UserId::PREFIX)),
    Field("programmeId", "programme_id", Id(ProgrammeId::PREFIX)),
    Field("key", "key", Text),
    Field("url", "url", Text),
    Field("title", "title", Text),
    Field("externalId", "external_id", Text),
    Field("couponCode", "coupon_code", Text),
    Field("expiresAt", "expires_at", Time),
    Field("expiredUrl", "expired_url", Text),
    Field("archivedAt", "archived_at", Time),
    CREATED_AT,
    UPDATED_AT,
];
const CLICK: &[Field] = &[
    id(ClickId::PREFIX),
    Field("linkId", "link_id", Id(LinkId::PREFIX)),
    PARTNER_ID,
    Field("programmeId", "programme_id", Id(ProgrammeId::PREFIX)),
    Field("at", "at", Time),
    Field("device", "device", Enum),
    Field("browser", "browser", Text),
    Field("country", "country", Text),
    Field("referrer", "referrer", Text),
    Field("isBot", "is_bot", Truth),
    Field("isPrefetch", "is_prefetch", Truth),
    Field("isRepeat", "is_repeat", Truth),
];
const SIGN_UP: &[Field] = &[
    id(SignUpId::PREFIX),
    PARTNER_ID,
    Field("programmeId", "programme_id", Id(ProgrammeId::PREFIX)),
    Field("linkId", "link_id", Id(LinkId::PREFIX)),
    Field("customerId", "customer_id", Id(CustomerId::PREFIX)),
    Field("name", "name", Text),
    Field("means", "means", Enum),
    Field("clickId", "click_id", Id(ClickId::PREFIX)),
    Field("at", "at", Time),
    Field("isCounted", "is_counted", Truth),
    CREATED_AT,
];
const LEAD: &[Field] = &[
    id(LeadId::PREFIX),
    PARTNER_ID,
    Field("clientName", "client_name", Text),
    Field("clientEmail", "client_email", Text),
    Field("clientPhone", "client_phone", Text),
    Field("service", "service", Text),
    STATUS,
    PREVIOUS_STATUS,
    Field("dealValue", "deal_value", Amount),
    Field("commission", "commission", Amount),
    CURRENCY,
    Field("notes", "notes", Text),
    CREATED_AT,
    Field("convertedAt", "converted_at", Time),
    UPDATED_AT,
];
const CUSTOMER: &[Field] = &[
    id(CustomerId::PREFIX),
    Field("externalId", "external_id", Text),
    Field("name", "name", Text),
    Field("email", "email", Text),
    CREATED_AT,
    UPDATED_AT,
];
const CUSTOMER_ACCOUNT: &[Field] = &[
    id(CustomerAccountId::PREFIX),
    PARTNER_ID,
    Field("customerId", "customer_id", Id(CustomerId::PREFIX)),
    Field("commissionRate", "commission_rate", Exact),
    Field("managedFrom", "managed_from", Time),
    Field("managedTo", "managed_to", Time),
    Field("linkId", "link_id", Id(LinkId::PREFIX)),
    Field("programmeId", "programme_id", Id(ProgrammeId::PREFIX)),
    CREATED_AT,
];
const SALE: &[Field] = &[
    Field("invoiceId", "external_id", Text),
    Field("customerId", "customer_id", Id(CustomerId::PREFIX)),
    Field("amount", "amount", Amount),
    Field("refunded", "refunded", Amount),
    CURRENCY,
    Field("paidAt", "paid_at", Time),
    Field("refundedAt", "refunded_at", Time),
    UPDATED_AT,
];
const COMMISSION: &[Field] = &[
    id(CommissionId::PREFIX),
    PARTNER_ID,
    Field("previousPartnerId", "previous_partner_id", Id(PartnerId::PREFIX)),
    Field("eventType", "event_type", Enum),
    STATUS,
    PREVIOUS_STATUS,
    Field("amount", "amount", Amount),
    Field("base", "base", Amount),
    CURRENCY,
    Field("rate", "rate", Exact),
    Field("eventDate", "event_date", Time),
    Field("dueAt", "due_at", Time),
    Field("customerId", "customer_id", Id(CustomerId::PREFIX)),
    Field("invoiceId", "invoice_id", Text),
    Field("leadId", "lead_id", Id(LeadId::PREFIX)),
    Field("linkId", "link_id", Id(LinkId::PREFIX)),
    Field("payoutId", "payout_id", Id(PayoutId::PREFIX)),
    Field("reversesId", "reverses_id", Id(CommissionId::PREFIX)),
    Field("notes", "notes", Text),
    Field("rejectionReason", "rejection_reason", Text),
    Field("decidedAt", "decided_at", Time),
    CREATED_AT,
    UPDATED_AT,
];
const PAYOUT: &[Field] = &[
    id(PayoutId::PREFIX),
    PARTNER_ID,
    STATUS,
    PREVIOUS_STATUS,
    Field("total", "total_amount", Amount),
    CURRENCY,
    Field("commissionCount", "commission_count", Number),
    Field("paymentMethod", "payment_method", Enum),
    Field("paymentReference", "payment_reference", Text),
    Field("attempt", "attempt", Number),
    Field("periodStart", "period_start", Time),
    Field("periodEnd", "period_end", Time),
    Field("payoutDate", "payout_date", Time),
    Field("completedAt", "completed_at", Time),
    Field("failureReason", "failure_reason", Text),
    Field("notes", "notes", Text),
    CREATED_AT,
    UPDATED_AT,
];
const MEMBER: &[Field] = &[
    id(MemberId::PREFIX),
    PARTNER_ID,
    Field("email", "email", Text),
    Field("firstName", "first_name", Text),
    Field("lastName", "last_name", Text),
    STATUS,
    PREVIOUS_STATUS,
    CREATED_AT,
    UPDATED_AT,
];
const CREDIT_GRANT: &[Field] =
    &[id(GrantId::PREFIX), PARTNER_ID, Field("credits", "credits", Number), Field("reason", "reason", Text), CREATED_AT];
const CREDIT_ALLOCATION: &[Field] = &[
    id(AllocationId::PREFIX),
    PARTNER_ID,
    Field("memberId", "member_id", Id(MemberId::PREFIX)),
    Field("credits", "credits", Number),
    Field("available", "available", Number),
    Field("used", "used", Number),
    Field("expired", "expired", Number),
    Field("revoked", "revoked", Number),
    Field("expiresAt", "expires_at", Time),
    CREATED_AT,
];
const CREDIT_REDEMPTION: &[Field] = &[
    id(RedemptionId::PREFIX),
    Field("email", "employee_email", Text),
    Field("memberId", "member_id", Id(MemberId::PREFIX)),
    Field("credits", "credits", Number),
    CREATED_AT,
    Field("reversedAt", "reversed_at", Time),
    Field("reversalReason", "reversal_reason", Text),
];
const WALLET_TRANSACTION: &[Field] = &[
    id(WalletTransactionId::PREFIX),
    Field("userId", "user_id", Id(UserId::PREFIX)),
    Field("number", "number", Number),
    Field("kind", "kind", Enum),
    Field("amount", "amount", Amount),
    Field("balanceAfter", "balance", Amount),
    CURRENCY,
    Field("commissionId", "commission_id", Id(CommissionId::PREFIX)),
    Field("reason", "reason", Text),
    Field("at", "at", Time),
    CREATED_AT,
];
const ENDPOINT: &[Field] = &[
    id(WebhookEndpointId::PREFIX),
    Field("description", "description", Text),
    Field("disabledAt", "disabled_at", Time),
    Field("disabledReason", "disabled_reason", Text),
    CREATED_AT,
    UPDATED_AT,
];

impl WebhookEventType {
    /// The type of the GraphQL schema that the event's data is about; `None` where it has none.
    pub const fn subject(self) -> Option<&'static str> {
        Some(match self {
            Self::PartnerCreated | Self::PartnerUpdated | Self::PartnerStatusChanged => "Partner",
            Self::ApplicationSubmitted => "PartnerApplication",
            Self::PartnerUserAdded | Self::PartnerUserRoleChanged | Self::PartnerUserRemoved => "PartnerUser",
            Self::InvitationCreated => "Invitation",
            Self::ProgrammeCreated | Self::ProgrammeUpdated => "Programme",
            Self::EnrolmentCreated | Self::EnrolmentStatusChanged => "Enrolment",
            Self::LinkCreated | Self::LinkUpdated => "Link",
            Self::LinkClicked => "LinkClick",
            Self::SignUpRecorded => "LinkSignUp",
            Self::LeadCreated | Self::LeadUpdated | Self::LeadStatusChanged => "Lead",
            Self::CustomerCreated | Self::CustomerUpdated => "Customer",
            Self::CustomerAssigned | Self::CustomerUnassigned => "CustomerAccount",
            Self::CommissionCreated
            | Self::CommissionAdjusted
            | Self::CommissionReversed
            | Self::CommissionMoved
            | Self::CommissionApproved
            | Self::CommissionRejected
            | Self::CommissionPaid => "Commission",
            Self::PayoutCreated
            | Self::PayoutReady
            | Self::PayoutProcessing
            | Self::PayoutCompleted
            | Self::PayoutFailed
            | Self::PayoutCancelled => "Payout",
            Self::MemberAdded | Self::MemberUpdated | Self::MemberStatusChanged => "Member",
            Self::CreditGranted => "CreditGrant",
            Self::CreditAssigned | Self::CreditExpired | Self::CreditRevoked => "CreditAllocation",
            Self::CreditRedeemed | Self::CreditRedemptionReversed => "CreditRedemption",
            Self::WalletChanged => "WalletTransaction",
            Self::EndpointDisabled => "WebhookEndpoint",
            Self::SaleRecorded | Self::SaleRefunded | Self::Ping => return None,
        })
    }

    pub(super) const fn fields(self) -> &'static [Field] {
        match self {
            Self::Ping => &[],
            Self::PartnerCreated | Self::PartnerUpdated | Self::PartnerStatusChanged => PARTNER,
            Self::ApplicationSubmitted => APPLICATION,
            Self::PartnerUserAdded | Self::PartnerUserRoleChanged | Self::PartnerUserRemoved => PARTNER_USER,
            Self::InvitationCreated => INVITATION,
            Self::ProgrammeCreated | Self::ProgrammeUpdated => PROGRAMME,
            Self::EnrolmentCreated | Self::EnrolmentStatusChanged => ENROLMENT,
            Self::LinkCreated | Self::LinkUpdated => LINK,
            Self::LinkClicked => CLICK,
            Self::SignUpRecorded => SIGN_UP,
            Self::LeadCreated | Self::LeadUpdated | Self::LeadStatusChanged => LEAD,
            Self::CustomerCreated | Self::CustomerUpdated => CUSTOMER,
            Self::CustomerAssigned | Self::CustomerUnassigned => CUSTOMER_ACCOUNT,
            Self::SaleRecorded | Self::SaleRefunded => SALE,
            Self::CommissionCreated
            | Self::CommissionAdjusted
            | Self::CommissionReversed
            | Self::CommissionMoved
            | Self::CommissionApproved
            | Self::CommissionRejected
            | Self::CommissionPaid => COMMISSION,
            Self::PayoutCreated
            | Self::PayoutReady
            | Self::PayoutProcessing
            | Self::PayoutCompleted
            | Self::PayoutFailed
            | Self::PayoutCancelled => PAYOUT,
            Self::MemberAdded | Self::MemberUpdated | Self::MemberStatusChanged => MEMBER,
            Self::CreditGranted => CREDIT_GRANT,
            Self::CreditAssigned | Self::CreditExpired | Self::CreditRevoked => CREDIT_ALLOCATION,
            Self::CreditRedeemed | Self::CreditRedemptionReversed => CREDIT_REDEMPTION,
            Self::WalletChanged => WALLET_TRANSACTION,
            Self::EndpointDisabled => ENDPOINT,
        }
    }

    /// The names of the fields of its data, those aside that only some events have.
    pub fn field_names(self) -> Vec<&'static str> {
        self.fields().iter().map(|field| field.0).collect()
    }
}
