//! An answer on its way to the screen, while its end is not known yet.

use super::process_response;
use crate::tokenizer::{StreamDecoder, Tokenizer};
use crate::variant::Variant;

/// Longest placeholder that [`process_response`] fills in, in characters.
const PLACEHOLDER: usize = 8;

/// Turns tokens into the text that may be shown already: what the finished answer will have at that place.
#[derive(Debug)]
pub struct Shown<'a> {
    tokenizer: &'a Tokenizer,
    decoder: StreamDecoder<'a>,
    raw: String,
    shown: usize,
}

impl<'a> Shown<'a> {
    /// An answer without tokens.
    pub fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, decoder: tokenizer.stream(), raw: String::new(), shown: 0 }
    }

    /// Takes a token and returns the text that is certain now.
    pub fn push(&mut self, id: u32) -> String {
        let text = self.decoder.push(id);
        self.raw.push_str(&text);
        let answer = self.answer();
        let variant = self.tokenizer.variant();
        self.advance(&answer, certain(&answer, variant))
    }

    /// Returns what was held back, and the whole answer as it belongs into the history.
    /// `whole` is all of the text where it is known better than from the tokens.
    pub fn finish(mut self, whole: Option<String>) -> (String, String) {
        let text = self.decoder.finish();
        self.raw.push_str(&text);
        self.raw = whole.unwrap_or(self.raw);
        let answer = self.answer();
        (self.advance(&answer, answer.len()), answer)
    }

    fn answer(&self) -> String {
        process_response(self.tokenizer.variant(), &self.raw)
    }

    fn advance(&mut self, answer: &str, end: usize) -> String {
        let text = answer.get(self.shown..end).unwrap_or_default().to_owned();
        self.shown = self.shown.max(end);
        text
    }
}

/// Bytes of `answer` that later text cannot change: all but the beginning of what may become a placeholder and, for
/// ChatGLM-6B, a last mark that a Chinese character after it would make full-width.
fn certain(answer: &str, variant: Variant) -> usize {
    if variant == Variant::ChatGlm && answer.ends_with([',', '!', ':', ';', '?']) {
        return certain(&answer[..answer.len() - 1], variant);
    }
    match answer.rfind('[') {
        Some(last) => {
            let open = if answer[..last].ends_with('[') { last - 1 } else { last };
            let held = &answer[open..];
            if held.contains("]]") || held.chars().count() > PLACEHOLDER { answer.len() } else { open }
        }
        None => answer.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glm_testkit::fixture;

    #[test]
    fn what_is_shown_is_the_answer() {
        let file = fixture("tiny-tokenizer/tokenizer.model");
        let tokenizer = Tokenizer::from_file(&file, Variant::ChatGlm2).unwrap();
        for (text, answer) in [
            ("\n 在[[训练时间]]之前，[1] 我\n\n不知道。 \n", "在2023年之前，[1] 我\n\n不知道。"),
            ("[[", "[["),
            ("a [b [[训练]] [[训练时间]", "a [b [[训练]] [[训练时间]"),
            ("[[a long text that is no placeholder", "[[a long text that is no placeholder"),
            (" \n", ""),
        ] {
            let mut shown = Shown::new(&tokenizer);
            let mut seen = String::new();
            for id in tokenizer.encode(text) {
                seen.push_str(&shown.push(id));
                assert!(answer.starts_with(&seen), "{seen:?} of {answer:?}");
            }
            let (rest, whole) = shown.finish(None);
            assert_eq!((seen + &rest, whole), (answer.to_owned(), answer.to_owned()));
        }
    }

    #[test]
    fn marks_wait_for_what_follows_in_the_first_model() {
        assert_eq!(certain("你好a!", Variant::ChatGlm), "你好a".len());
        assert_eq!(certain("你好a!", Variant::ChatGlm2), "你好a!".len());
        assert_eq!(certain("[[训?", Variant::ChatGlm), 0);
    }

    #[test]
    fn little_is_held_back() {
        assert_eq!(certain("你好[1]，世界，世界，世界", Variant::ChatGlm2), "你好[1]，世界，世界，世界".len());
        assert_eq!(certain("你好[[训练", Variant::ChatGlm2), "你好".len());
        assert_eq!(certain("你好[[", Variant::ChatGlm2), "你好".len());
        assert_eq!(certain("你好", Variant::ChatGlm2), "你好".len());
    }
}
