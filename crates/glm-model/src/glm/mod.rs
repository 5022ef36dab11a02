//! The one network of the family: embedding, blocks, final norm, output layer. It knows nothing of what trains it.

mod block;
mod inputs;
mod kv_cache;
pub mod layout;
mod linear;
mod load;
mod norm;
mod param;
mod pass;
mod settled;
mod trains;

pub use block::Block;
pub use inputs::{AdapterInputs, BlockDeltas, BlockInputs, Delta, SITES};
pub use kv_cache::{CACHE_BLOCK, KvCache};
pub use linear::{Linear, Weight};
pub use load::{LoadOptions, Progress};
pub use param::Param;
pub use pass::Pass;
pub use trains::Trains;

use crate::config::GlmConfig;
use crate::ops;
use crate::quant::{Compute, DenseType, Scheme};
use candle_core::{Result, Tensor, Var};
use glm_data::Batch;
use norm::Norm;

/// A loaded network.
#[derive(Debug)]
pub struct Network {
    config: GlmConfig,
    embedding: Weight,
    blocks: Vec<Block>,
    final_norm: Norm,
    output: Weight,
    parameters: Vec<(String, Var)>,
    fingerprint: String,
    scheme: Scheme,
    trains: Trains,
    compute: Compute,
    output_layer: Option<Scheme>,
}

impl Network {
    /// The knobs.
    pub fn config(&self) -> &GlmConfig {
        &self.config
    }

    /// The blocks, first to last.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The same network made of some of its blocks, in the order given, one more than once if need be; weights are
    /// shared. Numbers beyond the last block are left out.
    pub fn with_blocks(&self, numbers: &[usize]) -> Self {
        let blocks: Vec<Block> = numbers.iter().filter_map(|&i| self.blocks.get(i)).cloned().collect();
        Self {
            config: GlmConfig { num_layers: blocks.len(), ..self.config.clone() },
            blocks,
            embedding: self.embedding.clone(),
            final_norm: self.final_norm.clone(),
            output: self.output.clone(),
            parameters: self.parameters.clone(),
            fingerprint: self.fingerprint.clone(),
            scheme: self.scheme,
            trains: self.trains,
            compute: self.compute,
            output_layer: self.output_layer,
        }
    }

    /// The trainable tensors by their official names; empty for a frozen network.
    pub fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    /// Identifies the weights: a hash over names, types, shapes and a sample of every tensor's bytes.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Form in which the linear layers of the blocks are kept.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Form in which the output layer is kept; `None`: floats, as [`LoadOptions::output_layer`] says.
    pub fn output_layer(&self) -> Option<Scheme> {
        self.output_layer
    }

    /// Both forms in words: what training and answering on this base depend on.
    pub fn held_as(&self) -> String {
        match self.output_layer {
            None => self.scheme.to_string(),
            Some(output) => format!("{}, output layer {output}", self.scheme),
        }
    }

    /// Which weights train.
    pub fn trains(&self) -> Trains {
        self.trains
    }

    /// In which numbers products with frozen weights are made.
    pub fn compute(&self) -> Compute {
        self.compute
    }

    /// The type in which weights that train are used, and in which they should be saved; they are held in f32.
    pub fn trained_type(&self) -> DenseType {
        trains::trained_type(self.scheme)
    }

    /// Number of weights, frozen or not.
    pub fn parameter_count(&self) -> usize {
        let matrix = |w: &Weight| w.shape().map_or(0, |(out, inner)| out * inner);
        let linear = |l: &Linear| matrix(&l.weight) + l.bias.as_ref().map_or(0, |bias| bias.held().elem_count());
        let norms = |b: &Block| b.input_norm.parameter_count() + b.post_norm.parameter_count();
        let block = |b: &Block| b.linears().into_iter().map(linear).sum::<usize>() + norms(b);
        let tables = if self.config.knobs.tied_embeddings { 1 } else { 2 };
        tables * matrix(&self.embedding)
            + self.final_norm.parameter_count()
            + self.blocks.iter().map(block).sum::<usize>()
    }

    /// Embedding and output layer, once where they are the same.
    fn tables(&self) -> impl Iterator<Item = &Weight> {
        let one = self.config.knobs.tied_embeddings && self.output_layer.is_none();
        std::iter::once(&self.embedding).chain((!one).then_some(&self.output))
    }

    /// Bytes that the weights occupy.
    pub fn bytes(&self) -> usize {
        let blocks = self.blocks.iter().flat_map(|b| b.linears().map(|l| l.weight.bytes())).sum::<usize>();
        blocks + self.tables().map(Weight::bytes).sum::<usize>()
    }

    /// Bytes of weights that lie in files, but for an embedding that is no output layer, whose pages do not stay.
    pub fn mapped_bytes(&self) -> usize {
        let blocks = self.blocks.iter().flat_map(|b| b.linears().map(|l| l.weight.mapped_bytes())).sum::<usize>();
        blocks + self.output.mapped_bytes()
    }

