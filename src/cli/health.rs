//! `partner-portal health`

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use super::{Failure, say};
use crate::config::Settings;

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the server on this machine whether it is ready: for images that have no other program.
pub async fn run(settings: &Settings) -> Result<(), Failure> {
    let address = reachable(settings.listen);
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let answer = client.get(format!("http://{address}/readyz")).send().await;
    let answer = answer.map_err(|error| {
        let why = if error.is_timeout() { "does not answer" } else { "cannot be reached" };
        Failure(format!("the server at {address} {why}"))
    })?;
    let (status, said) = (answer.status(), answer.text().await.unwrap_or_default());
    if status.is_success() {
        say(&said);
        return Ok(());
    }
    Err(Failure(format!("the server at {address} is not ready: {}", said.trim())))
}

/// Where a server that listens on all addresses is reached from here.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, listen.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, listen.port()).into(),
        _ => listen,
    }
}
