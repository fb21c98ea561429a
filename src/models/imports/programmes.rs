//! Programmes, what they give, and who takes part, as it was elsewhere.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    sql_types::{Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use iso_currency::Currency;
use serde::Serialize;
use uuid::Uuid;

use super::{
    facts::ImportKind,
    finding::{Finding, FindingCode},
    partners::shortened,
    refs::Known,
    run::ImportRun,
    staged::Settled,
};
use crate::{
    db::statement::{Bind, statement},
    ids::{EnrolmentChangeId, EnrolmentId, ProgrammeId, RuleId},
    models::{
        commissions::{
            calculation::{Formula, Terms},
            rule::NewRule,
        },
        programmes::address::programme_key,
    },
};

/// A programme that something needs: its domain, its name where it has one, and since when.
pub(super) type WantedProgramme = (String, Option<String>, Option<DateTime<Utc>>);

/// A part in a programme that something needs.
#[derive(Serialize)]
pub(super) struct WantedEnrolment {
    pub partner: Uuid,
    pub programme: Uuid,
    pub status: String,
    pub at: DateTime<Utc>,
    pub id: Uuid,
    pub change: Uuid,
}

impl WantedEnrolment {
    pub(super) fn new(partner: Uuid, programme: Uuid, status: &str, at: DateTime<Utc>) -> Self {
        let (id, change) = (EnrolmentId::new().uuid(), EnrolmentChangeId::new().uuid());
        Self { partner, programme, status: status.to_owned(), at, id, change }
    }
}

#[derive(Serialize)]
struct NewProgramme {
    id: Uuid,
    key: String,
    name: String,
    domain: String,
    at: DateTime<Utc>,
}

