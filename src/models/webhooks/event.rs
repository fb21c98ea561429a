//! The types of events that are sent to other systems. Rows are written by the database's triggers, in the transaction of the change.

crate::pg_enum! {
    /// What is sent to endpoints. On the wire a type is written in lower case with a dot, such as `lead.status_changed`; what each
    /// carries is in the documentation of webhooks.
    pub enum WebhookEventType {
        /// Nothing has happened: a test, by `sendTestWebhook`, which goes to the endpoint that it names.
        Ping = "ping",
        /// `partner.created`: A partner is there.
        PartnerCreated = "partner.created",
        /// `partner.updated`: A partner's name, rate or organisation has changed.
        PartnerUpdated = "partner.updated",
        /// `partner.status_changed`: A partner was approved, suspended or closed.
        PartnerStatusChanged = "partner.status_changed",
        /// `application.submitted`: A partner has said what it is and plans to do.
        ApplicationSubmitted = "application.submitted",
        /// `partner_user.added`: A person acts for a partner from now on, or again.
        PartnerUserAdded = "partner_user.added",
        /// `partner_user.removed`: A person does not act for a partner any more.
        PartnerUserRemoved = "partner_user.removed",
        /// `partner_user.role_changed`: A person is an owner now, or a member.
        PartnerUserRoleChanged = "partner_user.role_changed",
        /// `invitation.created`: Somebody is invited to act for a partner, or invited again: `token` and `url` are for the mail to them.
        InvitationCreated = "invitation.created",
        /// `programme.created`: There is a programme for a shop.
        ProgrammeCreated = "programme.created",
        /// `programme.updated`: A programme's name, status or terms have changed.
        ProgrammeUpdated = "programme.updated",
        /// `enrolment.created`: A partner takes part in a programme, or asks to.
        EnrolmentCreated = "enrolment.created",
        /// `enrolment.status_changed`: A partner's part in a programme was approved, rejected or suspended.
        EnrolmentStatusChanged = "enrolment.status_changed",
        /// `link.created`: A partner has made a link.
        LinkCreated = "link.created",
        /// `link.updated`: A link has changed.
        LinkUpdated = "link.updated",
        /// `link.clicked`: Somebody has followed a link. There may be very many of these.
        LinkClicked = "link.clicked",
        /// `sign_up.recorded`: Somebody who came by a link has signed up.
        SignUpRecorded = "sign_up.recorded",
        /// `lead.created`: A partner has sent a lead.
        LeadCreated = "lead.created",
        /// `lead.updated`: What is known of a lead's client or deal has changed, or it was moved to another partner.
        LeadUpdated = "lead.updated",
        /// `lead.status_changed`: A lead has taken a step.
        LeadStatusChanged = "lead.status_changed",
        /// `customer.created`: There is a customer.
        CustomerCreated = "customer.created",
        /// `customer.updated`: A customer's name, address or user has changed.
        CustomerUpdated = "customer.updated",
        /// `customer.assigned`: A partner manages a customer from now on.
        CustomerAssigned = "customer.assigned",
        /// `customer.unassigned`: A partner does not manage a customer any more.
        CustomerUnassigned = "customer.unassigned",
        /// `sale.recorded`: A customer has paid an invoice.
        SaleRecorded = "sale.recorded",
        /// `sale.refunded`: An invoice was refunded, in part or in full.
        SaleRefunded = "sale.refunded",
        /// `commission.created`: A partner has earned a commission.
        CommissionCreated = "commission.created",
        /// `commission.adjusted`: Somebody has booked a correction.
        CommissionAdjusted = "commission.adjusted",
        /// `commission.reversed`: A refund takes back a commission, in part or in full.
        CommissionReversed = "commission.reversed",
        /// `commission.moved`: A commission is another partner's now.
        CommissionMoved = "commission.moved",
        /// `commission.approved`: A commission can be paid; also where its payout came back.
        CommissionApproved = "commission.approved",
        /// `commission.rejected`: A commission will not be paid.
        CommissionRejected = "commission.rejected",
        /// `commission.paid`: A commission's payout was completed.
        CommissionPaid = "commission.paid",
        /// `payout.created`: There is a payout of a partner's commissions.
        PayoutCreated = "payout.created",
        /// `payout.ready`: A payout waits to be sent, or to be sent again.
        PayoutReady = "payout.ready",
        /// `payout.processing`: A payout is on its way.
        PayoutProcessing = "payout.processing",
        /// `payout.completed`: A payout has arrived.
        PayoutCompleted = "payout.completed",
        /// `payout.failed`: A payout did not arrive, or came back.
        PayoutFailed = "payout.failed",
        /// `payout.cancelled`: A payout was given up; its commissions go into another.
        PayoutCancelled = "payout.cancelled",
        /// `member.added`: A partner has a member more.
        MemberAdded = "member.added",
        /// `member.updated`: A member's name or address has changed.
        MemberUpdated = "member.updated",
        /// `member.status_changed`: A member was activated or deactivated.
        MemberStatusChanged = "member.status_changed",
        /// `credit.granted`: A partner has got credits.
        CreditGranted = "credit.granted",
        /// `credit.assigned`: A partner has assigned credits to a member.
        CreditAssigned = "credit.assigned",
        /// `credit.redeemed`: Somebody has used credits.
        CreditRedeemed = "credit.redeemed",
        /// `credit.redemption_reversed`: A use of credits was taken back.
        CreditRedemptionReversed = "credit.redemption_reversed",
        /// `credit.expired`: Credits were not used in time.
        CreditExpired = "credit.expired",
        /// `credit.revoked`: Credits were taken back from a member.
        CreditRevoked = "credit.revoked",
        /// `wallet.changed`: Something has gone into an affiliate's wallet or out of it.
        WalletChanged = "wallet.changed",
        /// `endpoint.disabled`: Nothing is sent to an endpoint any more: it has failed for five days, has said that it is gone, or somebody has
        /// switched it off.
        EndpointDisabled = "endpoint.disabled",
    }
}
