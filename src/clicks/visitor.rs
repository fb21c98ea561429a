//! Visitors: a keyed hash instead of an address, and what their browser says of itself.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::{
    hmac::{self, HMAC_SHA256},
    rand,
};
use chrono::NaiveDate;
use quick_cache::sync::Cache;
use url::Url;
use uuid::Uuid;
use woothee::parser::Parser;

use crate::{
    db::{Connection, QueryResult},
    models::programmes::click::{self, Device},
};

/// How many browsers are remembered by how they name themselves.
const BROWSERS: usize = 4_096;
/// How much of that name is looked at, in bytes.
const MAX_NAME: usize = 500;
/// The longest host of a referring page.
const MAX_HOST: usize = 253;
/// What programs call themselves, in lower case, and no browser does.
const PROGRAMS: [&str; 26] = [
    "axios",
    "bingpreview",
    "bot",
    "crawl",
    "curl",
    "embedly",
    "facebookexternalhit",
    "fetch",
    "google-inspectiontool",
    "headless",
    "http",
    "java/",
    "meta-external",
    "monitor",
    "libwww",
    "node",
    "perl",
    "php",
    "postman",
    "preview",
    "python",
    "ruby",
    "scrap",
    "spider",
    "wget",
    "whatsapp",
];

/// What is known of visitors.
pub struct Visitors {
    /// The key of each day, and whether all servers have it.
    keys: RwLock<HashMap<NaiveDate, (hmac::Key, bool)>>,
    clients: Cache<String, Arc<Client>>,
}

/// What a browser says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Whether it is a program that nobody looks at.
    pub is_bot: bool,
    /// The kind of device.
    pub device: Option<Device>,
    /// The browser's name.
    pub browser: Option<String>,
}

impl Default for Visitors {
    fn default() -> Self {
        Self { keys: RwLock::default(), clients: Cache::new(BROWSERS) }
    }
}

impl Visitors {
    /// Gets a day's key from the database, if it is not known yet, and forgets those of days gone by.
    pub async fn learn_key(&self, connection: &Connection, day: NaiveDate) -> QueryResult<()> {
        if self.keys.read().unwrap_or_else(PoisonError::into_inner).get(&day).is_some_and(|(_, is_shared)| *is_shared) {
            return Ok(());
        }
        let key = click::visitor_key(connection, day).await?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = key {
            keys.insert(day, (hmac::Key::new(HMAC_SHA256, &key), true));
        }
        keys.retain(|known, _| *known >= day.pred_opt().unwrap_or(day));
        Ok(())
    }

    /// The same for the same address and browser on the same day, and nothing that leads back to them.
    pub fn hash(&self, day: NaiveDate, address: Option<IpAddr>, user_agent: &str) -> Uuid {
        let known = self.keys.read().unwrap_or_else(PoisonError::into_inner).get(&day).cloned();
        let key = known.map_or_else(|| self.own_key(day), |(key, _)| key);
        let mut context = hmac::Context::with_key(&key);
        match address {
            Some(IpAddr::V4(address)) => context.update(&address.octets()),
            Some(IpAddr::V6(address)) => context.update(&address.octets()),
            None => {}
        }
        context.update(b"\0");
        context.update(user_agent.as_bytes());
        let tag = context.sign();
        let first: [u8; 16] = std::array::from_fn(|index| tag.as_ref().get(index).copied().unwrap_or_default());
        Uuid::from_bytes(first)
    }

