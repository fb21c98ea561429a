//! Where a tenant is, and whether it can be moved, before anything is changed.

use diesel::{
    OptionalExtension,
    sql_types::{Bool, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Move, Side, catalogue};
use crate::{
    db::{
        QueryResult,
        statement::{Bind, statement},
    },
    error::{Error, Result},
    ids::TenantId,
};

/// What a cluster knows of a tenant.
struct Known {
    tenant: Uuid,
    has_row: bool,
    /// Whether it is moved out of the cluster or into it, and to or from which other, where it is.
    moved: Option<(String, String)>,
}

impl Side {
    async fn known(&self, slug: &str) -> QueryResult<Option<Known>> {
        let sql = "SELECT coalesce(t.id, m.tenant_id), t.id IS NOT NULL, m.direction, m.peer
            FROM (SELECT id FROM tenants WHERE slug = ?) t FULL JOIN (SELECT * FROM tenant_moves WHERE slug = ?) m ON true";
        let row = statement::<(SqlUuid, Bool, Nullable<Text>, Nullable<Text>)>(sql, vec![Bind::text(slug), Bind::text(slug)]);
        let row: Option<(Uuid, bool, Option<String>, Option<String>)> = row.get_result(&mut &self.connection).await.optional()?;
        Ok(row.map(|(tenant, has_row, direction, peer)| Known { tenant, has_row, moved: direction.zip(peer) }))
    }

    /// Takes the lock under which a tenant of that name is moved, until the connection ends.
    async fn lock(&self, slug: &str) -> Result<()> {
        if self.query_bool("SELECT pg_try_advisory_lock(1953391225, hashtext(?))", vec![Bind::text(slug)]).await? {
            return Ok(());
        }
        Err(Error::BadUserInput(format!("{slug} is being moved by another command at this moment")))
    }
}

impl Move {
    /// The move of a tenant to the cluster of that name, new or to be resumed. An error says why it cannot be made. `missing` are clusters that could not be reached.
    pub async fn open(slug: &str, target: &str, clusters: Vec<Side>, missing: &[String]) -> Result<Self> {
        let refused = |why: String| Err(Error::BadUserInput(why));
        for side in &clusters {
            side.lock(slug).await?;
        }
        let mut there = Vec::new();
        for side in clusters {
            let known = side.known(slug).await?;
            there.push((side, known));
        }
        let of = |direction: &str, known: &Option<Known>| {
            known.as_ref().and_then(|known| known.moved.as_ref()).is_some_and(|(known, _)| known == direction)
        };
        // A move that was not finished, in whichever direction, is resumed before another begins.
        for (side, known) in &there {
            let Some((direction, peer)) = known.as_ref().and_then(|known| known.moved.as_ref()) else { continue };
            let (from, to) = if direction == "out" { (&side.name, peer) } else { (peer, &side.name) };
            if to != target {
                return refused(format!(
                    "a move of {slug} from {from} to {to} was not finished: resume it first, by `tenant move {slug} {to}`"
                ));
            }
        }
        let is_resumed = there.iter().any(|(_, known)| of("out", known));
        let is_source = |(side, known): &(Side, Option<Known>)| {
            side.name != target && if is_resumed { of("out", known) } else { known.as_ref().is_some_and(|known| known.has_row) }
        };
        let source = there.iter().position(is_source).map(|at| there.swap_remove(at));
        let Some(at) = there.iter().position(|(side, _)| side.name == target) else {
            return refused(format!("the cluster {target} cannot be reached"));
        };
        let (target, arrived) = there.swap_remove(at);
        let Some((source, Some(known))) = source else {
            return refused(match arrived {
                Some(known) if known.has_row => format!("{slug} is on {} already", target.name),
                _ if missing.is_empty() => format!("there is no tenant {slug:?}; `tenant list` shows them"),
                _ => format!("there is no tenant {slug:?} on the clusters that can be reached; {} cannot", missing.join(", ")),
            });
        };
        if arrived.is_some_and(|other| other.tenant != known.tenant || (other.has_row && known.has_row)) {
            return refused(format!("{} has another tenant {slug:?}", target.name));
        }
        let tables = catalogue::tables(&source.connection).await?;
        let name = format!("portal_move_{}", known.tenant.simple());
        Ok(Self { tenant: TenantId::from(known.tenant), slug: slug.to_owned(), source, target, tables, name })
    }

    /// Refuses owners who may not do what a move does.
    pub(super) async fn check_rights(&self) -> Result<()> {
        let refused = |why: String| Err(Error::BadUserInput(why));
        for side in [&self.source, &self.target] {
            if !side.query_bool("SELECT rolsuper FROM pg_roles WHERE rolname = current_user", vec![]).await? {
                return refused(format!(
                    "{}: its owner_url (of main, PORTAL_OWNER_URL) must be a superuser's for a move, which PostgreSQL asks of those who subscribe and who leave triggers out",
                    side.name
                ));
            }
            if side.query_bool("SELECT pg_is_in_recovery()", vec![]).await? {
                return refused(format!("{}: this is a standby", side.name));
            }
        }
        Ok(())
    }

    /// Refuses what cannot be moved so.
    pub(super) async fn check(&self) -> Result<()> {
        let refused = |why: String| Err(Error::BadUserInput(why));
        let identity = "SELECT system_identifier || ' ' || current_database() FROM pg_control_system()";
        let mut identities = Vec::new();
        for side in [&self.source, &self.target] {
            identities.push(statement::<Text>(identity, vec![]).get_result::<String>(&mut &side.connection).await?);
        }
        if identities[0] == identities[1] {
            return refused(format!("{} and {} are the same database", self.source.name, self.target.name));
        }
        if !self.source.query_bool("SELECT current_setting('wal_level') = 'logical'", vec![]).await? {
            let advice = "`ALTER SYSTEM SET wal_level = logical`, and a restart";
            return refused(format!("{}: wal_level is not logical: {advice}", self.source.name));
        }
        match catalogue::collisions(&self.source.connection, &self.target.connection, self.tenant).await? {
            Some(fault) => refused(format!("{}: {fault}", self.target.name)),
            None => Ok(()),
        }
    }
}
