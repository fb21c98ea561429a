//! The root of mutations, merged of the areas' own. Each stands with its input and payload beside it; what they share is in
//! [`super::engine::user_errors`].
//!
//! A mutation's body goes in one order: permission, checks of the input, transaction, one method of a model that finds under lock and
//! changes, commit. What it answers is read after the commit, in a fresh transaction that begins in the same round trip. What the person can
//! put right comes back as `userErrors`, and then nothing has been changed.
//!
//! A client that has lost an answer sends the mutation again: it does its work once, and answers with the object and `replayed`. Either all is as
//! asked for by then, or the input has an `idempotencyKey`.

use async_graphql::MergedObject;

use super::{
    affiliates::{
        mutations::AffiliateMutations, operator_mutations::AffiliateOperatorMutations, wallet_mutations::WalletMutations,
    },
    billing::mutations::CustomerMutations,
    commissions::{
        booking_mutations::BookingMutations, decision_mutations::DecisionMutations, move_mutations::PartnerMoveMutations,
        rule_mutations::CommissionRuleMutations,
    },
    credits::{
        correction_mutations::CreditCorrectionMutations, mutations::CreditMutations, redemption_mutations::RedemptionMutations,
    },
    imports::mutations::ImportMutations,
    leads::mutations::LeadMutations,
    members::{import_mutations::MemberImportMutations, mutations::MemberMutations},
    partners::{
        application_mutations::PartnerApplicationMutations, mutations::PartnerMutations, profile_mutations::ProfileMutations,
    },
    payouts::{mutations::PayoutMutations, reveal_mutation::RevealMutations, step_mutations::PayoutStepMutations},
    people::{
        invitation_mutations::InvitationMutations, mutations::TenantMutations, partner_user_mutations::PartnerUserMutations,
        person::PersonMutations,
    },
    programmes::{link_mutations::LinkMutations, programme_mutations::ProgrammeMutations, sign_up_mutations::SignUpMutations},
    webhooks::{
        delivery_mutations::WebhookDeliveryMutations, endpoint_mutations::WebhookEndpointMutations,
        source_mutations::WebhookSourceMutations,
    },
};

/// Everything that can be changed. Each mutation is done whole or not at all, but for those that answer with a result for each of many.
#[derive(MergedObject, Default)]
pub struct Mutation(
    LeadMutations,
    ProfileMutations,
    PartnerMutations,
    PartnerApplicationMutations,
    CustomerMutations,
    CommissionRuleMutations,
    BookingMutations,
    DecisionMutations,
    PayoutMutations,
    PayoutStepMutations,
    RevealMutations,
    TenantMutations,
    MemberMutations,
    MemberImportMutations,
    CreditMutations,
    CreditCorrectionMutations,
    PartnerMoveMutations,
    SignUpMutations,
    PartnerUserMutations,
    InvitationMutations,
    PersonMutations,
    RedemptionMutations,
    LinkMutations,
    ProgrammeMutations,
    AffiliateMutations,
    AffiliateOperatorMutations,
    WalletMutations,
    ImportMutations,
    WebhookEndpointMutations,
    WebhookDeliveryMutations,
    WebhookSourceMutations,
);
