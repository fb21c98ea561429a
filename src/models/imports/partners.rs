//! Partners, as they were elsewhere.

use chrono::{DateTime, Utc};
use diesel::{QueryResult, sql_types::Text};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use uuid::Uuid;

use super::{
    facts::{Facts, ImportKind},
    finding::{Finding, FindingCode},
    run::ImportRun,
    staged::Settled,
};
use crate::models::members::member::email_key;
use crate::{
    db::statement::{Bind, statement},
    ids::PartnerId,
    validation::MAX_NAME,
};

/// The source's id of the partner that has the links without owner.
pub(super) const HELD: &str = "links without owner";

#[derive(Serialize)]
pub(super) struct NewPartner {
    pub id: Uuid,
    pub name: String,
    pub contact: Option<String>,
    pub email: Option<String>,
    pub status: String,
    pub reason: Option<String>,
    pub at: DateTime<Utc>,
}

impl ImportRun<'_> {
    /// Settles some partners; gives how many.
    pub async fn settle_partners(&self) -> QueryResult<usize> {
        let kind = ImportKind::Partner;
        let rows = self.waiting(kind).await?;
        let count = rows.len();
        let rows = self.without_unknown(kind, rows).await?;
        let firsts = self.first_of_addresses(kind, rows.iter().map(|row| row.facts.email.as_ref())).await?;
        let (mut added, mut settled, mut findings) = (Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            let id = &row.source_id;
            if let Some(existing) = row.facts.existing {
                settled.push(Settled { partner: Some(existing), ..Settled::inside(id, existing) });
                continue;
            }
            let mut partner = self.new_partner(&row.facts, id);
            if let Some(email) = &row.facts.email
                && let Some((first, _)) = firsts.get(&email_key(email)).filter(|(first, _)| first != id)
            {
                partner.email = None;
                let message = format!("The partner {first:?} has this address, and was there before; this one has none here.");
                findings.push(Finding::of(kind, id, FindingCode::DuplicateEmail, message).at("email", Some(email)));
            }
            settled.push(Settled { partner: Some(partner.id), ..Settled::inside(id, partner.id) });
            added.push(partner);
        }
        self.add_partners(&added).await?;
        self.settle(kind, &settled).await?;
        self.report(&findings).await?;
        Ok(count)
    }

    /// A partner by what is known of it, or of the person whose it is.
    pub(super) fn new_partner(&self, facts: &Facts, source_id: &str) -> NewPartner {
        let local = facts.email.as_deref().and_then(|email| email.split('@').next()).filter(|local| !local.is_empty());
        let name = facts.name.as_deref().or(local).map_or_else(|| format!("Partner {source_id}"), str::to_owned);
        let status = facts.status.clone().unwrap_or_else(|| "active".to_owned());
        NewPartner {
            id: PartnerId::new().uuid(),
            contact: facts.name.as_deref().map(shortened),
            name: shortened(&name),
            email: facts.email.clone(),
            reason: (status != "active").then(|| format!("{}.", self.named(source_id))),
            status,
            at: facts.at.unwrap_or(self.at),
        }
    }

    pub(super) async fn add_partners(&self, partners: &[NewPartner]) -> QueryResult<()> {
        if partners.is_empty() {
            return Ok(());
        }
        let binds = vec![self.tenant_bind(), Bind::json(&partners)];
        statement::<Text>("SELECT import_partners(?, ?::jsonb)::text", binds).execute(&mut &*self.connection).await.map(drop)
    }

    /// Makes partners that follow from something else, closed or not; gives them by their ids there.
    pub(super) async fn derive_partners(&self, wanted: Vec<(String, Facts)>) -> QueryResult<Vec<(String, Uuid)>> {
        let ids: Vec<String> = wanted.iter().map(|(id, _)| id.clone()).collect();
        let known = self.known(ImportKind::Partner, ids.iter().map(Some)).await?;
        let mut found: Vec<(String, Uuid)> = known.into_iter().filter_map(|(id, known)| Some((id, known.inside()?))).collect();
        let (mut added, mut rows) = (Vec::new(), Vec::new());
        for (id, facts) in wanted {
            if found.iter().any(|(known, _)| *known == id) {
                continue;
            }
            let partner = self.new_partner(&facts, &id);
            found.push((id.clone(), partner.id));
            rows.push((id, facts, partner.id, Some(partner.id)));
            added.push(partner);
        }
        self.add_partners(&added).await?;
        self.derive(ImportKind::Partner, &rows).await?;
        Ok(found)
    }
}

/// A name of the length that names may have.
pub(super) fn shortened(name: &str) -> String {
    name.trim().chars().take(MAX_NAME).collect()
}
