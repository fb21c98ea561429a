//! The public contract: GraphQL types over the models. What a field needs from the database it asks of a loader or a model;
//! this module knows no SQL.

pub mod commission;
pub mod commission_rule;
pub mod commission_rule_input;
pub mod context;
pub mod credit;
pub mod credit_ledger;
pub mod customer;
pub mod dashboard;
pub mod errors;
pub mod explanation;
pub mod ids;
pub mod lead;
pub mod ledger;
pub mod lists;
pub mod loaders;
pub mod member;
pub mod mutations;
pub mod node;
pub mod pagination;
pub mod partner;
pub mod payout;
pub mod payout_preview;
pub mod profile;
pub mod query;
pub mod revenue;
pub mod scalars;
pub mod tenant;
pub mod user;
mod variables;
pub mod viewer;

use async_graphql::{EmptySubscription, Request, Response, Schema};

use self::{
    commission::Commission, credit::CreditAllocation, credit_ledger::CreditTransfer, customer::Customer, lead::Lead,
    ledger::Transfer, member::Member, mutations::Mutation, node::Node, pagination::Connection, partner::Partner, payout::Payout,
    query::Query, variables::VariableRule,
};

/// The engine's schema.
type EngineSchema = Schema<Query, Mutation, EmptySubscription>;

/// How deep a query may nest. The introspection query of `GraphiQL` needs 15.
const MAX_DEPTH: usize = 20;
/// How many fields a query may select, fragments expanded.
const MAX_FIELDS: usize = 2_000;

/// The executable schema.
pub struct PortalSchema {
    schema: EngineSchema,
    variables: VariableRule,
}

impl PortalSchema {
    /// Assembles it.
    #[expect(clippy::new_without_default, reason = "assembling a schema is no default value")]
    pub fn new() -> Self {
        Self { schema: engine(), variables: VariableRule::new() }
    }

    /// Runs one operation.
    pub async fn execute(&self, mut request: Request) -> Response {
        // A document that does not parse is the engine's to report.
        let errors = request.parsed_query().map(|document| self.variables.check(document)).unwrap_or_default();
        if errors.is_empty() { self.schema.execute(request).await } else { Response::from_errors(errors) }
    }
}

fn engine() -> EngineSchema {
    Schema::build(Query, Mutation::default(), EmptySubscription)
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
        .limit_depth(MAX_DEPTH)
        .limit_complexity(MAX_FIELDS)
        .finish()
}

/// The schema in the schema definition language, as it is committed in `schema.graphql`.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().sorted_fields().sorted_enum_items().prefer_single_line_descriptions();
    let sdl = engine().sdl_with_options(options);
    let lines: Vec<&str> = sdl.lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n").trim())
}
