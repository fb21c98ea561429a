//! The session guard: from a verified token's claims to the request's database session and its [`Viewer`].
//!
//! The caller is identified in the transaction that answers the request, in the same round trip as its BEGIN. A bearer of a valid token who is
//! unknown is registered here.
//!
//! Most callers are known, and nothing about them has changed: one version number says so ([`Identity::is_current`]). A query runs under the
//! identity remembered from last time ([`Predicted`]), in the same round trip as that look-up, and its answer is discarded unless the look-up
//! confirms it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use quick_cache::sync::Cache;

use super::{Role, Viewer, claims::Claims, viewer::ActivePartner};
use crate::{
    db::{
        Pool,
        session::{Access, Act, AuditActor, Caller, OPERATOR, SERVICE, Session},
    },
    error::{Error, Result},
    models::people::{
        partner_user::PartnerUserRole,
        sign_in::{Identity, SignIn},
    },
    validation::MAX_INVITE_CODE,
};

/// How many callers are remembered.
const REMEMBERED: usize = 10_000;

/// The identities of known callers, by what their tokens say.
pub struct KnownCallers {
    known: Cache<SignIn, Arc<Identity>>,
    confirmed: AtomicU64,
    mistaken: AtomicU64,
}

impl Default for KnownCallers {
    fn default() -> Self {
        Self { known: Cache::new(REMEMBERED), confirmed: AtomicU64::new(0), mistaken: AtomicU64::new(0) }
    }
}

/// A predicted caller.
pub struct Predicted {
    lookup: SignIn,
    identity: Arc<Identity>,
}

/// Why a prediction was not confirmed.
pub enum Unconfirmed {
    /// The caller is another one, or something about them has changed.
    Another,
    /// The look-up failed.
    Fault(Error),
}

impl KnownCallers {
    /// Opens the session of the request of that id, and identifies its caller.
    pub async fn admit(&self, pool: &Pool, claims: &Arc<Claims>, request: &str, access: Access) -> Result<(Session, Viewer)> {
        let lookup = SignIn::from(&**claims);
        let session = Session::take(pool, gate(&lookup), Some(request)).await?;
        if let Some(identity) = self.known.get(&lookup) {
            if session.enter(access.clone(), async |connection| identity.is_current(connection, &lookup).await).await? {
                let viewer = viewer(&identity, claims)?;
                session.proceed(viewer.caller(), Some(&identity.announced)).await?;
                session.name_impersonator(claims.actor.clone()).await;
                return Ok((session, viewer));
            }
            self.known.remove(&lookup);
        }
        let viewer = self.identify(&session, lookup, claims, access).await?;
        Ok((session, viewer))
    }

    /// The same for a query. Where the caller is predicted, nothing has been sent to the database yet: [`KnownCallers::confirm`] must be polled
    /// before any read, and answers may leave the server once it has confirmed the prediction.
    pub async fn predict(
        &self,
        pool: &Pool,
        claims: &Arc<Claims>,
        request: &str,
    ) -> Result<(Session, Viewer, Option<Predicted>)> {
        let lookup = SignIn::from(&**claims);
        let mut session = Session::take(pool, gate(&lookup), Some(request)).await?;
        if let Some(identity) = self.known.get(&lookup) {
            let viewer = viewer(&identity, claims)?;
            if session.predict(viewer.caller()) {
                return Ok((session, viewer, Some(Predicted { lookup, identity })));
            }
        }
        let viewer = self.identify(&session, lookup, claims, Access::Read).await?;
        Ok((session, viewer, None))
    }

    async fn identify(&self, session: &Session, lookup: SignIn, claims: &Arc<Claims>, access: Access) -> Result<Viewer> {
        let found = session.enter(access, async |connection| Identity::find(connection, &lookup).await).await?;
        let found = only(found);
        if found.as_ref().map_or(true, |identity| identity.must_sign_in(&lookup)) {
            session.expect_primary().await?;
        }
        let mut identity = found?;
        if identity.must_sign_in(&lookup) {
            session.name_impersonator(claims.actor.clone()).await;
            session.perform(Act::new(AuditActor::SignIn, "signIn"));
            let register = || async {
                let writing = session.write().await?;
                lookup.register(&writing, &identity).await?;
                writing.commit_and(async { Ok(Identity::find(&*session.read().await?, &lookup).await?) }).await
            };
            let found = session.retry(register).await;
            identity = only(found.map_err(Error::repeatable)?)?;
        }
        let viewer = viewer(&identity, claims)?;
        session.proceed(viewer.caller(), Some(&identity.announced)).await?;
        session.name_impersonator(claims.actor.clone()).await;
        // A caller is predicted only where the look-up itself announced them to PostgreSQL, and never where they are still to be registered.
        if viewer.caller().is(&identity.announced) && !identity.must_sign_in(&lookup) {
            self.known.insert(lookup, Arc::new(identity));
        }
        Ok(viewer)
    }

