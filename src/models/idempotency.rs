//! Idempotency keys: a request that is sent again with its key answers with the first result; one that differs in anything is refused.
//!
//! The whole request is kept beside its key, field by field: in a row of `idempotency_keys`, which [`Key::claim`] writes; of money and
//! credits in the row that the request makes, which every transfer leads to. Assigning credits is the exception: the database's own function
//! keeps each of its few fields in a column and compares those, because other programs call it too.

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    db::schema::idempotency_keys,
    ids::{PartnerId, TenantId},
};

crate::pg_enum! {
    /// What a key is for: each operation has keys of its own.
    pub enum Operation {
        /// `createLead`.
        CreateLead = "create_lead",
        /// `createLink`.
        CreateLink = "create_link",
        /// `createPartner`.
        CreatePartner = "create_partner",
        /// `createPayoutBatches`.
        CreatePayoutBatches = "create_payout_batches",
        /// `createWebhookEndpoint`.
        CreateWebhookEndpoint = "create_webhook_endpoint",
        /// `createWebhookSource`.
        CreateWebhookSource = "create_webhook_source",
        /// `importData`.
        ImportData = "import_data",
        /// `inviteUser`.
        InviteUser = "invite_user",
        /// `resendInvitation`.
        ResendInvitation = "resend_invitation",
        /// `revealPayoutDestination`.
        RevealPayoutDestination = "reveal_payout_destination",
        /// `rotateWebhookSecret`.
        RotateWebhookSecret = "rotate_webhook_secret",
        /// `rotateWebhookSourceSecret`.
        RotateWebhookSourceSecret = "rotate_webhook_source_secret",
        /// `sendTestWebhook`.
        SendTestWebhook = "send_test_webhook",
        /// `setCommissionRule`.
        SetCommissionRule = "set_commission_rule",
    }
}

/// What there was under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: it is this request's from now on.
    First,
    /// The same request; what it made.
    Replay(Uuid),
    /// Another request.
    Reused {
        /// What that made.
        first: Uuid,
        /// Where the requests differ.
        difference: Difference,
    },
}

/// A key, and all that is asked for with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    text: String,
    fields: Vec<(&'static str, Value)>,
}

/// Where a request differs from the first one with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field of the input.
    pub field: &'static str,
    /// What it said the first time; `None` for nothing.
    pub first: Option<String>,
}

impl Key {
    /// A key with every field of the mutation's input but itself, by its name there; one that was left out is [`Value::Null`].
    pub fn new<const N: usize>(text: String, fields: [(&'static str, Value); N]) -> Self {
        Self { text, fields: fields.into() }
    }

    /// Makes the key this request's, which makes `subject`, or gives what it was used for. It is one of the partner's, or of the tenant's staff.
    /// Another request that has just come with it is waited for.
    pub async fn claim(
        &self,
        mut connection: &AsyncPgConnection,
        operation: Operation,
        tenant: TenantId,
        partner: Option<PartnerId>,
        subject: Uuid,
    ) -> QueryResult<Claim> {
        let claimed = diesel::insert_into(idempotency_keys::table)
            .values((
                idempotency_keys::tenant_id.eq(tenant),
                idempotency_keys::partner_id.eq(partner),
                idempotency_keys::operation.eq(operation),
                idempotency_keys::key.eq(&self.text),
                idempotency_keys::request.eq(self.request()),
                idempotency_keys::subject_id.eq(subject),
            ))
            .on_conflict_do_nothing()
            .execute(&mut connection)
            .await?;
        if claimed > 0 {
            return Ok(Claim::First);
        }
        let (first, request): (Uuid, Value) = idempotency_keys::table
            .filter(idempotency_keys::tenant_id.eq(tenant))
            .filter(idempotency_keys::scope_id.eq(partner.map_or(tenant.uuid(), PartnerId::uuid)))
            .filter(idempotency_keys::operation.eq(operation))
            .filter(idempotency_keys::key.eq(&self.text))
            .select((idempotency_keys::subject_id, idempotency_keys::request))
            .first(&mut connection)
            .await?;
        Ok(match self.difference(Some(&request), []) {
            None => Claim::Replay(first),
            Some(difference) => Claim::Reused { first, difference },
        })
    }

    /// The key.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The request as it is stored.
    pub fn request(&self) -> Value {
        Value::Object(self.fields.iter().map(|(field, value)| ((*field).to_owned(), value.clone())).collect::<Map<_, _>>())
    }

    /// The first field in which this request differs from the one whose row this is. A row of before requests were stored says of it what
    /// its columns say: `kept`, some of the fields, which alone are compared then.
    pub fn difference<const N: usize>(&self, stored: Option<&Value>, kept: [(&'static str, Value); N]) -> Option<Difference> {
        let kept = Value::Object(kept.into_iter().map(|(field, value)| (field.to_owned(), value)).collect());
        let (first, is_whole) = stored.map_or((&kept, false), |stored| (stored, true));
        self.fields.iter().find_map(|(field, value)| {
            let first = first.get(*field).or_else(|| first.get(formerly(field))).or(is_whole.then_some(&Value::Null))?;
            (first != value).then(|| Difference { field, first: shown(first) })
        })
    }
}

/// What a field was called when requests were kept first.
fn formerly(field: &str) -> &str {
    match field {
        "period.from" => "periodStart",
        "period.before" => "periodEnd",
        other => other,
    }
}

fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Every field counts, also one that was left out the first time or is left out now.
    #[test]
    fn every_field_counts() {
        let key = |a: Value, b: Value| Key::new("k".to_owned(), [("a", a), ("b", b)]);
        let first = key(json!("x"), json!(null));
        let stored = first.request();
        let difference = |key: &Key| key.difference(Some(&stored), []);
        assert_eq!(difference(&first), None);
        assert_eq!(difference(&key(json!("y"), json!(null))), Some(Difference { field: "a", first: Some("x".to_owned()) }));
        assert_eq!(difference(&key(json!("x"), json!(1))), Some(Difference { field: "b", first: None }));
        assert_eq!(difference(&key(json!(null), json!(null))).map(|difference| difference.field), Some("a"));
        // A field that had another name when the request was kept.
        let period = |from: &str| {
            Key::new("k".to_owned(), [("period.from", json!(from))]).difference(Some(&json!({"periodStart": "a"})), [])
        };
        assert_eq!((period("a"), period("b").map(|difference| difference.field)), (None, Some("period.from")));
        // Of a row without its request those fields are compared that it has columns for.
        let by_columns = |key: &Key| key.difference(None, [("a", json!("x"))]).map(|difference| difference.field);
        assert_eq!((by_columns(&key(json!("x"), json!(1))), by_columns(&key(json!("y"), json!(1)))), (None, Some("a")));
    }
}
