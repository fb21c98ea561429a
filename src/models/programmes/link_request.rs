//! What is asked for of links: one to be made, and changes of one.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::{
    address::ProductAddress,
    link::{Link, Utm},
    link_share::LinkShare,
    quote::Quote,
};
use crate::{clock::shown, db::schema::links, ids::PartnerId, models::idempotency::Key};

/// A link to be made.
#[derive(Debug, Clone)]
pub struct LinkRequest {
    /// Whose it is to be.
    pub partner: PartnerId,
    /// Where it is to lead.
    pub address: ProductAddress,
    /// The key of one's own choice; a made one where it is left out.
    pub key: Option<String>,
    /// What is said of it.
    pub details: LinkDetails,
    /// With whom its partner shares what is earned by it, in the order of their ids; with nobody where it is left out.
    pub split: Option<Vec<LinkShare>>,
    /// The idempotency key: with one, the link is another one than those that there are of the address.
    pub idempotency_key: Option<Key>,
    /// What is known of the shop's rate, in case its programme is to be made.
    pub quote: Quote,
}

/// What can be said of a link, and left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkDetails {
    /// Its title.
    pub title: Option<String>,
    /// The id that another system has for it.
    pub external_id: Option<String>,
    /// The code that customers can give instead of following it.
    pub coupon_code: Option<String>,
    /// What is added to the address.
    pub utm: Utm,
    /// Until when it leads to the address.
    pub expires_at: Option<DateTime<Utc>>,
    /// Where it leads from then on: another page of the shop.
    pub expired_url: Option<ProductAddress>,
}

/// What to change of a link; `None` stays as it is, `Some(None)` is cleared.
#[derive(Debug, Clone, Default)]
pub struct LinkChanges {
    /// Where it leads: another address of the same shop.
    pub address: Option<ProductAddress>,
    /// Where it leads once it has expired: another page of the shop.
    pub expired_url: Option<Option<ProductAddress>>,
    /// What else is said of it.
    pub details: LinkDetailChanges,
}

/// What to change of what is said of a link.
#[derive(Debug, Clone, Default, AsChangeset)]
#[diesel(table_name = links)]
pub struct LinkDetailChanges {
    /// Its title.
    pub title: Option<Option<String>>,
    /// The id that another system has for it.
    pub external_id: Option<Option<String>>,
    /// The code that customers can give instead of following it.
    pub coupon_code: Option<Option<String>>,
    /// What is added to the address.
    #[diesel(embed)]
    pub utm: UtmChanges,
    /// Until when it leads to the address.
    pub expires_at: Option<Option<DateTime<Utc>>>,
}

/// What to change of a link's parameters for statistics.
#[derive(Debug, Clone, Default, AsChangeset)]
#[diesel(table_name = links)]
pub struct UtmChanges {
    /// Where the link is shared.
    pub utm_source: Option<Option<String>>,
    /// In which kind of place.
    pub utm_medium: Option<Option<String>>,
    /// For which campaign.
    pub utm_campaign: Option<Option<String>>,
    /// For which search term.
    pub utm_term: Option<Option<String>>,
    /// In which of several places.
    pub utm_content: Option<Option<String>>,
}

impl LinkDetails {
    /// The first field that is given here and says something else of a link.
    pub(super) fn differs_from(&self, link: &Link) -> Option<(&'static str, Option<String>)> {
        let text =
            |field, new: &Option<String>, known: &Option<String>| (new.is_some() && new != known).then(|| (field, known.clone()));
        text("input.title", &self.title, &link.title)
            .or_else(|| text("input.externalId", &self.external_id, &link.external_id))
            .or_else(|| text("input.couponCode", &self.coupon_code, &link.coupon_code))
            .or_else(|| text("input.utm.source", &self.utm.utm_source, &link.utm.utm_source))
            .or_else(|| text("input.utm.medium", &self.utm.utm_medium, &link.utm.utm_medium))
            .or_else(|| text("input.utm.campaign", &self.utm.utm_campaign, &link.utm.utm_campaign))
            .or_else(|| text("input.utm.term", &self.utm.utm_term, &link.utm.utm_term))
            .or_else(|| text("input.utm.content", &self.utm.utm_content, &link.utm.utm_content))
            .or_else(|| text("input.expiresAt", &self.expires_at.map(shown), &link.expires_at.map(shown)))
            .or_else(|| text("input.expiredUrl", &self.expired_url.as_ref().map(|url| url.url().to_owned()), &link.expired_url))
    }
}

impl LinkChanges {
    /// Whether anything of a link is not so already.
    pub(super) fn differ_from(&self, link: &Link) -> bool {
        let LinkDetailChanges { utm, .. } = &self.details;
        self.address.as_ref().is_some_and(|address| address.url() != link.url)
            || differ!(self.details, link; title, external_id, coupon_code, expires_at)
            || self.expired_url.as_ref().is_some_and(|new| new.as_ref().map(ProductAddress::url) != link.expired_url.as_deref())
            || differ!(utm, link.utm; utm_source, utm_medium, utm_campaign, utm_term, utm_content)
    }
}
