//! Seeing that an answer goes in circles.

use super::DecodeError;
use serde::{Deserialize, Serialize};

/// An answer repeats itself when, for some period `p` of at most `max_period` tokens, each of its last
/// `max(times · p, min_tokens)` tokens but the first `p` equals the one `p` places before it. Prompts do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RepetitionRule {
    /// How often the same tokens must follow one another; 2 or more.
    pub times: usize,
    /// Longest run of tokens whose repetition is looked for; 1 or more.
    pub max_period: usize,
    /// Fewest tokens that the repetitions have together, so that a short "no, no, no, no" is not cut.
    pub min_tokens: usize,
}

impl Default for RepetitionRule {
    fn default() -> Self {
        Self { times: 4, max_period: 64, min_tokens: 32 }
    }
}

impl RepetitionRule {
    /// Whether `answer` ends in repetitions. Costs about `max_period` comparisons unless it nearly does.
    pub fn applies(&self, answer: &[u32]) -> bool {
        (1..=self.max_period.min(answer.len())).any(|period| {
            let span = self.times.saturating_mul(period).max(self.min_tokens).max(period + 1);
            let Some(from) = answer.len().checked_sub(span) else { return false };
            let tail = &answer[from..];
            tail[period..].iter().rev().eq(tail[..span - period].iter().rev())
        })
    }

    /// Refuses values without a meaning.
    ///
    /// # Errors
    /// Names the value.
    pub fn check(&self) -> Result<(), DecodeError> {
        let refuse = |name, value: usize, expected| Err(DecodeError::Setting { name, value: value as f32, expected });
        match self {
            Self { times: 0..=1, .. } => refuse("repetition.times", self.times, "2 or more"),
            Self { max_period: 0, .. } => refuse("repetition.max_period", self.max_period, "1 or more"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_repeats_itself_from_the_token_on_that_completes_the_rule() {
        let rule = RepetitionRule { times: 3, max_period: 2, min_tokens: 0 };
        let first = |rule: RepetitionRule, ids: &[u32]| (0..=ids.len()).find(|n| rule.applies(&ids[..*n]));
        assert_eq!(first(rule, &[5, 1, 1, 1, 1]), Some(4));
        assert_eq!(first(rule, &[9, 1, 2, 1, 2, 1, 2]), Some(7));
        assert_eq!(first(rule, &[1, 2, 1, 2, 2, 1, 2, 1]), None, "interrupted");
        assert_eq!(first(rule, &[1, 2, 3, 1, 2, 3, 1, 2, 3]), None, "the period is too long");
        assert_eq!(first(RepetitionRule { max_period: 3, ..rule }, &[1, 2, 3, 1, 2, 3, 1, 2, 3]), Some(9));
        // min_tokens needs not be a multiple of the period.
        assert_eq!(first(RepetitionRule { min_tokens: 7, ..rule }, &[1, 2, 1, 2, 1, 2, 1, 2]), Some(7));
        assert_eq!(first(RepetitionRule::default(), &[7; 40]), Some(32));
        assert_eq!(first(RepetitionRule { times: usize::MAX, ..rule }, &[7; 40]), None);
    }

    #[test]
    fn rules_without_a_meaning_are_refused() {
        let rule = RepetitionRule::default();
        assert_eq!(rule.check(), Ok(()));
        for bad in [RepetitionRule { times: 1, ..rule }, RepetitionRule { max_period: 0, ..rule }] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
