//! What one visitor's address may do: guess keys, and make clicks.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::Instant,
};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use quick_cache::sync::Cache;

/// How many links that are not there one address may ask for in a minute, and at once.
const GUESSES: NonZeroU32 = NonZeroU32::new(60).expect("above 0");
/// How many clicks of one address are kept in a second: as many as come of a large company or a mobile network behind one address.
const CLICKS: NonZeroU32 = NonZeroU32::new(20).expect("above 0");
/// How many of them at once.
const BURST: NonZeroU32 = NonZeroU32::new(1_000).expect("above 0");
/// How many addresses that have guessed too often are kept.
const REFUSED: usize = 20_000;

/// A visitor's address, as limits know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin(IpAddr);

/// The limits.
pub struct Limits {
    guesses: DefaultKeyedRateLimiter<Origin>,
    /// Until when nothing is looked up for whom.
    refused: Cache<Origin, Instant>,
    clicks: DefaultKeyedRateLimiter<Origin>,
}

/// Whom an address stands for: of IPv6 the network that one customer has (RFC 6177).
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (!0 << 64))),
        },
        address @ IpAddr::V4(_) => address,
    }
}

impl Origin {
    /// Whom an address stands for. `None` for an address that is not one visitor's: that of a machine or proxy in the own network, behind
    /// which all of them may be.
    pub fn of(address: IpAddr) -> Option<Self> {
        let address = network(address);
        let is_own = match address {
            IpAddr::V4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
            // A loopback address loses its last bit with its network.
            IpAddr::V6(address) => address.is_unspecified() || address.is_unique_local() || address.is_unicast_link_local(),
        };
        (!is_own).then_some(Self(address))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            guesses: RateLimiter::keyed(Quota::per_minute(GUESSES)),
            refused: Cache::new(REFUSED),
            clicks: RateLimiter::keyed(Quota::per_second(CLICKS).allow_burst(BURST)),
        }
    }
}

impl Limits {
    /// Whether a key may be looked up that may be a guess.
    pub fn may_guess(&self, origin: Origin) -> bool {
        self.refused.get(&origin).is_none_or(|until| until <= Instant::now())
    }

    /// There was no link of a key.
    pub fn guessed(&self, origin: Origin) {
        if let Err(not_until) = self.guesses.check_key(&origin) {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            self.refused.insert(origin, Instant::now() + wait);
        }
    }

    /// Whether one more click is kept.
    pub fn may_click(&self, origin: Origin) -> bool {
        self.clicks.check_key(&origin).is_ok()
    }

    /// Forgets those who have done nothing lately.
    pub fn forget_idle(&self) {
        self.guesses.retain_recent();
        self.clicks.retain_recent();
    }
}
