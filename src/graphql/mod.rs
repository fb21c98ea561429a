//! The public contract: GraphQL types over the models. What a field needs from the database it asks of a loader or a model;
//! this module knows no SQL.

pub mod context;
pub mod dashboard;
pub mod errors;
pub mod ids;
pub mod lead;
pub mod loaders;
pub mod mutations;
pub mod node;
pub mod pagination;
pub mod partner;
pub mod profile;
pub mod query;
pub mod scalars;
pub mod tenant;
pub mod user;
pub mod viewer;

use async_graphql::{EmptySubscription, Schema};

use self::{mutations::Mutation, node::Node, query::Query};

/// The executable schema.
pub type PortalSchema = Schema<Query, Mutation, EmptySubscription>;

/// How deep a query may nest. The introspection query of `GraphiQL` needs 15.
const MAX_DEPTH: usize = 20;
/// How many fields a query may select, fragments expanded.
const MAX_FIELDS: usize = 2_000;
/// How many directives one field may carry.
const MAX_DIRECTIVES: usize = 8;

/// Assembles the schema.
pub fn schema() -> PortalSchema {
    Schema::build(Query, Mutation::default(), EmptySubscription)
        .register_output_type::<Node>()
        .limit_depth(MAX_DEPTH)
        .limit_complexity(MAX_FIELDS)
        .limit_directives(MAX_DIRECTIVES)
        .finish()
}

/// The schema in the schema definition language, as it is committed in `schema.graphql`.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().sorted_fields().sorted_enum_items().prefer_single_line_descriptions();
    let sdl = schema().sdl_with_options(options);
    let lines: Vec<&str> = sdl.lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n").trim())
}
