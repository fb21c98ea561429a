//! `partner-portal import`

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
    pin::pin,
    process::ExitCode,
};

use clap::Args;
use futures_util::TryStreamExt;
use indicatif::ProgressBar;
use iso_currency::Currency;
use rust_decimal::Decimal;
use serde_json::json;

use super::{Failure, bar::bar, database::Database, say};
use crate::{
    clock::Clock,
    config::Settings,
    db::connect,
    error::{Error, Result},
    imports::history::{
        Import, Outcome, Progress,
        decisions::Decisions,
        folder::Folder,
        reading::{RateUnit, ReadingOptions},
        source::{MoneyForm, SourceFacts},
        sources::{SOURCES, named},
    },
    models::{
        calendar::TimeZone,
        imports::run::{ImportRun, Orphans},
        people::tenant::Tenant,
    },
    money::Money,
};

/// How many findings are printed; all are in the report.
const PRINTED: usize = 20;

#[derive(Args)]
pub struct Arguments {
    /// The system that they come from: legacy, dub, rewardful, tolt, partnerstack, firstpromoter or tapfiliate
    #[arg(value_parser = source)]
    source: &'static SourceFacts,
    /// The folder with the files that it gave out: .csv, .jsonl, or .json pages of its API
    folder: PathBuf,
    /// Into which tenant, by its slug; the one that there is where there is one
    #[arg(long)]
    tenant: Option<String>,
    /// Do everything and roll it back: the same report, and nothing is written
    #[arg(long)]
    dry_run: bool,
    /// Write every row that was reported to this file, as lines of JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// What was decided about rows that were reported, as lines of JSON; see docs/imports.md
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,
    /// The currency of amounts that name none (ISO 4217)
    #[arg(long, value_parser = currency)]
    currency: Option<Currency>,
    /// The time zone of times that name none (IANA): Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    zone: Option<TimeZone>,
    /// What rates are written in: 10, 1000 or 0.1 for ten per cent
    #[arg(long, value_enum)]
    rate_unit: Option<RateUnit>,
    /// How amounts are written, where that is otherwise than this system does
    #[arg(long, value_enum)]
    money: Option<MoneyForm>,
    /// What becomes of links without a partner or user: reported and left, or held by a partner of their own
    #[arg(long, value_enum, default_value = "report")]
    orphans: Orphans,
    /// Where links lead that say no address, with {key} for their key: `https://example.com/?via={key}`
    #[arg(long, value_name = "URL")]
    link_url: Option<String>,
}

fn source(name: &str) -> Result<&'static SourceFacts, String> {
    named(name).ok_or_else(|| format!("expected one of {}", SOURCES.map(|source| source.name).join(", ")))
}

fn currency(code: &str) -> Result<Currency, String> {
    Currency::from_code(&code.to_uppercase()).ok_or_else(|| "expected a code of ISO 4217 such as USD".to_owned())
}

/// Runs the import. Its exit status is 0 where everything is in and proved, 2 where rows were reported, and 1 where nothing is in.
pub async fn run(settings: &Settings, arguments: Arguments) -> Result<ExitCode, Failure> {
    let folder = Folder::open(&arguments.folder, arguments.source).map_err(Failure)?;
    let decisions = arguments.decisions.as_deref().map(Decisions::read).transpose().map_err(Failure)?.unwrap_or_default();
    if !folder.ignored.is_empty() {
        say(&format!("Left aside: {}.\n", folder.ignored.join(", ")));
    }
    let database = Database::open_existing(settings).await?;
    let outcome = import(&database, &arguments, &folder, &decisions).await;
    database.close().await;
    Ok(shown(&arguments, &outcome?))
}

async fn import(database: &Database, arguments: &Arguments, folder: &Folder, decisions: &Decisions) -> Result<Outcome, Failure> {
    let owner = database.connect_as_owner().await?;
    let tenants = Tenant::all(&owner).await?;
    let chosen = match &arguments.tenant {
        Some(slug) => tenants.iter().find(|tenant| tenant.slug == *slug),
        None => tenants.first().filter(|_| tenants.len() == 1),
    };
    let tenant = chosen.ok_or_else(|| match &arguments.tenant {
        Some(slug) => Failure(format!("there is no tenant {slug:?}; `partner-portal tenant list` shows them")),
        None => Failure::new("there are several tenants, or none: name one by --tenant"),
    })?;
    let options = ReadingOptions {
        currency: arguments.currency,
        zone: arguments.zone,
        rate_unit: arguments.rate_unit,
        money: arguments.money,
        link_url: arguments.link_url.clone(),
    };
    let import = Import {
        source: arguments.source,
        folder,
        options: &options,
        orphans: arguments.orphans,
        decisions,
        tenant: tenant.id,
        is_dry_run: arguments.dry_run,
        at: Clock::default().now(),
    };
    let file =
        arguments.report.as_ref().map(|path| File::create(path).map_err(|error| Failure(format!("{}: {error}", path.display()))));
    let file = file.transpose()?.map(BufWriter::new);
    let connection = connect::establish(&database.login, Some("SET statement_timeout = 0")).await?;
    let mut bar = Bar(ProgressBar::hidden());
    let outcome = import.run(&connection, &mut bar, async |run| report(run, file).await).await;
    bar.0.finish_and_clear();
    outcome.map_err(|error| Failure(format!("{error}; what is in stays, and the same command goes on from there")))
}

