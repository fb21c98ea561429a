//! Callers, and how a transaction announces its caller to PostgreSQL.
//!
//! A request announces its bearer by the statement that looks them up ([`crate::models::people::sign_in`]): whatever is set here is set there too.

use diesel::{
    QueryResult,
    deserialize::Queryable,
    sql_types::{BigInt, Nullable, Text},
};
use diesel_async::AsyncPgConnection;

use super::{
    statement::{Bind, statement},
    wal::{WalPosition, position_sql},
};
use crate::ids::{PartnerId, TenantId, UserId};

/// On whose behalf a transaction runs: the database role it takes, and the settings that the policies compare rows with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The session guard, before the caller is identified.
    Gate {
        /// The verified token's issuer.
        issuer: String,
        /// The verified token's subject.
        subject: String,
    },
    /// A member of one partner, or of none yet.
    Partner {
        /// Their tenant.
        tenant: TenantId,
        /// The active partner.
        partner: Option<PartnerId>,
        /// The person.
        user: UserId,
    },
    /// Staff of the tenant.
    Operator {
        /// Their tenant.
        tenant: TenantId,
        /// The person.
        user: UserId,
    },
    /// A machine of the tenant.
    Service {
        /// Its tenant.
        tenant: TenantId,
        /// Its user.
        user: UserId,
    },
}

/// The SQL that announces a caller.
macro_rules! announce {
    () => {
        "SELECT set_config('role', ?, true), set_config('app.tenant_id', ?, true), set_config('app.partner_id', ?, true), \
         set_config('app.user_id', ?, true), set_config('app.issuer', ?, true), set_config('app.subject', ?, true)"
    };
}

type OfText = Nullable<Text>;
type Settings = (OfText, OfText, OfText, OfText, OfText, OfText);
/// The same, and a position.
type Located = (OfText, OfText, OfText, OfText, OfText, OfText, BigInt);
type LocatedRow = (Option<String>, Option<String>, Option<String>, Option<String>, Option<String>, Option<String>, i64);

/// What has been announced to PostgreSQL of a caller: the role, and the settings `app.tenant_id`, `app.partner_id`, `app.user_id`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Announced {
    /// The role.
    pub role: String,
    /// `app.tenant_id`
    pub tenant: String,
    /// `app.partner_id`
    pub partner: String,
    /// `app.user_id`
    pub user: String,
}

impl Caller {
    /// Whether what has been announced is this caller.
    pub fn is(&self, announced: &Announced) -> bool {
        self.announced() == *announced
    }

    pub(super) fn announced(&self) -> Announced {
        let id = |value: Option<uuid::Uuid>| value.unwrap_or_default().to_string();
        let (role, tenant, partner, user) = match self {
            Self::Gate { .. } => (GATE, None, None, None),
            Self::Partner { tenant, partner, user } => (PARTNER, Some(tenant), *partner, Some(user)),
            Self::Operator { tenant, user } => (OPERATOR, Some(tenant), None, Some(user)),
            Self::Service { tenant, user } => (SERVICE, Some(tenant), None, Some(user)),
        };
        Announced {
            role: role.to_owned(),
            tenant: id(tenant.map(|tenant| tenant.uuid())),
            partner: id(partner.map(PartnerId::uuid)),
            user: id(user.map(|user| user.uuid())),
        }
    }

    /// Announces the caller to PostgreSQL for the rest of the transaction. Settings that this caller does not have are emptied: none is left over
    /// from another caller in the same transaction.
    pub(crate) async fn announce(&self, mut connection: &AsyncPgConnection) -> QueryResult<()> {
        // Imported here alone: in scope of the whole file, its `load` would hide that of the atomic counters.
        use diesel_async::RunQueryDsl;

        statement::<Settings>(announce!(), self.settings()).execute(&mut connection).await.map(drop)
    }

    /// The same, and how far the database is: all that was committed before is known by a standby that has come so far.
    pub(super) async fn announce_and_locate(&self, mut connection: &AsyncPgConnection) -> QueryResult<WalPosition> {
        use diesel_async::RunQueryDsl;

        let announced = statement::<Located>(concat!(announce!(), ", ", position_sql!()), self.settings());
        let (.., bytes) = announced.get_result::<LocatedRow>(&mut connection).await?;
        Ok(WalPosition::of(bytes))
    }

    fn settings(&self) -> Vec<Bind> {
        let Announced { role, tenant, partner, user } = self.announced();
        let (issuer, subject) = match self {
            Self::Gate { issuer, subject } => (issuer.clone(), subject.clone()),
            Self::Partner { .. } | Self::Operator { .. } | Self::Service { .. } => Default::default(),
        };
        [role, tenant, partner, user, issuer, subject].map(Bind::text).into()
    }
}

/// Announces to PostgreSQL, for the rest of the transaction, who acts in the caller's name.
pub(super) async fn announce_impersonator(mut connection: &AsyncPgConnection, impersonator: String) -> QueryResult<()> {
    use diesel_async::RunQueryDsl;

    let announced = statement::<Text>("SELECT set_config('app.impersonator', ?, true)", vec![Bind::text(impersonator)]);
    announced.execute(&mut connection).await.map(drop)
}

/// The roles of callers (the migration `roles` makes them).
pub const GATE: &str = "portal_gate";
/// See [`Caller::Partner`].
pub const PARTNER: &str = "portal_partner";
/// See [`Caller::Operator`].
pub const OPERATOR: &str = "portal_operator";
/// See [`Caller::Service`].
pub const SERVICE: &str = "portal_service";
