//! Whether the server lives, and whether it can serve.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use futures_util::future::join_all;

use super::request_id::RequestId;
use crate::{
    app::App,
    db::{Pool, migrations},
    error::{Error, Result},
};

/// How long a database may take to answer: what asks does not wait for long either.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process answers.
pub async fn alive() -> &'static str {
    "alive\n"
}

/// The database answers, and has every migration that this program was built with; of several clusters one does. While it does not, a standby that answers queries will do: of what is asked, most
/// is. A server that is about to end is not ready: what stands in front leads to others.
pub async fn ready(State(app): State<Arc<App>>, Extension(id): Extension<RequestId>) -> Response {
    if app.edge.is_stopping() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    let clusters = app.all();
    let mut answers = join_all(clusters.iter().map(|app| is_migrated(app))).await;
    let best = answers.iter().position(|answer| matches!(answer, Ok(true))).unwrap_or(0);
    match answers.swap_remove(best) {
        Ok(true) => "ready\n".into_response(),
        Ok(false) => (StatusCode::SERVICE_UNAVAILABLE, "migrations are missing\n").into_response(),
        Err(error) => {
            tracing::warn!(request_id = id.0, %error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response()
        }
    }
}

async fn is_migrated(app: &App) -> Result<bool> {
    let serving = || app.standbys.serving();
    match serving().filter(|_| app.standbys.is_primary_away()) {
        Some(standby) => are_applied(standby.pool()).await,
        None => match (are_applied(&app.pool).await, serving()) {
            (Err(_), Some(standby)) => are_applied(standby.pool()).await,
            (applied, _) => applied,
        },
    }
}

async fn are_applied(pool: &Pool) -> Result<bool> {
    let asked = async {
        let connection = pool.get().await.map_err(Error::unavailable)?;
        migrations::are_applied(&connection).await
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(Error::unavailable("it does not answer in time")))
}