impl ImportRun<'_> {
    /// Settles some programmes; gives how many. Two of one domain are one programme here.
    pub async fn settle_programmes(&self) -> QueryResult<usize> {
        let kind = ImportKind::Programme;
        let rows = self.waiting(kind).await?;
        let count = rows.len();
        let rows = self.without_unknown(kind, rows).await?;
        let wanted = rows.iter().filter_map(|row| Some((row.facts.domain.clone()?, row.facts.name.clone(), row.facts.at)));
        let programmes = self.programmes_of(wanted.collect()).await?;
        let (mut settled, mut findings) = (Vec::new(), Vec::new());
        for row in &rows {
            let own = row.facts.domain.as_ref().and_then(|domain| programmes.get(domain)).copied();
            if let Some(id) = row.facts.existing.or(own) {
                settled.push(Settled::inside(&row.source_id, id));
            } else {
                let message = "The programme names no domain of the public internet. A decision can give one.";
                findings.push(Finding::of(kind, &row.source_id, FindingCode::ProgrammeWithoutDomain, message));
                settled.push(Settled::left(&row.source_id));
            }
        }
        self.settle(kind, &settled).await?;
        self.report(&findings).await?;
        Ok(count)
    }

    /// The programmes of these domains; those that there are none of are made.
    pub(super) async fn programmes_of(&self, wanted: Vec<WantedProgramme>) -> QueryResult<HashMap<String, Uuid>> {
        let mut by_domain = BTreeMap::new();
        for (domain, name, at) in wanted {
            let known: &mut (Option<String>, Option<DateTime<Utc>>) = by_domain.entry(domain).or_default();
            known.0 = known.0.take().or(name);
            known.1 = known.1.into_iter().chain(at).min();
        }
        // A key is one of 2^50 for its label; where another programme has it, the next one is taken.
        for attempt in 0..4 {
            let found = self.programmes_here(by_domain.keys().cloned().collect()).await?;
            let missing: Vec<NewProgramme> = by_domain
                .iter()
                .filter(|(domain, _)| !found.contains_key(*domain))
                .map(|(domain, (name, at))| NewProgramme {
                    id: ProgrammeId::new().uuid(),
                    key: programme_key(self.tenant, domain, attempt),
                    name: shortened(name.as_deref().unwrap_or(domain)),
                    domain: domain.clone(),
                    at: at.unwrap_or(self.at),
                })
                .collect();
            if missing.is_empty() {
                return Ok(found);
            }
            let binds = vec![self.tenant_bind(), Bind::json(&missing)];
            statement::<Text>(
                "INSERT INTO programmes (tenant_id, id, key, name, domain, created_at, updated_at)
                 SELECT ?, p.id, p.key, p.name, p.domain, p.at, p.at
                 FROM jsonb_to_recordset(?::jsonb) AS p (id uuid, key text, name text, domain text, at timestamptz) ON CONFLICT DO NOTHING",
                binds,
            )
            .execute(&mut &*self.connection)
            .await?;
        }
        self.programmes_here(by_domain.into_keys().collect()).await
    }

    async fn programmes_here(&self, domains: Vec<String>) -> QueryResult<HashMap<String, Uuid>> {
        let binds = vec![self.tenant_bind(), Bind::Texts(domains)];
        let sql = "SELECT domain, id FROM programmes WHERE tenant_id = ? AND domain = ANY (?)";
        let found: Vec<(String, Uuid)> = statement::<(Text, SqlUuid)>(sql, binds).load(&mut &*self.connection).await?;
        Ok(found.into_iter().collect())
    }

    /// Lets partners take part in programmes where they do not yet.
    pub(super) async fn enrol_all(&self, wanted: &[WantedEnrolment]) -> QueryResult<()> {
        if wanted.is_empty() {
            return Ok(());
        }
        let binds = vec![self.tenant_bind(), Bind::json(&wanted), self.tenant_bind(), Bind::json(&wanted)];
        statement::<Text>(
            "WITH added AS (
                 INSERT INTO enrolments (tenant_id, id, partner_id, programme_id, status, created_at, updated_at)
                 SELECT DISTINCT ON (e.partner, e.programme) ?, e.id, e.partner, e.programme, e.status, e.at, e.at
                 FROM jsonb_to_recordset(?::jsonb) AS e (id uuid, partner uuid, programme uuid, status text, at timestamptz)
                 ORDER BY e.partner, e.programme, e.at, e.id
                 ON CONFLICT (tenant_id, partner_id, programme_id) DO NOTHING RETURNING id, partner_id, status, created_at)
             INSERT INTO enrolment_changes (tenant_id, id, partner_id, enrolment_id, to_status, created_at)
             SELECT ?, c.change, a.partner_id, a.id, a.status, a.created_at
             FROM added a JOIN jsonb_to_recordset(?::jsonb) AS c (id uuid, change uuid) ON c.id = a.id",
            binds,
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }

    /// Settles some enrolments; gives how many.
    pub async fn settle_enrolments(&self) -> QueryResult<usize> {
        let kind = ImportKind::Enrolment;
        let rows = self.waiting(kind).await?;
        let partners = self.known(ImportKind::Partner, rows.iter().map(|row| row.facts.partner.as_ref())).await?;
        let programmes = self.known(ImportKind::Programme, rows.iter().map(|row| row.facts.programme.as_ref())).await?;
        let (mut added, mut settled, mut left, mut findings) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            let partner = row.facts.partner.as_ref().and_then(|id| partners.get(id)).and_then(Known::inside);
            let programme = row.facts.programme.as_ref().and_then(|id| programmes.get(id)).and_then(Known::inside);
            let (Some(partner), Some(programme)) = (partner, programme) else {
                let (what, value) =
                    if partner.is_none() { ("partner", &row.facts.partner) } else { ("programme", &row.facts.programme) };
                let message = format!("There is no {what} {:?} among those that came in.", value.as_deref().unwrap_or_default());
                findings
                    .push(Finding::of(kind, &row.source_id, FindingCode::EnrolmentDangling, message).at(what, value.as_deref()));
                left.push(Settled::left(&row.source_id));
                continue;
            };
            let status = row.facts.status.as_deref().unwrap_or("approved");
            added.push(WantedEnrolment::new(partner, programme, status, row.facts.at.unwrap_or(self.at)));
            settled.push((&row.source_id, partner, programme));
        }
        self.enrol_all(&added).await?;
        let here = self.enrolments_here(&added).await?;
        left.extend(settled.into_iter().filter_map(|(id, partner, programme)| {
            Some(Settled { partner: Some(partner), ..Settled::inside(id, *here.get(&(partner, programme))?) })
        }));
        self.settle(kind, &left).await?;
        self.report(&findings).await?;
        Ok(rows.len())
    }

    /// The enrolments of these partners in these programmes.
    async fn enrolments_here(&self, wanted: &[WantedEnrolment]) -> QueryResult<HashMap<(Uuid, Uuid), Uuid>> {
        let (partners, programmes) = wanted.iter().map(|wanted| (wanted.partner, wanted.programme)).unzip();
        let binds = vec![Bind::Uuids(partners), Bind::Uuids(programmes), self.tenant_bind()];
        let found: Vec<(Uuid, Uuid, Uuid)> = statement::<(SqlUuid, SqlUuid, SqlUuid)>(
            "SELECT e.partner_id, e.programme_id, e.id FROM unnest(?, ?) AS w (partner, programme)
             JOIN enrolments e ON e.tenant_id = ? AND e.partner_id = w.partner AND e.programme_id = w.programme",
            binds,
        )
        .load(&mut &*self.connection)
        .await?;
        Ok(found.into_iter().map(|(partner, programme, id)| ((partner, programme), id)).collect())
    }

    /// Settles some rules; gives how many. They hold for programmes from when they came to be; the last one that a programme has stays.
    pub async fn settle_rules(&self) -> QueryResult<usize> {
        let kind = ImportKind::Rule;
        let rows = self.waiting(kind).await?;
        let programmes = self.known(ImportKind::Programme, rows.iter().map(|row| row.facts.programme.as_ref())).await?;
        let (mut settled, mut findings) = (Vec::new(), Vec::new());
        for row in &rows {
            let programme = row.facts.programme.as_ref().and_then(|id| programmes.get(id)).and_then(Known::inside);
            let terms = row.facts.rate.map(Terms::Percentage).or(row.facts.amount.map(Terms::Flat));
            let refused = match (programme, terms) {
                (Some(programme), Some(terms)) => {
                    let is_flat = matches!(terms, Terms::Flat(_));
                    let currency = row.facts.currency.as_deref().and_then(Currency::from_code).filter(|_| is_flat);
                    let new = NewRule {
                        partner_id: None,
                        programme_id: Some(programme.into()),
                        currency,
                        formula: Formula { terms, cap: None },
                        duration_months: None,
                        valid_from: self.at,
                        valid_to: None,
                    };
                    let id = RuleId::new();
                    match self.books().add_rule_version(id, &new).await? {
                        Ok(()) => {
                            settled.push(Settled::inside(&row.source_id, id.uuid()));
                            continue;
                        }
                        Err(fault) => format!("The rule could not be set: {fault:?}."),
                    }
                }
                (None, _) => "There is no such programme among those that came in.".to_owned(),
                (_, None) => "The rule says neither a rate nor an amount.".to_owned(),
            };
            findings.push(Finding::of(kind, &row.source_id, FindingCode::RuleDangling, refused));
            settled.push(Settled::left(&row.source_id));
        }
        self.settle(kind, &settled).await?;
        self.report(&findings).await?;
        Ok(rows.len())
    }
}
