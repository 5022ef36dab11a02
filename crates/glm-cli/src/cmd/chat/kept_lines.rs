//! The file in which typed lines are kept for the next conversation.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

/// Where it is by the XDG base directories, its folder made if need be. `None` where the environment names no home, or the
/// folder cannot be made, which is said.
pub fn file(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let folder = folder(variable)?;
    match DirBuilder::new().recursive(true).mode(0o700).create(&folder) {
        Ok(()) => Some(folder.join("chat_history")),
        Err(error) => {
            eprintln!("note: {}: {error}; lines are not kept for the next conversation", folder.display());
            None
        }
    }
}

fn folder(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    // A relative path is to be ignored, says the standard.
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("glmtune"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_folder_follows_the_standard_and_is_private() {
        let of = |set: &[(&str, &str)]| {
            folder(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string()))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("HOME", "/h")]), Some("/h/.local/state/glmtune".into()));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]), Some("/s/glmtune".into()));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_STATE_HOME", "s")]), Some("/h/.local/state/glmtune".into()));

        let home = tempfile::tempdir().unwrap();
        let found = file(|name| (name == "HOME").then(|| home.path().display().to_string()));
        assert_eq!(found, Some(home.path().join(".local/state/glmtune/chat_history")));
        let mode = home.path().join(".local/state/glmtune").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        std::fs::write(home.path().join("file"), "").unwrap();
        let below_a_file = home.path().join("file/x").display().to_string();
        assert_eq!(file(|name| (name == "HOME").then(|| below_a_file.clone())), None);
    }
}
