//! Long texts on their way to ids.

use crate::http::error::ApiError;
use tokio::sync::Semaphore;

/// Bytes of a request that are read at once, without a thread of their own.
const LITTLE: usize = 64 << 10;

/// Long ones at a time, each of which takes memory many times its length.
static ROOM: Semaphore = Semaphore::const_new(2);

/// Runs `work`, which makes ids of a request of so many `bytes`: long ones on a thread of their own, since streams and other
/// requests must not wait for them.
///
/// # Errors
/// When the work panics, or the server shuts down.
pub async fn reading<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    if bytes < LITTLE {
        return Ok(work());
    }
    let failed = || ApiError::server("reading the prompt ended early");
    let permit = ROOM.acquire().await.map_err(|_| failed())?;
    let work = move || {
        let _permit = permit;
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| failed())
}
