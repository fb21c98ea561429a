//! What is kept of a person, as they may ask to have it (GDPR, articles 15 and 20).

use diesel::{
    QueryResult,
    sql_types::{Jsonb, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    db::statement::{Bind, statement},
    ids::TenantId,
    models::audit::change::{field_name, node_id, shown_as},
};

/// How many rows of one type are exported.
const MAX_ROWS: usize = 1_000;

/// Each table that keeps something of a person: the type of its rows in the API, the column of their id, and which of them are about the person.
/// `$ids` are the rows that name the person.
const TABLES: &[(&str, &str, &str, &str)] = &[
    ("Lead", "partner_leads", "id", "t.id = ANY ($ids)"),
    ("LeadStatusChange", "lead_status_changes", "id", "t.lead_id = ANY ($ids)"),
    ("PartnerMove", "partner_moves", "id", "t.lead_id = ANY ($ids)"),
    ("Member", "partner_members", "id", "t.id = ANY ($ids)"),
    ("CreditAllocation", "credit_allocations", "id", "t.member_id = ANY ($ids)"),
    ("CreditRedemption", "credit_redemptions", "id", USED),
    ("Customer", "customers", "id", "t.id = ANY ($ids)"),
    ("CustomerAccount", "partner_accounts", "id", "t.customer_id = ANY ($ids)"),
    ("Sale", "invoices", "", "t.customer_id = ANY ($ids)"),
    ("LinkSignUp", "link_sign_ups", "id", "t.customer_id = ANY ($ids)"),
    ("Commission", "partner_commission_events", "id", "(t.lead_id = ANY ($ids) OR t.customer_id = ANY ($ids))"),
    ("User", "users", "id", "t.id = ANY ($ids)"),
    ("PartnerUser", "partner_users", "", "t.user_id = ANY ($ids)"),
    ("SignInRecord", "directory_objects", "", SIGN_IN),
    ("PartnerApplication", "partner_applications", "", "t.submitted_by = ANY ($ids)"),
    ("PartnerProfile", CONTACTS, "", HAS_ADDRESS),
    ("PartnerProfile", CONTACT_NAMES, "", HAS_NAME),
    ("Invitation", INVITATIONS, "id", "(t.id = ANY ($ids) OR t.accepted_by = ANY ($ids))"),
    ("Affiliate", "affiliate_periods", "", "t.user_id = ANY ($ids)"),
    ("InviteCode", "invite_codes", "", "t.user_id = ANY ($ids)"),
    ("Referral", "referrals", "id", "t.user_id = ANY ($ids)"),
    ("AffiliateReward", "affiliate_rewards", "id", "t.user_id = ANY ($ids)"),
    ("WalletTransaction", "wallet_transactions", "id", "t.user_id = ANY ($ids)"),
    ("ImportedRow", "import_rows", "", "t.target_id = ANY ($ids)"),
    ("AuditChange", CHANGES, "", "t.subject_id = ANY ($ids)"),
    ("AuditEntry", "audit_entries", "id", "t.actor_id = ANY ($ids)"),
];

/// By their credits: who is named by an address may be a member of several partners.
const USED: &str = "(t.member_id = ANY ($ids) OR t.employee_email IN (SELECT m.email_key FROM partner_members m WHERE m.tenant_id = asked.tenant_id AND m.id = ANY ($ids))
    OR t.id IN (SELECT u.redemption_id FROM credit_allocations a JOIN partner_credits u ON u.tenant_id = a.tenant_id AND u.allocation_id = a.id
    WHERE a.tenant_id = asked.tenant_id AND a.member_id = ANY ($ids)))";

/// What the sign-in service has reported of a user: that it knows them, and whose member they are.
const SIGN_IN: &str =
    "(t.object_id IN (SELECT u.clerk_user_id FROM users u WHERE u.tenant_id = asked.tenant_id AND u.id = ANY ($ids))
    OR t.subject IN (SELECT u.clerk_user_id FROM users u WHERE u.tenant_id = asked.tenant_id AND u.id = ANY ($ids)))";

/// As whom partners are reached, also by an address that the person had before, and nothing else of their profiles: that is about a business. By their name
/// alone it may be somebody else's address.
const CONTACTS: &str = "(SELECT tenant_id, partner_id, contact_name, contact_email, contact_phone FROM partner_profiles)";
const CONTACT_NAMES: &str =
    "(SELECT tenant_id, partner_id, contact_name, email_key(contact_email) AS email_key FROM partner_profiles)";
const HAS_ADDRESS: &str = "EXISTS (SELECT FROM partner_users p JOIN users u ON u.tenant_id = p.tenant_id AND u.id = p.user_id
    WHERE p.tenant_id = asked.tenant_id AND p.partner_id = t.partner_id AND p.user_id = ANY ($ids) AND (email_key(u.email) = email_key(t.contact_email)
            OR EXISTS (SELECT FROM audit_changes c
                CROSS JOIN LATERAL jsonb_array_elements_text(CASE jsonb_typeof(c.fields -> 'email') WHEN 'array' THEN c.fields -> 'email' ELSE '[]' END) AS former
                WHERE c.tenant_id = p.tenant_id AND c.subject_id = u.id AND email_key(former) = email_key(t.contact_email))))";
