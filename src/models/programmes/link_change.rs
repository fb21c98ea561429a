//! Changes of links: what making one takes, when two are the same one, and what becomes of it afterwards.

use chrono::{DateTime, Utc};
use diesel::{prelude::*, result::DatabaseErrorKind};
use diesel_async::RunQueryDsl;

use super::{
    address::ProductAddress,
    enrolment::{Enrolment, EnrolmentStatus},
    host::{default_host, hosts},
    link::{Link, made_key},
    link_request::{LinkChanges, LinkRequest},
    link_share::LinkShare,
    programme::{Programme, ProgrammeStatus},
};
use crate::{
    db::{
        QueryError, is_taken,
        locks::{self, Named},
        schema::links,
        statement::{Bind, condition},
    },
    ids::{LinkId, PartnerId},
    models::{
        idempotency::{Claim, Difference, Operation},
        ledger::books::Books,
        partners::{partner::Partner, status::PartnerStatus},
        scope::Scope,
    },
};

/// Why a link was not made, or left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkFault {
    /// There is no such link.
    NotFound,
    /// The shop has no programme yet, and the commission-rate service is to be asked before one is made.
    UnknownRate,
    /// There is no such partner.
    UnknownPartner,
    /// The partner is closed.
    PartnerClosed,
    /// There is no such partner to share with, or it is closed.
    UnknownSharer(PartnerId),
    /// The programme of this name takes no new links.
    ProgrammePaused(String),
    /// The partner does not take part in the programme of this name.
    NotEnrolled(String, EnrolmentStatus),
    /// Another link has the key.
    KeyTaken,
    /// Another link of the tenant's has the external id.
    ExternalIdTaken,
    /// Another link of the tenant's has the coupon code.
    CouponCodeTaken,
    /// The partner has this link to the address already.
    AddressTaken(LinkId),
    /// The address belongs to another shop than the link's.
    OtherShop(String),
    /// The address that it is to lead to once it has expired does.
    ExpiredToOtherShop(String),
    /// The address is itself one of links, of this host.
    LeadsToLinks(String),
    /// The same link was made before, and this field of it says something else.
    Differs {
        /// The link.
        link: LinkId,
        /// The field of the input.
        field: &'static str,
        /// What it says there; `None` for nothing.
        first: Option<String>,
    },
    /// The idempotency key was used for something else.
    KeyReused {
        /// The link that was made with it.
        first: LinkId,
        /// Where the requests differ.
        difference: Difference,
    },
    /// It was changed at this instant, after the caller had read it.
    ChangedSince(DateTime<Utc>),
}