    /// Confirms a prediction. Where it was wrong, the caller is forgotten.
    pub async fn confirm(&self, session: &Session, predicted: &Predicted) -> Result<(), Unconfirmed> {
        let Predicted { lookup, identity } = predicted;
        let is_current = session.confirm(async |connection| identity.is_current(connection, lookup).await).await;
        if is_current.map_err(Unconfirmed::Fault)? {
            self.confirmed.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        self.mistaken.fetch_add(1, Ordering::Relaxed);
        self.known.remove(lookup);
        Err(Unconfirmed::Another)
    }

    /// Forgets all callers: what is known of them may never have been, where the database went back.
    pub fn forget(&self) {
        self.known.clear();
    }

    /// How many predictions were right, and how many were not.
    pub fn predicted(&self) -> (u64, u64) {
        (self.confirmed.load(Ordering::Relaxed), self.mistaken.load(Ordering::Relaxed))
    }
}

fn gate(lookup: &SignIn) -> Caller {
    Caller::Gate { issuer: lookup.issuer.clone(), subject: lookup.subject.clone() }
}

/// One issuer may serve several tenants; its tokens must then say which. More than one match is as good as none.
fn only(mut found: Vec<Identity>) -> Result<Identity> {
    match (found.pop(), found.is_empty()) {
        (Some(identity), true) => Ok(identity),
        _ => Err(Error::UnknownTenant),
    }
}

/// What the bearer is in the active organisation, as far as the token says.
fn organization_role(claims: &Claims) -> Option<PartnerUserRole> {
    claims.organization.as_ref()?.role.as_deref().map(PartnerUserRole::in_organization)
}

/// The role that the issuer's administrators give by `metadata.role`.
pub fn staff_role(claims: &Claims) -> Option<Role> {
    match claims.metadata_role.as_deref() {
        Some("operator") => Some(Role::Operator),
        Some("service") => Some(Role::Service),
        _ => None,
    }
}

fn viewer(identity: &Identity, claims: &Arc<Claims>) -> Result<Viewer> {
    let user = identity.user_id.ok_or_else(|| Error::internal("a registered user is not there"))?;
    // What an organisation says is said by this token; another of the same person may have said otherwise a moment ago.
    let by_token =
        organization_role(claims).filter(|_| identity.partner_role.is_some() && identity.membership_organization.is_some());
    let role = staff_role(claims).unwrap_or(match by_token.or(identity.partner_role) {
        Some(PartnerUserRole::Owner) => Role::PartnerOwner,
        Some(PartnerUserRole::Member) | None => Role::PartnerMember,
    });
    let partner = match role {
        Role::Operator | Role::Service => None,
        Role::PartnerOwner | Role::PartnerMember => {
            // Only a partner's people act for it.
            let partner = identity.partner_id.filter(|_| identity.partner_role.is_some());
            partner.zip(identity.partner_status).map(|(id, status)| ActivePartner { id, status })
        }
    };
    Ok(Viewer { tenant: identity.tenant.clone(), user, role, partner, claims: Arc::clone(claims) })
}

impl From<&Claims> for SignIn {
    fn from(claims: &Claims) -> Self {
        let organization = claims.organization.as_ref();
        Self {
            issuer: claims.issuer.clone(),
            subject: claims.subject.clone(),
            tenant: claims.tenant.clone(),
            organization: organization.map(|organization| organization.id.clone()),
            organization_role: organization_role(claims),
            email: claims.email.clone().filter(|email| email.chars().count() <= 254),
            is_email_verified: claims.is_email_verified,
            name: claims.name.clone().filter(|name| name.chars().count() <= 200 && !name.chars().any(char::is_control)),
            invite_code: claims.invite_code.clone().filter(|code| code.len() <= MAX_INVITE_CODE),
            staff_role: staff_role(claims).and_then(|role| match role {
                Role::Operator => Some(OPERATOR),
                Role::Service => Some(SERVICE),
                Role::PartnerMember | Role::PartnerOwner => None,
            }),
        }
    }
}
