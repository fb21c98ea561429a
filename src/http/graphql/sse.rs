//! Subscriptions over Server-Sent Events: the graphql-sse protocol, in its mode of one connection for each operation
//! (<https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>). Each event has its cursor as its id, so that a browser's own
//! `EventSource` goes on where its stream broke off (HTML Living Standard, section 9.2).

use std::{convert::Infallible, fs::File, sync::Arc, time::Duration};

use async_graphql::{Response as Answer, parser::types::OperationType};
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use tokio::sync::{mpsc, watch};

use super::{
    feed::{Feed, Update},
    negotiation::Media,
    operation::{self, Call},
    position,
};
use crate::{
    app::App,
    error::Error,
    graphql::{
        document::Prepared,
        engine::{error_codes, json},
    },
    http::Refused,
};

/// How often a comment is sent where there are no events, so that no proxy takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(12);
/// How many events are made ahead of a reader.
const AHEAD: usize = 4;

/// Answers an operation as a stream of events.
pub async fn answer(app: &Arc<App>, call: Call, prepared: Prepared, files: Vec<File>) -> Result<Response, Refused> {
    let (parts, received) = mpsc::channel(AHEAD);
    if prepared.kind == OperationType::Subscription {
        let (_claims, claims) = watch::channel(Arc::clone(&call.claims));
        match Feed::open(app, &call, prepared, claims).await {
            Ok(feed) => {
                tokio::spawn(send(Arc::clone(app), call, feed, parts));
            }
            // Sent as an event, as it is to open subscriptions: a client that connects again would take a refusal for a fault of
            // the network, and try for ever.
            Err(Refused::Fault(error @ Error::CursorExpired(_))) => {
                let _ = parts.try_send(ending(&call, &error));
            }
            Err(refused) => return Err(refused),
        }
    } else {
        let mut answer = operation::execute(app, &call, &prepared, files).await?;
        position::into_extensions(&mut answer);
        let whole = format!("{}{}", next(&answer), complete());
        let _ = parts.try_send(whole);
    }
    let body = Body::from_stream(stream::unfold(received, async |mut received: mpsc::Receiver<String>| {
        let part = received.recv().await?;
        Some((Ok::<_, Infallible>(part), received))
    }));
    let headers = [
        (header::CONTENT_TYPE, Media::EventStream.content_type()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // nginx buffers a response unless this header says otherwise.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, body).into_response())
}

/// Sends events for as long as the token is good, the client reads, and the server runs. Where the token ends, or the server does, the stream
/// breaks off: clients ask again, with a newer token, and to `complete` they would not.
async fn send(app: Arc<App>, call: Call, mut feed: Feed, parts: mpsc::Sender<String>) {
    let expiry = crate::http::until(&app, call.claims.expires_at);
    let stopped = app.edge.stopped();
    tokio::pin!(expiry, stopped);
    let patience = app.edge.limits.send_timeout;
    // At once: the client knows that the stream is open, and a browser from where on it is to be opened again.
    let mut part = format!("id: {}\n\n", feed.opened_at());
    loop {
        if parts.send_timeout(part, patience).await.is_err() {
            tracing::debug!(request_id = call.id, "a subscriber does not read on, and is dropped");
            return;
        }
        // One future across the comments below: begun anew each time, it would lose its turn.
        let next_one = feed.next();
        tokio::pin!(next_one);
        part = loop {
            tokio::select! {
                update = &mut next_one => match update {
                    Ok(Update { cursor, answer }) => break format!("id: {cursor}\n{}", next(&answer)),
                    Err(error) => return last(&call, &parts, patience, &error).await,
                },
                () = &mut expiry => return,
                () = &mut stopped => return,
                () = parts.closed() => return,
                () = tokio::time::sleep(KEEP_ALIVE) => {
                    if parts.send_timeout(":\n\n".to_owned(), patience).await.is_err() {
                        return;
                    }
                }
            }
        };
    }
}

/// Says why there is no more to come.
async fn last(call: &Call, parts: &mpsc::Sender<String>, patience: Duration, error: &Error) {
    let _ = parts.send_timeout(ending(call, error), patience).await;
}

fn ending(call: &Call, error: &Error) -> String {
    let mut answer = error_codes::alone(error);
    error_codes::finish(&mut answer, &call.id);
    let body = serde_json::json!({"errors": answer.errors});
    format!("event: next\ndata: {body}\n\n{}", complete())
}

fn next(answer: &Answer) -> String {
    format!("event: next\ndata: {}\n\n", json::answer(answer))
}

fn complete() -> &'static str {
    "event: complete\ndata:\n\n"
}
