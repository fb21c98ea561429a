//! Changes: what an entry has changed, row by row, in the words of the API.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    clock::shown,
    db::{
        schema::audit_changes,
        statement::{Bind, condition},
    },
    ids::{
        self, AffiliateTermsId, AllocationId, AuditEntryId, CommissionId, CustomerAccountId, CustomerId, DataImportId,
        EnrolmentId, GrantId, InvitationId, LeadId, LeadStatusChangeId, LinkId, MemberId, MoveId, PartnerId, PayoutId,
        ProgrammeId, RedemptionId, ReferralId, RuleId, SignUpId, TenantId, UserId, WalletTransactionId, WebhookDeliveryId,
        WebhookEndpointId, WebhookEventId, WebhookReceiptId, WebhookSourceId,
    },
    models::{page::group, scope::Scope},
};

crate::pg_enum! {
    /// What was done to something.
    pub enum AuditChangeKind {
        /// It was made.
        Created = "created",
        /// It was changed.
        Updated = "updated",
        /// It was removed.
        Removed = "removed",
        /// A secret of it was shown in full.
        Revealed = "revealed",
        /// What named a person was replaced by a pseudonym.
        Erased = "erased",
    }
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = audit_changes)]
pub struct AuditChange {
    /// The entry.
    pub entry_id: AuditEntryId,
    /// The partner that it concerns.
    pub partner_id: Option<PartnerId>,
    /// What was done.
    pub change: AuditChangeKind,
    /// To what, by the name of its type in the API.
    pub subject: String,
    /// Which one, where it is one row that has an id.
    pub subject_id: Option<Uuid>,
    /// How many rows it stands for.
    pub row_count: i64,
    /// By column: the texts before and after, or `true` for a secret.
    pub fields: Value,
}

/// A field before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// Its name, as in the API.
    pub name: String,
    /// What it was.
    pub before: Option<String>,
    /// What it is.
    pub after: Option<String>,
    /// Whether it is a secret, whose values are not kept.
    pub is_secret: bool,
}

impl AuditChange {
    /// The changes of entries that are in scope, in their order: of each entry at most so many.
    pub async fn by_entries(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        entries: &[AuditEntryId],
        most: i64,
    ) -> QueryResult<HashMap<AuditEntryId, Vec<Self>>> {
        let partner = || Bind::OptionalUuid(scope.partner.map(PartnerId::uuid));
        let first = condition(
            "(audit_changes.entry_id, audit_changes.number) IN (SELECT e.id, n.number FROM unnest(?::uuid[]) AS e (id) CROSS JOIN LATERAL (
                SELECT c.number FROM audit_changes c WHERE c.tenant_id = ? AND c.entry_id = e.id AND (?::uuid IS NULL OR c.partner_id = ?)
                ORDER BY c.number LIMIT ?) AS n)",
            vec![
                Bind::Uuids(entries.iter().map(|id| id.uuid()).collect()),
                Bind::Uuid(scope.tenant.uuid()),
                partner(),
                partner(),
                Bind::BigInt(most),
            ],
        );
        let rows: Vec<Self> = Self::query()
            .filter(audit_changes::tenant_id.eq(scope.tenant))
            .filter(first)
            .order(audit_changes::number)
            .load(&mut connection)
            .await?;
        let rows = rows.into_iter().map(|mut row| {
            row.hide_others(scope);
            (row.entry_id, row)
        });
        Ok(group(rows.collect()))
    }

    /// How many changes of entries are in scope.
    pub async fn count_by_entries(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        entries: &[AuditEntryId],
    ) -> QueryResult<HashMap<AuditEntryId, i64>> {
        let partner = || Bind::OptionalUuid(scope.partner.map(PartnerId::uuid));
        let counts: Vec<(AuditEntryId, i64)> = audit_changes::table
            .filter(audit_changes::tenant_id.eq(scope.tenant))
            .filter(audit_changes::entry_id.eq_any(entries))
            .filter(condition("(?::uuid IS NULL OR audit_changes.partner_id = ?)", vec![partner(), partner()]))
            .group_by(audit_changes::entry_id)
            .select((audit_changes::entry_id, diesel::dsl::count_star()))
            .load(&mut connection)
            .await?;
        Ok(counts.into_iter().collect())
    }

    /// Takes out what a partner's people do not see elsewhere either: other partners, and who of the tenant's staff it was.
    fn hide_others(&mut self, scope: Scope) {
        let (Some(partner), Some(fields)) = (scope.partner, self.fields.as_object_mut()) else { return };
        let own = partner.uuid().to_string();
        fields.retain(|column, _| !column.ends_with("_by"));
        for column in ["partner_id", "default_partner_id"] {
            for value in fields.get_mut(column).and_then(Value::as_array_mut).into_iter().flatten() {
                if value.as_str() != Some(&own) {
                    *value = Value::Null;
                }
            }
        }
    }

    /// The id of what was changed, as `node` takes it; a UUID where it has no id there.
    pub fn subject(&self) -> Option<String> {
        self.subject_id.map(|id| node_id(&self.subject, id))
    }

    /// The fields that were changed, by name.
    pub fn fields(&self) -> Vec<FieldChange> {
        let text = |column: &str, value: Option<&Value>| value.and_then(Value::as_str).map(|text| shown_as(column, text));
        self.fields
            .as_object()
            .into_iter()
            .flatten()
            .map(|(column, change)| FieldChange {
                name: field_name(column),
                before: text(column, change.get(0)),
                after: text(column, change.get(1)),
                is_secret: change.is_boolean(),
            })
            .collect()
    }
}

