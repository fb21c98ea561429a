//! What is sent: from the row as it was to the JSON of an event. Names are those of the GraphQL schema, and ids are the ones that `node(id:)` takes.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    event::WebhookEventType,
    fields::{Field, Form},
};
use crate::{
    clock::shown,
    ids::{WebhookEventId, format_any},
    money,
};

/// A row as it was: each column by its name, as PostgreSQL writes it.
pub type Facts = HashMap<String, Option<String>>;

/// The body of an event of that type, made of the row as it was.
pub fn body(event: WebhookEventType, id: WebhookEventId, at: DateTime<Utc>, facts: &Facts) -> String {
    let mut data = Map::new();
    for Field(name, column, form) in event.fields() {
        // What only some events have, such as the former status.
        let Some(value) = facts.get(*column) else { continue };
        let value = value.as_deref().map_or(Value::Null, |text| {
            written(*form, text, facts).unwrap_or_else(|| {
                tracing::error!(event = %id, column, "a column of a webhook's event cannot be read, and is sent as null");
                Value::Null
            })
        });
        data.insert((*name).to_owned(), value);
    }
    // By hand, so that the keys are in the order in which people read them.
    let (name, at, data) = (Value::from(event.as_str()), Value::from(shown(at)), Value::Object(data));
    format!(r#"{{"type":{name},"timestamp":{at},"id":"{id}","data":{data}}}"#)
}

fn written(form: Form, text: &str, facts: &Facts) -> Option<Value> {
    Some(match form {
        Form::Id(prefix) => Value::from(format_any(prefix, text.parse::<Uuid>().ok()?)?),
        Form::Text | Form::Exact => Value::from(text),
        Form::Enum => Value::from(text.to_uppercase()),
        Form::Number => Value::from(text.parse::<i64>().ok()?),
        Form::Truth => Value::from(text.parse::<bool>().ok()?),
        Form::Amount => {
            let currency = money::stored_currency(facts.get("currency")?.as_deref()?).ok()?;
            Value::from(money::Money::rounded(text.parse().ok()?, currency).amount.to_string())
        }
        Form::Time => Value::from(shown(DateTime::parse_from_rfc3339(text).ok()?.to_utc())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Amounts keep every digit and have their currency's minor units; ids and statuses are those of the schema.
    #[test]
    fn a_commission() {
        let row = [
            ("id", Some("01890a5d-ac96-774b-bcce-b302099a8057")),
            ("partner_id", Some("01890a5d-ac96-774b-bcce-b302099a8057")),
            ("status", Some("approved")),
            ("previous_status", Some("pending")),
            ("amount", Some("12345678901234567.8900")),
            ("currency", Some("USD")),
            ("rate", Some("0.1000")),
            ("lead_id", None),
            ("created_at", Some("2026-11-27T10:00:00.5+02:00")),
            ("search_text", Some("left out")),
        ];
        let facts = row.into_iter().map(|(column, value)| (column.to_owned(), value.map(str::to_owned))).collect();
        let id = WebhookEventId::from(Uuid::nil());
        let text = body(WebhookEventType::CommissionApproved, id, DateTime::UNIX_EPOCH, &facts);
        assert!(
            text.starts_with(&format!(
                r#"{{"type":"commission.approved","timestamp":"1970-01-01T00:00:00Z","id":"{id}","data":{{"#
            )),
            "{text}"
        );
        let body: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            body["data"],
            serde_json::json!({
                "id": "commission_01h455vb4pex5vsknk084sn02q",
                "partnerId": "partner_01h455vb4pex5vsknk084sn02q",
                "status": "APPROVED",
                "previousStatus": "PENDING",
                "amount": "12345678901234567.89",
                "currency": "USD",
                "rate": "0.1000",
                "leadId": null,
                "createdAt": "2026-11-27T08:00:00.500Z",
            })
        );
    }
}
