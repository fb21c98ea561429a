//! `partner-portal rotate-keys`

use super::{
    Failure,
    database::{self, Database},
    say,
};
use crate::{
    config::Settings,
    error::Error,
    models::{
        partners::profile::Profile,
        webhooks::{endpoint::WebhookSecret, source::WebhookSourceSecret},
    },
};

pub async fn run(settings: &Settings) -> Result<(), Failure> {
    let keyring = database::keyring(settings)?;
    let database = Database::open_existing(settings).await?;
    let outcome = match database.connect_as_owner().await {
        Ok(connection) => async {
            let profiles = Profile::rotate_keys(&connection, &keyring).await?;
            let sent = WebhookSecret::rotate_keys(&connection, &keyring).await?;
            Ok((profiles, sent + WebhookSourceSecret::rotate_keys(&connection, &keyring).await?))
        }
        .await
        .map_err(|error: Error| Failure::from(error)),
        Err(failure) => Err(failure),
    };
    database.close().await;
    let (profiles, secrets) = outcome?;
    let version = keyring.active_version();
    say(&format!("{profiles} profiles and {secrets} secrets of webhooks are sealed anew with key {version}.\n"));
    Ok(())
}
