//! Webhooks that come in: checked, stored once each, and applied in whatever order they come.
//!
//! The request that brings an event ([`verify`]) only stores it. A [`Receiver`] on each server applies what is due, each event in one transaction with
//! what it changes; what one service's events mean is in `clerk` and `stripe`.

mod clerk;
mod fields;
pub mod samples;
mod stripe;
pub mod verify;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use diesel::result::Error as DieselError;
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::Value;
use uuid::Uuid;

use self::fields::Event;
use super::Webhooks;
use crate::{
    clock::Clock,
    db::{
        Pool,
        session::{Act, AuditActor, Caller, Session},
    },
    error::{Error, Result},
    ids::{TenantId, UserId, WebhookReceiptId},
    live::Hub,
    models::{
        billing::processor::Processor,
        ledger::books::Books,
        people::directory::Directory,
        webhooks::{
            inbox::{self, Claimed, Disposition},
            source::WebhookSourceKind,
        },
    },
};

/// How often a server looks whether anything is due, where nothing wakes it.
const LOOK: Duration = Duration::from_secs(1);
/// How many events a server looks at in one turn.
const BATCH: i64 = 32;
/// How many it applies at once.
const AT_ONCE: usize = 2;
/// What is said of an event that could not be applied for a reason within the server, which its log has.
const OUR_FAULT: &str = "It could not be applied on our side.";

/// Applies what was received.
#[derive(Clone)]
pub struct Receiver {
    /// Connections.
    pub pool: Pool,
    /// The clock.
    pub clock: Clock,
    /// What it shares with the requests that bring events.
    pub webhooks: Arc<Webhooks>,
}

impl Receiver {
    /// Applies what is due, again and again, until the server stops.
    pub async fn run(self, hub: &Hub, stopped: impl Future<Output = ()>) {
        let stopped = stopped.shared();
        while hub.until_writable_or(stopped.clone()).await {
            let count = self.run_once().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "received webhooks cannot be applied");
                0
            });
            if count == 0 {
                tokio::select! {
                    () = stopped.clone() => {}
                    () = self.webhooks.received.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
        }
    }

    /// Applies what is due; gives how many events were decided. What fails is tried again later, and keeps nothing else from being applied.
    pub async fn run_once(&self) -> Result<usize> {
        let connection = self.pool.get().await.map_err(Error::unavailable)?;
        let due = inbox::due(&connection, self.clock.instant(), BATCH).await?;
        drop(connection);
        let applied = stream::iter(due).map(|(tenant, id)| async move {
            self.apply(tenant, id).await.unwrap_or_else(|error| {
                tracing::warn!(receipt = %id, %error, "what became of a received webhook could not be kept");
                false
            })
        });
        let decided: Vec<bool> = applied.buffer_unordered(AT_ONCE).collect().await;
        Ok(decided.into_iter().filter(|is_decided| *is_decided).count())
    }

    /// Applies one event; `false` where another server applies it, or has.
    async fn apply(&self, tenant: TenantId, id: WebhookReceiptId) -> Result<bool> {
        let user = UserId::from(Uuid::nil());
        let (session, ()) = Session::open(&self.pool, Caller::Service { tenant, user }, async |_| Ok(())).await?;
        // An event that no code was prepared for ends nothing but itself.
        let decided = AssertUnwindSafe(session.retry(|| self.turn(&session, tenant, id, None))).catch_unwind().await;
        match decided {
            Ok(Ok(is_decided)) => return Ok(is_decided),
            Ok(Err(error)) => tracing::warn!(receipt = %id, %error, "a received webhook could not be applied"),
            Err(_) => tracing::error!(receipt = %id, "a received webhook has made its receiver panic"),
        }
        drop(session);
        let (session, ()) = Session::open(&self.pool, Caller::Service { tenant, user }, async |_| Ok(())).await?;
        let parked = Disposition::Parked { reason: OUR_FAULT.to_owned(), waits_for: None };
        session.retry(|| self.turn(&session, tenant, id, Some(&parked))).await
    }

    /// Decides what becomes of one event, in one transaction. What is not taken up leaves nothing but the decision.
    async fn turn(
        &self,
        session: &Session,
        tenant: TenantId,
        id: WebhookReceiptId,
        decided: Option<&Disposition>,
    ) -> Result<bool> {
        let writing = session.write().await?;
        let at = self.clock.instant();
        let books = Books { connection: &writing, tenant, by: None, at, writing: None, clock: None };
        let Some(receipt) = books.claim_receipt(id).await? else { return Ok(false) };
        writing.perform(&Act::new(AuditActor::Webhook, &receipt.event_type)).await?;
        let disposition = match decided {
            Some(disposition) => disposition.clone(),
            None => read(&books, &receipt).await?,
        };
        if decided.is_none() && matches!(disposition, Disposition::Parked { .. } | Disposition::Failed(_)) {
            drop(writing);
            return Box::pin(self.turn(session, tenant, id, Some(&disposition))).await;
        }
        books.settle_receipt(&receipt, &disposition).await?;
        writing.commit_alone().await?;
        Ok(true)
    }
}

/// Reads an event and does what it says.
async fn read(books: &Books<'_>, receipt: &Claimed) -> Result<Disposition, DieselError> {
    let Some(body) = &receipt.body else {
        return Ok(Disposition::Failed("What was sent is forgotten.".to_owned()));
    };
    let Ok(body) = serde_json::from_str::<Value>(body) else {
        return Ok(Disposition::Failed("What was sent is not JSON.".to_owned()));
    };
    let event = Event { name: &receipt.event_type, body: &body };
    let outcome = match receipt.kind {
        WebhookSourceKind::Clerk => clerk::apply(Directory(books), event, receipt.received_at).await,
        WebhookSourceKind::Stripe => stripe::apply(Processor(books), event).await,
    };
    outcome.or_else(fields::Stop::decided)
}
