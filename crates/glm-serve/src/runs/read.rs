//! Reading of files that others write: never more than a limit, and whatever they hold.

use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Most bytes that are read of a file that is one JSON value; a larger one counts as absent.
const LARGEST_JSON: u64 = 16 << 20;

/// Whether the path is a file itself: neither a link, which may lead out of the folder, nor a pipe, which may never end.
pub fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|data| data.is_file())
}

/// When a file was written last, in seconds since 1970.
pub fn written(path: &Path) -> Option<u64> {
    let data = path.symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(data.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// A file that is one JSON value; `None` where there is none, or something else.
pub fn json(path: &Path) -> Option<Value> {
    let file = open(path)?;
    if file.metadata().ok()?.len() > LARGEST_JSON {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_JSON).read_to_end(&mut bytes).ok()?;
    parse(&bytes)
}

/// The first `limit` bytes of a file, without a line that is not whole.
pub fn head(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(limit).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 == limit {
        bytes.truncate(bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1));
    }
    Some(bytes)
}

/// The last `limit` bytes of a file, without a line whose beginning is missing.
pub fn tail(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let mut file = open(path)?;
    let from = file.metadata().ok()?.len().saturating_sub(limit);
    // The byte before tells whether the first line is whole.
    file.seek(SeekFrom::Start(from.saturating_sub(1))).ok()?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).ok()?;
    if from > 0 {
        let begins = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |end| end + 1);
        bytes.drain(..begins);
    }
    Some(bytes)
}

fn open(path: &Path) -> Option<File> {
    is_file(path).then(|| File::open(path).ok())?
}

/// A JSON value, also with the `NaN` and `Infinity` of Python's writer, which become null.
pub fn parse(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok().or_else(|| serde_json::from_slice(&without_nan(bytes)).ok())
}

/// Puts `null` in place of `NaN`, `Infinity` and `-Infinity` outside of texts.
fn without_nan(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let (mut at, mut in_text) = (0, false);
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        let word = [&b"NaN"[..], b"-Infinity", b"Infinity"].into_iter().find(|word| !in_text && rest.starts_with(word));
        if let Some(word) = word {
            plain.extend_from_slice(b"null");
            at += word.len();
            continue;
        }
        let escaped = usize::from(in_text && byte == b'\\' && rest.len() > 1);
        in_text ^= byte == b'"';
        plain.extend_from_slice(&rest[..=escaped]);
        at += 1 + escaped;
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nan_of_python_is_null_and_texts_stay() {
        let text = br#"{"loss": NaN, "text": "NaN \" NaN \\", "x": [-Infinity, Infinity, 1e-05], "y": -3}"#;
        let expected = json!({"loss": null, "text": "NaN \" NaN \\", "x": [null, null, 1e-5], "y": -3});
        assert_eq!(parse(text), Some(expected));
        for broken in [&b""[..], b"{", b"{\"a\": Na", b"\"a\\", b"\xff\xfe", b"{\"a\": \"\xff\"}", b"NaN NaN"] {
            assert_eq!(parse(broken), None, "{broken:?}");
        }
        // Deep nesting ends the parser, not the stack.
        assert_eq!(parse(&b"[".repeat(1_000_000)), None);
    }

    #[test]
    fn only_whole_lines_and_only_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        std::fs::write(&file, "first\nsecond\nthird").unwrap();
        assert_eq!(head(&file, 9).unwrap(), b"first\n");
        assert_eq!(head(&file, 3).unwrap(), b"");
        assert_eq!(head(&file, 100).unwrap(), b"first\nsecond\nthird");
        assert_eq!(tail(&file, 5).unwrap(), b"third");
        assert_eq!(tail(&file, 12).unwrap(), b"second\nthird");
        assert_eq!(tail(&file, 11).unwrap(), b"third");
        assert_eq!(tail(&file, 100).unwrap(), b"first\nsecond\nthird");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for none in [&link, folder.path(), &folder.path().join("absent")] {
            assert!(head(none, 9).is_none() && tail(none, 9).is_none() && json(none).is_none(), "{}", none.display());
            assert!(written(none).is_none());
        }
    }
}