    /// Bytes of the output layer, which every token of an answer reads.
    pub fn output_bytes(&self) -> usize {
        self.output.bytes()
    }

    /// Embeddings `[T, hidden]` of a batch.
    ///
    /// # Errors
    /// When an id is outside the vocabulary.
    pub fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        let rows = self.embedding.rows(ids)?;
        // A few rows are read; the pages around them would add up to the whole table, step by step.
        if !self.config.knobs.tied_embeddings || self.output_layer.is_some() {
            self.embedding.release();
        }
        Ok(rows)
    }

    /// Logits `[N, vocab]` of rows `[N, hidden]` that left the last block.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn logits(&self, rows: &Tensor) -> Result<Tensor> {
        self.output.matmul(&self.normed(rows)?)
    }

    /// Losses `[N]` of rows `[N, hidden]` that left the last block, and `Σ factor · loss`, a scalar on their tape.
    ///
    /// # Errors
    /// When shapes do not fit, there is no row, or a label is outside the vocabulary.
    pub fn loss(&self, rows: &Tensor, labels: &[u32], factors: &[f32]) -> Result<(Tensor, Vec<f32>)> {
        let rows = self.normed(rows)?;
        match &self.output {
            Weight::Frozen(output) => ops::output_loss(&rows, output, labels, factors),
            output @ Weight::Trainable(_) => ops::cross_entropy(&output.matmul(&rows)?, labels, factors),
        }
    }

    /// As [`Network::loss`], the losses alone.
    ///
    /// # Errors
    /// As [`Network::loss`].
    pub fn losses(&self, rows: &Tensor, labels: &[u32]) -> Result<Vec<f32>> {
        let rows = self.normed(rows)?;
        match &self.output {
            Weight::Frozen(output) => ops::output_losses(&rows, output, labels),
            output @ Weight::Trainable(_) => ops::token_losses(&output.matmul(&rows)?, labels),
        }
    }

    /// The final norm.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn normed(&self, rows: &Tensor) -> Result<Tensor> {
        self.final_norm.forward(rows)
    }

    /// An empty cache for one sequence.
    pub fn new_cache(&self) -> KvCache {
        KvCache::new(self.config.num_layers, self.config.key_value_width())
    }

    /// Output of the last block, `[T, hidden]`, before the final norm.
    ///
    /// # Errors
    /// When shapes do not fit or an id is outside the vocabulary.
    pub fn forward(&self, batch: &Batch, inputs: &AdapterInputs) -> Result<Tensor> {
        self.forward_at(batch, inputs, None)
    }

    /// As [`Network::forward`], the rows at positions `read` (`u32`) alone when they are given; see [`BlockInputs::read`].
    ///
    /// # Errors
    /// As [`Network::forward`].
    pub fn forward_at(&self, batch: &Batch, inputs: &AdapterInputs, read: Option<&Tensor>) -> Result<Tensor> {
        let pass = Pass::new(&self.config, batch, &inputs.ranges);
        let mut x = self.embed(&batch.ids)?;
        for (i, block) in self.blocks.iter().enumerate() {
            let read = read.filter(|_| i + 1 == self.blocks.len());
            // Where weights train, the tape would otherwise hold every block until the end.
            x = block.forward(&x, BlockInputs { read, ..inputs.block(i) }, &pass, None)?.detach();
        }
        Ok(x)
    }

    /// As [`Network::forward`], reading and growing `caches`, one a segment. Without gradient.
    ///
    /// # Errors
    /// As [`Network::forward`], and when there is not one cache a segment.
    pub fn forward_cached(&self, batch: &Batch, inputs: &AdapterInputs, caches: &mut [&mut KvCache]) -> Result<Tensor> {
        self.forward_cached_at(batch, inputs, caches, None)
    }

    /// As [`Network::forward_cached`], the rows at positions `read` (`u32`) alone when they are given; see
    /// [`BlockInputs::read`].
    ///
    /// # Errors
    /// As [`Network::forward_cached`].
    pub fn forward_cached_at(
        &self,
        batch: &Batch,
        inputs: &AdapterInputs,
        caches: &mut [&mut KvCache],
        read: Option<&Tensor>,
    ) -> Result<Tensor> {
        let pass = Pass::new(&self.config, batch, &inputs.ranges);
        let mut x = self.embed(&batch.ids)?;
        for (i, block) in self.blocks.iter().enumerate() {
            let mut rows: Vec<&mut Vec<f32>> = caches.iter_mut().map(|c| &mut c.layers[i]).collect();
            let read = read.filter(|_| i + 1 == self.blocks.len());
            x = block.forward(&x, BlockInputs { read, ..inputs.block(i) }, &pass, Some(&mut rows))?.detach();
        }
        Ok(x)
    }
}
