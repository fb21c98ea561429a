//! Links, as they were elsewhere.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    sql_types::{Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use uuid::Uuid;

use super::{
    facts::{Facts, ImportKind},
    finding::{Finding, FindingCode},
    partners::HELD,
    programmes::WantedEnrolment,
    refs::Known,
    run::{ImportRun, Orphans},
    staged::{Settled, WaitingRow},
};
use crate::{
    db::statement::{Bind, statement},
    ids::LinkId,
    models::members::member::email_key,
    models::programmes::{
        host::hosts,
        link::{is_key, made_key},
    },
};

#[derive(Clone, Serialize)]
struct NewLink {
    id: Uuid,
    partner: Uuid,
    user: Option<Uuid>,
    programme: Uuid,
    host: Option<String>,
    key: String,
    url: String,
    at: DateTime<Utc>,
    archived_at: Option<DateTime<Utc>>,
}

/// A day of a link before it came here.
#[derive(Serialize)]
pub(super) struct LinkDay {
    pub link: Uuid,
    /// Whose the link is; none if it is here already.
    pub partner: Option<Uuid>,
    /// Its programme, likewise.
    pub programme: Option<Uuid>,
    pub day: chrono::NaiveDate,
    pub clicks: i64,
    pub sign_ups: i64,
}

/// What the links of a batch refer to.
struct LinkRefs {
    partners: HashMap<String, Known>,
    users: HashMap<String, Known>,
    programmes: HashMap<String, Known>,
    by_address: HashMap<String, (String, Option<Uuid>)>,
    by_domain: HashMap<String, Uuid>,
    gone: HashMap<String, Uuid>,
    hosts: HashSet<String>,
    held: Option<Uuid>,
}

impl ImportRun<'_> {
    /// Settles some links; gives how many.
    pub async fn settle_links(&self) -> QueryResult<usize> {
        let kind = ImportKind::Link;
        let rows = self.waiting(kind).await?;
        let refs = self.link_refs(&rows).await?;
        let (mut added, mut enrolments, mut settled, mut findings, mut days) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            let (Some(partner), Some(programme), Some(url)) =
                (refs.owner(row, &mut findings), refs.programme(row, &mut findings), row.facts.url.clone())
            else {
                settled.push(Settled::left(&row.source_id));
                continue;
            };
            let at = row.facts.at.unwrap_or(self.at);
            let user = row.facts.user.as_ref().and_then(|id| refs.users.get(id)).and_then(Known::inside);
            let host = row.facts.host.clone().filter(|host| refs.hosts.contains(host));
            let key = row.facts.key.clone().filter(|key| is_key(key)).unwrap_or_default();
            let archived_at = row.facts.is_archived.unwrap_or_default().then_some(self.at);
            let id = LinkId::new().uuid();
            let (clicks, sign_ups) = (row.facts.clicks.unwrap_or_default(), row.facts.sign_ups.unwrap_or_default());
            if clicks + sign_ups > 0 {
                let (partner, programme) = (Some(partner), Some(programme));
                days.push(LinkDay { link: id, partner, programme, day: at.date_naive(), clicks, sign_ups });
            }
            added.push((row, NewLink { id, partner, user, programme, host, key, url, at, archived_at }));
            enrolments.push(WantedEnrolment::new(partner, programme, "approved", at));
            settled.push(Settled { partner: Some(partner), ..Settled::inside(&row.source_id, id) });
        }
        self.enrol_all(&enrolments).await?;
        // Links that have their figures already are put into the orders of lists once, not twice.
        self.add_link_days(&days).await?;
        self.add_links(added, &mut findings).await?;
        self.settle(kind, &settled).await?;
        self.report(&findings).await?;
        Ok(rows.len())
    }

    async fn link_refs(&self, rows: &[WaitingRow]) -> QueryResult<LinkRefs> {
        let users = self.known(ImportKind::User, rows.iter().map(|row| row.facts.user.as_ref())).await?;
        let by_address =
            self.first_of_addresses(ImportKind::Partner, rows.iter().map(|row| row.facts.partner_email.as_ref())).await?;
        let gone =
            rows.iter().filter_map(|row| row.facts.user.as_ref()).filter(|id| !users.contains_key(*id)).collect::<HashSet<_>>();
        let partners = self.known(ImportKind::Partner, rows.iter().map(|row| row.facts.partner.as_ref())).await?;
        let needed =
            |row: &&WaitingRow| row.facts.partner.as_ref().and_then(|id| partners.get(id)).and_then(Known::inside).is_none();
        let needing: HashSet<&String> = rows.iter().filter(needed).filter_map(|row| row.facts.user.as_ref()).collect();
        let wanted = gone.intersection(&needing).map(|id| {
            let facts = Facts { name: Some(format!("User {id}")), status: Some("closed".to_owned()), ..Facts::default() };
            (format!("user:{id}"), facts)
        });
        let gone = self.derive_partners(wanted.collect()).await?;
        let held = match self.orphans {
            Orphans::Report => None,
            Orphans::Hold => {
                let facts = Facts {
                    name: Some("Links without owner".to_owned()),
                    status: Some("suspended".to_owned()),
                    ..Facts::default()
                };
                self.derive_partners(vec![(HELD.to_owned(), facts)]).await?.into_iter().next().map(|(_, id)| id)
            }
        };
        let domains = rows.iter().filter_map(|row| Some((row.facts.domain.clone()?, None, row.facts.at))).collect();
        Ok(LinkRefs {
            programmes: self.known(ImportKind::Programme, rows.iter().map(|row| row.facts.programme.as_ref())).await?,
            by_domain: self.programmes_of(domains).await?,
            hosts: hosts(self.connection, self.tenant).await?.into_iter().collect(),
            gone: gone.into_iter().collect(),
            partners,
            users,
            by_address,
            held,
        })
    }

    /// Adds links; one whose key is taken, or cannot be one, gets another.
    async fn add_links(&self, links: Vec<(&WaitingRow, NewLink)>, findings: &mut Vec<Finding>) -> QueryResult<()> {
        let mut wanted: Vec<NewLink> =
            links.iter().filter(|(_, link)| !link.key.is_empty()).map(|(_, link)| link.clone()).collect();
        // Two of one key in one batch: the first has it.
        let mut keys = HashSet::new();
        wanted.retain(|link| keys.insert((link.host.clone(), link.key.to_lowercase())));
        let inserted: HashSet<Uuid> = self.insert_links(&wanted).await?.into_iter().collect();
        let mut others = Vec::new();
        for (row, link) in links.into_iter().filter(|(_, link)| !inserted.contains(&link.id)) {
            let key = made_key()?;
            let had = row.facts.key.as_deref();
            let message = match had {
                Some(had) => format!("The key {had:?} is taken or cannot be one here; the link has the key {key:?}."),
                None => format!("The link has no key there; here it has the key {key:?}."),
            };
            findings.push(Finding::of(ImportKind::Link, &row.source_id, FindingCode::KeyReplaced, message).at("key", had));
            others.push(NewLink { key, ..link });
        }
        self.insert_links(&others).await.map(drop)
    }

    async fn insert_links(&self, links: &[NewLink]) -> QueryResult<Vec<Uuid>> {
        if links.is_empty() {
            return Ok(Vec::new());
        }
        let binds = vec![self.tenant_bind(), Bind::json(&links)];
        let inserted = statement::<SqlUuid>(
            "INSERT INTO links (tenant_id, id, partner_id, user_id, programme_id, host, key, url, created_at, updated_at)
             SELECT ?, l.id, l.partner, l.\"user\", l.programme, l.host, l.key, l.url, l.at, l.at
             FROM jsonb_to_recordset(?::jsonb) AS l (id uuid, partner uuid, \"user\" uuid, programme uuid, host text, key text, url text, at timestamptz)
             ON CONFLICT DO NOTHING RETURNING id",
            binds,
        )
        .load(&mut &*self.connection)
        .await?;
        let archived: Vec<&NewLink> = links.iter().filter(|link| link.archived_at.is_some()).collect();
        if !archived.is_empty() {
            let binds = vec![Bind::json(&archived), self.tenant_bind()];
            let sql = "UPDATE links l SET archived_at = a.archived_at FROM jsonb_to_recordset(?::jsonb) AS a (id uuid, archived_at timestamptz)
                 WHERE l.tenant_id = ? AND l.id = a.id";
            statement::<Text>(sql, binds).execute(&mut &*self.connection).await?;
        }
        Ok(inserted)
    }
}

