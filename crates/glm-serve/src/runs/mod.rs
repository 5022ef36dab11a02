//! `/api/runs`: what the folders of training runs say, for the page.
//!
//! A name in a request is only ever compared with those of the runs that are there; no path from it reaches the file system.
//! The files may be half-written, huge or by anyone: what cannot be read is left out.

mod find;
mod journal;
pub(crate) mod read;
mod run;
mod shown;

use crate::http::error::ApiError;
use crate::http::state::Shared;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
pub(crate) use run::checkpoint_step;
use run::{Detail, Line};
use serde::Serialize;
use std::path::PathBuf;
use tokio::sync::Semaphore;

/// Requests that read files at a time: many pages together must not fill memory or wear out the disk.
static READERS: Semaphore = Semaphore::const_new(2);

/// The list of runs.
#[derive(Debug, Serialize)]
pub struct List {
    runs: Vec<Line>,
    error: Option<String>,
}

/// `GET /api/runs`: the newest first.
///
/// # Errors
/// When the server is shutting down.
pub async fn list(State(state): State<Shared>) -> Result<Json<List>, ApiError> {
    let Some(folder) = state.config.runs.clone() else {
        let error = Some("this server shows no runs; start it with --runs_dir FOLDER".to_owned());
        return Ok(Json(List { runs: Vec::new(), error }));
    };
    reading(move || match find::runs(&folder) {
        Ok(found) => {
            let mut runs: Vec<Line> = found.iter().map(Line::read).collect();
            runs.sort_by(|a, b| b.updated.cmp(&a.updated).then_with(|| a.id.cmp(&b.id)));
            Json(List { runs, error: None })
        }
        // The kind alone: the path is the operator's business.
        Err(error) => {
            let error = Some(format!("the folder of runs cannot be listed: {}", error.kind()));
            Json(List { runs: Vec::new(), error })
        }
    })
    .await
}

/// `GET /api/runs/{id}`.
///
/// # Errors
/// When there is no such run.
pub async fn one(
    State(state): State<Shared>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Detail>, ApiError> {
    let none = || ApiError::not_found("there is no such run; GET /api/runs lists those that are there");
    // What is no text is no run's name.
    let Path(id) = id.map_err(|_| none())?;
    let folder: PathBuf = state.config.runs.clone().ok_or_else(none)?;
    let found = reading(move || {
        let runs = find::runs(&folder).unwrap_or_default();
        runs.iter().find(|run| run.id == id).map(Detail::read)
    });
    found.await?.map(Json).ok_or_else(none)
}

async fn reading<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let failed = || ApiError::server("reading the runs ended early");
    let permit = READERS.acquire().await.map_err(|_| failed())?;
    // The permit goes with the work, which a client who leaves does not end.
    let work = move || {
        let _permit = permit;
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| failed())
}
