//! `partner-portal tenant move`

use clap::Args;

use super::{Failure, bar::bar, database::Database, say, verify};
use crate::{
    clusters::moving::{Move, Progress, Side},
    config::Settings,
};

#[derive(Args)]
pub struct Arguments {
    /// The tenant's slug
    slug: String,
    /// The cluster that it is moved to
    #[arg(value_name = "CLUSTER")]
    target: String,
    /// Undo a move that was interrupted before the tenant had left
    #[arg(long)]
    cancel: bool,
}

/// Moves the tenant, and proves its books there before anything is deleted here.
pub async fn run(clusters: &[(String, Settings)], arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { slug, target, cancel } = arguments;
    let Some((_, of_target)) = clusters.iter().find(|(name, _)| name == target) else {
        let known: Vec<&str> = clusters.iter().map(|(name, _)| name.as_str()).collect();
        return Err(Failure(format!(
            "there is no cluster {target:?}; there are {}, by PORTAL_CLUSTERS (--clusters)",
            known.join(", ")
        )));
    };
    let (mut sides, mut missing) = (Vec::new(), Vec::new());
    for (name, settings) in clusters {
        match connect(name, settings).await {
            Ok(side) => sides.push(side),
            Err(failure) if name == target => return Err(failure),
            // It takes no part, perhaps.
            Err(Failure(text)) => missing.push(text),
        }
    }
    let moving = Move::open(slug, target, sides, &missing).await?;
    let source = moving.source();
    let Some((_, of_source)) = clusters.iter().find(|(name, _)| name == source) else {
        return Err(Failure(format!("there is no cluster {source:?}")));
    };
    if *cancel {
        moving.cancel().await?;
        say(&format!("{slug} stays on {source}, and nothing of it is on {target}.\n"));
        return Ok(());
    }
    let tables = bar(0, "tables");
    let show = |progress| match progress {
        Progress::Copied(done, all) => {
            tables.set_length(all.unsigned_abs());
            tables.set_position(done.unsigned_abs());
        }
        Progress::CatchingUp => {
            tables.finish_and_clear();
            say(&format!("All tables of {slug} are on {target}, and what changes follows.\n"));
        }
        Progress::Behind(bytes) => say(&format!("{target} has {bytes} bytes of {source}'s log still to take.\n")),
        Progress::Postponed => {
            say("Transactions of the tenant took too long; it goes on where it is, and is held again in a moment.\n");
        }
        Progress::Switched(held) => {
            say(&format!("{slug} is on {target} from now on. It was held for {:.2} s.\n", held.as_secs_f64()));
        }
        Progress::Compared(rows) => {
            say(&format!("{rows} rows of {slug} were the same on {source} and {target} when it was held.\n"));
        }
        Progress::Removed(rows) => say(&format!("{rows} rows of {slug} are deleted on {source}.\n")),
    };
    moving.run(show).await?;
    tables.finish_and_clear();
    prove(slug, target, of_target, Some(slug)).await.map_err(|Failure(text)| {
        Failure(format!(
            "{text}; {slug} is on {target}, and its rows on {source} are kept: resume with the same command once that is fixed"
        ))
    })?;
    moving.remove(show).await?;
    prove("the others", source, of_source, None).await
}

async fn connect(name: &str, settings: &Settings) -> Result<Side, Failure> {
    let database = Database::open_existing(settings).await.map_err(|Failure(text)| Failure(format!("{name}: {text}")))?;
    Ok(Side::connect(name, &database.owner).await?)
}

/// Proves the books of a tenant, or of all, and says so in one line.
async fn prove(whose: &str, cluster: &str, settings: &Settings, tenant: Option<&str>) -> Result<(), Failure> {
    let findings = verify::examine(settings, tenant).await?;
    let findings = findings.ok_or_else(|| Failure(format!("{whose} is not on {cluster}")))?;
    if findings.iter().any(|finding| finding.faults > 0) {
        return verify::report(&findings);
    }
    say(&format!("PASS: all {} rules hold for {whose} on {cluster}.\n", findings.len()));
    Ok(())
}
