//! A token of an answer, and how likely it was.

use crate::decode::log_softmax;

/// A token that will stay part of its answer.
#[derive(Debug, Clone, Copy)]
pub struct Token<'a> {
    /// The caller's name for the row.
    pub index: usize,
    /// The token.
    pub id: u32,
    /// How likely it was, where the request asks for it.
    pub logprobs: Option<&'a Logprobs>,
}

/// How likely the network held a token for, before penalties, temperature and filters.
#[derive(Debug, Clone, PartialEq)]
pub struct Logprobs {
    /// Natural logarithm of the token's probability.
    pub chosen: f32,
    /// The most likely tokens with theirs, most likely first; of equal ones the lower id.
    pub best: Vec<(u32, f32)>,
}

impl Logprobs {
    /// Of `token` and the `count` best ones, from a row of finite logits.
    pub(super) fn of(logits: &[f32], token: u32, count: usize) -> Self {
        let all = log_softmax(logits);
        let mut best: Vec<(u32, f32)> = (0..).zip(all.iter().copied()).collect();
        let by_rank = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        let count = count.min(best.len());
        if count < best.len() {
            best.select_nth_unstable_by(count, by_rank);
            best.truncate(count);
        }
        best.sort_unstable_by(by_rank);
        Self { chosen: all[token as usize], best }
    }
}
