//! What mutations take of links, and how it is checked.

use async_graphql::{Context, InputObject, MaybeUndefined};
use serde_json::json;

use super::link_share::{self, LinkShareInput};

use crate::{
    auth::Role,
    clock,
    graphql::engine::{
        context::ContextExt,
        scalars::DateTime,
        user_errors::{MAX_KEY, Refusal, cleared_or, given, own_partner},
    },
    ids::{LinkId, PartnerId},
    models::{
        idempotency::Key,
        programmes::{
            address::ProductAddress,
            link::{self, Utm, is_key, is_reserved},
            link_request::{LinkChanges, LinkDetailChanges, LinkDetails, LinkRequest, UtmChanges},
            quote::Quote,
        },
    },
    validation::{FaultCode, Faults, MAX_NAME, Wrong, line},
};

/// The longest value of one parameter for statistics.
const MAX_UTM: usize = 200;
/// The longest coupon code.
const MAX_COUPON: usize = 50;

/// What is wrong with a coupon code that a partner wants to set.
const COUPON_IS_OPERATORS: &str = "Only an operator can give a link a coupon code.";

/// A link to be made.
#[derive(InputObject, Clone)]
pub struct CreateLinkInput {
    /// The partner that is to share it. Operators must name one; for others it is their own.
    partner_id: Option<PartnerId>,
    /// Where it is to lead: a product's address, `http` or `https`, at most 2,000 characters. The shop's programme is found by it, and made
    /// where there is none.
    url: String,
    /// The key: up to 64 letters, digits, hyphens and underscores, a letter or digit first. One that nobody can guess is made where it is left
    /// out.
    key: Option<String>,
    /// Its title, at most 200 characters.
    title: Option<String>,
    /// The id that another system of the tenant's has for it, at most 200 characters. Another link may not have it.
    external_id: Option<String>,
    /// The code that customers can give instead of following it: up to 50 letters, digits, hyphens and underscores. Another link may not
    /// have it, and only operators give codes.
    coupon_code: Option<String>,
    /// What is added to the address for the shop's statistics.
    utm: Option<LinkUtmInput>,
    /// Until when it leads to the address.
    expires_at: Option<DateTime>,
    /// Where it leads from then on: another page of the same shop; a page that says that it has expired where it is left out.
    expired_url: Option<String>,
    /// With whom the partner shares what is earned by it, at most five; the partner has the rest. It cannot be changed later.
    split: Option<Vec<LinkShareInput>>,
    /// The idempotency key, of the partner's own, at most 200 characters. With one, the link is another one than those to the same address that
    /// there are; sent again, it answers with that link. Without one, and without a `key`, a partner has one link to one address.
    idempotency_key: Option<String>,
}

/// Parameters by which a shop's statistics tell campaigns apart, at most 200 characters each.
#[derive(InputObject, Clone, Default)]
pub struct LinkUtmInput {
    /// `utm_source`: where the link is shared.
    source: MaybeUndefined<String>,
    /// `utm_medium`: in which kind of place.
    medium: MaybeUndefined<String>,
    /// `utm_campaign`: for which campaign.
    campaign: MaybeUndefined<String>,
    /// `utm_term`: for which search term.
    term: MaybeUndefined<String>,
    /// `utm_content`: in which of several places.
    content: MaybeUndefined<String>,
}

/// What to change of a link: a field that is left out stays as it is.
#[derive(InputObject, Clone)]
pub struct UpdateLinkInput {
    /// The link.
    pub id: LinkId,
    /// Where it leads: another address of the same shop.
    url: MaybeUndefined<String>,
    /// Its title, at most 200 characters. Null clears it.
    title: MaybeUndefined<String>,
    /// The id that another system of the tenant's has for it. Null clears it.
    external_id: MaybeUndefined<String>,
    /// The code that customers can give instead of following it. Null clears it. Only operators give codes.
    coupon_code: MaybeUndefined<String>,
    /// What is added to the address for the shop's statistics. Null clears all of it, null for one of the fields that one.
    utm: MaybeUndefined<LinkUtmInput>,
    /// Until when it leads to the address. Null for ever.
    expires_at: MaybeUndefined<DateTime>,
    /// Where it leads from then on: another page of the same shop. Null for a page that says that it has expired.
    expired_url: MaybeUndefined<String>,
    /// The link's `updatedAt` when these changes were decided on: where somebody has changed it since, it is left as it is.
    pub expected_updated_at: Option<DateTime>,
}

