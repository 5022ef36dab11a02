//! Memory of a training run before anything large is loaded.
//!
//! The sums follow the code: what the loader holds while it converts the last tensor, what the tape keeps of each block,
//! what the optimizer holds. They are compared with measured peaks in `docs/measurements.md`.

use glm_model::glm::layout;
use glm_model::{DenseType, GlmConfig, Scheme, ops};
use serde::Serialize;

/// What decides the memory of a run.
#[derive(Debug, Clone)]
pub struct Workload<'a> {
    /// The base.
    pub config: &'a GlmConfig,
    /// Form of its linear layers; f32 for full fine-tuning.
    pub scheme: Scheme,
    /// Form of its output layer where that is quantized too.
    pub output_layer: Option<Scheme>,
    /// Bytes of an element in its files.
    pub stored_bytes: usize,
    /// Trainable values.
    pub trainable: u64,
    /// Values of the largest trainable tensor.
    pub largest_trainable: u64,
    /// Whether they are weights of the base, which then are not held a second time.
    pub base_trains: bool,
    /// Blocks that a gradient goes through: the last ones.
    pub backward_blocks: usize,
    /// Values of all prefix rows of one segment, over all blocks: `pre_seq_len * layers * key_value`; 0 without a prefix.
    pub prefix_values: u64,
    /// What the adapter adds to the activations of one kept block, as [`crate::Adapter::block_activations`] says.
    pub added_activations: u64,
    /// Rows of a pass through the network.
    pub rows: usize,
    /// Most tokens of a pass, all rows together.
    pub tokens: usize,
    /// Most tokens of one row.
    pub longest: usize,
    /// Most supervised tokens of a pass.
    pub targets: usize,
    /// Blocks whose activations are kept.
    pub kept_blocks: usize,
    /// Threads.
    pub threads: usize,
}

/// Bytes by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Prediction {
    /// Program, vocabulary, rows, threads.
    pub process: u64,
    /// The base.
    pub weights: u64,
    /// What loading holds beside the weights at its worst moment.
    pub loading: u64,
    /// Trainable values.
    pub adapter: u64,
    /// Their gradients.
    pub gradients: u64,
    /// Their moments, and what passes between gradients, moments and values.
    pub optimizer: u64,
    /// Keys and values of the prefix, expanded to the rows of the micro batch, with their gradients.
    pub prefix: u64,
    /// What the tape keeps, and the tape of the block that is being differentiated.
    pub activations: u64,
    /// The loss: where the output layer trains, logits of the supervised positions and their gradient.
    pub logits: u64,
}

impl Prediction {
    /// Most that training holds at a time.
    pub fn training(&self) -> u64 {
        self.process
            + self.weights
            + self.adapter
            + self.gradients
            + self.optimizer
            + self.prefix
            // Logits are gone before the first block is differentiated.
            + self.activations.max(self.logits)
    }

    /// Most that the process holds at a time: while loading, or while training.
    pub fn peak(&self) -> u64 {
        self.training().max(self.process + self.weights + self.loading)
    }
}

const F32: u64 = 4;

