//! Clicks: what a redirect needs of a link, and how clicks get into the database.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::{
    OptionalExtension,
    result::QueryResult,
    sql_types::{BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use url::Url;
use uuid::Uuid;

use super::link::Utm;
use crate::{
    db::statement::{Bind, statement},
    ids::{ClickId, LinkId, PartnerId, TenantId, UserId},
};

/// The channel on which changed links are notified, by host and key; a star for all of them.
pub const CHANGED: &str = "portal_links";

crate::pg_enum! {
    /// What kind of device a link was followed on.
    pub enum Device {
        /// A computer.
        Desktop = "desktop",
        /// A phone.
        Phone = "phone",
        /// A tablet.
        Tablet = "tablet",
        /// Another: a television, a console.
        Other = "other",
    }
}

/// A link as a redirect needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkTarget {
    /// Its tenant.
    pub tenant: TenantId,
    /// Its id; of an invitation that of the user who invites.
    pub link: LinkId,
    /// Its partner; of an invitation its tenant, by whose id all of them are notified.
    pub partner: PartnerId,
    /// Of an invitation the code, which goes along; `None` of a link.
    pub invite_code: Option<String>,
    /// Where it leads.
    pub destination: Destination,
    /// Until when it leads there.
    pub expires_at: Option<DateTime<Utc>>,
    /// Where it leads from then on.
    pub expired_url: Option<String>,
    /// Whether it leads nowhere.
    pub is_archived: bool,
    /// Whether its clicks count: its partner is not closed, and takes part in the programme.
    pub is_counted: bool,
}

/// An address that visitors' parameters are added to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The address up to its query.
    base: String,
    /// The parameters of its own.
    query: String,
    /// The fragment, with its sign.
    fragment: String,
}

/// A click that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Click {
    /// Its id, which begins with the instant.
    pub id: ClickId,
    /// The link's tenant.
    pub tenant: TenantId,
    /// The link; of an invitation the user who invites.
    pub link: LinkId,
    /// The keyed hash of who followed it.
    pub visitor: Uuid,
    /// Whether a program followed it.
    pub is_bot: bool,
    /// Whether a browser fetched it ahead.
    pub is_prefetch: bool,
    /// The kind of device.
    pub device: Option<Device>,
    /// The browser's name.
    pub browser: Option<String>,
    /// The visitor's country (ISO 3166-1 alpha-2).
    pub country: Option<String>,
    /// The host of the page that the link was on.
    pub referrer: Option<String>,
}

impl Destination {
    /// Where a link to that address leads: with its parameters for statistics, but those that the address has itself.
    pub fn new(url: &str, utm: &Utm) -> Self {
        let Ok(mut parsed) = Url::parse(url) else {
            return Self { base: url.to_owned(), query: String::new(), fragment: String::new() };
        };
        let has = |name: &str| parsed.query_pairs().any(|(known, _)| known == name);
        let more: Vec<(&str, &str)> = utm.pairs().filter(|(name, _)| !has(name)).collect();
        if !more.is_empty() {
            parsed.query_pairs_mut().extend_pairs(more);
        }
        let fragment = parsed.fragment().map(|fragment| format!("#{fragment}")).unwrap_or_default();
        let query = parsed.query().unwrap_or_default().to_owned();
        parsed.set_fragment(None);
        parsed.set_query(None);
        Self { base: parsed.into(), query, fragment }
    }

    /// The address with a visitor's parameters, and with the click's id in the one of that name where there is a click. None of a visitor's can
    /// stand for it.
    pub fn address(&self, visitors: &str, parameter: &str, click: Option<&str>) -> String {
        let mut address = String::with_capacity(self.base.len() + self.query.len() + visitors.len() + self.fragment.len() + 64);
        address.push_str(&self.base);
        let mut sign = '?';
        let kept = self.query.split('&').chain(visitors.split('&')).filter(|pair| !pair.is_empty());
        for pair in kept.filter(|pair| !is_named(pair, parameter)) {
            address.push(sign);
            address.push_str(pair);
            sign = '&';
        }
        if let Some(click) = click {
            address.push(sign);
            address.push_str(parameter);
            address.push('=');
            address.push_str(click);
        }
        address.push_str(&self.fragment);
        address
    }
}

