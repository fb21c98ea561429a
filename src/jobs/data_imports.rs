//! Imports that were asked for over the API, run in the background: one at a time on each server, and one at a time for each tenant. A server holds an
//! import by a lease that it renews; where the server dies, the lease ends, and the next one goes on with the import where it was.

use std::{
    fs::File,
    io::Write,
    path::Path,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, TryStreamExt};
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    task::spawn_blocking,
    time::Instant,
};
use tokio_postgres::Config;

use crate::{
    clock::Clock,
    db::{Pool, connect, pool::Taken},
    error::{Error, Result},
    imports::history::{
        Import, ImportFault, Outcome, Progress,
        sources::named,
        upload::{self, UploadOptions},
    },
    live::Hub,
    models::imports::{data_import_work::DataImportWork, run::ImportRun},
};

/// How long an import stays a server's that does not renew its lease.
const LEASE: Duration = Duration::from_mins(1);
/// How often progress is written, and the lease renewed.
const BEAT: Duration = Duration::from_secs(1);
/// When an import is tried again that could not go on.
const LATER: Duration = Duration::from_secs(10);
/// How often an import is tried that fails within the server.
const ATTEMPTS: i32 = 10;
/// How often a server looks whether an import waits, where nobody wakes it.
const LOOK: Duration = Duration::from_secs(5);
/// Why an import is not tried any more.
const GIVEN_UP: &str = "It failed on our side, again and again. What is in stays; the same files once more go on from there.";
/// How many findings are kept at once.
const PAGE: usize = 1_000;

/// What running imports takes.
#[derive(Clone)]
pub struct DataImports {
    /// Connections, for what is said of an import.
    pub pool: Pool,
    /// How to connect: each import has a connection of its own.
    pub login: Config,
    /// The clock.
    pub clock: Clock,
}

