//! `partner-portal verify`

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, database::Database, say};
use crate::{
    config::Settings,
    verify::{self, Finding},
};

#[derive(Args)]
pub struct Arguments {
    /// Only the tenant of this slug
    #[arg(long)]
    tenant: Option<String>,
}

pub async fn run(settings: &Settings, arguments: Arguments) -> Result<(), Failure> {
    let database = Database::open_existing(settings).await?;
    let outcome = examine(&database, arguments.tenant.as_deref()).await;
    database.close().await;
    report(&outcome?)
}

async fn examine(database: &Database, tenant: Option<&str>) -> Result<Vec<Finding>, Failure> {
    let mut connection = database.connect_as_owner().await?;
    let bar = ProgressBar::new(verify::rules().count() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} rules, {elapsed}: {msg}")?);
    let findings = verify::run(&mut connection, tenant, |rule| {
        bar.set_message(rule.name);
        bar.inc(1);
    })
    .await;
    bar.finish_and_clear();
    Ok(findings?)
}

fn report(findings: &[Finding]) -> Result<(), Failure> {
    for Finding { rule, checked, faults, example } in findings {
        if *faults == 0 {
            say(&format!("PASS  {}: {checked} checked\n", rule.sentence));
        } else {
            let example = example.as_deref().unwrap_or("no example");
            say(&format!("FAIL  {} ({}): {faults} of {checked} are wrong, such as {example}\n", rule.sentence, rule.name));
        }
    }
    if findings.iter().all(|finding| finding.checked == 0) {
        return Err(Failure::new("there is nothing to check: the database holds no partners, money or credits"));
    }
    let failed = findings.iter().filter(|finding| finding.faults > 0).count();
    if failed > 0 {
        return Err(Failure(format!("the books do not hold: {failed} of {} rules fail", findings.len())));
    }
    say(&format!("PASS: all {} rules hold\n", findings.len()));
    Ok(())
}
