//! Ids in the schema: all are `ID`, each argument takes those of its own kind alone.

use std::{borrow::Cow, cell::Cell};

use async_graphql::{
    ContextSelectionSet, ID, InputType, InputValueError, InputValueResult, OutputType, Positioned, ServerResult, Value,
    parser::types::Field, registry::Registry,
};

use super::json::{displayed, leaf};
use crate::ids::{
    AffiliateTermsId, AllocationId, AuditEntryId, ClickId, CommissionId, CreditTransferId, CustomerAccountId, CustomerId,
    DataImportId, EnrolmentChangeId, EnrolmentId, GrantId, ImportFindingId, InvitationId, LeadId, LeadStatusChangeId,
    LinkEventId, LinkId, MemberId, MoveId, PartnerId, PayoutChangeId, PayoutId, ProgrammeId, RedemptionId, ReferralId, RuleId,
    SignUpId, TenantId, TransferId, UserId, WalletTransactionId, WebhookAttemptId, WebhookDeliveryId, WebhookEndpointId,
    WebhookEventId, WebhookReceiptId, WebhookSecretId, WebhookSourceId,
};

/// The beginning of the name of an id's type, where kinds of ids are distinguished.
const KIND: &str = "ID of ";

thread_local! {
    /// Whether the registry that is being built in this thread distinguishes them: a type's name is requested without the registry.
    static HAS_KINDS: Cell<bool> = const { Cell::new(false) };
}

/// Builds a registry that distinguishes kinds of ids in what it expects: documents are compared with it before they run. The schema has `ID`
/// alone.
pub fn registry_of_kinds(build: impl FnOnce(&mut Registry)) -> Registry {
    let mut registry = Registry::default();
    HAS_KINDS.set(true);
    build(&mut registry);
    HAS_KINDS.set(false);
    registry
}

/// The name that the schema has for a type.
pub fn public_name(name: &str) -> &str {
    if name.starts_with(KIND) { "ID" } else { name }
}

macro_rules! graphql_ids {
    ($($name:ident),*) => {
        /// Whether a value is an id of the kind that the type of that name is of; an error says why not.
        pub fn check(name: &str, value: &Value) -> Result<(), String> {
            let Some(kind) = name.strip_prefix(KIND) else { return Ok(()) };
            $(if kind == $name::PREFIX {
                return match value {
                    Value::String(text) => text.parse::<$name>().map(drop),
                    value => value.to_string().parse::<$name>().map(drop),
                }
                .map_err(|error| error.to_string());
            })*
            Ok(())
        }

        $(
        impl InputType for $name {
            type RawValueType = Self;

            fn type_name() -> Cow<'static, str> {
                if HAS_KINDS.get() { format!("{KIND}{}", Self::PREFIX).into() } else { <ID as InputType>::type_name() }
            }

            fn create_type_info(registry: &mut Registry) -> String {
                <ID as InputType>::create_type_info(registry);
                <Self as InputType>::qualified_type_name()
            }

            fn parse(value: Option<Value>) -> InputValueResult<Self> {
                match value.unwrap_or_default() {
                    Value::String(text) => text.parse().map_err(InputValueError::custom),
                    value => Err(InputValueError::expected_type(value)),
                }
            }

            fn to_value(&self) -> Value {
                Value::String(self.to_string())
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }
        }

        impl OutputType for $name {
            fn type_name() -> Cow<'static, str> {
                <ID as OutputType>::type_name()
            }

            fn create_type_info(registry: &mut Registry) -> String {
                <ID as OutputType>::create_type_info(registry)
            }

            async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
                Ok(Value::String(self.to_string()))
            }
        }

        leaf! { $name => |id, out| displayed(id, out); }
    )*};
}

graphql_ids!(
    TenantId,
    UserId,
    PartnerId,
    LeadId,
    CustomerId,
    RuleId,
    CommissionId,
    PayoutId,
    MemberId,
    GrantId,
    AllocationId,
    RedemptionId,
    LeadStatusChangeId,
    PayoutChangeId,
    CustomerAccountId,
    DataImportId,
    ImportFindingId,
    MoveId,
    TransferId,
    CreditTransferId,
    ProgrammeId,
    EnrolmentId,
    EnrolmentChangeId,
    LinkId,
    ClickId,
    SignUpId,
    LinkEventId,
    AffiliateTermsId,
    ReferralId,
    WalletTransactionId,
    AuditEntryId,
    InvitationId,
    WebhookEndpointId,
    WebhookSecretId,
    WebhookEventId,
    WebhookDeliveryId,
    WebhookAttemptId,
    WebhookSourceId,
    WebhookReceiptId
);
