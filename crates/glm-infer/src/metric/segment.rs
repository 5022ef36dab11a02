//! Chinese word segmentation as jieba 0.42.1 does it in its default mode with the HMM.
//!
//! `jieba-rs` holds the dictionary, the route search and the HMM. Three of its habits differ from the Python package and
//! are mended here: which characters form a block, how Latin runs are cut, and the dictionary's total frequency. See
//! `docs/decisions/0003-chinese-segmentation.md`.

use jieba_rs::Jieba;

/// Frequency that the Python package counts twice, because its dictionary lists the word `B超` on two lines.
const REPEATED_ENTRY: usize = 3;

/// Cuts texts into words. Holds the dictionary (about 350,000 words), so build it once.
pub struct Segmenter {
    jieba: Jieba,
}

impl Segmenter {
    /// Loads the embedded dictionary.
    pub fn new() -> Self {
        let mut jieba = Jieba::new();
        // A line feed never stands inside a block, so this entry only raises the total.
        jieba.add_word("\n", Some(REPEATED_ENTRY), None);
        Self { jieba }
    }

    /// Words of `text` in order; together they are `text`. Each white-space character is a word (`\r\n` is one), and so
    /// is each character that is neither Han, ASCII letter, digit nor one of `+#&._%-`.
    pub fn cut<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let mut words = Vec::with_capacity(text.len() / 4);
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let length = if is_block(first) {
                let length = rest.find(|c| !is_block(c)).unwrap_or(rest.len());
                self.cut_block(&rest[..length], &mut words);
                length
            } else {
                let length = if rest.starts_with("\r\n") { 2 } else { first.len_utf8() };
                words.push(&rest[..length]);
                length
            };
            rest = &rest[length..];
        }
        words
    }

    fn cut_block<'a>(&self, block: &'a str, words: &mut Vec<&'a str>) {
        for token in self.jieba.cut(block, true) {
            // No dictionary word holds a connector, so such a token comes from jieba-rs's own rule for Latin runs.
            if token.word.len() > 1 && token.word.contains(['.', '_', '-']) {
                cut_latin(token.word, words);
            } else {
                words.push(token.word);
            }
        }
    }
}

impl Default for Segmenter {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Segmenter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segmenter").finish_non_exhaustive()
    }
}

/// jieba's `[\u4E00-\u9FD5a-zA-Z0-9+#&\._%\-]`. jieba-rs also takes the CJK extensions.
fn is_block(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fd5}' | '+' | '#' | '&' | '.' | '_' | '%' | '-') || c.is_ascii_alphanumeric()
}

/// Splits an ASCII token at the matches of `[a-zA-Z0-9]+(?:\.\d+)?%?`; what lies between them stays whole.
fn cut_latin<'a>(token: &'a str, words: &mut Vec<&'a str>) {
    let mut rest = token;
    while !rest.is_empty() {
        let bytes = rest.as_bytes();
        let mut end = run(bytes, 0, |b| b.is_ascii_alphanumeric());
        if end == 0 {
            end = run(bytes, 0, |b| !b.is_ascii_alphanumeric());
        } else {
            if bytes.get(end) == Some(&b'.') {
                let fraction = run(bytes, end + 1, |b| b.is_ascii_digit());
                if fraction > end + 1 {
                    end = fraction;
                }
            }
            if bytes.get(end) == Some(&b'%') {
                end += 1;
            }
        }
        words.push(&rest[..end]);
        rest = &rest[end..];
    }
}

/// End of the run of bytes from `start` on that `belongs` accepts.
fn run(bytes: &[u8], start: usize, belongs: impl Fn(u8) -> bool) -> usize {
    bytes[start..].iter().position(|&b| !belongs(b)).map_or(bytes.len(), |n| start + n)
}