impl Books<'_> {
    /// Makes a link, or gives the one that there is: of one partner's links to one address that have a made key there is one, unless an
    /// idempotency key asks for another. A link that was archived is restored. Gives its id, and whether anything was changed.
    pub async fn create_link(&self, scope: Scope, request: &LinkRequest) -> QueryResult<Result<(LinkId, bool), LinkFault>> {
        match Partner::by_ids(self.connection, scope, &[request.partner]).await?.get(&request.partner) {
            None => return Ok(Err(LinkFault::UnknownPartner)),
            Some(partner) if partner.status == PartnerStatus::Closed => return Ok(Err(LinkFault::PartnerClosed)),
            Some(_) => {}
        }
        if let Some(host) = self.host_of_links(&request.address).await? {
            return Ok(Err(LinkFault::LeadsToLinks(host)));
        }
        if let Some(expired) = request.details.expired_url.as_ref().filter(|expired| expired.domain() != request.address.domain())
        {
            return Ok(Err(LinkFault::ExpiredToOtherShop(expired.domain().to_owned())));
        }
        let host = default_host(self.connection, self.tenant).await?;
        let known = self.link_as(host.as_deref(), request).await?;
        let id = known.as_ref().map_or_else(LinkId::new, |known| known.id);
        if let Some(key) = &request.idempotency_key {
            let claim = key.claim(self.connection, Operation::CreateLink, self.tenant, Some(request.partner), id.uuid());
            match claim.await? {
                Claim::First => {}
                Claim::Replay(first) => return Ok(Ok((first.into(), false))),
                Claim::Reused { first, difference } => {
                    return Ok(Err(LinkFault::KeyReused { first: first.into(), difference }));
                }
            }
        }
        if let Some(known) = known {
            return self.link_again(known, request).await;
        }
        let enrolment = match self.own_enrolment(scope, request).await? {
            Ok(enrolment) => enrolment,
            Err(fault) => return Ok(Err(fault)),
        };
        self.insert_link(id, host, enrolment, request).await.map(|inserted| inserted.map(|()| (id, true)))
    }

    /// The host of an address if links are on it: a link that leads to a link would count one visitor several times, or lead nowhere.
    async fn host_of_links(&self, address: &ProductAddress) -> QueryResult<Option<String>> {
        let own = hosts(self.connection, self.tenant).await?;
        Ok(own.into_iter().find(|host| host == address.host()))
    }

    /// The link that a request would make again, if there is one.
    async fn link_as(&self, host: Option<&str>, request: &LinkRequest) -> QueryResult<Option<Link>> {
        let own =
            Link::query().filter(links::tenant_id.eq(self.tenant)).filter(links::partner_id.eq(request.partner)).into_boxed();
        let same = match &request.key {
            Some(key) => {
                let host = host.unwrap_or_default();
                // Who asks for the same key at the same time waits here, and finds the link.
                let name = format!("{host}/{}", key.to_ascii_lowercase());
                locks::lock_names(self.connection, Named::Link, vec![name]).await?;
                let names = vec![Bind::text(host), Bind::text(key)];
                own.filter(condition("coalesce(links.host, '') = ? AND lower(links.key) = lower(?)", names))
            }
            None if request.idempotency_key.is_some() => return Ok(None),
            None => own.filter(links::url_hash.eq(request.address.hash())),
        };
        same.first(&mut &*self.connection).await.optional()
    }

    /// What a request does that has made this link before, or another that is the same.
    async fn link_again(&self, known: Link, request: &LinkRequest) -> QueryResult<Result<(LinkId, bool), LinkFault>> {
        if known.url != request.address.url() {
            return Ok(Err(LinkFault::KeyTaken));
        }
        if let Some((field, first)) = request.details.differs_from(&known) {
            return Ok(Err(LinkFault::Differs { link: known.id, field, first }));
        }
        if let Some(split) = &request.split {
            let known_split = LinkShare::by_links(self.connection, Scope::tenant(self.tenant), &[known.id]).await?;
            let known_split = known_split.get(&known.id).map(Vec::as_slice).unwrap_or_default();
            if split != known_split {
                let said = |share: &LinkShare| format!("{} of {}", share.share.normalize(), share.partner_id);
                let first = known_split.iter().map(said).collect::<Vec<_>>().join(", ");
                let first = Some(first).filter(|first| !first.is_empty());
                return Ok(Err(LinkFault::Differs { link: known.id, field: "input.split", first }));
            }
        }
        let restored = self.restore_link(Scope::tenant(self.tenant), known.id).await?;
        Ok(restored.map(|has_changed| (known.id, has_changed)))
    }

    /// The partner's part in the programme of the address's shop, in which it can make links. Both are made where there are none.
    async fn own_enrolment(&self, scope: Scope, request: &LinkRequest) -> QueryResult<Result<Enrolment, LinkFault>> {
        let known = Programme::of_address(self.connection, scope, &request.address).await?;
        let enrolment = match &known {
            Some(programme) => Enrolment::of(self.connection, scope, request.partner, programme.id).await?,
            None => None,
        };
        let (programme, enrolment) = if let (Some(programme), Some(enrolment)) = (known, enrolment) {
            (programme, enrolment)
        } else {
            // A partner sees no programme that it is not enrolled in, and enrols in none by itself.
            self.act_for_tenant().await?;
            let Some(programme) = self.programme_of(&request.address, &request.quote).await? else {
                return Ok(Err(LinkFault::UnknownRate));
            };
            if programme.status == ProgrammeStatus::Paused {
                return Ok(Err(LinkFault::ProgrammePaused(programme.name)));
            }
            let enrolment = self.enrol(request.partner, &programme).await?;
            (programme, enrolment)
        };
        Ok(if programme.status == ProgrammeStatus::Paused {
            Err(LinkFault::ProgrammePaused(programme.name))
        } else if enrolment.status.makes_links() {
            Ok(enrolment)
        } else {
            Err(LinkFault::NotEnrolled(programme.name, enrolment.status))
        })
    }

    async fn insert_link(
        &self,
        id: LinkId,
        host: Option<String>,
        enrolment: Enrolment,
        request: &LinkRequest,
    ) -> QueryResult<Result<(), LinkFault>> {
        let details = &request.details;
        let key = request.key.clone().map_or_else(made_key, Ok)?;
        let split = request.split.as_deref().unwrap_or_default();
        if let Some(unknown) = self.unknown_sharer(split).await? {
            return Ok(Err(LinkFault::UnknownSharer(unknown)));
        }
        let is_by_nature = request.key.is_none() && request.idempotency_key.is_none();
        let at = self.after_locks().at;
        let insert = diesel::insert_into(links::table).values((
            (
                links::tenant_id.eq(self.tenant),
                links::id.eq(id),
                links::partner_id.eq(request.partner),
                links::user_id.eq(self.by),
                links::programme_id.eq(enrolment.programme_id),
                links::host.eq(host),
                links::key.eq(key),
                links::url.eq(request.address.url()),
                links::url_hash.eq(is_by_nature.then(|| request.address.hash())),
            ),
            links::title.eq(&details.title),
            links::external_id.eq(&details.external_id),
            &details.utm,
            links::expires_at.eq(details.expires_at),
            links::expired_url.eq(details.expired_url.as_ref().map(ProductAddress::url)),
            links::created_at.eq(at),
            links::updated_at.eq(at),
        ));
        match insert.execute(&mut &*self.connection).await {
            // Made at the same time by the same request, or with the same made key: looked at anew, it is found, or another key is made.
            Err(error) if is_taken(&error, "links_url_key") || request.key.is_none() && is_taken(&error, "links_key_key") => {
                Err(run_again("a link was made at the same time"))
            }
            written => match unless_taken(written.map(drop))? {
                Ok(()) if split.is_empty() => self.give_coupon_code(id, details.coupon_code.as_deref()).await,
                Ok(()) => {
                    LinkShare::insert(self.connection, self.tenant, id, split).await?;
                    self.give_coupon_code(id, details.coupon_code.as_deref()).await
                }
                fault => Ok(fault),
            },
        }
    }

    /// The first of those that a link is to be shared with who cannot be: there is none of that id, or it is closed. A partner sees no others, so
    /// that is found out, and written, in the tenant's name.
    async fn unknown_sharer(&self, split: &[LinkShare]) -> QueryResult<Option<PartnerId>> {
        if split.is_empty() {
            return Ok(None);
        }
        self.act_for_tenant().await?;
        let ids: Vec<PartnerId> = split.iter().map(|share| share.partner_id).collect();
        let known = Partner::by_ids(self.connection, Scope::tenant(self.tenant), &ids).await?;
        let is_open = |id: &PartnerId| known.get(id).is_some_and(|partner| partner.status != PartnerStatus::Closed);
        Ok(ids.into_iter().find(|id| !is_open(id)))
    }

    /// Gives a new link its coupon code, which no partner may do.
    async fn give_coupon_code(&self, id: LinkId, code: Option<&str>) -> QueryResult<Result<(), LinkFault>> {
        let Some(code) = code else { return Ok(Ok(())) };
        let row = links::table.filter(links::tenant_id.eq(self.tenant)).filter(links::id.eq(id));
        unless_taken(diesel::update(row).set(links::coupon_code.eq(code)).execute(&mut &*self.connection).await.map(drop))
    }

    /// Changes a link, and gives whether anything was not so already. `expected` is its `updated_at` when the caller decided on it.
    pub async fn change_link(
        &self,
        scope: Scope,
        id: LinkId,
        changes: &LinkChanges,
        expected: Option<DateTime<Utc>>,
    ) -> QueryResult<Result<bool, LinkFault>> {
        let Some(link) = Link::lock(self.connection, scope, id).await? else { return Ok(Err(LinkFault::NotFound)) };
        if !changes.differ_from(&link) {
            return Ok(Ok(false));
        }
        if expected.is_some_and(|expected| expected != link.updated_at) {
            return Ok(Err(LinkFault::ChangedSince(link.updated_at)));
        }
        if let Some(Some(expired)) = &changes.expired_url
            && !self.is_of_shop(scope, &link, expired).await?
        {
            return Ok(Err(LinkFault::ExpiredToOtherShop(expired.domain().to_owned())));
        }
        let row = links::table.filter(links::tenant_id.eq(self.tenant)).filter(links::id.eq(id));
        if let Some(address) = changes.address.as_ref().filter(|address| address.url() != link.url) {
            if !self.is_of_shop(scope, &link, address).await? {
                return Ok(Err(LinkFault::OtherShop(address.domain().to_owned())));
            }
            if let Some(host) = self.host_of_links(address).await? {
                return Ok(Err(LinkFault::LeadsToLinks(host)));
            }
            if link.url_hash.is_some()
                && let Some(twin) = self.link_to(link.partner_id, address).await?
            {
                return Ok(Err(LinkFault::AddressTaken(twin)));
            }
            let hash = link.url_hash.as_ref().map(|_| address.hash());
            let moved = diesel::update(row).set((links::url.eq(address.url()), links::url_hash.eq(hash)));
            match moved.execute(&mut &*self.connection).await {
                Err(error) if is_taken(&error, "links_url_key") => return Err(run_again("a link was made at the same time")),
                moved => moved?,
            };
        }
        let expired_url = changes.expired_url.as_ref().map(|expired| expired.as_ref().map(ProductAddress::url));
        let expired_url = expired_url.map(|url| links::expired_url.eq(url));
        let update = diesel::update(row).set((&changes.details, expired_url, links::updated_at.eq(self.after_locks().at)));
        Ok(unless_taken(update.execute(&mut &*self.connection).await.map(drop))?.map(|()| true))
    }

    /// Whether an address is one of the shop that a link leads to.
    async fn is_of_shop(&self, scope: Scope, link: &Link, address: &ProductAddress) -> QueryResult<bool> {
        let programme = Programme::of_address(self.connection, scope, address).await?;
        Ok(programme.is_some_and(|programme| programme.id == link.programme_id))
    }

    /// The link with a made key that a partner has to an address.
    async fn link_to(&self, partner: PartnerId, address: &ProductAddress) -> QueryResult<Option<LinkId>> {
        let twin = links::table
            .filter(links::tenant_id.eq(self.tenant))
            .filter(links::partner_id.eq(partner))
            .filter(links::url_hash.eq(address.hash()))
            .select(links::id);
        twin.first(&mut &*self.connection).await.optional()
    }

    /// Archives a link: it leads nowhere any more, and keeps its figures. Gives whether it was not archived before.
    pub async fn archive_link(&self, scope: Scope, id: LinkId) -> QueryResult<Result<bool, LinkFault>> {
        self.set_archived(scope, id, true).await
    }

    /// Lets an archived link lead to its address again. Gives whether it was archived.
    pub async fn restore_link(&self, scope: Scope, id: LinkId) -> QueryResult<Result<bool, LinkFault>> {
        self.set_archived(scope, id, false).await
    }

    async fn set_archived(&self, scope: Scope, id: LinkId, archives: bool) -> QueryResult<Result<bool, LinkFault>> {
        let Some(link) = Link::lock(self.connection, scope, id).await? else { return Ok(Err(LinkFault::NotFound)) };
        if link.archived_at.is_some() == archives {
            return Ok(Ok(false));
        }
        let at = self.after_locks().at;
        let row = links::table.filter(links::tenant_id.eq(self.tenant)).filter(links::id.eq(id));
        let update = diesel::update(row).set((links::archived_at.eq(archives.then_some(at)), links::updated_at.eq(at)));
        update.execute(&mut &*self.connection).await.map(|_| Ok(true))
    }
}

/// What PostgreSQL says where a transaction is to be run again.
fn run_again(reason: &str) -> QueryError {
    QueryError::DatabaseError(DatabaseErrorKind::SerializationFailure, Box::new(reason.to_owned()))
}

/// Recognises what was refused because another link has a value that is one link's alone.
fn unless_taken(written: QueryResult<()>) -> QueryResult<Result<(), LinkFault>> {
    match written {
        Err(error) if is_taken(&error, "links_key_key") => Ok(Err(LinkFault::KeyTaken)),
        Err(error) if is_taken(&error, "links_external_id_key") => Ok(Err(LinkFault::ExternalIdTaken)),
        Err(error) if is_taken(&error, "links_coupon_code_key") => Ok(Err(LinkFault::CouponCodeTaken)),
        written => written.map(Ok),
    }
}
