//! Names on the hub: of models, revisions and files. What a server says is checked here before it becomes a path.

use std::fmt;
use std::path::Path;

/// Most characters of a part of a name; the hub's own limit is 96 for the whole.
const LONGEST: usize = 96;

/// `owner/name` of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubName {
    owner: String,
    name: String,
}

impl HubName {
    /// The hub name that `path` can be; `None` when it can only be a path.
    pub fn of(path: &Path) -> Option<Self> {
        let (owner, name) = path.to_str()?.split_once('/')?;
        let fits = |part: &str| {
            is_component(part)
                && part.len() <= LONGEST
                && !part.starts_with(['-', '.'])
                && !part.ends_with(['-', '.'])
                // The cache writes "/" as "--".
                && !part.contains("--")
                && !part.contains("..")
        };
        (fits(owner) && fits(name)).then(|| Self { owner: owner.into(), name: name.into() })
    }

    /// Its folder in the cache.
    pub fn folder(&self) -> String {
        format!("models--{}--{}", self.owner, self.name)
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// What to say of a path that is neither a folder nor a hub name.
pub fn no_such_folder(path: &Path) -> String {
    format!(
        "{}: there is no such folder. Give the folder of a model (config.json, tokenizer.model, weights), or a name on the \
         hub, which is taken as one only in the form owner/name, as THUDM/chatglm2-6b",
        path.display()
    )
}

/// Whether `text` is harmless as one part of a path: no separators, nothing hidden, nothing that leads elsewhere.
pub fn is_component(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !text.is_empty() && text.len() <= 128 && !text.starts_with('.') && text.chars().all(known)
}

/// Whether `text` is a path that stays below where it is put.
pub fn is_below(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part != "." && part != "..";
    text.len() <= 1024
        && !text.contains(['\\', ':'])
        && !text.chars().any(char::is_control)
        && text.split('/').all(part)
}

/// Checks a branch, tag or commit.
///
/// # Errors
/// Says what was expected and found.
pub fn check_revision(revision: &str) -> Result<(), String> {
    if !revision.is_empty() && revision.split('/').all(is_component) {
        return Ok(());
    }
    Err(format!("expected a branch, tag or commit as main, v1.0 or 32 to 40 hexadecimal digits, found {revision:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_owner_and_name_are_a_hub_name() {
        for name in ["THUDM/chatglm2-6b", "zai-org/chatglm3-6b-32k", "a/b_c.d"] {
            assert_eq!(HubName::of(Path::new(name)).unwrap().to_string(), name);
        }
        for path in
            ["chatglm2-6b", "/THUDM/chatglm2-6b", "./chatglm2-6b", "../b", "a/b/c", "a/", "~/b", "a/..", "a b/c"]
        {
            assert_eq!(HubName::of(Path::new(path)), None, "{path}");
        }
        for path in ["C:\\a/b", "a/-b", "a--b/c", "模型/b", ".cache/b", "a/b."] {
            assert_eq!(HubName::of(Path::new(path)), None, "{path}");
        }
        assert_eq!(HubName::of(Path::new("THUDM/chatglm2-6b")).unwrap().folder(), "models--THUDM--chatglm2-6b");
    }

    #[test]
    fn what_leads_elsewhere_is_no_file_below() {
        for name in ["config.json", "a/b.txt", "名.txt", ".gitattributes"] {
            assert!(is_below(name), "{name}");
        }
        for name in ["", "/etc/passwd", "..", "a/../b", "a//b", "a\\b", "C:b", "a\0b", "./a", "a/"] {
            assert!(!is_below(name), "{name:?}");
        }
        for part in ["", "..", ".a", "a/b", "a\\b", "a\0", "é"] {
            assert!(!is_component(part), "{part:?}");
        }
        assert!(check_revision("refs/pr/3").is_ok());
        for revision in ["", "../x", "a/../b", "/a", "a?b", "a b"] {
            assert!(check_revision(revision).is_err(), "{revision:?}");
        }
    }
}