impl CreateLinkInput {
    /// The link that an input asks for, checked.
    pub fn request(self, ctx: &Context<'_>) -> Result<LinkRequest, Refusal> {
        let mut faults = Faults::default();
        let partner = own_partner(ctx, self.partner_id, &mut faults);
        may_give_coupon(ctx, self.coupon_code.is_some(), &mut faults);
        let address = faults.check("input.url", product(ctx, &self.url));
        let text = |faults: &mut Faults, path, text: Option<&str>| faults.check_option(path, text, |text| line(text, MAX_NAME));
        let utm = self.utm.clone().map_or(MaybeUndefined::Undefined, MaybeUndefined::Value);
        let UtmChanges { utm_source, utm_medium, utm_campaign, utm_term, utm_content } = utm_changes(utm, &mut faults);
        let details = LinkDetails {
            title: text(&mut faults, "input.title", self.title.as_deref()),
            external_id: text(&mut faults, "input.externalId", self.external_id.as_deref()),
            coupon_code: faults.check_option("input.couponCode", self.coupon_code.as_deref(), coupon),
            utm: Utm {
                utm_source: utm_source.flatten(),
                utm_medium: utm_medium.flatten(),
                utm_campaign: utm_campaign.flatten(),
                utm_term: utm_term.flatten(),
                utm_content: utm_content.flatten(),
            },
            expires_at: self.expires_at.map(|at| at.0),
            expired_url: faults.check_option("input.expiredUrl", self.expired_url.as_deref(), |url| product(ctx, url)),
        };
        let split = self.split.as_deref().and_then(|split| link_share::checked(split, partner, &mut faults));
        let key = faults.check_option("input.key", self.key.as_deref(), chosen_key);
        let sent = faults.check_option("input.idempotencyKey", self.idempotency_key.as_deref(), |key| line(key, MAX_KEY));
        let (Some(partner), Some(address), true) = (partner, address, faults.is_empty()) else { return Err(faults.into()) };
        let idempotency_key = sent.map(|sent| {
            let utm: Vec<(&str, &str)> = details.utm.pairs().collect();
            let fields = [
                ("partnerId", json!(partner.to_string())),
                ("url", json!(address.url())),
                ("key", json!(key)),
                ("title", json!(details.title)),
                ("externalId", json!(details.external_id)),
                ("couponCode", json!(details.coupon_code)),
                ("utm", json!(Some(&utm).filter(|utm| !utm.is_empty()))),
                ("expiresAt", json!(details.expires_at.map(clock::shown))),
                ("expiredUrl", json!(details.expired_url.as_ref().map(ProductAddress::url))),
                ("split", link_share::asked(split.as_deref())),
            ];
            Key::new(sent, fields)
        });
        let quote = if ctx.rates().is_set() { Quote::Unasked } else { Quote::Unanswered };
        Ok(LinkRequest { partner, address, key, details, split, idempotency_key, quote })
    }
}

impl UpdateLinkInput {
    /// The changes that it asks for, checked.
    pub fn changes(self, ctx: &Context<'_>) -> Result<LinkChanges, Refusal> {
        let mut faults = Faults::default();
        may_give_coupon(ctx, !self.coupon_code.is_undefined(), &mut faults);
        let changes = LinkChanges {
            address: given(self.url, "input.url", &mut faults, |url| product(ctx, &url)),
            expired_url: cleared_or(self.expired_url, |url| faults.check("input.expiredUrl", product(ctx, &url))),
            details: LinkDetailChanges {
                title: cleared_or(self.title, |title| faults.check("input.title", line(&title, MAX_NAME))),
                external_id: cleared_or(self.external_id, |id| faults.check("input.externalId", line(&id, MAX_NAME))),
                coupon_code: cleared_or(self.coupon_code, |code| faults.check("input.couponCode", coupon(&code))),
                utm: utm_changes(self.utm, &mut faults),
                expires_at: cleared_or(self.expires_at, |at| Some(at.0)),
            },
        };
        if !faults.is_empty() {
            return Err(faults.into());
        }
        Ok(changes)
    }
}

/// What an input does to a link's parameters for statistics.
fn utm_changes(input: MaybeUndefined<LinkUtmInput>, faults: &mut Faults) -> UtmChanges {
    let cleared = Some(None);
    let input = match input {
        MaybeUndefined::Undefined => return UtmChanges::default(),
        MaybeUndefined::Null => {
            return UtmChanges {
                utm_source: cleared.clone(),
                utm_medium: cleared.clone(),
                utm_campaign: cleared.clone(),
                utm_term: cleared.clone(),
                utm_content: cleared,
            };
        }
        MaybeUndefined::Value(input) => input,
    };
    let mut one = |path, value| cleared_or(value, |text: String| faults.check(path, line(&text, MAX_UTM)));
    UtmChanges {
        utm_source: one("input.utm.source", input.source),
        utm_medium: one("input.utm.medium", input.medium),
        utm_campaign: one("input.utm.campaign", input.campaign),
        utm_term: one("input.utm.term", input.term),
        utm_content: one("input.utm.content", input.content),
    }
}

fn may_give_coupon(ctx: &Context<'_>, gives: bool, faults: &mut Faults) {
    if gives && ctx.viewer().role != Role::Operator {
        faults.add("input.couponCode", FaultCode::Invalid, COUPON_IS_OPERATORS);
    }
}

/// The address of a product, which is not on the server's own host: links are there.
fn product(ctx: &Context<'_>, text: &str) -> Result<ProductAddress, Wrong> {
    let invalid = |message: String| Wrong { code: FaultCode::Invalid, message };
    let address = ProductAddress::parse(text).map_err(|fault| invalid(fault.to_string()))?;
    let is_own = ctx.request().shared.public_url.split(['/', ':']).any(|part| part.eq_ignore_ascii_case(address.host()));
    if is_own {
        return Err(invalid(format!("Links are on {}; a link leads to a product.", address.host())));
    }
    Ok(address)
}

fn chosen_key(text: &str) -> Result<String, Wrong> {
    let text = text.trim();
    if is_reserved(text) {
        return Err(Wrong {
            code: FaultCode::Taken,
            message: "This key is kept for the server's own pages; choose another.".to_owned(),
        });
    }
    if is_key(text) {
        return Ok(text.to_owned());
    }
    let message =
        format!("Must be 1 to {} letters (a to z), digits, hyphens and underscores, a letter or digit first.", link::MAX_KEY);
    Err(Wrong { code: FaultCode::Invalid, message })
}

fn coupon(text: &str) -> Result<String, Wrong> {
    let text = text.trim();
    let is_code = (1..=MAX_COUPON).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let message = || format!("Must be 1 to {MAX_COUPON} letters (A to Z), digits, hyphens and underscores.");
    is_code.then(|| text.to_owned()).ok_or_else(|| Wrong { code: FaultCode::Invalid, message: message() })
}
