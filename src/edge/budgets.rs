//! Who may spend how much, over time: a budget of cost for each user and for each tenant (the generic cell rate algorithm).

use std::{hash::Hash, num::NonZeroU32, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};

use crate::{
    auth::claims::Claims,
    config::limits::Limits,
    error::{Error, Result},
    ids::TenantId,
};

/// The issuer and the subject: known before the database is asked for anything.
type User = (String, String);

/// The budgets.
pub struct Budgets {
    clock: DefaultClock,
    users: DefaultKeyedRateLimiter<User>,
    tenants: DefaultKeyedRateLimiter<TenantId>,
}

impl Budgets {
    /// Full budgets for everyone.
    pub fn new(limits: &Limits) -> Self {
        Self {
            clock: DefaultClock::default(),
            users: RateLimiter::keyed(quota(limits.user_rate, limits.user_burst)),
            tenants: RateLimiter::keyed(quota(limits.tenant_rate, limits.tenant_burst)),
        }
    }

    /// Takes the cost from the user's budget, or from none.
    pub fn charge_user(&self, claims: &Claims, cost: u64) -> Result<()> {
        self.charge(&self.users, &(claims.issuer.clone(), claims.subject.clone()), cost, "This user")
    }

    /// Takes the cost from the tenant's budget, or from none.
    pub fn charge_tenant(&self, tenant: TenantId, cost: u64) -> Result<()> {
        self.charge(&self.tenants, &tenant, cost, "This company")
    }

    /// Forgets those whose budget is full again.
    pub fn forget_idle(&self) {
        self.users.retain_recent();
        self.tenants.retain_recent();
    }

    fn charge<K: Hash + Eq + Clone>(
        &self,
        budgets: &DefaultKeyedRateLimiter<K>,
        key: &K,
        cost: u64,
        whose: &'static str,
    ) -> Result<()> {
        let Some(cost) = NonZeroU32::new(u32::try_from(cost).unwrap_or(u32::MAX)) else { return Ok(()) };
        match budgets.check_key_n(key, cost) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err(Error::RateLimited { whose, wait: not_until.wait_time_from(self.clock.now()) }),
            // The settings see to it that a burst is never smaller than what one operation may cost.
            Err(_) => Err(Error::RateLimited { whose, wait: Duration::from_hours(1) }),
        }
    }
}

fn quota(rate: usize, burst: usize) -> Quota {
    let number = |count: usize| u32::try_from(count).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
    Quota::per_second(number(rate)).allow_burst(number(burst))
}
