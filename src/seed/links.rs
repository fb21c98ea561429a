//! A year of a tenant's links: some for each partner, and who followed them. Links are made, and clicks written, by the code that the API and the
//! redirects use.

use chrono::{DateTime, TimeDelta, Utc};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use fastrand::Rng;
use rust_decimal::Decimal;
use uuid::{Builder, Uuid};

use super::Progress;
use crate::{
    db::QueryError,
    error::{Error, Result},
    ids::{LinkId, PartnerId, TenantId},
    models::{
        ledger::books::Books,
        programmes::{
            address::ProductAddress,
            click::{self, Click, Device},
            link_request::{LinkDetails, LinkRequest},
            link_share::LinkShare,
            quote::Quote,
        },
        scope::Scope,
    },
};

/// How far back clicks lie, in seconds.
const YEAR: i64 = 360 * 86_400;
/// Clicks in one statement.
const CHUNK: usize = 2_000;
/// Products of made-up shops: what each is called, and where it is. These domains are nobody's (RFC 2606).
const PRODUCTS: [(&str, &str); 6] = [
    ("Starter plan", "https://www.example.com/plans/starter"),
    ("Team plan", "https://www.example.com/plans/team"),
    ("Handbook", "https://shop.example.net/books/handbook"),
    ("Workshop", "https://shop.example.net/workshops/first-steps"),
    ("Newsletter", "https://example.org/newsletter"),
    ("Conference", "https://events.example.org/conference?year=2026"),
];
/// Where links are shared.
const REFERRERS: [&str; 5] = ["blog.example", "news.example", "search.example", "social.example", "video.example"];
/// Where visitors are.
const COUNTRIES: [&str; 6] = ["DE", "FR", "GB", "JP", "NL", "US"];
/// What they use.
const BROWSERS: [(&str, Device); 5] = [
    ("Chrome", Device::Desktop),
    ("Chrome", Device::Phone),
    ("Firefox", Device::Desktop),
    ("Safari", Device::Phone),
    ("Safari", Device::Tablet),
];

/// Whose links, until when, and what is drawn by lot.
pub struct LinkYear<'p> {
    pub tenant: TenantId,
    /// The partners.
    pub partners: &'p [PartnerId],
    pub clicks: u32,
    pub seed: u64,
    pub now: DateTime<Utc>,
}

impl LinkYear<'_> {
    /// Makes the links and their clicks; gives how many links are new, and the clicks on them. A second run finds the links, and leaves them as they are.
    pub async fn book(&self, connection: &mut AsyncPgConnection, progress: impl Fn(Progress)) -> Result<(usize, Vec<Click>)> {
        if self.partners.is_empty() || self.clicks == 0 {
            return Ok((0, Vec::new()));
        }
        let mut random = Rng::with_seed(self.seed ^ 0x006c_696e_6b73);
        let mut links = Vec::new();
        for (index, &partner) in self.partners.iter().enumerate() {
            let first = random.usize(..PRODUCTS.len());
            for number in 0..random.usize(1..=4) {
                let product = PRODUCTS[(first + number) % PRODUCTS.len()];
                // A few links have most of the clicks.
                let weight = random.u64(20..=100).pow(3);
                // Every fourth partner shares what its first link earns with the one before it.
                let sharer = (number == 0 && index % 4 == 1).then(|| self.partners[index - 1]);
                if let Some(id) = self.link(connection, partner, sharer, product).await? {
                    links.push((id, weight));
                }
            }
        }
        let whole: u64 = links.iter().map(|(_, weight)| weight).sum();
        let share = |weight| u64::from(self.clicks) * weight / whole.max(1);
        let mut clicks = Vec::new();
        for &(id, weight) in &links {
            clicks.extend((0..share(weight)).map(|_| self.click_on(&mut random, id)));
        }
        progress(Progress::Planned(clicks.len()));
        clicks.sort_by_key(|click| click.id);
        // Older ones than are kept would be taken for clicks that were forgotten.
        let days: Vec<_> = clicks.iter().map(|click| click.at().date_naive()).collect();
        click::prepare(connection, &days).await?;
        for chunk in clicks.chunks(CHUNK) {
            click::write(connection, chunk).await?;
            progress(Progress::Done(chunk.len()));
        }
        Ok((links.len(), clicks))
    }

    /// Makes a link, if it is not there yet.
    async fn link(
        &self,
        connection: &mut AsyncPgConnection,
        partner: PartnerId,
        sharer: Option<PartnerId>,
        (title, url): (&str, &str),
    ) -> Result<Option<LinkId>> {
        let address = ProductAddress::parse(url).map_err(Error::internal)?;
        let details = LinkDetails { title: Some(title.to_owned()), ..LinkDetails::default() };
        let split = sharer.map(|partner_id| vec![LinkShare { partner_id, share: Decimal::new(25, 2) }]);
        let request =
            LinkRequest { partner, address, key: None, details, split, idempotency_key: None, quote: Quote::Unanswered };
        let made = connection.transaction(async |connection| {
            let books = Books { connection, tenant: self.tenant, by: None, at: self.now, writing: None, clock: None };
            Result::<_, QueryError>::Ok(books.create_link(Scope::tenant(self.tenant), &request).await?.ok())
        });
        Ok(made.await?.and_then(|(id, is_new)| is_new.then_some(id)))
    }

    fn click_on(&self, random: &mut Rng, link: LinkId) -> Click {
        // More of them lately than long ago.
        let part = random.i64(0..1_000);
        let ago = TimeDelta::seconds(YEAR * part * part / 1_000_000 + random.i64(0..3_600));
        let milliseconds = u64::try_from((self.now - ago).timestamp_millis()).unwrap_or_default();
        let rest: [u8; 10] = std::array::from_fn(|_| random.u8(..));
        let (browser, device) = BROWSERS[random.usize(..BROWSERS.len())];
        let is_bot = random.u8(..12) == 0;
        let of = |random: &mut Rng, list: &[&str]| random.choice(list).map(|text| (*text).to_owned());
        Click {
            id: Builder::from_unix_timestamp_millis(milliseconds, &rest).into_uuid().into(),
            tenant: self.tenant,
            link,
            visitor: Uuid::from_u128(u128::from(random.u32(..20_000)) << 64 | u128::from(milliseconds / 86_400_000)),
            is_bot,
            is_prefetch: !is_bot && random.u8(..40) == 0,
            device: (!is_bot).then_some(device),
            browser: (!is_bot).then(|| browser.to_owned()),
            country: of(random, &COUNTRIES),
            referrer: if random.bool() { of(random, &REFERRERS) } else { None },
        }
    }
}
