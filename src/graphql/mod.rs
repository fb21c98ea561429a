//! The public contract: GraphQL types over the models. What a field needs from the database it asks of a loader or a model;
//! this module knows no SQL.

pub mod affiliates;
pub mod audit;
pub mod billing;
pub mod commissions;
pub mod credits;
pub mod document;
pub mod engine;
pub mod imports;
pub mod leads;
pub mod ledger;
pub mod members;
pub mod mutation;
pub mod node;
pub mod partners;
pub mod payouts;
pub mod people;
pub mod programmes;
pub mod query;
pub mod subscription;
pub mod webhooks;

use std::{path::Path, sync::Arc};

use async_graphql::{Response, Schema, SchemaBuilder, ServerError, ValidationMode};
use futures_util::{StreamExt, try_join};

use self::{
    affiliates::{referral::Referral, wallet_transaction::WalletTransaction},
    audit::entry::AuditEntry,
    billing::customer::Customer,
    commissions::commission::Commission,
    credits::{credit::CreditAllocation, ledger::CreditTransfer},
    document::{Documents, Parameters, Prepared},
    engine::{
        context::RequestContext, null_on_error::FieldErrorExtension, pagination::Connection, subscription_step::SubscriptionStep,
    },
    imports::{data_import::DataImport, finding::DataImportFinding},
    leads::lead::Lead,
    ledger::transfer::Transfer,
    members::member::Member,
    mutation::Mutation,
    node::Node,
    partners::partner::Partner,
    payouts::payout::Payout,
    people::invitation::Invitation,
    programmes::{
        click::LinkClick, enrolment::Enrolment, link::Link, link_event::LinkEvent, programme::Programme, sign_up::LinkSignUp,
    },
    query::Query,
    subscription::Subscription,
    webhooks::{attempt::WebhookAttempt, delivery::WebhookDelivery, endpoint::WebhookEndpoint, receipt::WebhookReceipt},
};
use crate::config::{TrustedMode, limits::Limits};

/// How deep the engine calls itself: deeper than brackets may stand within each other in a document.
const MAX_RECURSION: usize = 80;

/// What the schema is, for its readers.
const DESCRIPTION: &str = "The API of a partner portal: partners send leads, share links, earn commissions, are paid in payouts and hand out credits. \
    Each caller sees what is theirs: a partner's people their partner, operators all partners of their tenant. Amounts are decimals as \
    strings, never floats; instants are RFC 3339 in UTC; lists are Relay connections; every object with an id can be fetched again by `node`. \
    What a person can put right is said in a mutation's `userErrors`, everything else in `errors` with `extensions.code`.";

/// The executable schema.
pub struct PortalSchema {
    engine: Schema<Query, Mutation, Subscription>,
    documents: Documents,
}

impl PortalSchema {
    /// Assembles it.
    pub fn new(limits: Limits) -> Self {
        // What runs has been validated: the engine is not asked to do so again.
        let engine = builder()
            .validation_mode(ValidationMode::Fast)
            .extension(FieldErrorExtension(DESCRIPTION))
            .limit_recursive_depth(MAX_RECURSION)
            .finish();
        Self { engine, documents: Documents::new(limits) }
    }

    /// Takes the operations of a manifest too, or from now on those only.
    pub async fn trust(&mut self, mode: TrustedMode, manifest: &Path) -> Result<(), String> {
        self.documents.trust(mode, manifest).await
    }

    /// The operation that is requested, if it may run. `may_introspect` allows introspection, and suggestions in errors.
    pub async fn prepare(&self, parameters: Parameters, may_introspect: bool) -> Result<Prepared, Vec<ServerError>> {
        self.documents.prepare(parameters, may_introspect).await
    }

    /// Runs one operation that was prepared.
    pub async fn execute(&self, prepared: &Prepared, context: RequestContext) -> Response {
        let (quiet, field_errors, context) = (context.quiet(), context.field_errors(), context.merging(prepared.merges()));
        field_errors.with(quiet.watch(Box::pin(self.engine.execute(prepared.request().data(context)))).await)
    }