/// The id of something of that type, as `node` takes it; a UUID where it has no id there.
pub fn node_id(subject: &str, id: Uuid) -> String {
    prefix_of_subject(subject).and_then(|prefix| ids::format_any(prefix, id)).unwrap_or_else(|| id.to_string())
}

/// A column's name as that of a field: `deal_value` is `dealValue`; what is sealed is named without that.
pub fn field_name(column: &str) -> String {
    let column = column.trim_end_matches("_sealed").trim_end_matches("_hash");
    let column = if column == "sealed" { "secret" } else { column };
    let mut words = column.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    })
}

/// A column's value as the API has it: ids with their prefixes, instants in UTC, values of enumerations in capitals.
pub fn shown_as(column: &str, text: &str) -> String {
    const ENUMERATIONS: &[&str] = &[
        "actor_role",
        "attribution",
        "enrolment_policy",
        "event_type",
        "kind",
        "means",
        "partner_on_signup",
        "payment_method",
        "rate_source",
        "role",
        "source",
        "status",
    ];
    if ENUMERATIONS.contains(&column) || column.ends_with("_status") {
        return text.to_uppercase();
    }
    if let Some(id) = prefix_of_column(column).and_then(|prefix| ids::format_any(prefix, text.parse().ok()?)) {
        return id;
    }
    let is_instant =
        ["_at", "_from", "_to", "_since", "_start", "_end", "_date"].iter().any(|end| column.ends_with(end)) || column == "at";
    match DateTime::parse_from_rfc3339(text) {
        Ok(at) if is_instant => shown(at.with_timezone(&Utc)),
        _ => text.to_owned(),
    }
}

fn prefix_of_subject(subject: &str) -> Option<&'static str> {
    Some(match subject {
        "AuditEntry" => AuditEntryId::PREFIX,
        "Affiliate" | "InviteCode" | "PartnerUser" | "User" => UserId::PREFIX,
        "AffiliateTerms" => AffiliateTermsId::PREFIX,
        "Commission" => CommissionId::PREFIX,
        "CommissionRule" | "CommissionRuleTier" => RuleId::PREFIX,
        "CreditAllocation" => AllocationId::PREFIX,
        "CreditGrant" => GrantId::PREFIX,
        "CreditRedemption" => RedemptionId::PREFIX,
        "Customer" => CustomerId::PREFIX,
        "CustomerAccount" => CustomerAccountId::PREFIX,
        "DataImport" => DataImportId::PREFIX,
        "Enrolment" => EnrolmentId::PREFIX,
        "Invitation" => InvitationId::PREFIX,
        "Lead" => LeadId::PREFIX,
        "LeadStatusChange" => LeadStatusChangeId::PREFIX,
        "Link" | "LinkShare" => LinkId::PREFIX,
        "LinkSignUp" => SignUpId::PREFIX,
        "Member" => MemberId::PREFIX,
        "PartnerMove" => MoveId::PREFIX,
        "Partner" | "PartnerApplication" | "PartnerProfile" => PartnerId::PREFIX,
        "Payout" => PayoutId::PREFIX,
        "Programme" => ProgrammeId::PREFIX,
        "Referral" => ReferralId::PREFIX,
        "Tenant" => TenantId::PREFIX,
        "WalletTransaction" => WalletTransactionId::PREFIX,
        "WebhookDelivery" => WebhookDeliveryId::PREFIX,
        "WebhookEndpoint" | "WebhookSecret" => WebhookEndpointId::PREFIX,
        "WebhookReceipt" => WebhookReceiptId::PREFIX,
        "WebhookSource" | "WebhookSourceSecret" => WebhookSourceId::PREFIX,
        _ => return None,
    })
}

fn prefix_of_column(column: &str) -> Option<&'static str> {
    Some(match column {
        "partner_id" | "default_partner_id" | "from_partner_id" | "to_partner_id" => PartnerId::PREFIX,
        "user_id" | "referrer_id" | "actor_id" => UserId::PREFIX,
        "referral_id" => ReferralId::PREFIX,
        "terms_id" => AffiliateTermsId::PREFIX,
        "event_id" => WebhookEventId::PREFIX,
        "lead_id" => LeadId::PREFIX,
        "customer_id" => CustomerId::PREFIX,
        "commission_id" | "reverses_id" => CommissionId::PREFIX,
        "payout_id" => PayoutId::PREFIX,
        "rule_id" => RuleId::PREFIX,
        "link_id" => LinkId::PREFIX,
        "programme_id" => ProgrammeId::PREFIX,
        "enrolment_id" => EnrolmentId::PREFIX,
        "member_id" => MemberId::PREFIX,
        "allocation_id" => AllocationId::PREFIX,
        "redemption_id" => RedemptionId::PREFIX,
        "entry_id" => AuditEntryId::PREFIX,
        "endpoint_id" => WebhookEndpointId::PREFIX,
        "source_id" => WebhookSourceId::PREFIX,
        by if by.ends_with("_by") => UserId::PREFIX,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns are named and written as the API has them.
    #[test]
    fn as_in_the_api() {
        assert_eq!(field_name("deal_value"), "dealValue");
        assert_eq!(field_name("bank_account_sealed"), "bankAccount");
        assert_eq!(field_name("sealed"), "secret");
        assert_eq!(shown_as("status", "converted"), "CONVERTED");
        assert_eq!(shown_as("notes", "2026-01-01T00:00:00+00:00"), "2026-01-01T00:00:00+00:00");
        assert_eq!(shown_as("paid_at", "2026-01-01T00:00:00+00:00"), "2026-01-01T00:00:00Z");
        let id = PartnerId::new();
        assert_eq!(shown_as("partner_id", &id.uuid().to_string()), id.to_string());
    }
}
