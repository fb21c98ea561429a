//! Host names of tenants' own that lead to their links.

use diesel::{prelude::*, result::QueryResult};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use url::Host;

use super::address::ProductAddress;
use crate::{
    db::{
        is_taken,
        schema::{link_hosts, links},
    },
    ids::TenantId,
    models::ledger::books::Books,
};

/// Why a host was not added, or not removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostFault {
    /// It leads to another tenant's links.
    Taken,
    /// The tenant has no such host.
    NotFound,
    /// So many links are on it.
    HasLinks(i64),
}

/// A host name in the form in which browsers send it: lower case, in ASCII, without a port. An error is a sentence.
pub fn host_name(text: &str) -> Result<String, String> {
    let wrong = || format!("expected a host name such as go.example.com; {text:?} is none");
    match Host::parse(text.trim().trim_end_matches('.')) {
        // What has a shop can have links; the name of a host has no underscores.
        Ok(Host::Domain(name)) if !name.contains('_') => {
            ProductAddress::parse(&format!("https://{name}/")).map(|_| name).map_err(|fault| fault.to_string())
        }
        _ => Err(wrong()),
    }
}

/// The host of its own that a tenant's new links are on.
pub(super) async fn default_host(connection: &AsyncPgConnection, tenant: TenantId) -> QueryResult<Option<String>> {
    Ok(hosts(connection, tenant).await?.into_iter().next())
}

/// A tenant's hosts, the one first that new links are made on.
pub async fn hosts(mut connection: &AsyncPgConnection, tenant: TenantId) -> QueryResult<Vec<String>> {
    let query = link_hosts::table.filter(link_hosts::tenant_id.eq(tenant));
    query.order((link_hosts::created_at, link_hosts::host)).select(link_hosts::host).load(&mut connection).await
}

/// Whether a host leads to links of any tenant's.
pub async fn is_host(mut connection: &AsyncPgConnection, host: &str) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(link_hosts::table.filter(link_hosts::host.eq(host)))).get_result(&mut connection).await
}

impl Books<'_> {
    /// Whether new links of the tenant are on a host of its own.
    pub async fn has_own_host(&self) -> QueryResult<bool> {
        Ok(default_host(self.connection, self.tenant).await?.is_some())
    }

    /// Adds a host to the tenant's; gives whether it is new.
    pub async fn add_host(&self, host: &str) -> QueryResult<Result<bool, HostFault>> {
        if hosts(self.connection, self.tenant).await?.iter().any(|known| known == host) {
            return Ok(Ok(false));
        }
        let insert = diesel::insert_into(link_hosts::table).values((
            link_hosts::tenant_id.eq(self.tenant),
            link_hosts::host.eq(host),
            link_hosts::created_at.eq(self.at),
        ));
        match insert.execute(&mut &*self.connection).await {
            Err(error) if is_taken(&error, "link_hosts_host_key") => Ok(Err(HostFault::Taken)),
            inserted => inserted.map(|_| Ok(true)),
        }
    }

    /// Takes a host away from the tenant's, if no links are on it: they would lead nowhere.
    pub async fn remove_host(&self, host: &str) -> QueryResult<Result<(), HostFault>> {
        let on_it = links::table.filter(links::tenant_id.eq(self.tenant)).filter(links::host.eq(host));
        let count: i64 = on_it.count().get_result(&mut &*self.connection).await?;
        if count > 0 {
            return Ok(Err(HostFault::HasLinks(count)));
        }
        let row = link_hosts::table.filter(link_hosts::tenant_id.eq(self.tenant)).filter(link_hosts::host.eq(host));
        let removed = diesel::delete(row).execute(&mut &*self.connection).await?;
        Ok(if removed == 0 { Err(HostFault::NotFound) } else { Ok(()) })
    }
}