const HAS_NAME: &str = "EXISTS (SELECT FROM partner_users p JOIN users u ON u.tenant_id = p.tenant_id AND u.id = p.user_id
    WHERE p.tenant_id = asked.tenant_id AND p.partner_id = t.partner_id AND p.user_id = ANY ($ids)
        AND strpos(lower(t.contact_name), lower(u.name)) > 0 AND email_key(u.email) IS DISTINCT FROM t.email_key)";

/// With when and by what.
const CHANGES: &str =
    "(SELECT c.*, e.at, e.action FROM audit_changes c JOIN audit_entries e ON e.tenant_id = c.tenant_id AND e.id = c.entry_id)";

/// Without their tokens, which nobody may read.
const INVITATIONS: &str = "(SELECT tenant_id, id, partner_id, email, role, created_by, created_at, sent_at, expires_at, accepted_at, accepted_by, revoked_at, \
                           revoked_by, erased_at FROM partner_invitations)";

/// Columns that say nothing of the person: what others are made of or found by, and what is nobody's to read.
const LEFT_OUT: &str = "tenant_id id search_text email_key name_sort client_name_sort deal_value_sort amount_sort code_key digest token_hash \
                        are_rewards_due version scope_id position run line file state number user_ref customer_ref \
                        request idempotency_key reversal_key reversal_request impersonator end_impersonator started_by ended_by";

/// A row that is about the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRow {
    /// Its type, by its name in the API.
    pub kind: &'static str,
    /// Its id, where it has one.
    pub id: Option<String>,
    /// What it says, by the names of the API; what is empty is left out.
    pub fields: Vec<(String, String)>,
}

/// The rows that are about the person whom `ids` name, type by type, and whether that is all.
pub async fn kept(mut connection: &AsyncPgConnection, tenant: TenantId, ids: &[Uuid]) -> QueryResult<(Vec<KeptRow>, bool)> {
    let parts = TABLES.iter().enumerate().map(|(number, (_, table, id, about))| {
        let id = if id.is_empty() { "NULL::uuid".to_owned() } else { format!("t.{id}") };
        let about = about.replace("$ids", "asked.ids");
        format!(
            "(SELECT '{number}' AS kind, {id} AS id, to_jsonb(t) - asked.left_out AS fields FROM asked, {table} t
              WHERE t.tenant_id = asked.tenant_id AND {about} ORDER BY 2 LIMIT {})",
            MAX_ROWS + 1
        )
    });
    let parts: Vec<String> = parts.collect();
    let sql = format!(
        "WITH asked AS MATERIALIZED (SELECT ?::uuid AS tenant_id, ?::uuid[] AS ids, string_to_array(?, ' ') AS left_out) {}",
        parts.join(" UNION ALL ")
    );
    let binds = vec![Bind::Uuid(tenant.uuid()), Bind::Uuids(ids.to_vec()), Bind::text(LEFT_OUT)];
    let rows: Vec<(String, Option<Uuid>, Value)> =
        statement::<(Text, Nullable<SqlUuid>, Jsonb)>(sql, binds).load(&mut connection).await?;
    let mut counts = [0; TABLES.len()];
    let mut kept = Vec::with_capacity(rows.len());
    for (number, id, fields) in rows {
        let Ok(number) = number.parse::<usize>() else { continue };
        counts[number] += 1;
        if counts[number] > MAX_ROWS {
            continue;
        }
        let (kind, subject) = (TABLES[number].0, fields["subject"].as_str().unwrap_or_default().to_owned());
        let fields = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        // Who of the tenant's people it was is about them.
        let fields = fields.into_iter().filter(|(column, _)| !column.ends_with("_by")).filter_map(|(column, value)| {
            let text = match value {
                Value::Null => return None,
                Value::String(id) if column == "subject_id" => id.parse().map_or(id, |id| node_id(&subject, id)),
                Value::String(text) => shown_as(&column, &text),
                Value::Object(changed) if column == "fields" => changed_fields(changed),
                other => other.to_string(),
            };
            Some((field_name(&column), text))
        });
        kept.push(KeptRow { kind, id: id.map(|id| node_id(kind, id)), fields: fields.collect() });
    }
    Ok((kept, counts.iter().all(|&count| count <= MAX_ROWS)))
}

/// What a change has changed, in the words of the API, as JSON: the values before and after, or `true` for a secret.
fn changed_fields(fields: Map<String, Value>) -> String {
    let shown = |column: &str, value: Value| match value {
        Value::String(text) => Value::String(shown_as(column, &text)),
        other => other,
    };
    let fields = fields.into_iter().map(|(column, change)| {
        let change = match change {
            Value::Array(values) => values.into_iter().map(|value| shown(&column, value)).collect(),
            other => other,
        };
        (field_name(&column), change)
    });
    Value::Object(fields.collect()).to_string()
}
