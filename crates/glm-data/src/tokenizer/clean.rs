//! The library's clean-up of English spacing.

/// Removes the blanks before English punctuation and short forms, as transformers' `clean_up_tokenization` does; the
/// official script applies it to both columns of `generated_predictions.txt` and to nothing else.
pub fn clean_up(text: &str) -> String {
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
    let mut text = text.to_string();
    for (from, to) in RULES {
        if text.contains(from) {
            text = text.replace(from, to);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::clean_up;

    #[test]
    fn blanks_before_punctuation_go() {
        assert_eq!(clean_up("Hello , world . How are you ? I 'm n't"), "Hello, world. How are you? I'mn't");
        assert_eq!(clean_up("你好 。 a ' b"), "你好 。 a'b");
    }
}
