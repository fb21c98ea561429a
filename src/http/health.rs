//! Whether the server lives, and whether it can serve.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::request_id::RequestId;
use crate::{app::App, db::migrations, error::Error};

/// The process answers.
pub async fn alive() -> &'static str {
    "alive\n"
}

/// The database answers, and has every migration that this program was built with.
pub async fn ready(State(app): State<Arc<App>>, Extension(id): Extension<RequestId>) -> Response {
    let applied = async {
        let connection = app.pool.get().await.map_err(Error::unavailable)?;
        migrations::are_applied(&connection).await
    };
    match applied.await {
        Ok(true) => "ready\n".into_response(),
        Ok(false) => (StatusCode::SERVICE_UNAVAILABLE, "migrations are missing\n").into_response(),
        Err(error) => {
            tracing::warn!(request_id = id.0, %error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response()
        }
    }
}
