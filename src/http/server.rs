//! Sockets: how many, and for how long. What is said on them is the router's.
//!
//! A connection must bring a request's headers in time, the first as well as the next; one that does not is closed. So whoever opens
//! connections and says nothing holds none of them for long.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, http::Request};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto::Builder,
        graceful::{GracefulShutdown, Watcher},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tower::ServiceExt;

use crate::limits::Limits;

/// How much of a request's headers is kept while they arrive, in bytes.
const MAX_HEADERS: usize = 32 * 1024;
/// How many requests one connection may have under way, by HTTP/2.
const MAX_STREAMS: u32 = 100;
/// How often the other end of a quiet HTTP/2 connection is asked whether it is there, and how long it may think.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// How long to wait when no socket can be had, for others to close.
const BREATH: Duration = Duration::from_millis(50);

/// Serves until `stopping`, then until the requests under way are answered.
pub async fn serve(listener: TcpListener, router: Router, limits: &Limits, stopping: impl Future<Output = ()>) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(MAX_HEADERS);
    let max_headers = u32::try_from(MAX_HEADERS).unwrap_or(u32::MAX);
    let http2 = &mut builder.http2();
    http2.timer(TokioTimer::new()).keep_alive_interval(HEARTBEAT).keep_alive_timeout(HEARTBEAT);
    http2.max_concurrent_streams(MAX_STREAMS).max_header_list_size(max_headers);
    let builder = Arc::new(builder);
    let sockets = Arc::new(Semaphore::new(limits.max_sockets));
    let graceful = GracefulShutdown::new();
    let mut stopping = std::pin::pin!(stopping);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &sockets) => accepted,
            () = &mut stopping => break,
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            // The client is gone already, or there are no descriptors left; neither is a reason to stop.
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let connection = converse(Arc::clone(&builder), stream, router.clone(), limits.header_timeout, graceful.watcher());
        tokio::spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

async fn accept(listener: &TcpListener, sockets: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(sockets).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, place))
}

/// Answers the requests of one connection.
async fn converse(builder: Arc<Builder<TokioExecutor>>, stream: TcpStream, router: Router, patience: Duration, watcher: Watcher) {
    // Until its first bytes say which version of HTTP a connection speaks, neither version's limits hold.
    let has_spoken = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&has_spoken);
    let service = service_fn(move |request: Request<Incoming>| {
        heard.store(true, Ordering::Relaxed);
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {})) }
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    let silence = async {
        tokio::time::sleep(patience).await;
        if has_spoken.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = watcher.watch(connection) => {
            if let Err(error) = ended {
                tracing::debug!(error, "a connection broke off");
            }
        }
        () = silence => tracing::debug!("a connection without a request was closed"),
    }
}