/// Whether a parameter as it stands in an address has a name, of plain letters, for whichever shop: some read names without regard to case,
/// or take a semicolon for an ampersand.
fn is_named(pair: &str, name: &str) -> bool {
    pair.split(';').any(|part| {
        let written = part.split('=').next().unwrap_or_default();
        if written.contains(['%', '+']) {
            let known = url::form_urlencoded::parse(written.as_bytes()).next();
            return known.is_some_and(|(known, _)| known.trim().eq_ignore_ascii_case(name));
        }
        written.eq_ignore_ascii_case(name)
    })
}

/// The link that a key on a host leads to; the server's own host is the empty one.
pub async fn find_link(mut connection: &AsyncPgConnection, host: &str, key: &str) -> QueryResult<Option<LinkTarget>> {
    type Row = (
        SqlUuid,
        SqlUuid,
        SqlUuid,
        Text,
        Nullable<Text>,
        Nullable<Text>,
        Nullable<Text>,
        Nullable<Text>,
        Nullable<Text>,
        Nullable<Timestamptz>,
        Nullable<Text>,
        Bool,
        Bool,
    );
    type Columns = (
        TenantId,
        LinkId,
        PartnerId,
        String,
        Option<String>,
        Option<String>,
        Option<String>,
        Option<String>,
        Option<String>,
        Option<DateTime<Utc>>,
        Option<String>,
        bool,
        bool,
    );
    let sql = "SELECT tenant_id, id, partner_id, url, utm_source, utm_medium, utm_campaign, utm_term, utm_content, expires_at, expired_url, is_archived,
        is_counted FROM find_link(?, ?)";
    let binds = vec![Bind::text(host), Bind::text(key)];
    let found: Option<Columns> = statement::<Row>(sql, binds).get_result(&mut connection).await.optional()?;
    let Some((
        tenant,
        link,
        partner,
        url,
        source,
        medium,
        campaign,
        term,
        content,
        expires_at,
        expired_url,
        is_archived,
        is_counted,
    )) = found
    else {
        return Ok(None);
    };
    let utm = Utm { utm_source: source, utm_medium: medium, utm_campaign: campaign, utm_term: term, utm_content: content };
    let destination = Destination::new(&url, &utm);
    let invite_code = None;
    Ok(Some(LinkTarget { tenant, link, partner, invite_code, destination, expires_at, expired_url, is_archived, is_counted }))
}

/// The sign-up page that an invite code leads to.
pub async fn find_invitation(mut connection: &AsyncPgConnection, code: &str) -> QueryResult<Option<LinkTarget>> {
    let sql = "SELECT tenant_id, user_id, shown, url FROM find_invitation(?)";
    let found: Option<(TenantId, UserId, String, String)> =
        statement::<(SqlUuid, SqlUuid, Text, Text)>(sql, vec![Bind::text(code)]).get_result(&mut connection).await.optional()?;
    Ok(found.map(|(tenant, user, code, url)| LinkTarget {
        tenant,
        link: user.uuid().into(),
        partner: tenant.uuid().into(),
        invite_code: Some(code),
        destination: Destination::new(&url, &Utm::default()),
        expires_at: None,
        expired_url: None,
        is_archived: false,
        is_counted: true,
    }))
}

/// The hosts of all tenants that lead to links.
pub async fn all_hosts(mut connection: &AsyncPgConnection) -> QueryResult<Vec<String>> {
    statement::<Text>("SELECT * FROM all_link_hosts()", vec![]).load(&mut connection).await
}

