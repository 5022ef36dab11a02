//! Rows that are being answered. A row comes in with its prompt, then with one token a step (and beam); both kinds share a
//! forward pass, so that rows may join and leave at any step.

use super::joined::Joined;
use super::row::Row;
use super::sequence::Endings;
use super::{Answer, Engine, Past, Request, Token};
use crate::{GenerationConfig, InferError, Result, decode};
use candle_core::{Device, Tensor};
use glm_data::{Batch, Variant};
use glm_model::ops;
use rayon::prelude::*;

/// A batch in progress.
#[derive(Debug)]
pub struct Running<'e> {
    engine: &'e Engine<'e>,
    rows: Vec<Row<'e>>,
    joined: Joined,
    /// Most prompt tokens of one pass; at first those of the engine.
    pub prefill_tokens: usize,
}

/// A row that has left.
#[derive(Debug)]
pub struct Ended {
    /// The caller's name for it.
    pub index: usize,
    /// The answer, or why this row has none; other rows go on.
    pub answer: Result<Answer>,
    /// Its keys and values, for a row that begins alike; `None` where there are none to keep (beam search, a paused row).
    pub past: Option<Past>,
}

impl<'e> Running<'e> {
    pub(super) fn new(engine: &'e Engine<'e>) -> Self {
        Self { engine, rows: Vec::new(), joined: Joined::default(), prefill_tokens: engine.prefill_tokens }
    }

    /// Rows in progress, paused ones included.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Lets a row in; its answer comes back under `index`.
    ///
    /// # Errors
    /// When the prompt is empty, its positions are not those of the network's variant, no answer follows from the settings,
    /// or there are stop strings and no vocabulary.
    pub fn admit(&mut self, index: usize, request: &Request, config: &GenerationConfig) -> Result<()> {
        self.admit_after(index, request, config, None)
    }

    /// As [`Running::admit`]; the tokens with which `past` and the prompt begin are not read again ([`Past::useful`]).
    ///
    /// # Errors
    /// As [`Running::admit`].
    pub fn admit_after(
        &mut self,
        index: usize,
        request: &Request,
        config: &GenerationConfig,
        past: Option<Past>,
    ) -> Result<()> {
        decode::check(config)?;
        let row = request.source + 1;
        if request.prompt.is_empty() {
            return Err(InferError::EmptyPrompt { row });
        }
        let network = self.engine.network;
        let variant = network.config().variant;
        if request.positions.is_causal() == (variant == Variant::ChatGlm) {
            return Err(InferError::Positions { row, variant: variant.name(), found: request.positions });
        }
        let useful = past.as_ref().map_or(0, |past| past.useful(request.slot, &request.prompt));
        let cache = past.filter(|_| useful > 0).map_or_else(|| network.new_cache(), |past| past.into_cache(useful));
        let endings = Endings::new(&self.engine.special, self.engine.tokenizer, config)?;
        self.rows.push(Row::new(index, request, cache, config, endings));
        Ok(())
    }

