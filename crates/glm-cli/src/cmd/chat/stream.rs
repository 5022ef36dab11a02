//! An answer on its way to the screen, while its end is not known yet.

use glm_data::{StreamDecoder, Tokenizer, prompt};

/// Longest placeholder that [`prompt::process_response`] fills in, in characters.
const PLACEHOLDER: usize = 8;

/// Turns tokens into the text that may be shown already: what the finished answer will have at that place.
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
        self.advance(&answer, certain(&answer))
    }

    /// Returns what was held back, and the whole answer as it belongs into the history.
    pub fn finish(mut self) -> (String, String) {
        let text = self.decoder.finish();
        self.raw.push_str(&text);
        let answer = self.answer();
        (self.advance(&answer, answer.len()), answer)
    }

    fn answer(&self) -> String {
        prompt::process_response(self.tokenizer.variant(), &self.raw)
    }

    fn advance(&mut self, answer: &str, end: usize) -> String {
        let text = answer.get(self.shown..end).unwrap_or_default().to_owned();
        self.shown = self.shown.max(end);
        text
    }
}

/// Bytes of `answer` that later text cannot change: all but the beginning of what may become a placeholder.
fn certain(answer: &str) -> usize {
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
    use glm_data::Variant;
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
            let (rest, whole) = shown.finish();
            assert_eq!((seen + &rest, whole), (answer.to_owned(), answer.to_owned()));
        }
    }

    #[test]
    fn little_is_held_back() {
        assert_eq!(certain("你好[1]，世界，世界，世界"), "你好[1]，世界，世界，世界".len());
        assert_eq!(certain("你好[[训练"), "你好".len());
        assert_eq!(certain("你好[["), "你好".len());
        assert_eq!(certain("你好"), "你好".len());
    }
}
