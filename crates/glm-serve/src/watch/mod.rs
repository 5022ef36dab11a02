//! Serves the checkpoints of training runs as they get better: each new one is evaluated on a file of rows, and takes the place
//! of the one that is served only when its loss is lower.

mod checkpoints;
pub(crate) mod journal;
mod loss;
pub(crate) mod samples;
mod watcher;

use crate::http::state::{Shared, State};
use crate::models::Answerer;
use glm_data::Rows;
use journal::Record;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;
use watcher::Watcher;

/// How often the thread looks whether the server stops.
const LOOK: Duration = Duration::from_millis(200);

/// A run and the name under which its checkpoints are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Name of the adapter.
    pub name: String,
    /// Output folder of the run; it may not be there yet.
    pub run: PathBuf,
}

/// What is watched, and how.
#[derive(Debug)]
pub struct Watch {
    /// The runs.
    pub runs: Vec<Watched>,
    /// Rows on which checkpoints are compared.
    pub rows: Rows,
    /// Of these, the first that each checkpoint answers for people to see.
    pub samples: usize,
    /// Time between two looks at the folders.
    pub interval: Duration,
}

/// Starts the thread.
///
/// # Errors
/// When the system starts none, or there is one already.
pub fn start(state: Shared, watch: Watch) -> std::io::Result<()> {
    if state.watched.set(watch.runs.clone()).is_err() {
        return Err(std::io::Error::other("runs are watched already"));
    }
    // Not waited for: it sees that the server stops, and writes nothing that a sudden end could harm.
    let work = move || {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&state, &watch))).is_err() {
            tracing::error!(
                "watching ended by a panic: checkpoints are no longer promoted until the server is started again"
            );
        }
    };
    std::thread::Builder::new().name("watch".into()).spawn(work).map(drop)
}

fn run(state: &State, watch: &Watch) {
    let mut watchers: Vec<Watcher<'_>> = watch.runs.iter().map(|run| Watcher::new(state, run, watch)).collect();
    while !is_stopping(state) {
        // One checkpoint of each run in turn, so that a run of many does not keep the others waiting.
        let mut more = true;
        while more && !is_stopping(state) {
            more = watchers.iter_mut().fold(false, |more, watcher| watcher.look() | more);
        }
        sleep(state, watch.interval);
    }
}

fn is_stopping(state: &State) -> bool {
    state.stopping.load(Ordering::Relaxed)
}

/// Sleeps, but not past the end of the server.
fn sleep(state: &State, time: Duration) {
    let mut left = time;
    while !left.is_zero() && !is_stopping(state) {
        let part = left.min(LOOK);
        std::thread::sleep(part);
        left -= part;
    }
}

/// Writes into a watched run's journal that its checkpoint was rolled back, so that it is not promoted again after a restart
/// either.
pub fn note_roll_back(state: &State, name: &str, gone: &Answerer, now: &Answerer) {
    let watched = state.watched.get().into_iter().flatten().find(|watched| watched.name == name);
    let (Some(watched), Some(adapter)) = (watched, &gone.adapter) else { return };
    let serving = now.adapter.as_ref().map(|adapter| adapter.path.display().to_string());
    let record = Record::of(&adapter.path);
    // A later training may have written another checkpoint of this name, which was never served.
    let saved = record.saved.filter(|saved| *saved <= gone.created);
    let record = Record { rolled_back: true, serving, saved, ..record };
    journal::append(&watched.run, &record);
}
