//! `partner-portal rotate-keys`

use super::{
    Failure,
    database::{self, Database},
    say,
};
use crate::{
    config::Settings,
    db::session::{Act, AuditActor},
    models::sealed::seal_anew,
};

pub async fn run(settings: &Settings) -> Result<(), Failure> {
    let keyring = database::keyring(settings)?;
    let database = Database::open_existing(settings).await?;
    let outcome = match database.connect_as_owner().await {
        Ok(connection) => {
            Act::new(AuditActor::Command, "rotate-keys").announce_for_connection(&connection).await?;
            seal_anew(&connection, &keyring).await.map_err(Failure::from)
        }
        Err(failure) => Err(failure),
    };
    database.close().await;
    let (count, version) = (outcome?, keyring.active_version());
    say(&format!("{count} tax ids, bank accounts and secrets of webhooks are sealed anew with key {version}.\n"));
    Ok(())
}