/// Predicts the memory of a run.
pub fn predict(work: &Workload<'_>) -> Prediction {
    let c = work.config;
    let tokens = work.tokens as u64;
    let hidden_rows = tokens * c.hidden_size as u64 * F32;
    let block = super::block_activations(c, work.tokens) + work.added_activations;
    let backward_blocks = work.backward_blocks.min(c.num_layers);
    let kept = work.kept_blocks.min(backward_blocks) as u64;
    // The last blocks are kept first, and the very last is the smallest: little of it leads to the loss.
    let share = work.targets.min(work.tokens) as u64;
    let last = super::last_block_activations(c, work.tokens, work.targets)
        + if work.base_trains { work.added_activations } else { work.added_activations * share / tokens.max(1) };
    let of_kept = if kept == 0 { 0 } else { (kept - 1) * block + last };
    // A recomputed block's tape is there one at a time, and every block's backward pass holds gradients of its widest
    // rows: those of the MLP's inner layer, which a frozen MLP turns into its gradient in place, and of its input.
    let one_block = if kept < backward_blocks as u64 { block } else { 0 };
    let widest = (layout::linears(c).iter().map(|(_, [out, _], _)| *out).max().unwrap_or(0)) as u64;
    let of_mlp = if work.base_trains { 2 * widest + 2 * c.ffn_hidden_size as u64 } else { c.ffn_hidden_size as u64 };
    let of_attention = 4 * c.fused_width() as u64;
    let backward = tokens * (of_mlp.max(of_attention) + 2 * c.hidden_size as u64) * F32;
    let keys = work.longest as u64 + work.prefix_values / (c.num_layers.max(1) * c.key_value_width().max(1)) as u64;
    let scores = work.threads as u64 * 2 * 128.min(work.longest as u64) * keys * F32;
    let inputs = backward_blocks as u64 * hidden_rows;
    let dense = |dtype: Option<DenseType>| Scheme::Dense { dtype };
    let table = [c.vocab_size, c.hidden_size];
    let stored = Scheme::Dense { dtype: None }.bytes(table, work.stored_bytes);
    let dense_table = dense(work.scheme.dense_type()).bytes(table, work.stored_bytes);
    // Floats that are used as they are stored stay in their files, and of an embedding that is no output layer a few rows are
    // read at a time.
    let tables_train = work.base_trains && work.trainable == layout::parameter_count(c);
    let mapped = work.scheme.dense_type().is_none() && !tables_train;
    let unread = if mapped && !c.knobs.tied_embeddings { stored } else { 0 };
    // Trained blocks over a base that is kept as stored are held in f32.
    let as_stored = matches!(work.scheme, Scheme::Dense { dtype: None });
    let wider = if work.base_trains && as_stored { F32.saturating_sub(work.stored_bytes as u64) } else { 0 };
    let widened = work.trainable * wider;
    // An update copies one tensor. The gradients of one block (or of the output layer) are there a second time before they
    // are added to those of the batch, and the largest of them three times while it is summed.
    let of_block = layout::parameter_count(&GlmConfig { num_layers: 1, ..c.clone() })
        - layout::parameter_count(&GlmConfig { num_layers: 0, ..c.clone() });
    let largest_of_block =
        layout::linears(c).iter().map(|(_, [out, inner], _)| (out * inner) as u64).max().unwrap_or(0);
    let passing = if work.base_trains {
        (of_block + 2 * largest_of_block).max(3 * work.largest_trainable)
    } else {
        work.largest_trainable
    };
    let of_segments = work.prefix_values / c.num_layers.max(1) as u64 * work.rows as u64;
    let share_of_logits = if tables_train {
        // Logits, their gradient, and that rounded for the product with the output layer.
        work.targets as u64 * c.vocab_size as u64 * (5 * F32 / 2)
    } else {
        ops::output_loss_bytes(work.targets, c.hidden_size) as u64
    };
    Prediction {
        process: 60_000_000,
        weights: match work.output_layer {
            None => layout::bytes(c, work.scheme, work.stored_bytes) + widened - unread,
            // Of the dense tables only the embedding is left, of which a few rows are read at a time.
            Some(output) => {
                let tables = if c.knobs.tied_embeddings { 1 } else { 2 };
                let blocks = layout::bytes(c, work.scheme, work.stored_bytes) - tables * dense_table;
                blocks + output.bytes(table, work.stored_bytes) + widened + if mapped { 0 } else { dense_table }
            }
        },
        loading: {
            let dense_layer = |(_, sizes, _): &(_, [usize; 2], _)| dense(None).bytes(*sizes, work.stored_bytes);
            let layer = layout::linears(c).iter().map(dense_layer).max().unwrap_or(0);
            if work.output_layer.is_some() {
                // The pages of the output layer are still mapped when everything else is in place. INT4 is quantized row-major, then
                // interleaved.
                let [rows, cols] = table;
                let row_major = if work.output_layer == Some(Scheme::Int4) { rows * cols / 2 } else { 0 };
                stored + row_major as u64
            } else if mapped {
                // One matrix at a time is converted, before the output layer's pages are read.
                layer.saturating_sub(unread)
            } else if c.knobs.tied_embeddings {
                // The table comes first, with its pages of the file; then one matrix at a time.
                layer.max((2 * stored).saturating_sub(layout::bytes(c, work.scheme, work.stored_bytes)))
            } else {
                // The output layer comes last: its pages of the file are still mapped when everything else is in place.
                stored
            }
        },
        adapter: if work.base_trains { 0 } else { work.trainable * F32 },
        gradients: work.trainable * F32,
        optimizer: (2 * work.trainable + passing) * F32,
        // All rows, one leaf a block, one gradient a block, and all of them joined; in blocks that are kept, or are being
        // differentiated, the rows of every segment, and after dropout, and the gradients of both in the latter.
        prefix: (4 * work.prefix_values + (2 * kept + 4) * of_segments) * F32,
        activations: of_kept + one_block + inputs + backward + scores,
        logits: share_of_logits + of_kept + inputs,
    }
}
