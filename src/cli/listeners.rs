//! The sockets that requests come in at: passed by systemd (`sd_listen_fds(3)`), so that a server can take over from another without a request being
//! refused, or else bound here.

use std::{net::SocketAddr, time::Duration};

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::net::TcpListener;

use super::Failure;
use crate::config::Settings;

/// The name (`FileDescriptorName=`) of the socket of metrics.
const METRICS: &str = "metrics";

/// What was passed.
#[derive(Default)]
pub struct Listeners {
    api: Option<std::net::TcpListener>,
    metrics: Option<std::net::TcpListener>,
}

impl Listeners {
    /// Takes what was passed. It changes the environment: there may be no other threads yet.
    pub fn passed() -> Result<Self, Failure> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let (mut passed, mut listeners) = (ListenFd::from_env(), Self::default());
        for index in 0..passed.len() {
            let name = names.split(':').nth(index).unwrap_or_default();
            let listener = passed.take_tcp_listener(index);
            let listener =
                listener.map_err(|error| Failure(format!("the socket {name:?} that was passed cannot be used: {error}")))?;
            if let Some(listener) = &listener
                && !rustix::net::sockopt::socket_acceptconn(listener)?
            {
                return Err(Failure(format!("the socket {name:?} that was passed does not listen")));
            }
            let slot = if name == METRICS { &mut listeners.metrics } else { &mut listeners.api };
            if slot.is_some() {
                return Err(Failure(format!("two sockets were passed for one thing; only that of metrics is named {METRICS:?}")));
            }
            *slot = listener;
        }
        Ok(listeners)
    }

    /// Fails where a socket that is not passed cannot be bound.
    pub async fn try_out(&self, settings: &Settings) -> Result<(), Failure> {
        if self.api.is_none() {
            drop(bind(settings.listen, "PORTAL_LISTEN (--listen)").await?);
        }
        if let (None, Some(address)) = (&self.metrics, settings.metrics_listen) {
            drop(bind(address, "PORTAL_METRICS_LISTEN (--metrics-listen)").await?);
        }
        Ok(())
    }

    /// The API's, and whether it is this server's alone: one that was passed is another's, too.
    pub async fn api(&mut self, settings: &Settings) -> Result<(TcpListener, bool), Failure> {
        match self.api.take() {
            Some(passed) => Ok((ready(passed)?, false)),
            None => Ok((bind(settings.listen, "PORTAL_LISTEN (--listen)").await?, true)),
        }
    }

    /// That of metrics, where they are served.
    pub async fn metrics(&mut self, settings: &Settings) -> Result<Option<TcpListener>, Failure> {
        match (self.metrics.take(), settings.metrics_listen) {
            (Some(passed), _) => ready(passed).map(Some),
            (None, Some(address)) => bind(address, "PORTAL_METRICS_LISTEN (--metrics-listen)").await.map(Some),
            (None, None) => Ok(None),
        }
    }
}

fn ready(passed: std::net::TcpListener) -> Result<TcpListener, Failure> {
    passed.set_nonblocking(true)?;
    Ok(TcpListener::from_std(passed)?)
}

async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| Failure(format!("{setting}: cannot listen on {address}: {error}")))
}

/// Tells systemd that requests are taken, and from then on that the program lives, where it wants to know (`WatchdogSec=`).
pub fn say_ready() {
    notify(&[NotifyState::Ready]);
    if let Some(interval) = sd_notify::watchdog_enabled() {
        tokio::spawn(async move {
            loop {
                notify(&[NotifyState::Watchdog]);
                tokio::time::sleep((interval / 3).max(Duration::from_millis(1))).await;
            }
        });
    }
}

/// Tells systemd that the program is about to end.
pub fn say_stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Without systemd it does nothing.
fn notify(state: &[NotifyState]) {
    if std::env::var_os("NOTIFY_SOCKET").is_some_and(|socket| !socket.is_empty())
        && let Err(error) = sd_notify::notify(state)
    {
        tracing::warn!(%error, "systemd could not be notified");
    }
}
