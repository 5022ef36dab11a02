//! The normalisation table inside a SentencePiece file: longest-prefix replacement of characters.

/// Longest replacement that is accepted, in bytes; Unicode's own longest has 33. It bounds how much a text can grow.
const MAX_REPLACEMENT: usize = 512;

/// A compiled table: a double-array trie (layout of darts-clone) over UTF-8 bytes, whose values are byte offsets of
/// NUL-terminated replacements.
#[derive(Debug)]
pub(super) struct CharsMap {
    units: Vec<u32>,
    replacements: String,
}

impl CharsMap {
    /// Reads `precompiled_charsmap`: little-endian byte length of the trie, the trie, the replacements. Empty means that
    /// nothing is replaced.
    pub(super) fn parse(blob: &[u8]) -> Result<Self, String> {
        if blob.is_empty() {
            return Ok(Self { units: Vec::new(), replacements: String::new() });
        }
        let broken = |what: &str| format!("its normalisation table is broken: {what}");
        let (size, rest) = blob.split_first_chunk::<4>().ok_or_else(|| broken("shorter than 4 bytes"))?;
        let size = u32::from_le_bytes(*size) as usize;
        if size >= rest.len() || !size.is_multiple_of(4) {
            return Err(broken(&format!("a trie of {size} bytes in {} bytes", rest.len())));
        }
        let (trie, replacements) = rest.split_at(size);
        let units = trie.as_chunks::<4>().0.iter().map(|&unit| u32::from_le_bytes(unit)).collect();
        let replacements = std::str::from_utf8(replacements).map_err(|_| broken("replacements are not UTF-8"))?;
        if replacements.split('\0').any(|r| r.len() > MAX_REPLACEMENT) {
            return Err(broken(&format!("a replacement of more than {MAX_REPLACEMENT} bytes")));
        }
        Ok(Self { units, replacements: replacements.into() })
    }

    /// What the beginning of `text` becomes, and how many of its bytes that takes: the longest key of the table, or else
    /// one character as it is. `text` must not be empty.
    pub(super) fn first<'a>(&'a self, text: &'a str) -> (&'a str, usize) {
        self.longest(text).unwrap_or_else(|| {
            let length = text.chars().next().map_or(0, char::len_utf8);
            (&text[..length], length)
        })
    }

    fn longest(&self, text: &str) -> Option<(&str, usize)> {
        let mut found = None;
        let mut node = offset(*self.units.first()?);
        for (i, &byte) in text.as_bytes().iter().enumerate() {
            node ^= usize::from(byte);
            let Some(&unit) = self.units.get(node) else { break };
            if unit & (1 << 31 | 0xff) != u32::from(byte) {
                break;
            }
            node ^= offset(unit);
            let has_value = unit >> 8 & 1 == 1;
            if has_value && text.is_char_boundary(i + 1) {
                let Some(&leaf) = self.units.get(node) else { break };
                // In a damaged table the offset may point anywhere; such an entry counts as absent.
                let replacement = self.replacements.get((leaf & !(1 << 31)) as usize..);
                found = replacement.map(|r| (r.split('\0').next().unwrap_or(r), i + 1)).or(found);
            }
        }
        found
    }
}

fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & 1 << 9) >> 6)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_tables_are_refused_or_harmless() {
        for blob in [&[1, 0][..], &[4, 0, 0, 0, 0, 0, 0, 0], &[3, 0, 0, 0, 1, 2, 3, 4, 5], &[0, 0, 0, 0, 0xff]] {
            assert!(CharsMap::parse(blob).is_err(), "{blob:?}");
        }
        let endless = [&[0, 0, 0, 0][..], &[b'a'; MAX_REPLACEMENT + 1]].concat();
        assert!(CharsMap::parse(&endless).is_err());
        // Every unit says "has a value" and leads anywhere.
        for seed in 0..64u32 {
            let units = (0..64).flat_map(|i: u32| (i.wrapping_mul(2_654_435_761) ^ seed << 10 | 1 << 8).to_le_bytes());
            let blob: Vec<u8> = 256u32.to_le_bytes().into_iter().chain(units).chain(*b"ab\0c\0").collect();
            let map = CharsMap::parse(&blob).unwrap();
            let mut text = "今天 hello\u{0}\u{10ffff}";
            while !text.is_empty() {
                let taken = map.first(text).1;
                assert!(taken > 0);
                text = &text[taken..];
            }
        }
    }
}
