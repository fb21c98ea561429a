//! The map of ids as the API shows it: what a row of another system has become here.

use async_graphql::Context;

use crate::{
    error::Result,
    graphql::{
        billing::customer::Customer,
        commissions::commission::Commission,
        engine::context::ContextExt,
        node::Node,
        partners::partner::Partner,
        payouts::payout::Payout,
        people::user::User,
        programmes::{enrolment::Enrolment, link::Link, programme::Programme},
    },
    models::imports::{data_import::DataSource, facts::ImportKind, imported::ImportedRow},
};

/// What a row of another system is here, for those who may see it. Memberships, rules and days of links are no things of their own.
pub async fn node(ctx: &Context<'_>, source: DataSource, kind: ImportKind, source_id: &str) -> Result<Option<Node>> {
    let reading = ctx.read().await?;
    let found = ImportedRow::target(&reading, ctx.viewer().tenant.id, source, kind, source_id).await?;
    drop(reading);
    let Some(id) = found else { return Ok(None) };
    Ok(match kind {
        ImportKind::Partner => Partner::by_id(ctx, id.into()).await?.map(|row| Node::Partner(row.0)),
        ImportKind::User => User::by_id(ctx, id.into()).await?.map(Node::User),
        ImportKind::Programme => Programme::by_id(ctx, id.into()).await?.map(|row| Node::Programme(row.0)),
        ImportKind::Enrolment => Enrolment::by_id(ctx, id.into()).await?.map(|row| Node::Enrolment(row.0)),
        ImportKind::Link => Link::by_id(ctx, id.into()).await?.map(|row| Node::Link(row.0)),
        ImportKind::Customer => Customer::by_id(ctx, id.into()).await?.map(|row| Node::Customer(row.0)),
        ImportKind::Payout => Payout::by_id(ctx, id.into()).await?.map(|row| Node::Payout(row.0)),
        ImportKind::Commission => Commission::by_id(ctx, id.into()).await?.map(|row| Node::Commission(row.0)),
        ImportKind::Membership | ImportKind::Rule | ImportKind::LinkDay => None,
    })
}
