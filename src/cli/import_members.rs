//! `partner-portal import-members`

use std::{fs::File, path::PathBuf};

use clap::Args;
use indicatif::ProgressBar;
use uuid::Uuid;

use super::{Failure, bar::bar, database::Database, say};
use crate::{
    clock::Clock,
    config::Settings,
    db::{
        self,
        session::{Act, AuditActor, Caller, Session},
    },
    ids::{PartnerId, TenantId, UserId},
    imports::members::{
        Import, MAX_KEY, MemberFile, Progress, Summary,
        plan::{RowOutcome, RowReport},
    },
    models::{credits::assignment::MAX_DAYS, partners::partner},
};

#[derive(Args)]
pub struct Arguments {
    /// The CSV file: its first row names the columns email, first name, last name, credits
    file: PathBuf,
    /// The partner whose members they are, by its id
    #[arg(long, value_name = "ID")]
    partner: PartnerId,
    /// Only say what would happen, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// For how many days the credits can be used
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(i32).range(1..=i64::from(MAX_DAYS)))]
    valid_days: i32,
    /// A name for this hand-out of credits: an address gets a row's credits once under it. The same file has the same name where none is
    /// given; give a corrected file the name of the first
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: Option<String>,
    /// Print every row, and not only those at fault
    #[arg(long)]
    all: bool,
}

fn key(text: &str) -> Result<String, String> {
    crate::validation::line(text, MAX_KEY).map_err(|wrong| wrong.message)
}

pub async fn run(settings: &Settings, arguments: Arguments) -> Result<(), Failure> {
    let file = File::open(&arguments.file).map_err(|error| Failure(format!("{}: {error}", arguments.file.display())))?;
    let database = Database::open_existing(settings).await?;
    let outcome = import(settings, &database, file, &arguments).await;
    database.close().await;
    let Summary { rows, imported, updated, skipped, failed, credits_assigned, key, ignored_columns } = outcome?;
    if !ignored_columns.is_empty() {
        say(&format!("Left aside: the columns {}.\n", ignored_columns.join(", ")));
    }
    let would = if arguments.dry_run { "Nothing was written. It would be: " } else { "" };
    say(&format!(
        "{would}{rows} rows: {imported} imported, {updated} updated, {skipped} skipped, {failed} failed; {credits_assigned} credits assigned.\n"
    ));
    if failed > 0 && credits_assigned > 0 && arguments.key.is_none() {
        say(&format!("For the corrected file: --key {key}, so that nobody is given the same credits twice.\n"));
    }
    if failed > 0 {
        return Err(Failure(format!("{failed} of {rows} rows are at fault, and were not imported")));
    }
    Ok(())
}

async fn import(settings: &Settings, database: &Database, file: File, arguments: &Arguments) -> Result<Summary, Failure> {
    let owner = database.connect_as_owner().await?;
    let tenant = partner::tenant_of(&owner, arguments.partner).await?;
    let tenant = tenant.ok_or_else(|| Failure(format!("there is no partner {}", arguments.partner)))?;
    let pool = db::Pool::new(database.login.clone(), settings.pool())?;
    let outcome = on_session(&pool, tenant, file, arguments).await;
    pool.close();
    outcome
}

async fn on_session(pool: &db::Pool, tenant: TenantId, file: File, arguments: &Arguments) -> Result<Summary, Failure> {
    let machine = Caller::Service { tenant, user: UserId::from(Uuid::nil()) };
    let (session, ()) = Session::open(pool, machine, async |_| Ok(())).await?;
    session.perform(Act::new(AuditActor::Command, "import-members"));
    let import = Import {
        tenant,
        partner: arguments.partner,
        by: None,
        may_assign: true,
        valid_days: arguments.valid_days,
        key: arguments.key.clone(),
        is_dry_run: arguments.dry_run,
    };
    let mut printed = Printed { bar: ProgressBar::hidden(), all: arguments.all };
    let outcome = import.run(&session, &Clock::default(), MemberFile::from(file), &mut printed).await;
    printed.bar.finish_and_clear();
    match outcome {
        Ok(Ok(summary)) => Ok(summary),
        Ok(Err(fault)) => Err(Failure(format!("{}: {fault}", arguments.file.display()))),
        Err(error) if arguments.dry_run => Err(error.into()),
        Err(error) => Err(Failure(format!("{error}; the rows until then are imported, and the same command goes on from there"))),
    }
}

/// Shows how far it is, and prints rows as they are done.
struct Printed {
    bar: ProgressBar,
    all: bool,
}

impl Progress for Printed {
    fn begins(&mut self, rows: u32) {
        self.bar = bar(u64::from(rows), "rows");
    }

    fn row(&mut self, report: RowReport) {
        self.bar.inc(1);
        if self.all || report.outcome == RowOutcome::Failed {
            self.bar.suspend(|| say(&format!("{}\n", line(&report))));
        }
    }
}

/// A row's report in one line.
fn line(report: &RowReport) -> String {
    let RowReport { number, outcome, member, credits, fault } = report;
    let outcome = async_graphql::resolver_utils::enum_value(*outcome);
    let mut parts = vec![format!("row {number}: {outcome}")];
    if let Some(fault) = fault {
        let code = async_graphql::resolver_utils::enum_value(fault.code);
        let column = fault.column.map_or_else(String::new, |column| format!(" {}", column.name()));
        let value = fault.value.as_ref().map_or_else(String::new, |value| format!(" {value:?}"));
        parts.push(format!(" {code}{column}{value}: {}", fault.message));
    }
    if let Some(member) = member {
        parts.push(format!(" {member}"));
    }
    if *credits > 0 {
        parts.push(format!(", {credits} credits"));
    }
    parts.concat()
}
