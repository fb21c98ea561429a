//! Sockets: how many, and for how long. What is said on them is the router's.
//!
//! They speak HTTP/1.1: the proxy that terminates TLS in front of the server speaks HTTP/2 with clients.
//!
//! A connection must bring a request's headers in time, the first as well as the next; one that does not is closed. So a client that opens
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

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, StatusCode, header::CONNECTION},
};
use futures_util::FutureExt;
use hyper::{body::Incoming, server::conn::http1::Builder, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

use super::redirect::Peer;
use crate::config::limits::Limits;

/// How much of a request's headers is kept while they arrive, in bytes.
const MAX_HEADERS: usize = 32 * 1024;
/// How long to wait when no socket can be had, for others to close.
const BREATH: Duration = Duration::from_millis(50);

/// A permit for one open socket. A WebSocket takes it over with the connection.
#[derive(Clone)]
pub struct SocketPermit {
    _permit: Arc<OwnedSemaphorePermit>,
}

/// How a server ends once it is asked to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ending {
    /// How long connections are kept that are idle by then: a request may be on its way. It is answered, and told that the connection closes.
    pub grace: Duration,
    /// Whether connections are accepted for as long: nobody else listens at the address, and what stands in front has not noticed yet.
    pub accepts: bool,
}

/// Serves until `stopping`, then until the requests under way are answered and all connections are closed.
pub async fn serve(listener: TcpListener, router: Router, limits: &Limits, end: Ending, stopping: impl Future<Output = ()>) {
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(MAX_HEADERS);
    let sockets = Arc::new(Semaphore::new(limits.max_sockets));
    let ending = watch::Sender::new(false);
    let converse = |(stream, peer, permit): (TcpStream, Peer, SocketPermit)| {
        let conversation = Conversation {
            builder: builder.clone(),
            router: router.clone(),
            peer,
            permit,
            silence: limits.header_timeout,
            send: limits.send_timeout,
            grace: end.grace,
        };
        tokio::spawn(conversation.run(stream, ending.subscribe()));
    };
    until(stopping, &listener, &sockets, converse).await;
    ending.send_replace(true);
    if end.accepts {
        until(tokio::time::sleep(end.grace), &listener, &sockets, converse).await;
        // Those that are connected and were not accepted yet would be reset.
        while let Some(Ok(accepted)) = accept(&listener, &sockets).now_or_never() {
            converse(accepted);
        }
    }
    drop(listener);
    // Each ends with the answer that is under way; those that were taken over (WebSocket) end by themselves.
    let all = u32::try_from(limits.max_sockets).unwrap_or(u32::MAX);
    let _ = sockets.acquire_many(all).await;
}

/// Accepts connections until something else has come.
async fn until(
    end: impl Future<Output = ()>,
    listener: &TcpListener,
    sockets: &Arc<Semaphore>,
    converse: impl Fn((TcpStream, Peer, SocketPermit)),
) {
    let mut end = std::pin::pin!(end);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut end => return,
            accepted = accept(listener, sockets) => accepted,
        };
        match accepted {
            Ok(accepted) => converse(accepted),
            // The client is gone already, or there are no descriptors left; neither is a reason to stop.
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

async fn accept(listener: &TcpListener, sockets: &Arc<Semaphore>) -> io::Result<(TcpStream, Peer, SocketPermit)> {
    let permit = Arc::clone(sockets).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, Peer(peer), SocketPermit { _permit: Arc::new(permit) }))
}

/// One connection, and how long it may be quiet.
struct Conversation {
    builder: Builder,
    router: Router,
    peer: Peer,
    permit: SocketPermit,
    silence: Duration,
    send: Duration,
    grace: Duration,
}

impl Conversation {
    /// Answers its requests, until there are no more or the server is `ending`.
    async fn run(self, stream: TcpStream, mut ending: watch::Receiver<bool>) {
        let mut stream = TimeoutStream::new(stream);
        // A client that does not read holds neither its answer nor its permit for long.
        stream.set_write_timeout(Some(self.send));
        let has_spoken = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&has_spoken);
        let (router, peer, permit, grace, is_ending) = (self.router, self.peer, self.permit, self.grace, ending.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            heard.store(true, Ordering::Relaxed);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(permit.clone());
            let (router, is_ending) = (router.clone(), is_ending.clone());
            async move {
                let mut answer = router.oneshot(request).await.unwrap_or_else(|never| match never {});
                if *is_ending.borrow() && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        });
        // Not hyper-util's `auto` builder: it answers HTTP/2 with prior knowledge even when restricted to HTTP/1.
        let connection = self.builder.serve_connection(TokioIo::new(Box::pin(stream)), service).with_upgrades();
        let mut connection = std::pin::pin!(connection);
        // Until its first request is there.
        let silence = async {
            tokio::time::sleep(self.silence).await;
            if has_spoken.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        let mut silence = std::pin::pin!(silence);
        let ended = async {
            let _ = ending.wait_for(|ending| *ending).await;
            tokio::time::sleep(grace).await;
        };
        let mut ended = std::pin::pin!(ended);
        let mut is_shutting_down = false;
        loop {
            tokio::select! {
                closed = connection.as_mut() => {
                    if let Err(error) = closed {
                        tracing::debug!(%error, "a connection broke off");
                    }
                    break;
                }
                () = &mut ended, if !is_shutting_down => {
                    connection.as_mut().graceful_shutdown();
                    is_shutting_down = true;
                }
                () = &mut silence => {
                    tracing::debug!("a connection without a request was closed");
                    break;
                }
            }
        }
    }
}
