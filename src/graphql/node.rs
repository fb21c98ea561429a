//! Relay's global objects: whatever has an id can be fetched by it.

use async_graphql::{Context, ID, Interface};

use super::{
    affiliates::{referral::Referral, terms::AffiliateTerms, wallet_transaction::WalletTransaction},
    audit::entry::AuditEntry,
    billing::customer::{Customer, CustomerAccount},
    commissions::{commission::Commission, partner_move::PartnerMove, rule::CommissionRule},
    credits::{
        credit::{CreditAllocation, CreditGrant, CreditRedemption},
        ledger::CreditTransfer,
    },
    imports::{data_import::DataImport, finding::DataImportFinding},
    leads::lead::{Lead, LeadStatusChange},
    ledger::transfer::Transfer,
    members::member::Member,
    partners::partner::Partner,
    payouts::payout::{Payout, PayoutStatusChange},
    people::{invitation::Invitation, tenant::Tenant, user::User},
    programmes::{
        click::LinkClick,
        enrolment::{Enrolment, EnrolmentStatusChange},
        link::Link,
        link_event::LinkEvent,
        programme::Programme,
        sign_up::LinkSignUp,
    },
    webhooks::{
        attempt::WebhookAttempt, delivery::WebhookDelivery, endpoint::WebhookEndpoint, receipt::WebhookReceipt,
        source::WebhookSource,
    },
};
use crate::{
    error::{Error, Result},
    ids::{
        self, AffiliateTermsId, AllocationId, AuditEntryId, ClickId, CommissionId, CreditTransferId, CustomerAccountId,
        CustomerId, DataImportId, EnrolmentChangeId, EnrolmentId, GrantId, ImportFindingId, InvitationId, LeadId,
        LeadStatusChangeId, LinkEventId, LinkId, MemberId, MoveId, PartnerId, PayoutChangeId, PayoutId, ProgrammeId,
        RedemptionId, ReferralId, RuleId, SignUpId, TenantId, TransferId, UserId, WalletTransactionId, WebhookAttemptId,
        WebhookDeliveryId, WebhookEndpointId, WebhookReceiptId, WebhookSourceId,
    },
};

/// Anything with an id that `node` can fetch again.
#[derive(Interface, Clone)]
#[graphql(field(name = "id", ty = "ID", desc = "Its id, unique among everything here. Its prefix says what it is the id of."))]
pub enum Node {
    /// One version of the terms for affiliates.
    AffiliateTerms(AffiliateTerms),
    /// An entry of the audit trail.
    AuditEntry(AuditEntry),
    /// A commission.
    Commission(Commission),
    /// A commission rule.
    CommissionRule(CommissionRule),
    /// An allocation of credits.
    CreditAllocation(CreditAllocation),
    /// A grant of credits.
    CreditGrant(CreditGrant),
    /// A redemption of credits.
    CreditRedemption(CreditRedemption),
    /// A transfer of credits.
    CreditTransfer(CreditTransfer),
    /// A customer.
    Customer(Customer),
    /// A period in which a partner manages a customer.
    CustomerAccount(CustomerAccount),
    /// An import that runs in the background, or did.
    DataImport(DataImport),
    /// Something that an import reported.
    DataImportFinding(DataImportFinding),
    /// A partner's part in a programme.
    Enrolment(Enrolment),
    /// A change of an enrolment's status.
    EnrolmentStatusChange(EnrolmentStatusChange),
    /// A lead.
    Lead(Lead),
    /// A step of a lead.
    LeadStatusChange(LeadStatusChange),
    /// A link.
    Link(Link),
    /// A sign-up by a link.
    LinkSignUp(LinkSignUp),
    /// A click.
    LinkClick(LinkClick),
    /// Something that has come of a link.
    LinkEvent(LinkEvent),
    /// A member.
    Member(Member),
    /// A partner.
    Partner(Partner),
    /// A move of a lead or commission.
    PartnerMove(PartnerMove),
    /// A payout.
    Payout(Payout),
    /// A step of a payout.
    PayoutStatusChange(PayoutStatusChange),
    /// A programme.
    Programme(Programme),
    /// A person who was referred by an affiliate.
    Referral(Referral),
    /// A tenant.
    Tenant(Tenant),
    /// A transfer of money.
    Transfer(Transfer),
    /// A user.
    User(User),
    /// Something that went into a wallet or out of it.
    WalletTransaction(WalletTransaction),
    /// Somebody who is invited to act for a partner.
    Invitation(Invitation),
    /// A request that was made for a webhook's delivery.
    WebhookAttempt(WebhookAttempt),
    /// An event on its way to an endpoint.
    WebhookDelivery(WebhookDelivery),
    /// An address that events are sent to.
    WebhookEndpoint(WebhookEndpoint),
    /// An event that a service has reported.
    WebhookReceipt(WebhookReceipt),
    /// A service that reports what happens there.
    WebhookSource(WebhookSource),
}

