//! Commission rates that a service outside knows: which share shops pay. [`CommissionRates`] asks it through the port [`RateService`], keeps
//! its answers, and leaves it alone while it fails. Nothing ever fails because of it: where there is no answer, the tenant's own rules hold.

mod answer;
pub mod service;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use quick_cache::sync::Cache;
use tokio::time::{Instant, timeout_at};

pub use self::answer::{Unusable, read_answer};
use self::service::{AskError, Question, RateService, TRY_LIMIT};
use crate::{
    clock::Clock,
    ids::TenantId,
    models::programmes::quote::{Quote, QuotedRate},
};

/// The longest that anyone waits for an answer, all tries included.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// With less time than this left, the service is not asked.
const SHORTEST: Duration = Duration::from_millis(250);
/// The pause before the one further try.
const PAUSE: Duration = Duration::from_millis(50);
/// How many failures in a row open the circuit breaker.
const MOST_FAILURES: u32 = 3;
/// For how long it stays open.
const LEFT_ALONE: TimeDelta = TimeDelta::seconds(30);
/// For how long a rate is taken as it is.
const RATE_FRESH: TimeDelta = TimeDelta::hours(24);
/// For how long it is believed that there is no rate.
const NONE_FRESH: TimeDelta = TimeDelta::hours(1);
/// For how long a rate serves while the service fails.
const RATE_KEPT: TimeDelta = TimeDelta::days(7);
/// How many shops' answers are kept.
const MOST_SHOPS: usize = 10_000;

/// The commission-rate service as the rest of the program sees it. Clones are the same.
#[derive(Clone, Default)]
pub struct CommissionRates(Option<Arc<Asking>>);

struct Asking {
    service: Box<dyn RateService>,
    clock: Clock,
    shops: Cache<(TenantId, String), Arc<Shop>>,
    breaker: Mutex<Breaker>,
}

/// What is known of one shop.
#[derive(Default)]
struct Shop {
    known: Mutex<Option<Known>>,
    // Held while asking: who needs the same answer waits for it.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Known {
    rate: Option<QuotedRate>,
    at: DateTime<Utc>,
}

/// The circuit breaker: while it is open, the service is not asked.
#[derive(Default)]
struct Breaker {
    failures: u32,
    until: Option<DateTime<Utc>>,
}

impl CommissionRates {
    /// Those of a service.
    pub fn of(service: impl RateService + 'static, clock: Clock) -> Self {
        let (shops, breaker) = (Cache::new(MOST_SHOPS), Mutex::default());
        Self(Some(Arc::new(Asking { service: Box::new(service), clock, shops, breaker })))
    }

    /// Whether there is a service to be asked.
    pub fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Whether the circuit breaker is open, because the service fails.
    pub fn is_failing(&self) -> bool {
        self.0.as_ref().is_some_and(|asking| asking.breaker().is_open(asking.clock.now()))
    }

    /// What the service says of a shop: of its registrable domain, and the product's address where there is one. Never takes longer than
    /// [`PATIENCE`], nor past `deadline`.
    pub async fn quote(&self, tenant: TenantId, domain: &str, url: Option<&str>, deadline: Instant) -> Quote {
        let Some(asking) = &self.0 else { return Quote::Unanswered };
        let shop = asking.shops.get_or_insert_with(&(tenant, domain.to_owned()), || Ok::<_, ()>(Arc::default()));
        let shop = shop.unwrap_or_default();
        let question = Question { tenant, domain, url };
        let deadline = deadline.min(Instant::now() + PATIENCE);
        if deadline < Instant::now() + SHORTEST {
            return shop.fresh(asking.clock.now()).unwrap_or_else(|| shop.despite_failure(asking.clock.now()));
        }
        let asked = timeout_at(deadline, asking.answer(&shop, &question, deadline)).await;
        asked.unwrap_or_else(|_| shop.despite_failure(asking.clock.now()))
    }
}

impl Asking {
    async fn answer(&self, shop: &Shop, question: &Question<'_>, deadline: Instant) -> Quote {
        if let Some(quote) = shop.fresh(self.clock.now()) {
            return quote;
        }
        let _turn = shop.asking.lock().await;
        let now = self.clock.now();
        if let Some(quote) = shop.fresh(now) {
            return quote;
        }
        if self.breaker().is_open(now) {
            return shop.despite_failure(now);
        }
        // A time-out counts as a failure only where the service had the time of a whole try.
        let is_fair = deadline >= Instant::now() + TRY_LIMIT;
        let asked = timeout_at(deadline, self.ask(question)).await.unwrap_or(Err(AskError::TimedOut));
        let outcome = asked.map(|text| text.map_or(Ok(None), |text| read_answer(&text, question.domain, now).map(Some)));
        if is_fair || !matches!(outcome, Err(AskError::TimedOut)) {
            self.breaker().note(outcome.as_ref().err(), now);
        }
        match outcome {
            Ok(Ok(rate)) => {
                shop.learn(Known { rate, at: now });
                shop.fresh(now).unwrap_or(Quote::NoRate)
            }
            // The service works, and what it says of this shop is of no use.
            Ok(Err(unusable)) => {
                tracing::warn!(domain = question.domain, %unusable, "the commission-rate service's answer cannot be used");
                shop.despite_failure(now)
            }
            Err(error) => {
                tracing::warn!(domain = question.domain, %error, "the commission-rate service did not answer");
                shop.despite_failure(now)
            }
        }
    }

    /// Asks, and once more where that may help.
    async fn ask(&self, question: &Question<'_>) -> Result<Option<String>, AskError> {
        match self.service.ask(question).await {
            Err(error) if error.may_pass() => {
                tokio::time::sleep(PAUSE).await;
                self.service.ask(question).await
            }
            answered => answered,
        }
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shop {
    fn known(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, known: Known) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    /// What is known, if it need not be asked for again.
    fn fresh(&self, now: DateTime<Utc>) -> Option<Quote> {
        let Known { rate, at } = self.known()?;
        match rate {
            Some(rate) if now - at < RATE_FRESH && rate.until.is_none_or(|until| until > now) => Some(Quote::Rate(rate)),
            None if now - at < NONE_FRESH => Some(Quote::NoRate),
            Some(_) | None => None,
        }
    }

    /// What serves while there is no answer: a rate that is not too old.
    fn despite_failure(&self, now: DateTime<Utc>) -> Quote {
        let rate = self.known().filter(|known| now - known.at < RATE_KEPT).and_then(|known| known.rate);
        rate.filter(|rate| rate.until.is_none_or(|until| until > now)).map_or(Quote::Unanswered, Quote::Rate)
    }
}

impl Breaker {
    fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.until.is_some_and(|until| until > now)
    }

    fn note(&mut self, failure: Option<&AskError>, now: DateTime<Utc>) {
        let Some(failure) = failure else {
            self.failures = 0;
            return;
        };
        self.failures = self.failures.saturating_add(1);
        let pause = match failure {
            AskError::TooManyRequests(pause) => pause.unwrap_or(LEFT_ALONE).clamp(LEFT_ALONE, NONE_FRESH),
            // Once the circuit breaker was open, one more failure opens it again.
            _ if self.failures >= MOST_FAILURES => LEFT_ALONE,
            _ => return,
        };
        tracing::warn!(seconds = pause.num_seconds(), "the circuit breaker of the commission-rate service is open");
        self.until = self.until.max(Some(now + pause));
    }
}
