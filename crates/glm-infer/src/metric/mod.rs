//! Scores of generated answers: ROUGE-1/2/L on Chinese words and BLEU-4 on characters, as the official evaluation has them.

mod bleu;
mod rouge;
mod segment;
mod whitespace;

pub use bleu::bleu_4;
pub use rouge::{SentenceCutter, number_words, rouge_l, rouge_n};
pub use segment::Segmenter;
pub(crate) use whitespace::strip;

/// Scores of one prediction, in percent, rounded to four decimals.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PairScore {
    /// F measure of words.
    pub rouge_1: f64,
    /// F measure of word pairs.
    pub rouge_2: f64,
    /// F measure of the longest common subsequence of words.
    pub rouge_l: f64,
    /// BLEU-4 on characters.
    pub bleu_4: f64,
    /// Prediction or reference held nothing but white space, so every score is 0.
    pub empty: bool,
}

/// Scores predictions. Holds the segmenter's dictionary, so build it once.
#[derive(Debug, Default)]
pub struct Scorer {
    segmenter: Segmenter,
    sentences: SentenceCutter,
}

impl Scorer {
    /// Loads the dictionary.
    pub fn new() -> Self {
        Self::default()
    }

    /// The words that ROUGE sees, blanks included.
    pub fn segment<'a>(&self, text: &'a str) -> Vec<&'a str> {
        self.segmenter.cut(text)
    }

    /// Scores one prediction. Where a text is only white space the official script aborts the evaluation; here the pair
    /// scores 0 and is marked.
    pub fn score_pair(&self, prediction: &str, reference: &str) -> PairScore {
        let predicted = self.counted_words(prediction);
        let expected = self.counted_words(reference);
        if predicted.is_empty() || expected.is_empty() {
            return PairScore { empty: true, ..PairScore::default() };
        }
        let (predicted, expected) = number_words(&predicted, &expected);
        PairScore {
            rouge_1: percent(rouge_n(&predicted, &expected, 1)),
            rouge_2: percent(rouge_n(&predicted, &expected, 2)),
            rouge_l: percent(rouge_l(&predicted, &expected)),
            bleu_4: percent(bleu_4(prediction, reference)),
            empty: false,
        }
    }

    fn counted_words(&self, text: &str) -> Vec<String> {
        self.sentences.words(&self.segment(text).join(" "))
    }
}

/// Means of the rounded scores of all pairs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Mean ROUGE-1, percent.
    pub rouge_1: f64,
    /// Mean ROUGE-2, percent.
    pub rouge_2: f64,
    /// Mean ROUGE-L, percent.
    pub rouge_l: f64,
    /// Mean BLEU-4, percent.
    pub bleu_4: f64,
    /// Pairs scored, the empty ones included.
    pub pairs: usize,
    /// Pairs that scored 0 because a text was only white space.
    pub empty: usize,
}

impl Summary {
    /// Means of `scores`; `None` when there is nothing to average.
    pub fn of(scores: &[PairScore]) -> Option<Self> {
        let pairs = scores.len();
        let mean = |score: fn(&PairScore) -> f64| scores.iter().map(score).sum::<f64>() / pairs as f64;
        (pairs > 0).then(|| Self {
            rouge_1: mean(|s| s.rouge_1),
            rouge_2: mean(|s| s.rouge_2),
            rouge_l: mean(|s| s.rouge_l),
            bleu_4: mean(|s| s.bleu_4),
            pairs,
            empty: scores.iter().filter(|s| s.empty).count(),
        })
    }

    /// Names and values as result files hold them, sorted by name: `<prefix>_bleu-4`, `<prefix>_rouge-1`, `<prefix>_rouge-2`,
    /// `<prefix>_rouge-l`. The prefix is `predict` or `eval`.
    pub fn entries(&self, prefix: &str) -> [(String, f64); 4] {
        [("bleu-4", self.bleu_4), ("rouge-1", self.rouge_1), ("rouge-2", self.rouge_2), ("rouge-l", self.rouge_l)]
            .map(|(name, value)| (format!("{prefix}_{name}"), value))
    }
}

/// `round(score * 100, 4)`: formatting rounds the exact binary value, as Python's `round` does.
fn percent(score: f64) -> f64 {
    format!("{:.4}", score * 100.0).parse().expect("a formatted number is a number")
}