/// What has that id, if the viewer may see it.
pub async fn fetch(ctx: &Context<'_>, id: &ID) -> Result<Option<Node>> {
    let Some((prefix, uuid)) = ids::parse_any(id) else {
        let shown: String = id.chars().take(90).collect();
        return Err(Error::BadUserInput(format!("{shown:?} is not an id.")));
    };
    Ok(match prefix.as_str() {
        AllocationId::PREFIX => CreditAllocation::by_id(ctx, uuid.into()).await?.map(|row| Node::CreditAllocation(row.0)),
        GrantId::PREFIX => CreditGrant::by_id(ctx, uuid.into()).await?.map(Node::CreditGrant),
        RedemptionId::PREFIX => CreditRedemption::by_id(ctx, uuid.into()).await?.map(Node::CreditRedemption),
        MemberId::PREFIX => Member::by_id(ctx, uuid.into()).await?.map(|row| Node::Member(row.0)),
        CommissionId::PREFIX => Commission::by_id(ctx, uuid.into()).await?.map(|row| Node::Commission(row.0)),
        CustomerId::PREFIX => Customer::by_id(ctx, uuid.into()).await?.map(|row| Node::Customer(row.0)),
        LeadId::PREFIX => Lead::by_id(ctx, uuid.into()).await?.map(|row| Node::Lead(row.0)),
        PartnerId::PREFIX => Partner::by_id(ctx, uuid.into()).await?.map(|row| Node::Partner(row.0)),
        PayoutId::PREFIX => Payout::by_id(ctx, uuid.into()).await?.map(|row| Node::Payout(row.0)),
        RuleId::PREFIX => CommissionRule::by_id(ctx, uuid.into()).await?.map(Node::CommissionRule),
        LeadStatusChangeId::PREFIX => LeadStatusChange::by_id(ctx, uuid.into()).await?.map(Node::LeadStatusChange),
        PayoutChangeId::PREFIX => PayoutStatusChange::by_id(ctx, uuid.into()).await?.map(Node::PayoutStatusChange),
        CustomerAccountId::PREFIX => CustomerAccount::by_id(ctx, uuid.into()).await?.map(Node::CustomerAccount),
        MoveId::PREFIX => PartnerMove::by_id(ctx, uuid.into()).await?.map(Node::PartnerMove),
        ProgrammeId::PREFIX => Programme::by_id(ctx, uuid.into()).await?.map(|row| Node::Programme(row.0)),
        EnrolmentId::PREFIX => Enrolment::by_id(ctx, uuid.into()).await?.map(|row| Node::Enrolment(row.0)),
        EnrolmentChangeId::PREFIX => EnrolmentStatusChange::by_id(ctx, uuid.into()).await?.map(Node::EnrolmentStatusChange),
        LinkId::PREFIX => Link::by_id(ctx, uuid.into()).await?.map(|row| Node::Link(row.0)),
        ClickId::PREFIX => LinkClick::by_id(ctx, uuid.into()).await?.map(Node::LinkClick),
        LinkEventId::PREFIX => LinkEvent::by_id(ctx, uuid.into()).await?.map(Node::LinkEvent),
        SignUpId::PREFIX => LinkSignUp::by_id(ctx, uuid.into()).await?.map(Node::LinkSignUp),
        TransferId::PREFIX => Transfer::by_id(ctx, uuid.into()).await?.map(Node::Transfer),
        CreditTransferId::PREFIX => CreditTransfer::by_id(ctx, uuid.into()).await?.map(Node::CreditTransfer),
        DataImportId::PREFIX => DataImport::by_id(ctx, uuid.into()).await?.map(Node::DataImport),
        ImportFindingId::PREFIX => DataImportFinding::by_id(ctx, uuid.into()).await?.map(Node::DataImportFinding),
        TenantId::PREFIX => Tenant::by_id(ctx, uuid.into()).await?.map(Node::Tenant),
        AffiliateTermsId::PREFIX => AffiliateTerms::by_id(ctx, uuid.into()).await?.map(Node::AffiliateTerms),
        ReferralId::PREFIX => Referral::by_id(ctx, uuid.into()).await?.map(Node::Referral),
        WalletTransactionId::PREFIX => WalletTransaction::by_id(ctx, uuid.into()).await?.map(Node::WalletTransaction),
        AuditEntryId::PREFIX => AuditEntry::by_id(ctx, uuid.into()).await?.map(Node::AuditEntry),
        InvitationId::PREFIX => Invitation::by_id(ctx, uuid.into()).await?.map(Node::Invitation),
        WebhookAttemptId::PREFIX => WebhookAttempt::by_id(ctx, uuid.into()).await?.map(Node::WebhookAttempt),
        WebhookDeliveryId::PREFIX => WebhookDelivery::by_id(ctx, uuid.into()).await?.map(Node::WebhookDelivery),
        WebhookEndpointId::PREFIX => WebhookEndpoint::by_id(ctx, uuid.into()).await?.map(Node::WebhookEndpoint),
        WebhookReceiptId::PREFIX => WebhookReceipt::by_id(ctx, uuid.into()).await?.map(Node::WebhookReceipt),
        WebhookSourceId::PREFIX => WebhookSource::by_id(ctx, uuid.into()).await?.map(Node::WebhookSource),
        UserId::PREFIX => User::by_id(ctx, uuid.into()).await?.map(Node::User),
        _ => {
            return Err(Error::BadUserInput(format!(
                "{:?} is the id of a {prefix}, which is nothing that can be fetched here.",
                id.as_str()
            )));
        }
    })
}
