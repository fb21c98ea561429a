//! How many invite codes a caller may guess: a code is a name that anybody can type.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::{
    error::{Error, Result},
    ids::UserId,
};

/// How many codes that are nobody's a person may try at once, and in an hour.
const GUESSES: NonZeroU32 = NonZeroU32::new(10).expect("above 0");
/// How many people who have guessed too often are kept.
const REFUSED: usize = 20_000;

/// The limits.
pub struct Invitations {
    guesses: DefaultKeyedRateLimiter<UserId>,
    /// Until when nothing is looked up for whom.
    refused: Cache<UserId, Instant>,
}

impl Default for Invitations {
    fn default() -> Self {
        Self { guesses: RateLimiter::keyed(Quota::per_hour(GUESSES)), refused: Cache::new(REFUSED) }
    }
}

impl Invitations {
    /// Refuses a person who has guessed too often.
    pub fn check(&self, user: UserId) -> Result<()> {
        let wait = self.refused.get(&user).map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        if wait.is_zero() { Ok(()) } else { Err(Error::RateLimited { whose: "This user", wait }) }
    }

    /// There was no such code.
    pub fn guessed(&self, user: UserId) {
        if let Err(not_until) = self.guesses.check_key(&user) {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            self.refused.insert(user, Instant::now() + wait);
        }
    }

    /// Forgets those who have guessed nothing lately.
    pub fn forget_idle(&self) {
        self.guesses.retain_recent();
    }
}