    /// The same while the caller is being confirmed. Where they are not, it ends at once.
    pub async fn execute_if<E>(
        &self,
        confirmed: impl Future<Output = Result<(), E>>,
        prepared: &Prepared,
        context: RequestContext,
    ) -> Result<Response, E> {
        let (quiet, field_errors, context) = (context.quiet(), context.field_errors(), context.merging(prepared.merges()));
        // On the heap at once: they are large, and would be copied.
        let confirmed = Box::pin(confirmed);
        let answer = Box::pin(async { Ok(self.engine.execute(prepared.request().data(context)).await) });
        // In this order: the confirmation is sent first.
        quiet.watch(async { try_join!(confirmed, answer) }).await.map(|((), answer)| field_errors.with(answer))
    }

    /// Runs one step of a subscription that was prepared. `None` where it answers nothing.
    pub async fn execute_step(
        &self,
        prepared: &Prepared,
        context: RequestContext,
        step: Arc<SubscriptionStep>,
    ) -> Option<Response> {
        let (quiet, field_errors, context) = (context.quiet(), context.field_errors(), context.merging(prepared.merges()));
        let answer = quiet.watch(self.engine.execute_stream(prepared.request().data(context).data(step)).next()).await;
        answer.map(|answer| field_errors.with(answer))
    }
}

fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription)
        .register_output_type::<Node>()
        .override_output_type_description::<Connection<Commission>>("One page of commissions.")
        .override_output_type_description::<Connection<Customer>>("One page of customers.")
        .override_output_type_description::<Connection<CreditAllocation>>("One page of allocations of credits.")
        .override_output_type_description::<Connection<CreditTransfer>>("One page of a ledger of credits.")
        .override_output_type_description::<Connection<Member>>("One page of members.")
        .override_output_type_description::<Connection<Payout>>("One page of payouts.")
        .override_output_type_description::<Connection<Transfer>>("One page of a ledger.")
        .override_output_type_description::<Connection<Lead>>("One page of leads.")
        .override_output_type_description::<Connection<Partner>>("One page of partners.")
        .override_output_type_description::<Connection<Programme>>("One page of programmes.")
        .override_output_type_description::<Connection<Enrolment>>("One page of enrolments.")
        .override_output_type_description::<Connection<Link>>("One page of links.")
        .override_output_type_description::<Connection<LinkClick>>("One page of clicks.")
        .override_output_type_description::<Connection<LinkSignUp>>("One page of sign-ups.")
        .override_output_type_description::<Connection<LinkEvent>>("One page of what has come of links.")
        .override_output_type_description::<Connection<Referral>>("One page of referrals.")
        .override_output_type_description::<Connection<DataImport>>("One page of imports.")
        .override_output_type_description::<Connection<DataImportFinding>>("One page of what an import reported.")
        .override_output_type_description::<Connection<AuditEntry>>("One page of the audit trail.")
        .override_output_type_description::<Connection<Invitation>>("One page of who was invited to act for a partner.")
        .override_output_type_description::<Connection<WebhookAttempt>>("One page of a delivery's attempts.")
        .override_output_type_description::<Connection<WebhookDelivery>>("One page of deliveries to an endpoint.")
        .override_output_type_description::<Connection<WebhookEndpoint>>("One page of endpoints.")
        .override_output_type_description::<Connection<WebhookReceipt>>("One page of what a source has reported.")
        .override_output_type_description::<Connection<WalletTransaction>>(
            "One page of what has gone into wallets and out of them.",
        )
}

/// The schema in the schema definition language, as it is committed in `schema.graphql`.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new()
        .sorted_fields()
        .sorted_enum_items()
        .prefer_single_line_descriptions()
        .include_specified_by();
    // The engine leaves the schema's own description out.
    let sdl = builder().finish().sdl_with_options(options).replace("\nschema {", &format!("\n\"{DESCRIPTION}\"\nschema {{"));
    let lines: Vec<&str> = sdl.lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n").trim())
}