impl DataImports {
    /// Runs what waits, again and again, until the server stops.
    pub async fn run(self, hub: &Hub, woken: &Notify, stopped: impl Future<Output = ()>) {
        let stopped = stopped.shared();
        spawn_blocking(upload::remove_left);
        while hub.until_writable_or(stopped.clone()).await {
            let has_run = self.run_next(stopped.clone()).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "an import could not be run");
                false
            });
            if !has_run {
                tokio::select! {
                    () = stopped.clone() => {}
                    () = woken.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
        }
    }

    /// Runs the next import that waits, until its end or until the server stops; `false` where none waits.
    pub async fn run_next(&self, stopped: impl Future<Output = ()>) -> Result<bool> {
        let claimed = DataImportWork::claim(&*self.connection().await?, LEASE, self.clock.now()).await?;
        let Some(work) = claimed else { return Ok(false) };
        // A turn may have ended its server, and the next one too.
        if work.attempt > ATTEMPTS {
            work.fail(&*self.connection().await?, GIVEN_UP, self.clock.now()).await?;
            return Ok(true);
        }
        let ended = self.turn(&work, stopped).await;
        let connection = self.connection().await?;
        let now = self.clock.now();
        let was_held = match ended {
            Ended::Finished(outcome) => work.complete(&connection, &outcome.summary, now).await?,
            Ended::Failed(ImportFault::File(why)) => work.fail(&connection, &why, now).await?,
            Ended::Failed(ImportFault::Running(_)) => work.put_back(&connection, LATER, false).await?,
            Ended::Failed(ImportFault::Database(error)) => {
                tracing::warn!(import = %work.id, attempt = work.attempt, %error, "an import could not go on");
                if work.attempt < ATTEMPTS {
                    work.put_back(&connection, LATER, true).await?
                } else {
                    work.fail(&connection, GIVEN_UP, now).await?
                }
            }
            Ended::Stopped => work.put_back(&connection, Duration::ZERO, false).await?,
            Ended::Lost => false,
        };
        if !was_held {
            tracing::info!(import = %work.id, "an import was cancelled, or taken by another server");
        }
        Ok(true)
    }

    /// Runs an import as long as it is this server's.
    async fn turn(&self, work: &DataImportWork, stopped: impl Future<Output = ()>) -> Ended {
        let progress = Arc::new(SharedProgress::default());
        let (cancel, cancelled) = oneshot::channel::<()>();
        let (own, of_import, seen_there) = (self.clone(), work.clone(), Arc::clone(&progress));
        // It reads files as it goes: on a thread of its own it holds up nobody.
        let mut import = spawn_blocking(move || {
            Handle::current().block_on(async {
                tokio::select! {
                    outcome = own.import(&of_import, &seen_there) => outcome,
                    _ = cancelled => Ok(None),
                }
            })
        });
        let ended = tokio::select! {
            outcome = &mut import => match outcome {
                Ok(Ok(Some(outcome))) => Ended::Finished(outcome),
                Ok(Ok(None)) => Ended::Lost,
                Ok(Err(fault)) => Ended::Failed(fault),
                Err(panic) => Ended::Failed(Error::internal(panic).into()),
            },
            () = self.hold(work, &progress) => Ended::Lost,
            () = stopped => Ended::Stopped,
        };
        // Before another server may go on with it, its connection is closed.
        drop(cancel);
        if matches!(ended, Ended::Lost | Ended::Stopped) && !import.is_finished() {
            let _ = import.await;
        }
        ended
    }

    async fn connection(&self) -> Result<Taken> {
        self.pool.get().await.map_err(Error::unavailable)
    }

    /// Says how far the import is and renews the lease, until it is lost.
    async fn hold(&self, work: &DataImportWork, progress: &SharedProgress) {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(BEAT).await;
            let (now, begun) = (progress.get(), Instant::now());
            let held = async {
                let connection = self.connection().await?;
                Result::<_>::Ok(work.hold(&connection, LEASE, &now.step, now.done, now.total).await?)
            };
            match held.await {
                Ok(true) => renewed = begun,
                // Without a database no other server takes it either; but once the lease may have ended, one may.
                Err(_) if renewed.elapsed() < LEASE => {}
                Ok(false) | Err(_) => return,
            }
        }
    }

    /// Fetches the files and imports them; `None` where the lease was lost meanwhile.
    async fn import(&self, work: &DataImportWork, progress: &Arc<SharedProgress>) -> Result<Option<Outcome>, ImportFault> {
        let folder = upload::folder().map_err(Error::internal)?;
        if !self.fetch(work, folder.path()).await? {
            return Ok(None);
        }
        let options: UploadOptions = serde_json::from_value(work.options.clone()).map_err(Error::internal)?;
        let source = named(work.source.as_str()).ok_or_else(|| Error::internal("a source without facts"))?;
        let (files, decisions) = upload::open(folder.path(), source).map_err(ImportFault::File)?;
        let import = Import {
            source,
            folder: &files,
            options: &options.reading(),
            orphans: options.orphans,
            decisions: &decisions,
            tenant: work.tenant,
            is_dry_run: work.is_dry_run,
            at: self.clock.now(),
        };
        let connection = connect::establish(&self.login, Some("SET statement_timeout = 0")).await.map_err(Error::unavailable)?;
        let outcome = import.run(&connection, &mut Arc::clone(progress), async |run| self.report(work, run).await).await?;
        Ok(Some(outcome))
    }

    /// Writes its files into a folder; `false` where they are not whole any more, because the lease was lost.
    async fn fetch(&self, work: &DataImportWork, folder: &Path) -> Result<bool> {
        for (index, file) in (0..).zip(&work.files) {
            let (mut written, mut bytes) = (File::create(folder.join(&file.name)).map_err(Error::internal)?, 0);
            for number in 0.. {
                let Some(chunk) = work.chunk(&*self.connection().await?, index, number).await? else { break };
                written.write_all(&chunk).map_err(Error::internal)?;
                bytes += chunk.len() as u64;
            }
            if bytes != file.bytes {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Keeps the findings. They are kept apart from those of the run: a dry run leaves nothing.
    async fn report(&self, work: &DataImportWork, run: &ImportRun<'_>) -> Result<()> {
        let mut kept = 0;
        let mut pages = pin!(run.findings().await?.try_chunks(PAGE));
        while let Some(page) = pages.try_next().await.map_err(|error| error.1)? {
            work.report(&*self.connection().await?, kept, &page).await?;
            kept += i64::try_from(page.len()).unwrap_or_default();
        }
        Ok(())
    }
}

/// How an import's turn ended.
enum Ended {
    /// With what came of it.
    Finished(Outcome),
    /// With a fault.
    Failed(ImportFault),
    /// It is no server's any more, or another's.
    Lost,
    /// The server stops.
    Stopped,
}

/// How far an import is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Reached {
    step: String,
    done: u64,
    total: u64,
}

/// Where the import says how far it is.
#[derive(Default)]
struct SharedProgress(Mutex<Reached>);

impl SharedProgress {
    fn get(&self) -> Reached {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Progress for Arc<SharedProgress> {
    fn begins(&mut self, what: &str, rows: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Reached { step: what.to_owned(), done: 0, total: rows };
    }

    fn done(&mut self, rows: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).done += rows;
    }
}
