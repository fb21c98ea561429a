//! The issuers of session tokens: whether their keys can be had, and whether their clocks and ours agree.

use chrono::TimeDelta;
use url::Url;

use super::Findings;
use crate::{
    auth::keys::{self, KeySource},
    clock::Clock,
    config::Settings,
    error::with_causes,
};

/// How far clocks may be apart: tokens are believed a few seconds before and after their time.
pub(super) const SKEW: TimeDelta = TimeDelta::seconds(5);

/// Examines each issuer.
pub async fn examine(settings: &Settings, clock: &Clock, findings: &mut Findings) {
    if let Some(pem) = &settings.jwt_key {
        match KeySource::of_pem(pem) {
            Ok(_) => findings
                .note("CLERK_JWT_KEY", "is set: when the issuer changes its keys, no token is believed until it is set anew"),
            Err(error) => findings.fault("CLERK_JWT_KEY", error.to_string()),
        }
        return;
    }
    for issuer in &settings.issuer {
        let about = format!("issuer {}", issuer.0);
        match settings.jwks_url.clone().map_or_else(|| issuer.jwks_url(), Ok) {
            Ok(url) => published(&about, url, clock, findings).await,
            Err(fault) => findings.fault(about, fault),
        }
    }
}

async fn published(about: &str, url: Url, clock: &Clock, findings: &mut Findings) {
    // Without what is for the issuer alone.
    let mut shown = url.clone();
    let _ = shown.set_username("").and_then(|()| shown.set_password(None));
    let answer = async { keys::fetch(&keys::client()?, url).await };
    let (keys, date) = match answer.await {
        Ok(answer) => answer,
        Err(error) => {
            let error = with_causes(&error);
            return findings.fault(
                about,
                format!(
                    "its keys cannot be had ({error}): no token would be believed; is {shown} right, and may this machine reach it?"
                ),
            );
        }
    };
    let keys = keys.count();
    if keys == 0 {
        findings.fault(
            about,
            format!("{shown} holds no usable key (RSA, for signatures): no token would be believed; see CLERK_JWKS_URL"),
        );
    } else {
        findings.sound(about, format!("{shown} holds {keys} {}", if keys == 1 { "key" } else { "keys" }));
    }
    if let Some(date) = date {
        // The header is in whole seconds.
        let apart = (clock.now() - date).abs();
        if apart > SKEW + TimeDelta::seconds(1) {
            findings.fault(
                about,
                format!(
                    "its clock and this machine's are {} s apart: tokens would be refused; let both follow NTP",
                    apart.num_seconds()
                ),
            );
        }
    }
}
