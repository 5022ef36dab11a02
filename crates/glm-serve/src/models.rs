//! Which names answer: the base, and adapters that come and go while the server runs.

use crate::model::Model;
use glm_model::adapter::{self, LoadedAdapter};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

/// Longest name of an adapter, in characters.
const LONGEST_NAME: usize = 64;

/// Versions of an adapter that are kept beside the one that is served.
const EARLIER: usize = 3;

/// Whether an adapter was trained on conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Turns {
    /// On single questions: it gets no history.
    Single,
    /// On questions after earlier turns.
    History,
}

/// What is known of an adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdapterInfo {
    /// Its name here.
    pub name: String,
    /// What it is, in words.
    pub kind: &'static str,
    /// What it was trained on; `None`: its files do not say.
    pub turns: Option<Turns>,
    /// Text before every prompt, as in training.
    pub source_prefix: String,
    /// What a user should know, for example that it was trained on another base.
    pub warning: Option<String>,
    /// Where it was loaded from. Not for clients.
    #[serde(skip)]
    pub path: PathBuf,
}

/// Something that answers: the base, alone or with an adapter. When the last one who uses it lets it go, its slot is emptied.
#[derive(Debug)]
pub struct Answerer {
    /// Name in the API: `base` or `base:adapter`.
    pub id: String,
    /// The adapter; `None`: the bare base.
    pub adapter: Option<AdapterInfo>,
    /// When it was loaded, in seconds since 1970.
    pub created: u64,
    slot: Option<usize>,
    model: Arc<Model>,
}

impl Answerer {
    /// Its slot.
    pub fn slot(&self) -> Option<usize> {
        self.slot
    }

    /// Whether it gets the turns before the last question.
    pub fn takes_history(&self) -> bool {
        self.adapter.as_ref().is_none_or(|adapter| adapter.turns != Some(Turns::Single))
    }

    /// Text before every prompt.
    pub fn source_prefix(&self) -> &str {
        self.adapter.as_ref().map_or("", |adapter| &adapter.source_prefix)
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.model.slots.remove(slot);
        }
    }
}

/// Why an adapter is not taken.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// A name that could not stand in a request.
    #[error(
        "adapter name {0:?}: expected 1 to {LONGEST_NAME} letters, digits, '.', '_' or '-', the first a letter or a digit"
    )]
    Name(String),
    /// The name is in use.
    #[error("adapter {0:?} is loaded already; unload it first, or give the new one another name")]
    Taken(String),
    /// There is none of that name.
    #[error("no adapter {0:?} is loaded")]
    Unknown(String),
    /// Nothing was served under the name before.
    #[error("adapter {0:?} has replaced none, so that there is nothing to roll back to")]
    NothingEarlier(String),
    /// Its files.
    #[error("adapter {name:?}: {source}")]
    Files {
        /// Its name.
        name: String,
        /// What is wrong.
        source: glm_model::ModelError,
    },
}

/// All that answer.
#[derive(Debug)]
pub struct Models {
    model: Arc<Model>,
    base: Arc<Answerer>,
    adapters: RwLock<BTreeMap<String, Arc<Answerer>>>,
    /// What was served under a name before, the newest last, for a roll-back. Kept whole: a training may have removed its files.
    /// Locked after `adapters` only.
    earlier: RwLock<BTreeMap<String, Vec<Arc<Answerer>>>>,
    /// Adapter that answers where a request names no model.
    default_adapter: RwLock<Option<String>>,
}

impl Models {
    /// The base under its name.
    pub fn new(model: Arc<Model>, base_name: &str) -> Self {
        let base =
            Answerer { id: base_name.to_owned(), adapter: None, created: now(), slot: None, model: Arc::clone(&model) };
        Self {
            model,
            base: Arc::new(base),
            adapters: RwLock::default(),
            earlier: RwLock::default(),
            default_adapter: RwLock::default(),
        }
    }

    /// What computes.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// The bare base.
    pub fn base(&self) -> &Arc<Answerer> {
        &self.base
    }

    /// Loads an adapter under a name.
    ///
    /// # Errors
    /// When the name cannot be used, or the files hold no adapter for this base.
    pub fn load(&self, name: &str, path: &Path) -> Result<Arc<Answerer>, AdapterError> {
        check_name(name)?;
        if self.adapters.read().unwrap_or_else(PoisonError::into_inner).contains_key(name) {
            return Err(AdapterError::Taken(name.to_owned()));
        }
        let answerer = Arc::new(self.open(name, path)?);
        let mut adapters = self.adapters.write().unwrap_or_else(PoisonError::into_inner);
        if adapters.contains_key(name) {
            return Err(AdapterError::Taken(name.to_owned()));
        }
        adapters.insert(name.to_owned(), Arc::clone(&answerer));
        Ok(answerer)
    }

    /// Loads an adapter and puts it in the place of the one of that name, if there is one, to which [`Models::roll_back`] then
    /// leads. Requests in progress keep the old one.
    ///
    /// # Errors
    /// As [`Models::load`]; the old one stays then.
    pub fn replace(&self, name: &str, path: &Path) -> Result<Arc<Answerer>, AdapterError> {
        check_name(name)?;
        let answerer = Arc::new(self.open(name, path)?);
        let mut adapters = self.adapters.write().unwrap_or_else(PoisonError::into_inner);
        self.put(&mut adapters, name, &answerer);
        Ok(answerer)
    }

    /// Puts an adapter that is loaded already in the place of `expected`; `false`: another one has taken it meanwhile.
    pub(crate) fn exchange(&self, name: &str, expected: Option<&Arc<Answerer>>, new: &Arc<Answerer>) -> bool {
        let mut adapters = self.adapters.write().unwrap_or_else(PoisonError::into_inner);
        let same = match (adapters.get(name), expected) {
            (Some(now), Some(expected)) => Arc::ptr_eq(now, expected),
            (now, expected) => now.is_none() && expected.is_none(),
        };
        if same {
            self.put(&mut adapters, name, new);
        }
        same
    }