    /// One forward pass: prompts advance, every row whose prompt is read gets its next token. Returns the rows that are
    /// complete, and those that cannot go on because a logit is not finite; they leave.
    ///
    /// # Errors
    /// When the pass itself fails: a slot is empty, an id is outside the vocabulary.
    pub fn step(&mut self, on_token: &mut dyn FnMut(Token<'_>)) -> Result<Vec<Ended>> {
        let mut batch = Batch::default();
        let mut caches = Vec::with_capacity(self.rows.len());
        // Rows of the batch whose next token is due, and the positions of the last token of their beams in it.
        let (mut due, mut ends) = (Vec::new(), Vec::new());
        let mut budget = Budget::new(self.prefill_tokens);
        let reads = |row: &Row<'_>| !row.paused && row.pending > 1;
        let mut reading = self.rows.iter().filter(|row| reads(row)).count();
        for (i, row) in self.rows.iter_mut().enumerate() {
            reading -= usize::from(reads(row));
            let taken = if row.paused { 0 } else { budget.take(row.pending, row.positions.is_causal(), reading > 0) };
            if taken == 0 {
                continue;
            }
            let pending = row.pending;
            row.pending -= taken;
            for beam in &mut row.beams {
                let ids = beam.sequence.tokens();
                let first = ids.len() - pending;
                beam.cache.reserve(taken);
                batch.push(&ids[first..first + taken], beam.cache.len(), row.positions, row.slot, row.source);
                caches.push(&mut beam.cache);
                ends.extend((row.pending == 0).then_some(batch.len() as u32 - 1));
            }
            if row.pending == 0 {
                due.push(i);
            }
        }
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let Engine { network, prefixes, .. } = self.engine;
        let past = self.joined.past(prefixes, &batch.segments)?;
        let all_due = ends.len() == batch.len();
        let ends = (!ends.is_empty()).then(|| Tensor::new(ends, &Device::Cpu)).transpose()?;
        // The last block need not compute rows that nothing reads. Additions that name rows would miss them.
        let named = past.deltas.last().is_some_and(|sites| sites.iter().flatten().any(|delta| delta.rows.is_some()));
        let read = ends.as_ref().filter(|_| !all_due && !named);
        let hidden = network.forward_cached_at(&batch, past, &mut caches, read)?;
        let Some(ends) = &ends else { return Ok(Vec::new()) };
        let hidden = if all_due || read.is_some() { hidden } else { hidden.index_select(ends, 0)? };
        let logits = network.logits(&hidden)?;
        let vocabulary = network.config().vocab_size;
        let mut failed = Vec::new();
        ops::with_floats(&logits, |logits| {
            let mut logits = logits.chunks_exact(vocabulary);
            let rows = self.rows.iter_mut().enumerate().filter(|(i, _)| due.binary_search(i).is_ok());
            let rows = rows.map(|(_, row)| {
                let logits: Vec<&[f32]> = logits.by_ref().take(row.beams.len()).collect();
                (row, logits)
            });
            let rows: Vec<(&mut Row<'_>, Vec<&[f32]>)> = rows.collect();
            // A row takes a look at the whole vocabulary, sampling several: side by side, for there may be many rows.
            let choose = |(row, logits): (_, Vec<&[f32]>)| {
                let row: &mut Row<'_> = row;
                let choice = row.choose(&logits);
                (row, choice)
            };
            let chosen: Vec<_> = rows.into_par_iter().map(choose).collect();
            for (row, choice) in chosen {
                match choice {
                    Ok(choice) => row.advance(choice, on_token),
                    Err(source) => failed.push((row.index, InferError::Row { row: row.source + 1, source })),
                }
            }
        })?;
        let mut ended: Vec<Ended> = self.rows.extract_if(.., |row| row.is_complete()).map(Ended::of).collect();
        for (index, error) in failed {
            self.rows.retain(|row| row.index != index);
            ended.push(Ended { index, answer: Err(error), past: None });
        }
        Ok(ended)
    }

    /// Ends all rows where they are.
    pub fn cancel(&mut self) -> Vec<Ended> {
        self.rows.drain(..).map(Ended::of).collect()
    }

    /// Ends one row where it is; `None` where there is none of that name.
    pub fn remove(&mut self, index: usize) -> Option<Ended> {
        let place = self.rows.iter().position(|row| row.index == index)?;
        Some(Ended::of(self.rows.remove(place)))
    }

    /// Tokens that the network has to read of each row in progress, and those that its keys and values hold, in the order in
    /// which they came in.
    pub fn loads(&self) -> impl Iterator<Item = Load> {
        self.rows.iter().map(|row| Load {
            index: row.index,
            paused: row.paused,
            pending: row.pending,
            cached: row.cached(),
        })
    }

    /// Takes a row out of the following steps and gives its keys and values up. It goes on, by computing them again, after
    /// [`Running::resume`].
    pub fn pause(&mut self, index: usize) {
        self.rows.iter_mut().filter(|row| row.index == index).for_each(Row::pause);
    }

    /// Lets a paused row go on.
    pub fn resume(&mut self, index: usize) {
        self.rows.iter_mut().filter(|row| row.index == index).for_each(|row| row.paused = false);
    }

    /// Bytes of keys and values of all rows.
    pub fn cache_bytes(&self) -> usize {
        self.rows.iter().flat_map(|row| &row.beams).map(|beam| beam.cache.bytes()).sum()
    }
}

/// What a row in progress takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// The caller's name for it.
    pub index: usize,
    /// Whether it waits for [`Running::resume`].
    pub paused: bool,
    /// Tokens that the network has not seen yet.
    pub pending: usize,
    /// Tokens whose keys and values it holds.
    pub cached: usize,
}

impl Ended {
    fn of(row: Row<'_>) -> Self {
        let index = row.index;
        let (answer, past) = row.into_answer();
        Self { index, answer: Ok(answer), past }
    }
}

/// Prompt tokens that a forward pass may still take.
struct Budget {
    all: usize,
    left: usize,
}

impl Budget {
    fn new(tokens: usize) -> Self {
        Self { all: tokens.max(1), left: tokens.max(1) }
    }

    /// How many of a row's `pending` tokens this pass takes. `others`: more prompts are being read behind this one.
    fn take(&mut self, pending: usize, in_pieces: bool, others: bool) -> usize {
        let taken = match pending {
            // A row that decodes is never held up by the prompts of others.
            1 => return 1,
            // A long prompt leaves half to those behind it, which may be short.
            _ if in_pieces && others => pending.min(self.left.div_ceil(2)),
            _ if in_pieces => pending.min(self.left),
            // Tokens that all see one another come in one pass; one longer than any pass has its own.
            _ if pending <= self.left || self.left == self.all => pending,
            _ => 0,
        };
        self.left = self.left.saturating_sub(taken);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn prompts_share_a_pass_and_whole_ones_are_not_cut() {
        let take = |tokens: usize, rows: &[(usize, bool)]| -> Vec<usize> {
            let mut budget = Budget::new(tokens);
            rows.iter().map(|(pending, in_pieces)| budget.take(*pending, *in_pieces, false)).collect()
        };
        assert_eq!(take(10, &[(6, true), (1, true), (6, true), (3, true), (3, false), (1, false)]), [6, 1, 4, 0, 0, 1]);
        assert_eq!(take(10, &[(6, false), (6, false), (4, false)]), [6, 0, 4]);
        assert_eq!(take(0, &[(7, false), (2, false), (2, true)]), [7, 0, 0]);
    }

    #[test]
    fn a_long_prompt_does_not_keep_short_ones_from_their_answers() {
        let mut budget = Budget::new(64);
        assert_eq!(
            [budget.take(30_000, true, true), budget.take(20, true, true), budget.take(9, true, false)],
            [32, 16, 9]
        );
        let mut budget = Budget::new(1);
        assert_eq!([budget.take(5, true, true), budget.take(5, true, false)], [1, 0]);
    }
}
