//! White space as Python's `str.isspace`, `str.strip` and the `\s` of its regular expressions see it.

/// Python counts the four information separators (U+001C to U+001F) as blanks, which Unicode's White_Space does not.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// `str.strip()`.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_are_those_of_python() {
        // [c for c in map(chr, range(0x110000)) if c.isspace()], Python 3.11
        let expected: Vec<u32> = (0x09..=0x0d)
            .chain(0x1c..=0x20)
            .chain([0x85, 0xa0, 0x1680])
            .chain(0x2000..=0x200a)
            .chain([0x2028, 0x2029, 0x202f, 0x205f, 0x3000])
            .collect();
        let found: Vec<u32> =
            (0..=0x10ffff).filter_map(char::from_u32).filter(|&c| is_space(c)).map(u32::from).collect();
        assert_eq!(found, expected);
        assert_eq!(strip("\u{1f}\u{3000} a b\u{200b}\r\n"), "a b\u{200b}");
    }
}
