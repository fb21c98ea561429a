//! Links: short addresses that partners share. Lists of them are in [`super::link_list`], what makes and changes them in
//! [`super::link_change`].

use std::collections::HashMap;

use aws_lc_rs::rand;
use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*, sql_types::Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::address::letters;
use crate::{
    db::{QueryError, schema::links},
    ids::{LinkId, PartnerId, ProgrammeId, UserId},
    models::scope::Scope,
};

/// The longest key of one's own choice.
pub const MAX_KEY: usize = 64;
/// Keys that nobody can choose: on hosts of tenants' own a link's key stands where these paths do.
const RESERVED: [&str; 11] =
    ["admin", "api", "assets", "export", "exports", "graphql", "healthz", "l", "metrics", "readyz", "webhooks"];

crate::pg_enum! {
    /// How somebody came by a link.
    pub enum LinkMeans {
        /// They followed it.
        Click = "click",
        /// The shop named the link.
        LinkKey = "link_key",
        /// They gave its coupon code.
        CouponCode = "coupon_code",
    }
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = links)]
pub struct Link {
    /// Its id.
    pub id: LinkId,
    /// The partner that shares it.
    pub partner_id: PartnerId,
    /// Who made it.
    pub user_id: Option<UserId>,
    /// The programme of the shop that it leads to.
    pub programme_id: ProgrammeId,
    /// The tenant's own host that it is on; `None` for the server's.
    pub host: Option<String>,
    /// Its key.
    pub key: String,
    /// Where it leads.
    pub url: String,
    /// SHA-256 of that, where it has no key of the partner's own choice.
    pub url_hash: Option<Vec<u8>>,
    /// Its title.
    pub title: Option<String>,
    /// The id that another system has for it.
    pub external_id: Option<String>,
    /// The code that customers can give instead of following it.
    pub coupon_code: Option<String>,
    /// What is added to the address for the shop's statistics.
    #[diesel(embed)]
    pub utm: Utm,
    /// Until when it leads there.
    pub expires_at: Option<DateTime<Utc>>,
    /// Where it leads from then on.
    pub expired_url: Option<String>,
    /// When it was archived.
    pub archived_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Parameters by which a shop's statistics tell campaigns apart (`utm_source` and so on).
#[derive(Debug, Clone, Default, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = links)]
pub struct Utm {
    /// Where the link is shared.
    pub utm_source: Option<String>,
    /// The kind of channel: e-mail, banner, social network.
    pub utm_medium: Option<String>,
    /// For which campaign.
    pub utm_campaign: Option<String>,
    /// For which search term.
    pub utm_term: Option<String>,
    /// Which of several links on one page.
    pub utm_content: Option<String>,
}

impl Utm {
    /// Names and values of those that are given.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Self { utm_source, utm_medium, utm_campaign, utm_term, utm_content } = self;
        let named = [
            ("utm_source", utm_source),
            ("utm_medium", utm_medium),
            ("utm_campaign", utm_campaign),
            ("utm_term", utm_term),
            ("utm_content", utm_content),
        ];
        named.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

/// Whether a text can be a link's key: letters, digits, hyphens and underscores, a letter or digit first.
pub fn is_key(text: &str) -> bool {
    (1..=MAX_KEY).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && text.as_bytes()[0].is_ascii_alphanumeric()
}

/// The address of a key on a tenant's own host, or on the server's.
pub fn short_url(server: &str, host: Option<&str>, key: &str) -> String {
    host.map_or_else(|| format!("{server}/l/{key}"), |host| format!("https://{host}/{key}"))
}

/// Whether nobody can choose a key.
pub fn is_reserved(key: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(key))
}

/// A key that nobody can guess: 8 letters of Crockford's base 32 from the system's randomness, 40 bits.
pub fn made_key() -> QueryResult<String> {
    let mut bytes = [0; 5];
    rand::fill(&mut bytes).map_err(|_| QueryError::SerializationError("the system has no randomness".into()))?;
    Ok(letters(&bytes, 8))
}

impl Link {
    /// The address to share. `server` is where the server is reached from outside.
    pub fn short_url(&self, server: &str) -> String {
        short_url(server, self.host.as_deref(), &self.key)
    }

    /// Those of `ids` that are in scope.
    pub async fn by_ids(mut connection: &AsyncPgConnection, scope: Scope, ids: &[LinkId]) -> QueryResult<HashMap<LinkId, Self>> {
        let query = Self::query().filter(links::tenant_id.eq(scope.tenant)).filter(links::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().filter(|row| scope.includes(row.partner_id)).map(|row| (row.id, row)).collect())
    }

    /// The link in scope that has a key, on whichever host.
    pub async fn by_key(mut connection: &AsyncPgConnection, scope: Scope, key: &str) -> QueryResult<Option<Self>> {
        let mut query = Self::query()
            .into_boxed::<Pg>()
            .filter(links::tenant_id.eq(scope.tenant))
            .filter(lower(links::key).eq(key.to_ascii_lowercase()));
        if let Some(partner) = scope.partner {
            query = query.filter(links::partner_id.eq(partner));
        }
        // On two hosts two links may have it.
        query.order((links::host.asc().nulls_first(), links::id)).first(&mut connection).await.optional()
    }

    /// The link in scope, locked until the transaction ends.
    pub(super) async fn lock(mut connection: &AsyncPgConnection, scope: Scope, id: LinkId) -> QueryResult<Option<Self>> {
        let query = Self::query().filter(links::tenant_id.eq(scope.tenant)).filter(links::id.eq(id)).for_no_key_update();
        let found: Option<Self> = query.first(&mut connection).await.optional()?;
        Ok(found.filter(|link| scope.includes(link.partner_id)))
    }
}

diesel::define_sql_function! {
    /// The text in lower case.
    fn lower(value: Text) -> Text;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What can be chosen as a key.
    #[test]
    fn chosen_keys() {
        for key in ["a", "Summer-Sale_2026", "0", &"x".repeat(MAX_KEY)] {
            assert!(is_key(key), "{key}");
        }
        for key in ["", "-a", "_a", "a b", "a.php", "ä", "a/b", "a+", &"x".repeat(MAX_KEY + 1)] {
            assert!(!is_key(key), "{key}");
        }
        assert!(is_reserved("GraphQL") && !is_reserved("graphql2"));
    }

    /// Made keys are keys, and two are not the same.
    #[test]
    fn made_keys() {
        let (one, other) = (made_key().expect("randomness"), made_key().expect("randomness"));
        assert!(is_key(&one) && one.len() == 8);
        assert_ne!(one, other);
    }
}
