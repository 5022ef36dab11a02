//! Rows that are being answered. A row comes in with its prompt, then with one token a step; both kinds share a forward
//! pass, so that rows may join and leave at any step.

use super::joined::Joined;
use super::{Answer, Engine, Finish, Request, row_error};
use crate::{GenerationConfig, InferError, Result, decode};
use glm_data::{Batch, Positions, Rng};
use glm_model::{KvCache, ops};

/// A batch in progress.
#[derive(Debug)]
pub struct Running<'e> {
    engine: &'e Engine<'e>,
    config: GenerationConfig,
    rows: Vec<Row>,
    joined: Joined,
}

#[derive(Debug)]
struct Row {
    /// The caller's name for it.
    index: usize,
    source: usize,
    slot: Option<usize>,
    cache: KvCache,
    positions: Positions,
    /// All that the repetition penalty sees: the pad token where there is padding, the prompt, the answer.
    context: Vec<u32>,
    /// Tokens at the end of `context` that the network has not seen yet.
    pending: usize,
    /// Tokens at the end of `context` that were generated.
    generated: usize,
    max_new_tokens: usize,
    rng: Rng,
}

impl Row {
    fn answer(&self, finish: Finish) -> Answer {
        Answer { tokens: self.context[self.context.len() - self.generated..].to_vec(), finish }
    }
}

impl<'e> Running<'e> {
    pub(super) fn new(engine: &'e Engine<'e>, config: GenerationConfig) -> Self {
        Self { engine, config, rows: Vec::new(), joined: Joined::default() }
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
    /// When the prompt is empty.
    pub fn admit(&mut self, index: usize, request: &Request) -> Result<()> {
        let Request { prompt, positions, slot, max_new_tokens, padded, stream, source } = request;
        if prompt.is_empty() {
            return Err(InferError::EmptyPrompt { row: source + 1 });
        }
        let mut context = Vec::with_capacity(prompt.len() + 1);
        context.extend(padded.then_some(self.engine.special.pad));
        context.extend_from_slice(prompt);
        self.rows.push(Row {
            index,
            source: *source,
            slot: *slot,
            cache: self.engine.network.new_cache(),
            positions: *positions,
            context,
            pending: prompt.len(),
            generated: 0,
            max_new_tokens: *max_new_tokens,
            rng: Rng::with_stream(self.config.seed, *stream),
        });
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
        // Rows of the batch whose next token is due, with the position of their last token in it.
        let (mut due, mut ends) = (Vec::new(), Vec::new());
        let mut budget = self.engine.prefill_tokens.max(1);
        for (i, row) in self.rows.iter_mut().enumerate() {
            // A row that decodes is never held up by the prompts of others.
            let taken = match row.pending {
                1 => 1,
                // What every token of the context sees cannot be taken in pieces.
                all if !row.positions.is_causal() => all,
                many => many.min(budget),
            };
            if taken == 0 {
                continue;
            }
            budget = budget.saturating_sub(if row.pending == 1 { 0 } else { taken });
            let first = row.context.len() - row.pending;
            let tokens = &row.context[first..first + taken];
            batch.push(tokens, row.cache.len(), row.positions, row.slot, row.source);
            row.pending -= taken;
            caches.push(&mut row.cache);
            if row.pending == 0 {
                due.push(i);
                ends.push(batch.len() as u32 - 1);
            }
        }
        let Engine { network, prefixes, .. } = self.engine;
        let past = self.joined.past(prefixes, &batch.segments)?;
        let hidden = network.forward_cached(&batch, past, &mut caches)?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let ends = candle_core::Tensor::new(ends, hidden.device())?;
        let logits = network.logits(&hidden.index_select(&ends, 0)?)?;
        let vocabulary = network.config().vocab_size;
        ops::with_floats(&logits, |logits| {
            for (i, logits) in due.iter().zip(logits.chunks_exact(vocabulary)) {
                self.choose(*i, logits, on_token)?;
            }
            Ok::<_, InferError>(())
        })??;
        Ok(self.leave())
    }

    /// Appends the next token of a row.
    fn choose(&mut self, row: usize, logits: &[f32], on_token: &mut dyn FnMut(usize, u32)) -> Result<()> {
        let row = &mut self.rows[row];
        let step = row.generated + 1;
        let token = decode::next_token(logits, &row.context, &self.config, step, &mut || row.rng.next_u64())
            .map_err(row_error(row.source))?;
        row.context.push(token);
        row.generated += 1;
        row.pending = 1;
        on_token(row.index, token);
        Ok(())
    }

    /// Takes out the rows that are complete.
    fn leave(&mut self) -> Vec<(usize, Answer)> {
        let mut answers = Vec::new();
        self.rows.retain(|row| {
            let last = row.context.last().filter(|_| row.generated > 0);
            let finish = match last {
                Some(token) if self.engine.special.eos.contains(token) => Finish::Eos,
                Some(_) if row.generated >= row.max_new_tokens => Finish::Length,
                _ => return true,
            };
            answers.push((row.index, row.answer(finish)));
            false
        });
        answers
    }

    /// Ends all rows where they are.
    pub fn cancel(&mut self) -> Vec<(usize, Answer)> {
        self.rows.drain(..).map(|row| (row.index, row.answer(Finish::Stopped))).collect()
    }
}