    /// A key of this server's own, for a day whose key the database has not been able to give. Another server's visitors have others.
    fn own_key(&self, day: NaiveDate) -> hmac::Key {
        let mut bytes = [0; 32];
        if rand::fill(&mut bytes).is_err() {
            tracing::error!("the system has no randomness");
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.entry(day).or_insert_with(|| (hmac::Key::new(HMAC_SHA256, &bytes), false)).0.clone()
    }

    /// What a browser says of itself.
    pub fn client(&self, user_agent: &str) -> Arc<Client> {
        let name = user_agent.get(..MAX_NAME).unwrap_or(user_agent);
        if let Some(known) = self.clients.get(name) {
            return known;
        }
        let client = Arc::new(Client::of(name));
        self.clients.insert(name.to_owned(), Arc::clone(&client));
        client
    }
}

impl Client {
    fn of(user_agent: &str) -> Self {
        // The name of a maker of phones is no bot's.
        let user_agent = &user_agent.replace("CUBOT", "").replace("Cubot", "");
        let lower = user_agent.to_ascii_lowercase();
        let parsed = Parser::new().parse(user_agent);
        let category = parsed.as_ref().map_or("", |parsed| parsed.category);
        let is_bot = user_agent.trim().is_empty() || category == "crawler" || PROGRAMS.iter().any(|word| lower.contains(word));
        let is_tablet =
            lower.contains("ipad") || lower.contains("tablet") || lower.contains("android") && !lower.contains("mobile");
        let device = match category {
            _ if is_bot => None,
            _ if is_tablet => Some(Device::Tablet),
            "pc" => Some(Device::Desktop),
            "smartphone" | "mobilephone" => Some(Device::Phone),
            "appliance" => Some(Device::Other),
            _ => None,
        };
        let browser = parsed.map(|parsed| parsed.name.to_owned()).filter(|name| !is_bot && name != "UNKNOWN");
        Self { is_bot, device, browser }
    }
}

/// A country's code, as a proxy says it; `None` for what is none, such as `XX` for an unknown one.
pub fn country(text: &str) -> Option<String> {
    let code = text.trim().to_ascii_uppercase();
    (code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()) && code != "XX").then_some(code)
}

/// The host of a referring page.
pub fn referring_host(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https" | "android-app"))?;
    url.host_str().filter(|host| host.len() <= MAX_HOST && host.is_ascii()).map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// What browsers and programs are taken for.
    #[test]
    fn clients() {
        let of = |name: &str| {
            let Client { is_bot, device, browser } = Client::of(name);
            (is_bot, device, browser.unwrap_or_default())
        };
        for (name, device, browser) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                Device::Desktop,
                "Chrome",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
                Device::Phone,
                "Safari",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1",
                Device::Tablet,
                "Safari",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                Device::Tablet,
                "Chrome",
            ),
            (
                "Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
                Device::Phone,
                "Chrome",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0", Device::Desktop, "Firefox"),
        ] {
            assert_eq!(of(name), (false, Some(device), browser.to_owned()), "{name}");
        }
        for name in [
            "",
            "curl/8.5.0",
            "Go-http-client/1.1",
            "okhttp/4.12.0",
            "libwww-perl/6.68",
            "Ruby",
            "PHP/8.3",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "facebookexternalhit/1.1",
            "Slackbot-LinkExpanding 1.0",
            "WhatsApp/2.23",
            "python-requests/2.32",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36",
        ] {
            assert_eq!(of(name), (true, None, String::new()), "{name}");
        }
    }

    /// A visitor is the same within a day, another on the next, and another with another browser or address.
    #[test]
    fn hashes() {
        let visitors = Visitors::default();
        let day = NaiveDate::from_ymd_opt(2026, 11, 26).expect("a day");
        let next = day.succ_opt().expect("a day");
        let address = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        let first = visitors.hash(day, address, "a");
        assert_eq!(visitors.hash(day, address, "a"), first);
        for other in [visitors.hash(next, address, "a"), visitors.hash(day, None, "a"), visitors.hash(day, address, "b")] {
            assert_ne!(other, first);
        }
    }

    /// What a proxy and a browser say is taken where it can be right.
    #[test]
    fn countries_and_hosts() {
        assert_eq!((country("de").as_deref(), country("XX"), country("Germany"), country("T1")), (Some("DE"), None, None, None));
        assert_eq!(referring_host("https://Blog.Example/post?secret=1").as_deref(), Some("blog.example"));
        assert_eq!((referring_host("about:blank"), referring_host("x")), (None, None));
    }
}