    fn put(&self, adapters: &mut BTreeMap<String, Arc<Answerer>>, name: &str, new: &Arc<Answerer>) {
        let Some(old) = adapters.insert(name.to_owned(), Arc::clone(new)) else { return };
        let mut earlier = self.earlier.write().unwrap_or_else(PoisonError::into_inner);
        let kept = earlier.entry(name.to_owned()).or_default();
        kept.push(old);
        let surplus = kept.len().saturating_sub(EARLIER);
        kept.drain(..surplus);
    }

    /// Serves again what was served under a name before. Returns what goes and what comes.
    ///
    /// # Errors
    /// When there is none of that name, or it has replaced nothing.
    pub fn roll_back(&self, name: &str) -> Result<(Arc<Answerer>, Arc<Answerer>), AdapterError> {
        let mut adapters = self.adapters.write().unwrap_or_else(PoisonError::into_inner);
        let Some(now) = adapters.get_mut(name) else { return Err(AdapterError::Unknown(name.to_owned())) };
        let mut earlier = self.earlier.write().unwrap_or_else(PoisonError::into_inner);
        let before = earlier.get_mut(name).and_then(Vec::pop);
        let before = before.ok_or_else(|| AdapterError::NothingEarlier(name.to_owned()))?;
        Ok((std::mem::replace(now, Arc::clone(&before)), before))
    }

    /// Lets an adapter go, and what was served under its name before; requests in progress keep it until they end.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn unload(&self, name: &str) -> Result<(), AdapterError> {
        let mut adapters = self.adapters.write().unwrap_or_else(PoisonError::into_inner);
        let gone = adapters.remove(name);
        self.earlier.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        gone.map(drop).ok_or_else(|| AdapterError::Unknown(name.to_owned()))
    }

    /// Lets an adapter answer where a request names no model.
    pub fn set_default(&self, name: &str) {
        *self.default_adapter.write().unwrap_or_else(PoisonError::into_inner) = Some(name.to_owned());
    }

    /// What answers where a request names no model: the default adapter while it is loaded, else the base.
    pub fn default(&self) -> Arc<Answerer> {
        let name = self.default_adapter.read().unwrap_or_else(PoisonError::into_inner).clone();
        name.and_then(|name| self.adapter(&name)).unwrap_or_else(|| Arc::clone(&self.base))
    }

    /// An adapter by its name.
    pub fn adapter(&self, name: &str) -> Option<Arc<Answerer>> {
        self.adapters.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// What a request's `model` names: the base, `base:adapter`, an adapter's name alone, or, as the official API server
    /// calls whatever it serves, `gpt-3.5-turbo`.
    pub fn find(&self, name: &str) -> Option<Arc<Answerer>> {
        if name == self.base.id {
            return Some(Arc::clone(&self.base));
        }
        let adapter = name.strip_prefix(&self.base.id).and_then(|rest| rest.strip_prefix(':')).unwrap_or(name);
        self.adapter(adapter).or_else(|| (name == "gpt-3.5-turbo").then(|| self.default()))
    }

    /// The base, then the adapters by name.
    pub fn all(&self) -> Vec<Arc<Answerer>> {
        let adapters = self.adapters.read().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(&self.base).chain(adapters.values()).cloned().collect()
    }

    /// Loads an adapter without a place among those that answer.
    pub(crate) fn open(&self, name: &str, path: &Path) -> Result<Answerer, AdapterError> {
        let files = |source| AdapterError::Files { name: name.to_owned(), source };
        let file = adapter::open(path).map_err(files)?;
        let said = file.metadata().map_err(files)?;
        let loaded = file.load(self.model.network.config()).map_err(files)?;
        let kind = match &loaded {
            LoadedAdapter::Prefix(_) => "P-Tuning v2 prefix",
            LoadedAdapter::Lora(_) => "LoRA",
        };
        let turns = match said.get("turns").map(String::as_str) {
            Some("single") => Some(Turns::Single),
            Some("history") => Some(Turns::History),
            _ => None,
        };
        let (fingerprint, held) = (self.model.network.fingerprint(), self.model.network.held_as());
        let other = |key: &str, now: &str| said.get(key).filter(|before| *before != now);
        let warning = match (other("base_fingerprint", fingerprint), other("base_scheme", &held)) {
            (Some(_), _) => {
                Some("it was trained on a base with other weights; answers may be worse than its scores say".into())
            }
            (None, Some(before)) => {
                Some(format!("it was trained on this base held as {before}, not {held}; answers may differ"))
            }
            (None, None) => None,
        };
        let slot = self.model.slots.add_loaded(&loaded).map_err(files)?;
        Ok(Answerer {
            id: format!("{}:{name}", self.base.id),
            adapter: Some(AdapterInfo {
                name: name.to_owned(),
                kind,
                turns,
                source_prefix: said.get("source_prefix").cloned().unwrap_or_default(),
                warning,
                path: path.to_owned(),
            }),
            created: now(),
            slot: Some(slot),
            model: Arc::clone(&self.model),
        })
    }
}

/// Refuses what could not stand in a request, a path or a label.
pub fn check_name(name: &str) -> Result<(), AdapterError> {
    let good = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    let starts = name.chars().next().is_some_and(char::is_alphanumeric);
    if starts && name.chars().all(good) && name.chars().count() <= LONGEST_NAME {
        return Ok(());
    }
    Err(AdapterError::Name(name.chars().take(LONGEST_NAME).collect()))
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
