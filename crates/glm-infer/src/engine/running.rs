//! Rows that are being answered. A row comes in with its prompt, then with one token a step (and beam); both kinds share a
//! forward pass, so that rows may join and leave at any step.

use super::joined::Joined;
use super::row::Row;
use super::sequence::Endings;
use super::{Answer, Engine, Request};
use crate::{GenerationConfig, InferError, Result};
use candle_core::{Device, Tensor};
use glm_data::{Batch, Variant};
use glm_model::ops;
use rayon::prelude::*;

/// A batch in progress.
#[derive(Debug)]
pub struct Running<'e> {
    engine: &'e Engine<'e>,
    config: GenerationConfig,
    endings: Endings<'e>,
    rows: Vec<Row<'e>>,
    joined: Joined,
}

impl<'e> Running<'e> {
    pub(super) fn new(engine: &'e Engine<'e>, config: GenerationConfig) -> Result<Self> {
        let endings = Endings::new(&engine.special, engine.tokenizer, &config)?;
        Ok(Self { engine, config, endings, rows: Vec::new(), joined: Joined::default() })
    }

    /// Rows in progress.
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
    /// When the prompt is empty, or its positions are not those of the network's variant.
    pub fn admit(&mut self, index: usize, request: &Request) -> Result<()> {
        let row = request.source + 1;
        if request.prompt.is_empty() {
            return Err(InferError::EmptyPrompt { row });
        }
        let network = self.engine.network;
        let variant = network.config().variant;
        if request.positions.is_causal() == (variant == Variant::ChatGlm) {
            return Err(InferError::Positions { row, variant: variant.name(), found: request.positions });
        }
        self.rows.push(Row::new(index, request, network.new_cache(), &self.config, &self.endings));
        Ok(())
    }

    /// One forward pass: prompts advance, every row whose prompt is read gets its next token. Returns the answers that
    /// are complete; their rows leave.
    ///
    /// # Errors
    /// As [`Engine::generate`].
    pub fn step(&mut self, on_token: &mut dyn FnMut(usize, u32)) -> Result<Vec<(usize, Answer)>> {
        let mut batch = Batch::default();
        let mut caches = Vec::with_capacity(self.rows.len());
        // Rows of the batch whose next token is due, and the positions of the last token of their beams in it.
        let (mut due, mut ends) = (Vec::new(), Vec::new());
        let mut budget = Budget::new(self.engine.prefill_tokens);
        for (i, row) in self.rows.iter_mut().enumerate() {
            let taken = budget.take(row.pending, row.positions.is_causal());
            if taken == 0 {
                continue;
            }
            let pending = row.pending;
            row.pending -= taken;
            for beam in &mut row.beams {
                let ids = beam.sequence.ids();
                let first = ids.len() - pending;
                batch.push(&ids[first..first + taken], beam.cache.len(), row.positions, row.slot, row.source);
                caches.push(&mut beam.cache);
                ends.extend((row.pending == 0).then_some(batch.len() as u32 - 1));
            }
            if row.pending == 0 {
                due.push(i);
            }
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
        let (config, endings) = (&self.config, &self.endings);
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
                let choice = row.choose(&logits, config, endings);
                (row, choice)
            };
            let chosen: Vec<_> = rows.into_par_iter().map(choose).collect();
            for (row, choice) in chosen {
                let choice = choice.map_err(|source| InferError::Row { row: row.source + 1, source })?;
                row.advance(choice, config, endings, on_token);
            }
            Ok::<_, InferError>(())
        })??;
        Ok(self.leave())
    }

    /// Takes out the rows that are complete.
    fn leave(&mut self) -> Vec<(usize, Answer)> {
        let complete = self.rows.extract_if(.., |row| row.is_complete());
        complete.map(|row| (row.index, row.into_answer(&self.config))).collect()
    }

    /// Ends all rows where they are.
    pub fn cancel(&mut self) -> Vec<(usize, Answer)> {
        self.rows.drain(..).map(|row| (row.index, row.into_answer(&self.config))).collect()
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

    /// How many of a row's `pending` tokens this pass takes.
    fn take(&mut self, pending: usize, in_pieces: bool) -> usize {
        let taken = match pending {
            // A row that decodes is never held up by the prompts of others.
            1 => return 1,
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
        let mut budget = Budget::new(10);
        assert_eq!([budget.take(6, true), budget.take(1, true), budget.take(6, true)], [6, 1, 4]);
        assert_eq!([budget.take(3, true), budget.take(3, false), budget.take(1, false)], [0, 0, 1]);
        let mut budget = Budget::new(10);
        assert_eq!([budget.take(6, false), budget.take(6, false), budget.take(4, false)], [6, 0, 4]);
        let mut budget = Budget::new(0);
        assert_eq!([budget.take(7, false), budget.take(2, false), budget.take(2, true)], [7, 0, 0]);
    }
}
