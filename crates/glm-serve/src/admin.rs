//! `/admin/adapters`: adapters come and go while the server runs. A request names an adapter of the adapter folder, never a path.

use crate::http::error::ApiError;
use crate::http::state::Shared;
use crate::models::{AdapterError, Answerer, check_name};
use crate::watch;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Load {
    name: String,
    /// Takes the place of an adapter of the same name.
    #[serde(default)]
    replace: bool,
}

/// Adapters that are loaded, and those that the folder has.
pub async fn list(State(state): State<Shared>) -> Json<Value> {
    let loaded: Vec<Value> = state.models.all().iter().filter(|a| a.adapter.is_some()).map(|a| described(a)).collect();
    let available: Vec<String> = available(&state).into_iter().map(|(name, _)| name).collect();
    Json(json!({ "loaded": loaded, "available": available }))
}

/// Loads one.
///
/// # Errors
/// When the folder has none of that name, the name is in use, or its files hold no adapter for this base.
pub async fn load(State(state): State<Shared>, body: Bytes) -> Result<(StatusCode, Json<Value>), ApiError> {
    let asked: Load = serde_json::from_slice(&body).map_err(|error| {
        ApiError::invalid("", format!("expected {{\"name\": text, \"replace\": true or false}}: {error}"))
    })?;
    check_name(&asked.name).map_err(|error| ApiError::invalid("name", error.to_string()))?;
    let Some((name, path)) = available(&state).into_iter().find(|(name, _)| *name == asked.name) else {
        return Err(ApiError::not_found(format!(
            "the adapter folder has no {:?}; GET /admin/adapters lists what it has",
            asked.name
        )));
    };
    // Reading an adapter takes a while, and other requests must not wait for it.
    let models = state.clone();
    let loaded = tokio::task::spawn_blocking(move || match asked.replace {
        true => models.models.replace(&name, &path),
        false => models.models.load(&name, &path),
    });
    let answerer = loaded.await.map_err(|_| ApiError::server("loading the adapter ended early"))?.map_err(refused)?;
    tracing::info!(adapter = answerer.id, "loaded");
    Ok((StatusCode::CREATED, Json(described(&answerer))))
}

/// Unloads one; requests in progress keep it until they end.
///
/// # Errors
/// When none of that name is loaded.
pub async fn unload(State(state): State<Shared>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    state.models.unload(&name).map_err(refused)?;
    tracing::info!(adapter = name, "unloaded");
    Ok(Json(json!({ "unloaded": name })))
}

/// Serves again what was served under a name before; what goes is not promoted again by a watch.
///
/// # Errors
/// When none of that name is loaded, or it has replaced nothing.
pub async fn roll_back(State(state): State<Shared>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    let (gone, now) = state.models.roll_back(&name).map_err(refused)?;
    let files = |answerer: &Answerer| Some(answerer.adapter.as_ref()?.path.file_name()?.to_string_lossy().into_owned());
    let answer = json!({ "rolled_back": files(&gone), "serving": files(&now), "now": described(&now) });
    tracing::info!(adapter = name, rolled_back = files(&gone), serving = files(&now), "rolled back");
    let shared = state.clone();
    let noted = tokio::task::spawn_blocking(move || watch::note_roll_back(&shared, &name, &gone, &now));
    noted.await.map_err(|_| ApiError::server("the roll-back was made, and its record broke off"))?;
    Ok(Json(answer))
}

fn described(answerer: &Answerer) -> Value {
    json!({ "id": answerer.id, "adapter": answerer.adapter, "created": answerer.created })
}

/// Names and paths of what lies in the adapter folder. A name from a request is only ever compared with these.
fn available(state: &Shared) -> Vec<(String, PathBuf)> {
    state.config.adapter_dir.as_deref().map(adapters_in).unwrap_or_default()
}

/// Entries of a folder whose names can be those of adapters, by name: folders, and files without their ending.
pub fn adapters_in(folder: &std::path::Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<(String, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = if path.is_dir() { path.file_name()? } else { path.file_stem()? };
            let name = name.to_str()?.to_owned();
            let known = path.is_dir() || matches!(path.extension()?.to_str()?, "safetensors" | "bin" | "glma");
            (known && check_name(&name).is_ok()).then_some((name, path))
        })
        .collect();
    found.sort();
    found.dedup_by(|second, first| second.0 == first.0);
    found
}

fn refused(error: AdapterError) -> ApiError {
    let message = error.to_string();
    match error {
        AdapterError::Name(_) => ApiError::invalid("name", message),
        AdapterError::Taken(_) | AdapterError::NothingEarlier(_) => {
            ApiError { status: StatusCode::CONFLICT, ..ApiError::invalid("name", message) }
        }
        AdapterError::Unknown(_) => ApiError::not_found(message),
        AdapterError::Files { .. } => {
            ApiError { status: StatusCode::UNPROCESSABLE_ENTITY, ..ApiError::invalid("name", message) }
        }
    }
}
