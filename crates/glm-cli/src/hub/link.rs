//! A name in a snapshot for content among the blobs.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// Makes `name` lead to `blob`. What was under that name and led nowhere is replaced.
///
/// # Errors
/// When the disk refuses.
pub fn link(blob: &Path, name: &Path) -> anyhow::Result<()> {
    let linked = || {
        if name.symlink_metadata().is_ok() {
            std::fs::remove_file(name)?;
        }
        // As Python does where links are not to be had: the content itself takes the name.
        symlink(&relative(blob, name), name).or_else(|_| std::fs::rename(blob, name))
    };
    linked().with_context(|| format!("{}: cannot be linked to {}", name.display(), blob.display()))
}

#[cfg(unix)]
fn symlink(to: &Path, name: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(to, name)
}

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// The way from the folder of `name`, which is `…/snapshots/COMMIT`, to `…/blobs/ETAG`: relative, so that the cache can
/// be moved and mounted elsewhere.
fn relative(blob: &Path, name: &Path) -> PathBuf {
    let root = blob.parent().and_then(Path::parent);
    let depth = root
        .and_then(|root| name.strip_prefix(root).ok())
        .map_or(0, |below| below.components().count().saturating_sub(1));
    match root.and_then(|root| blob.strip_prefix(root).ok()) {
        Some(below) if depth > 0 => std::iter::repeat_n("..", depth).collect::<PathBuf>().join(below),
        _ => blob.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_relative() {
        let way = relative(Path::new("/c/models--a--b/blobs/e"), Path::new("/c/models--a--b/snapshots/d/config.json"));
        assert_eq!(way, Path::new("../../blobs/e"));
    }
}
