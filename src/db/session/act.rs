//! What a transaction that writes is for, as the audit trail records it.

use diesel::QueryResult;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use serde_json::json;

/// The longest reason that is recorded, in characters.
const MAX_REASON: usize = 2_000;
/// The longest name of an operation that is recorded, in characters.
const MAX_NAME: usize = 100;

crate::pg_enum! {
    /// Who has changed something.
    pub enum AuditActor {
        /// Staff of the tenant.
        Operator = "operator",
        /// A person who acts for a partner, or for none yet.
        Partner = "partner",
        /// A back-end system of the tenant.
        Service = "service",
        /// A person, by signing in for the first time or with something new in their token.
        SignIn = "sign_in",
        /// A source of webhooks, which has reported an event.
        Webhook = "webhook",
        /// A command of those who run the server.
        Command = "command",
    }
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// By whom.
    pub actor: AuditActor,
    /// The mutation's name, or what else it is.
    pub action: String,
    /// The reason that was given.
    pub reason: Option<String>,
    /// The name of the operation that the mutation belongs to.
    pub operation: Option<String>,
}

impl Act {
    /// One without a reason and an operation.
    pub fn new(actor: AuditActor, action: &str) -> Self {
        Self { actor, action: action.to_owned(), reason: None, operation: None }
    }

    /// Tells PostgreSQL, for as long as a connection lasts that is no session's.
    pub async fn announce_for_connection(&self, mut connection: &AsyncPgConnection) -> QueryResult<()> {
        connection.batch_execute(&format!("SET SESSION app.audit = {}", self.literal(None))).await
    }

    /// The statement that tells PostgreSQL, for the rest of the transaction: the triggers of the migration `audit` read it. It takes no
    /// parameters, so that it can go with BEGIN.
    pub(super) fn announcement(&self, request: Option<&str>) -> String {
        format!("SET LOCAL app.audit = {}", self.literal(request))
    }

    fn literal(&self, request: Option<&str>) -> String {
        let most = |text: &Option<String>, most| {
            // jsonb has no NUL; what has one is refused by the mutation.
            text.as_ref().map(|text| text.chars().filter(|c| *c != '\0').take(most).collect::<String>())
        };
        let act = json!({
            "action": self.action,
            "role": self.actor.as_str(),
            "request": request,
            "reason": most(&self.reason, MAX_REASON),
            "operation": most(&self.operation, MAX_NAME),
        });
        // A literal of standard SQL: nothing but the quote has a meaning in it.
        format!("'{}'", act.to_string().replace('\'', "''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reason cannot end the literal that it is in.
    #[test]
    fn quotes_are_doubled() {
        let act =
            Act { reason: Some("'; DROP TABLE partners; --\\'\0".to_owned()), ..Act::new(AuditActor::Operator, "moveLead") };
        let sql = act.announcement(Some("r"));
        let literal = sql.strip_prefix("SET LOCAL app.audit = '").and_then(|rest| rest.strip_suffix('\'')).expect("a literal");
        assert_eq!(literal.replace("''", "").matches('\'').count(), 0);
        assert!(literal.contains("''; DROP TABLE") && !literal.contains("\\u0000"), "{literal}");
    }
}
