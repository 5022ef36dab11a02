//! Removal of blanks before punctuation and English contractions, as transformers' `clean_up_tokenization` does after
//! decoding, but for text that arrives in parts.

/// What is replaced, in this order. Each pattern has a blank only at its first and perhaps its last place, which is what
/// lets [`CleanUp`] start afresh after a mismatch.
const RULES: [(&str, &str); 10] = [
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
];

/// A whole text without blanks before English punctuation and contractions.
pub fn clean_up(text: &str) -> String {
    RULES.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// All replacements in a row, each holding back only what may be the beginning of its pattern.
#[derive(Debug, Clone, Default)]
pub(super) struct CleanUp {
    /// For each rule, how many characters of its pattern have been seen.
    seen: [usize; RULES.len()],
}

impl CleanUp {
    /// Takes the next part and appends what is certain to `out`.
    pub(super) fn push(&mut self, part: &str, out: &mut String) {
        for c in part.chars() {
            self.step(0, c, out);
        }
    }

    /// Appends what was held back and starts afresh.
    pub(super) fn finish(&mut self, out: &mut String) {
        for (rule, (pattern, _)) in RULES.iter().enumerate() {
            let held = std::mem::take(&mut self.seen[rule]);
            for c in pattern.chars().take(held) {
                self.step(rule + 1, c, out);
            }
        }
    }

    /// Gives one character to rule number `rule`.
    fn step(&mut self, rule: usize, c: char, out: &mut String) {
        let Some((pattern, replacement)) = RULES.get(rule) else {
            out.push(c);
            return;
        };
        let seen = self.seen[rule];
        // Patterns are ASCII.
        if pattern.as_bytes()[seen] as char == c {
            self.seen[rule] = (seen + 1) % pattern.len();
            if seen + 1 == pattern.len() {
                replacement.chars().for_each(|r| self.step(rule + 1, r, out));
            }
            return;
        }
        self.seen[rule] = 0;
        pattern.chars().take(seen).for_each(|held| self.step(rule + 1, held, out));
        if c == ' ' {
            self.seen[rule] = 1;
        } else {
            self.step(rule + 1, c, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_replacing_in_the_whole_text(parts in prop::collection::vec("[ .?!,'ntmsvre]{0,6}|[a-z 中]{0,3}", 0..12)) {
            let whole = clean_up(&parts.concat());
            let (mut cleanup, mut out) = (CleanUp::default(), String::new());
            parts.iter().for_each(|part| cleanup.push(part, &mut out));
            cleanup.finish(&mut out);
            prop_assert_eq!(out, whole);
        }
    }
}
