//! `partner-portal verify`

use clap::Args;
use diesel_async::AsyncPgConnection;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, database::Database, say};
use crate::{
    config::Settings,
    error::Error,
    verify::{self, Finding},
};

#[derive(Args)]
pub struct Arguments {
    /// Only the tenant of this slug
    #[arg(long)]
    tenant: Option<String>,
}

/// Proves the books of every cluster, or those of one tenant where it is.
pub async fn run(clusters: &[(String, Settings)], arguments: &Arguments) -> Result<(), Failure> {
    let tenant = arguments.tenant.as_deref();
    let mut is_anywhere = false;
    for (name, settings) in clusters {
        let Some(findings) = examine(settings, tenant).await? else { continue };
        is_anywhere = true;
        if clusters.len() == 1 {
            report(&findings)?;
            continue;
        }
        say(&format!("{name}:\n"));
        // Its tenants may be still to come.
        if is_empty(&findings) {
            say("There is nothing to check.\n");
        } else {
            report(&findings).map_err(|Failure(text)| Failure(format!("{name}: {text}")))?;
        }
    }
    match tenant {
        Some(slug) if !is_anywhere => {
            Err(Failure(format!("there is no tenant {slug:?}; `partner-portal tenant list` shows them")))
        }
        _ => Ok(()),
    }
}

/// What there is to find on a cluster; `None` where the tenant is not on it.
pub async fn examine(settings: &Settings, tenant: Option<&str>) -> Result<Option<Vec<Finding>>, Failure> {
    let database = Database::open_existing(settings).await?;
    let outcome = match database.connect_as_owner().await {
        Ok(connection) => find(connection, tenant).await,
        Err(failure) => Err(failure),
    };
    database.close().await;
    outcome
}

async fn find(mut connection: AsyncPgConnection, tenant: Option<&str>) -> Result<Option<Vec<Finding>>, Failure> {
    let bar = ProgressBar::new(verify::rules().count() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} rules, {elapsed}: {msg}")?);
    let findings = verify::run(&mut connection, tenant, |rule| {
        bar.set_message(rule.name);
        bar.inc(1);
    })
    .await;
    bar.finish_and_clear();
    match findings {
        Err(Error::NotFound(_)) => Ok(None),
        findings => Ok(Some(findings?)),
    }
}

fn is_empty(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.checked == 0)
}

/// Prints what was found, and fails where a rule does not hold.
pub fn report(findings: &[Finding]) -> Result<(), Failure> {
    for Finding { rule, checked, faults, example } in findings {
        if *faults == 0 {
            say(&format!("PASS  {}: {checked} checked\n", rule.sentence));
        } else {
            let example = example.as_deref().unwrap_or("no example");
            say(&format!("FAIL  {} ({}): {faults} of {checked} are wrong, such as {example}\n", rule.sentence, rule.name));
        }
    }
    if is_empty(findings) {
        return Err(Failure::new("there is nothing to check: the database holds no partners, money or credits"));
    }
    let failed = findings.iter().filter(|finding| finding.faults > 0).count();
    if failed > 0 {
        return Err(Failure(format!("the books do not hold: {failed} of {} rules fail", findings.len())));
    }
    say(&format!("PASS: all {} rules hold\n", findings.len()));
    Ok(())
}
