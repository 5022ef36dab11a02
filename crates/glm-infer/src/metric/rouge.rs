//! ROUGE-1, ROUGE-2 and ROUGE-L as rouge_chinese 1.0.3 computes them.

use std::collections::{HashMap, HashSet};

use regex::Regex;

use super::whitespace::is_space;

/// Keeps F defined when precision and recall are both 0.
const EPSILON: f64 = 1e-8;

/// Where rouge_chinese ends a sentence, in the order in which it looks: after a final mark, after six full stops, after two
/// ellipses, and after a final mark with a closing quotation mark.
const SENTENCE_ENDS: [&str; 4] =
    ["([。！？?])([^”’])", r"(\.{6})([^”’])", "(…{2})([^”’])", "([。！？?][”’])([^，。！？?])"];

/// Turns a segmented text into the list of words that is counted.
#[derive(Debug)]
pub struct SentenceCutter {
    ends: [Regex; 4],
}

impl SentenceCutter {
    /// Compiles the patterns.
    pub fn new() -> Self {
        Self { ends: SENTENCE_ENDS.map(|pattern| Regex::new(pattern).expect("the patterns are constants")) }
    }

    /// Words of all sentences of `segmented`, the segmenter's words joined by blanks.
    ///
    /// A sentence of nothing but blanks, such as an empty line inside the text, counts as one empty word. Empty only when
    /// the text holds nothing but white space.
    pub fn words(&self, segmented: &str) -> Vec<String> {
        let mut text = segmented.to_owned();
        for end in &self.ends {
            text = end.replace_all(&text, "${1}\n${2}").into_owned();
        }
        let mut words = Vec::new();
        for sentence in text.trim_end_matches(is_space).split('\n').filter(|sentence| !sentence.is_empty()) {
            let before = words.len();
            words.extend(sentence.split(is_space).filter(|word| !word.is_empty()).map(str::to_owned));
            if words.len() == before {
                words.push(String::new());
            }
        }
        words
    }
}

impl Default for SentenceCutter {
    fn default() -> Self {
        Self::new()
    }
}

/// Numbers the words of two texts, so that equal words have equal numbers.
pub fn number_words(a: &[String], b: &[String]) -> (Vec<u32>, Vec<u32>) {
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut number = |words: &[String]| -> Vec<u32> {
        words
            .iter()
            .map(|word| {
                let next = numbers.len() as u32;
                *numbers.entry(word.clone()).or_insert(next)
            })
            .collect()
    };
    (number(a), number(b))
}

/// F measure (0 to 1) of the *sets* of n-grams: a repeated n-gram counts once.
///
/// # Panics
/// When `n` is 0.
pub fn rouge_n(prediction: &[u32], reference: &[u32], n: usize) -> f64 {
    let predicted: HashSet<&[u32]> = prediction.windows(n).collect();
    let expected: HashSet<&[u32]> = reference.windows(n).collect();
    f_measure(predicted.intersection(&expected).count(), predicted.len(), expected.len())
}

/// F measure (0 to 1) of the longest common subsequence of all words, sentences notwithstanding.
pub fn rouge_l(prediction: &[u32], reference: &[u32]) -> f64 {
    f_measure(longest_common_subsequence(prediction, reference), prediction.len(), reference.len())
}

fn f_measure(common: usize, predicted: usize, expected: usize) -> f64 {
    let share = |total: usize| if total == 0 { 0.0 } else { common as f64 / total as f64 };
    let (precision, recall) = (share(predicted), share(expected));
    2.0 * ((precision * recall) / (precision + recall + EPSILON))
}

/// Length of the longest common subsequence, in `a.len() * b.len()` steps and one row of memory.
fn longest_common_subsequence(a: &[u32], b: &[u32]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_cut_as_rouge_chinese_does() {
        let cutter = SentenceCutter::new();
        let words = |text| cutter.words(text);
        // Expected values: " ".join(...).split(" ") over Rouge().cut_sent, rouge_chinese 1.0.3.
        assert_eq!(words("a 。 b"), ["a", "。", "b"]);
        assert_eq!(words("....... x"), ["......", ".", "x"]);
        assert_eq!(words("a \n \n b"), ["a", "", "b"]);
        assert_eq!(words("？   \n b"), ["？", "", "b"]);
        assert_eq!(words("好？” 。"), ["好？”", "。"]);
        assert_eq!(words("好？”x"), ["好？”", "x"]);
        assert!(words(" \n \u{3000}").is_empty());
        assert!(words("").is_empty());
    }

    #[test]
    fn repeated_words_count_once_in_rouge_n_and_each_time_in_rouge_l() {
        let (prediction, reference) = ([1, 1, 2], [1, 2, 3]);
        assert!((rouge_n(&prediction, &reference, 1) - 0.8).abs() < 1e-7);
        assert!((rouge_l(&prediction, &reference) - 2.0 / 3.0).abs() < 1e-7);
        assert_eq!(rouge_n(&[1], &[1], 2), 0.0);
        assert_eq!(rouge_l(&[], &[]), 0.0);
    }
}
