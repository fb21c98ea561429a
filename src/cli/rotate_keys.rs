//! `partner-portal rotate-keys`

use super::{
    Failure,
    database::{self, Database},
    say,
};
use crate::{config::Settings, models::partners::profile::Profile};

pub async fn run(settings: &Settings) -> Result<(), Failure> {
    let keyring = database::keyring(settings)?;
    let database = Database::open_existing(settings).await?;
    let outcome = match database.connect_as_owner().await {
        Ok(connection) => Profile::rotate_keys(&connection, &keyring).await.map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    database.close().await;
    say(&format!("{} profiles are sealed anew with key {}.\n", outcome?, keyring.active_version()));
    Ok(())
}
