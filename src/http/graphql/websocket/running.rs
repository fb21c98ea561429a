//! One operation on a connection: a task of its own, and what it sends.

use std::sync::Arc;

use async_graphql::{Response as Answer, parser::types::OperationType};
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

use crate::{
    app::App,
    auth::claims::Claims,
    graphql::{document::Parameters, engine::json},
    http::{
        Refused,
        graphql::{
            feed::Feed,
            operation::{self, Call},
            position,
        },
    },
};

/// What an operation's task has to say.
pub struct Outgoing {
    /// Which operation's it is, and its number: an id may be another operation's by now.
    pub id: String,
    /// How many operations there had been.
    pub number: u64,
    /// After the last one its id is free.
    pub is_last: bool,
    /// The message; none where the operation ends because the server does: to a client `complete` would say that there is no more to come.
    pub message: Option<String>,
}

/// An operation under way.
pub struct Running {
    /// How many operations there had been.
    pub number: u64,
    /// What does its work.
    pub task: AbortHandle,
}

/// The way of one operation's messages to the client.
pub struct Sender {
    /// What the client calls it.
    pub id: String,
    /// How many operations there had been.
    pub number: u64,
    /// To the connection.
    pub outgoing: mpsc::Sender<Outgoing>,
}

impl Sender {
    /// Waits until there is room. `false`: the connection is gone.
    async fn send(&self, message: Option<String>, is_last: bool) -> bool {
        self.outgoing.send(Outgoing { id: self.id.clone(), number: self.number, is_last, message }).await.is_ok()
    }
}

/// Begins an operation.
pub fn start(
    app: &Arc<App>,
    call: Call,
    parameters: Parameters,
    claims: watch::Receiver<Arc<Claims>>,
    sender: Sender,
) -> Running {
    let (app, number) = (Arc::clone(app), sender.number);
    let task = tokio::spawn(async move {
        let message = match serve(&app, &call, parameters, claims, &sender).await {
            Ok(Ended::Complete) => Some(serde_json::json!({"type": "complete", "id": sender.id})),
            Ok(Ended::Stopped) => None,
            Err(refused) => {
                Some(serde_json::json!({"type": "error", "id": sender.id, "payload": refused.body(&call.id)["errors"]}))
            }
        };
        sender.send(message.map(|message| message.to_string()), true).await;
    });
    Running { number, task: task.abort_handle() }
}

/// Why an operation has no more answers.
enum Ended {
    /// All have been sent, or nobody wants them.
    Complete,
    /// The server is stopping.
    Stopped,
}

/// Runs an operation and sends its answers, until there are no more.
async fn serve(
    app: &Arc<App>,
    call: &Call,
    parameters: Parameters,
    claims: watch::Receiver<Arc<Claims>>,
    sender: &Sender,
) -> Result<Ended, Refused> {
    let prepared = operation::prepare(app, call, parameters).await?;
    let id = serde_json::json!(sender.id);
    let next = |answer: &Answer| format!("{{\"type\":\"next\",\"id\":{id},\"payload\":{}}}", json::answer(answer));
    if prepared.kind != OperationType::Subscription {
        let mut answer = operation::execute(app, call, &prepared, Vec::new()).await?;
        position::into_extensions(&mut answer);
        sender.send(Some(next(&answer)), false).await;
        return Ok(Ended::Complete);
    }
    let mut feed = Feed::open(app, call, prepared, claims).await?;
    let stopped = app.edge.stopped();
    tokio::pin!(stopped);
    loop {
        let update = tokio::select! {
            update = feed.next() => update?,
            () = &mut stopped => return Ok(Ended::Stopped),
            () = sender.outgoing.closed() => return Ok(Ended::Complete),
        };
        if !sender.send(Some(next(&update.answer)), false).await {
            return Ok(Ended::Complete);
        }
    }
}