impl LinkRefs {
    /// Whose a link is: the partner that it names, else its user's.
    fn owner(&self, row: &WaitingRow, findings: &mut Vec<Finding>) -> Option<Uuid> {
        let mut say = |code, message: String| findings.push(Finding::of(ImportKind::Link, &row.source_id, code, message));
        let facts = &row.facts;
        let named = facts.partner.as_ref().and_then(|id| self.partners.get(id)).and_then(Known::inside);
        let by_address = || facts.partner_email.as_ref().and_then(|email| self.by_address.get(&email_key(email))?.1);
        if let Some(partner) = named.or_else(by_address) {
            return Some(partner);
        }
        if let Some(id) = &facts.partner {
            say(FindingCode::DanglingPartner, format!("There is no partner {id:?}; the link's user says whose it is."));
        }
        if let Some(id) = &facts.user {
            if let Some(partner) = self.users.get(id).and_then(|user| user.partner) {
                return Some(partner);
            }
            if let Some(partner) = self.gone.get(&format!("user:{id}")) {
                say(FindingCode::UserGone, format!("There is no user {id:?}; the link is a closed partner's, named by this id."));
                return Some(*partner);
            }
        }
        match self.held {
            Some(_) => say(FindingCode::LinkHeld, "Neither a partner nor a user of the link is known; it is held.".to_owned()),
            None => say(FindingCode::LinkWithoutOwner, "Neither a partner nor a user of the link is known.".to_owned()),
        }
        self.held
    }

    /// The programme of a link: the one that it names, else that of its address's domain.
    fn programme(&self, row: &WaitingRow, findings: &mut Vec<Finding>) -> Option<Uuid> {
        let named = row.facts.programme.as_ref().and_then(|id| self.programmes.get(id)).and_then(Known::inside);
        let own = row.facts.domain.as_ref().and_then(|domain| self.by_domain.get(domain)).copied();
        if let (Some(named), Some(own)) = (named, own)
            && named != own
        {
            let message = format!(
                "The link leads to {}, and its programme is of another domain.",
                row.facts.domain.as_deref().unwrap_or_default()
            );
            findings.push(Finding::of(ImportKind::Link, &row.source_id, FindingCode::ProgrammeDiffers, message));
        }
        named.or(own)
    }
}
