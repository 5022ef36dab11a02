//! Which micro batches of an optimizer step go through the network together.

use crate::config::{Checkpointing, TrainConfig};
use crate::memory;
use std::ops::Range;

/// Tokens that are tried, most first: the weights are unpacked once a pass, which from here on is a few percent of the work.
const LEVELS: [usize; 2] = [512, 256];

/// Most tokens of a pass. Unless the settings say it: as many as may keep the activations of all blocks in memory, and never
/// fewer than the largest micro batch has, so that joining costs no memory that a run would not need anyway.
///
/// `largest` is that of the largest micro batch, `bytes` what all blocks keep of so many tokens, `free` the free memory.
pub fn max_tokens(config: &TrainConfig, largest: usize, bytes: impl Fn(usize) -> u64, free: Option<u64>) -> usize {
    config.max_tokens_per_pass.unwrap_or_else(|| {
        let room = match config.checkpointing {
            Checkpointing::Always => 0,
            Checkpointing::Auto | Checkpointing::Never => {
                config.activation_budget.unwrap_or_else(|| memory::activation_budget(free))
            }
        };
        LEVELS.into_iter().find(|tokens| *tokens > largest && bytes(*tokens) <= room).unwrap_or(largest)
    })
}

/// Tokens of a micro batch of the `rows` longest of all rows.
pub fn largest_micro_batch(lengths: impl Iterator<Item = usize>, rows: usize) -> usize {
    let mut lengths: Vec<usize> = lengths.collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    lengths.iter().take(rows).sum()
}

/// Neighbouring micro batches, by their tokens, in passes of at most `most` tokens; a larger micro batch goes alone.
pub fn passes(tokens: &[usize], most: usize) -> Vec<Range<usize>> {
    let mut passes: Vec<Range<usize>> = Vec::new();
    let mut held = 0;
    for (i, tokens) in tokens.iter().enumerate() {
        match passes.last_mut() {
            Some(pass) if held + tokens <= most => {
                pass.end = i + 1;
                held += tokens;
            }
            _ => {
                passes.push(i..i + 1);
                held = *tokens;
            }
        }
    }
    passes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_go_together_while_they_fit() {
        assert_eq!(passes(&[100, 150, 6, 256, 300, 1], 256), [0..3, 3..4, 4..5, 5..6]);
        assert_eq!(passes(&[1, 2], 0), [0..1, 1..2]);
        assert!(passes(&[], 9).is_empty());
    }

    #[test]
    fn the_largest_micro_batch_is_made_of_the_longest_rows() {
        assert_eq!([0, 1, 2, 9].map(|rows| largest_micro_batch([5, 1000, 7].into_iter(), rows)), [0, 1000, 1007, 1012]);
    }

    #[test]
    fn more_tokens_only_where_every_block_stays() {
        let config = TrainConfig { activation_budget: Some(512), ..TrainConfig::default() };
        let most = |bytes: u64, largest| max_tokens(&config, largest, |tokens| tokens as u64 * bytes, Some(1 << 40));
        assert_eq!([most(1, 100), most(2, 100), most(3, 100), most(1, 600)], [512, 256, 100, 600]);
        let of = |config: TrainConfig, free| max_tokens(&config, 100, |tokens| tokens as u64, free);
        let set = TrainConfig { max_tokens_per_pass: Some(7), ..config.clone() };
        let always = TrainConfig { checkpointing: Checkpointing::Always, ..config.clone() };
        let half = TrainConfig { activation_budget: None, ..config };
        assert_eq!([of(set, None), of(always, None), of(half.clone(), Some(600)), of(half, None)], [7, 100, 256, 100]);
    }
}
