//! Moving in: what other systems give out, and what it becomes here.

pub mod background;
mod files;
mod generator;
mod legacy;
mod refused;
mod sources;
mod stopped;
mod uploads;

use std::path::Path;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use partner_portal::{
    db::connect,
    ids::TenantId,
    imports::history::{
        Import, ImportFault, Outcome, Progress,
        decisions::Decisions,
        folder::Folder,
        reading::{RateUnit, ReadingOptions},
        sources::named,
    },
    models::imports::{proof::KeptFinding, run::Orphans},
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use self::{
    files::{csv, lines},
    generator::Sums,
};
use crate::support::{World, binary};

/// Nobody looks.
struct Unseen;

impl Progress for Unseen {
    fn begins(&mut self, _: &str, _: u64) {}
    fn done(&mut self, _: u64) {}
}

/// How a folder is imported.
struct Given<'f> {
    source: &'static str,
    folder: &'f Path,
    options: ReadingOptions,
    orphans: Orphans,
    decisions: Option<&'f Path>,
    is_dry_run: bool,
}

impl<'f> Given<'f> {
    fn new(source: &'static str, folder: &'f Path) -> Self {
        let options = ReadingOptions {
            currency: (source == "firstpromoter").then_some(iso_currency::Currency::USD),
            rate_unit: Some(RateUnit::Percent),
            link_url: (source == "tolt").then(|| "https://shop0.com/?via={key}".to_owned()),
            ..ReadingOptions::default()
        };
        Self { source, folder, options, orphans: Orphans::Report, decisions: None, is_dry_run: false }
    }

    /// Imports it; gives what came of it, and all findings.
    async fn run(&self, world: &World, tenant: TenantId) -> Result<(Outcome, Vec<KeptFinding>), String> {
        let source = named(self.source).expect("a source");
        let folder = Folder::open(self.folder, source)?;
        let decisions = self.decisions.map(Decisions::read).transpose()?.unwrap_or_default();
        let import = Import {
            source,
            folder: &folder,
            options: &self.options,
            orphans: self.orphans,
            decisions: &decisions,
            tenant,
            is_dry_run: self.is_dry_run,
            at: now(),
        };
        let connection = connect::establish(&world.database.login, None).await.expect("a connection");
        let mut found = Vec::new();
        let outcome = import
            .run(&connection, &mut Unseen, async |run| {
                found = run.findings().await?.try_collect().await?;
                Ok(())
            })
            .await;
        outcome.map(|outcome| (outcome, found)).map_err(|fault: ImportFault| fault.to_string())
    }
}

/// The present, as the database keeps instants.
fn now() -> DateTime<Utc> {
    partner_portal::clock::Clock::default().now()
}

/// What is here, by currency and status.
fn here(outcome: &Outcome) -> Sums {
    let lines = outcome.summary.proof.iter().filter(|line| line.here.count > 0);
    lines.map(|line| ((line.currency.clone(), line.status.clone()), (line.here.count, line.here.amount.normalize()))).collect()
}

/// Rows that are in, of a kind.
fn inside(outcome: &Outcome, kind: &str) -> i64 {
    outcome.summary.counts.iter().find(|count| count.kind.as_str() == kind).map_or(0, |count| count.inside)
}

/// The codes that are said of a row.
fn codes<'f>(found: &'f [KeptFinding], id: &str) -> Vec<&'f str> {
    found.iter().filter(|finding| finding.source_id == id).map(|finding| finding.code.as_str()).collect()
}

/// A business that was brought along, for what looks at books of every kind.
pub async fn brought_along(world: &World) {
    let folder = binary::Folder::new();
    let business = generator::Business::new(9, 3, 40, &["USD", "JPY"], false);
    business.write("legacy", &folder.0);
    csv(&folder.0, "programs", &[json!({"id": "prog", "domain": "shop0.com"})]);
    csv(&folder.0, "enrollments", &[json!({"partnerId": "pn_1", "programId": "prog", "status": "approved"})]);
    Given::new("legacy", &folder.0).run(world, world.acme).await.expect("an import");
}

/// A fault for each rule about what was imported.
pub fn faults() -> Vec<(&'static str, String)> {
    let in_commission = "id IN (SELECT target_id FROM import_rows WHERE kind = 'commission')";
    let link = "(SELECT target_id FROM import_rows WHERE kind = 'link' ORDER BY source_id LIMIT 1)";
    [
        ("imported_rows_are_here", format!("DELETE FROM links WHERE id = {link}")),
        ("imported_rows_are_here", "UPDATE import_rows SET state = 'left' WHERE kind = 'commission'".to_owned()),
        ("imported_rows_are_here", "UPDATE import_rows SET state = 'read', target_id = NULL WHERE kind = 'payout'".to_owned()),
        ("imported_commissions_have_partners", format!("UPDATE partner_commission_events SET partner_id = gen_random_uuid() WHERE {in_commission}")),
        ("imported_users_have_partners", "UPDATE users SET default_partner_id = NULL".to_owned()),
        ("imported_users_belong_to_it", "DELETE FROM partner_users".to_owned()),
        ("imported_links_have_partners", format!("UPDATE links SET partner_id = gen_random_uuid() WHERE id = {link}")),
        ("imported_links_have_programmes", format!("UPDATE links SET programme_id = gen_random_uuid() WHERE id = {link}")),
        ("imported_partners_are_enrolled", "DELETE FROM enrolments".to_owned()),
        ("imported_partners_have_owners", "UPDATE partner_users SET role = 'member'".to_owned()),
        ("imported_commissions_follow_links", format!("UPDATE links SET partner_id = gen_random_uuid() WHERE id = {link}")),
        ("imported_amounts_are_theirs", format!("UPDATE partner_commission_events SET amount = amount + 1 WHERE {in_commission}")),
        ("imported_amounts_are_theirs", format!("UPDATE partner_commission_events SET event_date = event_date + interval '1 day' WHERE {in_commission}")),
        ("imported_sums_agree", format!("UPDATE partner_commission_events SET amount = amount + 1 WHERE {in_commission}")),
        ("imported_days_are_in_totals", "UPDATE link_imported_days SET clicks = clicks + 1".to_owned()),
        (
            "enrolled_once",
            "ALTER TABLE enrolments DROP CONSTRAINT enrolments_partner_programme_key CASCADE;
             INSERT INTO enrolments SELECT tenant_id, gen_random_uuid(), partner_id, programme_id, status FROM enrolments"
                .to_owned(),
        ),
        (
            "one_programme_a_domain",
            "ALTER TABLE programmes DROP CONSTRAINT programmes_domain_key;
             INSERT INTO programmes (tenant_id, id, key, name, domain) SELECT tenant_id, gen_random_uuid(), 'x_' || substr(key, strpos(key, '_') + 1), name, domain FROM programmes"
                .to_owned(),
        ),
    ]
    .into()
}