/// Writes the findings to a file, and the first of them to the terminal.
async fn report(run: &ImportRun<'_>, mut file: Option<BufWriter<File>>) -> Result<()> {
    let failed = |error: std::io::Error| Error::internal(format!("the report cannot be written: {error}"));
    let mut printed = 0;
    let mut findings = pin!(run.findings().await?);
    while let Some(finding) = findings.try_next().await? {
        if printed < PRINTED {
            let (kind, at) = (
                finding.kind.as_str(),
                if finding.line > 0 { format!(" ({}:{})", finding.file, finding.line) } else { String::new() },
            );
            let what = if finding.is_left { "left" } else { "noted" };
            say(&format!("{what}: {kind} {:?}{at}: {}: {}\n", finding.source_id, finding.code, finding.message));
        }
        printed += 1;
        if let Some(file) = &mut file {
            let line = json!({
                "kind": finding.kind.as_str(), "id": finding.source_id, "code": finding.code, "field": finding.field, "value": finding.value,
                "message": finding.message, "left": finding.is_left, "file": finding.file, "line": finding.line,
            });
            writeln!(file, "{line}").map_err(failed)?;
        }
    }
    if printed > PRINTED {
        say(&format!("… and {} more; --report FILE has all of them.\n", printed - PRINTED));
    }
    if let Some(file) = &mut file {
        file.flush().map_err(failed)?;
    }
    Ok(())
}

fn shown(arguments: &Arguments, outcome: &Outcome) -> ExitCode {
    if arguments.dry_run {
        say("Nothing was written. It would be:\n");
    } else if outcome.is_continued {
        say("The import went on where it had stopped.\n");
    }
    let Outcome { summary, .. } = outcome;
    for count in &summary.counts {
        say(&format!("{:<16} {:>9} of {}\n", count.kind.plural(), count.inside, count.all));
    }
    for count in &summary.findings {
        say(&format!("{:<26} {:>9} {}\n", count.code, count.count, if count.is_left { "left" } else { "noted" }));
    }
    say("currency status     there: count          amount   here: count          amount\n");
    for line in &summary.proof {
        let sign = if line.agrees() { "" } else { "  DIFFERS" };
        say(&format!(
            "{:<8} {:<10} {:>12} {:>15} {:>12} {:>15}{sign}\n",
            line.currency,
            line.status,
            line.there.count,
            padded(&line.currency, line.there.amount),
            line.here.count,
            padded(&line.currency, line.here.amount)
        ));
    }
    let is_proved = summary.is_proved();
    if !summary.is_anything_in() {
        say("Nothing is in.\n");
        return ExitCode::FAILURE;
    }
    if is_proved && summary.findings.is_empty() {
        say("Everything is in and proved: what the source says is what is here.\n");
        return ExitCode::SUCCESS;
    }
    if is_proved && !summary.is_anything_left() {
        say("Everything is in and proved; what was noted is worth a look.\n");
    } else {
        let differs = if is_proved { "The sums agree." } else { "The sums differ by the rows that are left." };
        say(&format!("{differs} Decide about the rows that are left, and run the same command with --decisions.\n"));
    }
    ExitCode::from(2)
}

/// An amount with all digits of its currency.
fn padded(currency: &str, amount: Decimal) -> Decimal {
    Currency::from_code(currency).map_or(amount, |currency| Money::rounded(amount, currency).amount)
}

struct Bar(ProgressBar);

impl Progress for Bar {
    fn begins(&mut self, what: &str, rows: u64) {
        self.0.finish_and_clear();
        self.0 = bar(rows, &format!("rows, {what}"));
    }

    fn done(&mut self, rows: u64) {
        self.0.inc(rows);
    }
}
