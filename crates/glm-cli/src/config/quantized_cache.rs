//! Whether the quantized form of a base is kept for the next start, and where.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::args::value::FlagValue;
use crate::hub::variable;

/// `--quantized_cache`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuantizedCache {
    /// For large bases, in the user's folder of caches.
    #[default]
    Auto,
    /// Never.
    Off,
    /// For every base, in this folder.
    Folder(PathBuf),
}

impl QuantizedCache {
    /// The folder, and the fewest bytes of a quantized form that are worth keeping; `None` when nothing is kept.
    pub fn folder(&self) -> Option<(PathBuf, u64)> {
        match self {
            // What is smaller is read and quantized in about a second.
            Self::Auto => Some((usual_folder()?, 500_000_000)),
            Self::Off => None,
            Self::Folder(folder) => Some((folder.clone(), 0)),
        }
    }
}

/// The folder where nothing else is asked for; `None` where the user has no home.
pub fn usual_folder() -> Option<PathBuf> {
    // A path that is not absolute is to be ignored, as the XDG specification says.
    let caches = variable("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = caches.or_else(|| Some(std::env::home_dir().filter(|home| home.is_absolute())?.join(".cache")))?;
    Some(caches.join("glmtune").join("quantized"))
}

impl FlagValue for QuantizedCache {
    const METAVAR: &'static str = "auto|off|PATH";

    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "auto" | "true" => Ok(Self::Auto),
            "off" | "false" | "none" => Ok(Self::Off),
            "" => Err("auto, off, or a folder".into()),
            _ => Ok(Self::Folder(text.into())),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Auto => "auto".into(),
            Self::Off => "off".into(),
            Self::Folder(folder) => folder.display().to_string(),
        }
    }
}
