//! Which partners a list shows, and in which order.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject};

use super::partner::Partner;
use crate::{
    error::Result,
    graphql::engine::{
        arguments::{OrderDirection, search_text},
        context::ContextExt,
        lists::{self, Shown},
        loaders::batch_key,
        pagination::{Connection, Listed, TotalCount},
        row::Row,
    },
    ids::PartnerId,
    models::{
        self,
        page::{Page, PageArguments},
        partners::{
            partner::{BY_CREATED, BY_NAME, BY_UPDATED, PartnerFilter},
            status::PartnerStatus,
        },
    },
};

/// Which partners to show.
#[derive(InputObject)]
#[graphql(name = "PartnerFilter")]
pub struct PartnerFilterInput {
    /// Only those of one of these statuses; of an empty list there are none.
    status: Option<Vec<PartnerStatus>>,
    /// Only those whose company's name has every word of this text, in any order, without regard to case, accents and compatibility forms.
    search: Option<String>,
}

impl PartnerFilterInput {
    /// What it means.
    pub fn checked(self) -> Result<PartnerFilter> {
        Ok(PartnerFilter { statuses: self.status, search: search_text(self.search)? })
    }
}

/// How to order partners.
#[derive(InputObject, Default)]
pub struct PartnerOrder {
    /// By what.
    pub field: PartnerOrderField,
    /// In which direction.
    #[graphql(default)]
    pub direction: OrderDirection,
}

/// What partners can be ordered by.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Default)]
pub enum PartnerOrderField {
    /// When they joined.
    #[default]
    CreatedAt,
    /// When they last changed.
    UpdatedAt,
    /// Their company's name, without regard to case.
    CompanyName,
}

impl PartnerOrderField {
    pub fn sort_key(self) -> models::page::SortKey {
        match self {
            Self::CreatedAt => BY_CREATED,
            Self::UpdatedAt => BY_UPDATED,
            Self::CompanyName => BY_NAME,
        }
    }
}

impl Partner {
    /// The partner of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: PartnerId) -> Result<Option<Row<Self>>> {
        Ok(ctx.load(PartnerById(id)).await?.map(|row| Row(Self(row))))
    }

    /// One page of the partners that the viewer may see.
    pub async fn paginate(
        ctx: &Context<'_>,
        arguments: PageArguments,
        filter: Option<PartnerFilterInput>,
        order: Option<PartnerOrder>,
    ) -> Result<Connection<Self>> {
        let order = order.unwrap_or_default();
        let page = Page::new(order.field.sort_key(), order.direction.is_descending(), arguments)?;
        let filter = filter.map(PartnerFilterInput::checked).transpose()?.unwrap_or_default();
        lists::root(ctx, filter, page).await
    }
}

impl Listed for Partner {
    type Beside = TotalCount;
}

impl Shown for PartnerFilter {}

batch_key!(PartnerById(PartnerId) -> Arc<models::partners::partner::Partner>, models::partners::partner::Partner::by_ids);

impl From<Arc<models::partners::partner::Partner>> for Partner {
    fn from(row: Arc<models::partners::partner::Partner>) -> Self {
        Self(row)
    }
}
