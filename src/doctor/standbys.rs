//! The standbys that answer queries: whether each is one of the primary, and keeps up with it.

use std::time::{Duration, Instant};

use diesel::sql_types::{Bool, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tokio_postgres::Config;

use super::{Findings, address};
use crate::{
    config::Settings,
    db::{
        connect,
        standbys::display_address,
        statement::statement,
        wal::{self, Look},
    },
    error::{Error, Result},
};

/// How long a standby may take to answer, beside the time that it may be behind by.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether a standby has caught up.
const PAUSE: Duration = Duration::from_millis(50);

/// Examines each standby that the settings name, by the primary that is connected.
pub async fn examine(primary: &AsyncPgConnection, settings: &Settings, findings: &mut Findings) -> Result<()> {
    for config in settings.standbys() {
        let about = format!("PORTAL_READ_URL, {}", display_address(config));
        address::examine(&about, config, findings);
        let limit = PATIENCE + settings.read_lag;
        match tokio::time::timeout(limit, standby(primary, config, settings.read_lag)).await {
            Ok(Ok(Ok(note))) => {
                findings.sound(&about, "is a standby of the primary, and keeps up with it");
                if let Some(note) = note {
                    findings.note(&about, note);
                }
            }
            Ok(Ok(Err(fault))) => findings.fault(&about, fault),
            Ok(Err(error)) => findings.fault(&about, format!("is not used: {error}")),
            Err(_) => findings.fault(&about, format!("does not answer within {} s", limit.as_secs())),
        }
    }
    Ok(())
}

/// What is worth a note of a standby, or what is at fault with it.
async fn standby(primary: &AsyncPgConnection, config: &Config, lag: Duration) -> Result<Result<Option<String>, String>> {
    let connection = connect::establish(config, None).await.map_err(Error::unavailable)?;
    wal::see_timeline(&connection).await;
    let (own, theirs) = (Look::at(&connection).await?, Look::at(primary).await?);
    if (own.identity.cluster, own.identity.database) != (theirs.identity.cluster, theirs.identity.database) {
        return Ok(Err("is of another cluster or another database than DATABASE_URL, and is not used".to_owned()));
    }
    if !own.is_standby {
        return Ok(Err("is no standby, and is not used: name standbys of the primary alone".to_owned()));
    }
    if own.identity.timeline != theirs.identity.timeline {
        return Ok(Err("is not known to have followed the last promotion, and is not used meanwhile: does it receive from the new primary? GRANT pg_read_all_stats to the login, or CHECKPOINT there, and it is seen at once".to_owned()));
    }
    let (target, began) = (wal::position(primary).await?, Instant::now());
    while wal::position(&connection).await? < target {
        if began.elapsed() > lag {
            let behind = target.0.saturating_sub(wal::position(&connection).await?.0);
            return Ok(Err(format!(
                "is {behind} bytes behind the primary after {} s (PORTAL_READ_LAG), and is not used meanwhile: is it receiving (pg_stat_wal_receiver), or is replay paused or delayed?",
                lag.as_secs_f64()
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
    let set = statement::<(Bool, Text)>(
        "SELECT current_setting('hot_standby_feedback')::boolean, current_setting('max_standby_streaming_delay')",
        Vec::new(),
    );
    let (feeds_back, delay): (bool, String) = set.get_result(&mut &connection).await?;
    Ok(Ok((!feeds_back).then(|| {
        format!("has hot_standby_feedback off: exports that last longer than max_standby_streaming_delay ({delay}) may be cut off by what the primary cleans up; set it on")
    })))
}
