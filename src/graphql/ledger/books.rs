//! How mutations come to the tenant's books.

use async_graphql::Context;

use crate::{db::session::Writing, graphql::engine::context::ContextExt, models::ledger::books::Books};

/// The books of the viewer's tenant.
pub trait BooksExt {
    /// The tenant's books, for a transaction that writes: in the viewer's name, at this instant.
    fn books<'w>(&'w self, writing: &'w Writing<'_>) -> Books<'w>;
}

impl BooksExt for Context<'_> {
    fn books<'w>(&'w self, writing: &'w Writing<'_>) -> Books<'w> {
        let viewer = self.viewer();
        Books {
            connection: writing,
            tenant: viewer.tenant.id,
            by: Some(viewer.user),
            at: self.now(),
            writing: Some(writing),
            clock: Some(&self.request().shared.clock),
        }
    }
}
