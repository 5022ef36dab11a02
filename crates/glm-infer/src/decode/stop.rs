//! Stop strings in a text that grows.

/// Where in `text` the stop string begins that was complete first (of several that end together, the longest), in bytes.
/// `known`: bytes of `text` that were searched before and hold none.
pub fn find_stop(text: &str, known: usize, stops: &[String]) -> Option<usize> {
    let found = stops.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| {
        let from = text.floor_char_boundary((known + 1).saturating_sub(stop.len()));
        let start = from + text[from..].find(stop.as_str())?;
        Some((start + stop.len(), start))
    });
    found.min().map(|(_, start)| start)
}

/// Bytes of `text` that no stop string can begin in any more, whatever follows.
pub fn certain_len(text: &str, stops: &[String]) -> usize {
    let begun = |stop: &String| (1..stop.len()).rev().find(|n| text.as_bytes().ends_with(&stop.as_bytes()[..*n]));
    // Both are UTF-8, so a common part that begins with a character of the stop string begins with one of the text.
    text.len() - stops.iter().filter_map(begun).max().unwrap_or(0)
}
