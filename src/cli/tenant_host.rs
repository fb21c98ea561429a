//! `partner-portal tenant host`

use clap::{Args, Subcommand};
use diesel_async::AsyncPgConnection;

use super::{Failure, say};
use crate::{
    clock::Clock,
    config::Settings,
    models::{
        ledger::books::Books,
        people::tenant::Tenant,
        programmes::host::{HostFault, host_name, hosts},
    },
};

#[derive(Subcommand)]
pub enum Command {
    /// Add a host of the tenant's own for its links; new ones are made on the host that was added first
    Add(HostArguments),
    /// List the tenant's hosts
    List(TenantArguments),
    /// Remove a host that no links are on
    Remove(HostArguments),
}

#[derive(Args)]
pub struct TenantArguments {
    /// The tenant's slug
    slug: String,
}

#[derive(Args)]
pub struct HostArguments {
    /// The tenant's slug
    slug: String,
    /// The host name: go.example.com. It must lead to this server, with a certificate for it
    #[arg(value_parser = host_name)]
    host: String,
}

impl Command {
    /// The host that is to be added.
    pub fn added(&self) -> Option<&str> {
        match self {
            Self::Add(arguments) => Some(&arguments.host),
            Self::List(_) | Self::Remove(_) => None,
        }
    }
}

pub async fn run(connection: &AsyncPgConnection, settings: &Settings, command: Command) -> Result<(), Failure> {
    let slug = match &command {
        Command::Add(arguments) | Command::Remove(arguments) => &arguments.slug,
        Command::List(arguments) => &arguments.slug,
    };
    let known = Tenant::all(connection).await?.into_iter().find(|tenant| tenant.slug == *slug);
    let Some(tenant) = known else {
        return Err(Failure(format!("there is no tenant {slug:?}; `tenant list` shows them")));
    };
    let books = Books { connection, tenant: tenant.id, by: None, at: Clock::default().instant(), writing: None, clock: None };
    match command {
        Command::Add(HostArguments { host, .. }) if settings.public_url().split(['/', ':']).any(|part| part == host) => {
            return Err(Failure(format!("{host} is the server's own host (PORTAL_PUBLIC_URL), where all tenants' links can be")));
        }
        Command::Add(HostArguments { slug, host }) => match books.add_host(&host).await? {
            Ok(true) => say(&format!("{host} leads to the links of {slug}.\n")),
            Ok(false) => say(&format!("{host} leads to the links of {slug} already.\n")),
            Err(_) => return Err(Failure(format!("{host} leads to the links of another tenant"))),
        },
        Command::List(_) => {
            for host in hosts(connection, tenant.id).await? {
                say(&format!("{host}\n"));
            }
        }
        Command::Remove(HostArguments { slug, host }) => match books.remove_host(&host).await? {
            Ok(()) => say(&format!("{host} leads nowhere any more.\n")),
            Err(HostFault::HasLinks(count)) => {
                return Err(Failure(format!("{count} links are on {host}, and would lead nowhere; it stays")));
            }
            Err(_) => return Err(Failure(format!("{host} is no host of {slug}; `tenant host list {slug}` shows them"))),
        },
    }
    Ok(())
}