/// The key by which the visitors of a day are hashed.
pub async fn visitor_key(mut connection: &AsyncPgConnection, day: NaiveDate) -> QueryResult<Option<Vec<u8>>> {
    statement::<Nullable<Binary>>("SELECT visitor_key(?)", vec![Bind::Date(day)]).get_result(&mut connection).await
}

/// Writes clicks, each once; gives how many were not there before. No two of them may be the same.
pub async fn write(mut connection: &AsyncPgConnection, clicks: &[Click]) -> QueryResult<i64> {
    let texts = |of: fn(&Click) -> Option<&str>| {
        Bind::Texts(clicks.iter().map(|click| of(click).unwrap_or_default().to_owned()).collect())
    };
    let uuids = |of: fn(&Click) -> Uuid| Bind::Uuids(clicks.iter().map(of).collect());
    let binds = vec![
        uuids(|click| click.tenant.uuid()),
        uuids(|click| click.id.uuid()),
        uuids(|click| click.link.uuid()),
        Bind::Times(clicks.iter().map(Click::at).collect()),
        uuids(|click| click.visitor),
        Bind::Bools(clicks.iter().map(|click| click.is_bot).collect()),
        Bind::Bools(clicks.iter().map(|click| click.is_prefetch).collect()),
        texts(|click| click.device.map(Device::as_str)),
        texts(|click| click.browser.as_deref()),
        texts(|click| click.country.as_deref()),
        texts(|click| click.referrer.as_deref()),
    ];
    let sql = "SELECT record_visits(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    statement::<BigInt>(sql, binds).get_result(&mut connection).await
}

/// Publishes an event for each partner whose links have new clicks, at most once a second for each; gives how many partners are still to be
/// announced.
pub async fn announce(mut connection: &AsyncPgConnection) -> QueryResult<i64> {
    statement::<BigInt>("SELECT announce_clicks()", vec![]).get_result(&mut connection).await
}

/// Makes ready for the clicks of the months of these days.
pub async fn prepare(mut connection: &AsyncPgConnection, days: &[NaiveDate]) -> QueryResult<()> {
    let days = Bind::Texts(days.iter().map(ToString::to_string).collect());
    statement::<Text>("SELECT prepare_click_months(?::text[]::date[])::text", vec![days]).execute(&mut connection).await.map(drop)
}

/// Forgets the clicks of months that ended before a day, and the visitors of days gone by. Gives how many months were forgotten; none while
/// somebody reads clicks, who is not waited for.
pub async fn forget(mut connection: &AsyncPgConnection, before: NaiveDate) -> QueryResult<i32> {
    statement::<Integer>("SELECT forget_visits(?)", vec![Bind::Date(before)]).get_result(&mut connection).await
}

impl Click {
    /// When it happened, to the millisecond: its id begins with it (RFC 9562, section 5.7).
    pub fn at(&self) -> DateTime<Utc> {
        let milliseconds = (self.id.uuid().as_u128() >> 80) as i64;
        DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A visitor's parameters come after the address's own, the click's id last; nothing of a visitor's can stand for it.
    #[test]
    fn addresses() {
        let utm = Utm { utm_source: Some("my mail".to_owned()), utm_medium: Some("x".to_owned()), ..Utm::default() };
        let id = Some("click_1");
        let plain = Destination::new("https://shop.example/p", &Utm::default());
        assert_eq!(plain.address("click_id=0", "click_id", None), "https://shop.example/p");
        assert_eq!(plain.address("Click_ID=0&+click_id=0&a=1;click_id=0&b=2", "click_id", None), "https://shop.example/p?b=2");
        assert_eq!(plain.address("a=1&b", "click_id", id), "https://shop.example/p?a=1&b&click_id=click_1");
        let full = Destination::new("https://shop.example/p?utm_medium=own&click_id=own#top", &utm);
        assert_eq!(
            full.address("click_id=0&click%5Fid=0&x=%00", "click_id", id),
            "https://shop.example/p?utm_medium=own&utm_source=my+mail&x=%00&click_id=click_1#top"
        );
    }
}
